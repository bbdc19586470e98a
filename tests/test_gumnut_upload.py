"""POST and DELETE /api/assets over a socket: what is kept of what is sent, and what is refused."""

import asyncio
import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from factories import LOCATION, ORG, a_decision, a_face, a_record, some_deps
from gumnut_api import ask, done, face_id, face_of, person_id, refused, visit
from house_api import House, known, open_house
from videos import audio_only, coded_as, counting_pictures, shifted

from facewatch.api.server import application, serving
from facewatch.app.intake import Straight
from facewatch.domain.ids import AssetId, from_prefixed, new_id, to_prefixed, to_ruuid
from facewatch.people.intake import Room
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.stream.encode import encode_video
from facewatch.vision.pictures import JpegPngEncoder

WHEN = "2026-11-21T12:00:00Z"
PIXELS = np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
JPEG = JpegPngEncoder().jpeg(PIXELS, 85)
PNG = JpegPngEncoder().png(PIXELS)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(database, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Four seconds; its index stands in front, so that the rest may be cut off."""
    folder = tmp_path_factory.mktemp("mp4")
    encode_video(folder / "a.mp4", counting_pictures(100), fps=25, gop=10)
    return shifted(folder / "a.mp4", folder / "b.mp4", 0, movflags="faststart").read_bytes()


def form(body: bytes | None, name: str = "a.jpg", **told: str | None) -> aiohttp.FormData:
    data = aiohttp.FormData(default_to_multipart=True)
    usual = {
        "device_asset_id": "IMG_1",
        "device_id": "her phone",
        "file_created_at": WHEN,
        "file_modified_at": WHEN,
    }
    for field, value in {**usual, **told}.items():
        if value is not None:
            data.add_field(field, value)
    if body is not None:
        data.add_field("asset_data", body, filename=name, content_type="image/jpeg")
    return data


async def bring(house: House, body: bytes, name: str = "a.jpg", **told: str | None) -> Any:
    return await done(house, "POST", "assets", data=form(body, name, **told))


async def count(house: House) -> int:
    found: int = await house.sql.fetchval("SELECT count(*) FROM asset")
    return found


def objects(place: Path) -> list[Path]:
    return [it for it in place.rglob("*") if it.is_file()]


# --- what is kept -----------------------------------------------------------------------------


async def test_a_picture_is_kept_and_told_of(house: House, tmp_path: Path) -> None:
    asset = await bring(house, JPEG, "Party at Ann's.jpg", file_modified_at="2026-11-22T01:00:00")

    assert asset["ingest"] == {"status": "pending", "percent": 0.0, "message": None}
    assert (asset["device_id"], asset["device_asset_id"]) == ("her phone", "IMG_1")
    assert (asset["mime_type"], asset["original_file_name"]) == ("image/jpeg", "Party at Ann's.jpg")
    assert (asset["width"], asset["height"], asset["file_size_bytes"]) == (320, 240, len(JPEG))
    assert asset["checksum"] == base64.b64encode(hashlib.sha256(JPEG).digest()).decode()
    assert asset["checksum_sha1"] == base64.b64encode(hashlib.sha1(JPEG).digest()).decode()
    assert asset["local_datetime"] == asset["file_created_at"] == WHEN
    assert asset["file_modified_at"] == "2026-11-22T01:00:00Z"
    assert asset["file_data"]["checksum"] == asset["checksum"]
    assert (asset["faces"], asset["people"]) == ([], [])
    assert await done(house, "GET", f"assets/{asset['id']}") == asset
    url = asset["asset_urls"]["original"]["url"]
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
        assert await answer.read() == JPEG
    assert not objects(tmp_path / "intake")


async def test_a_clip_is_kept_and_shown_in_parts(house: House, mp4: bytes) -> None:
    asset = await bring(house, mp4, "door.mp4")

    assert (asset["mime_type"], asset["duration"]) == ("video/mp4", pytest.approx(4, abs=0.1))
    assert (asset["width"], asset["height"]) == (320, 240)
    urls = asset["asset_urls"]
    kinds = {name: it["mimetype"] for name, it in urls.items()}
    assert kinds == {
        "thumbnail": "image/jpeg",
        "preview": "image/jpeg",
        "original": "video/mp4",
    }
    ranges = {
        None: (200, mp4),
        "bytes=0-99": (206, mp4[:100]),
        "bytes=100-": (206, mp4[100:]),
        "bytes=-7": (206, mp4[-7:]),
        "bytes=10-99999999": (206, mp4[10:]),
        "bytes=99999999-": (416, None),
        "bytes=x": (416, None),
    }
    async with aiohttp.ClientSession() as anybody:
        async with anybody.get(urls["preview"]["url"]) as answer:
            assert (await answer.read())[:2] == b"\xff\xd8"
        for asked, (status, body) in ranges.items():
            headers = {"Range": asked} if asked else {}
            async with anybody.get(urls["original"]["url"], headers=headers) as answer:
                assert answer.status == status, asked
                if body is not None:
                    assert await answer.read() == body
                    assert answer.content_type == "video/mp4"
                tag = answer.headers.get("ETag", "")
        async with anybody.get(urls["original"]["url"]) as answer:
            tag = answer.headers["ETag"]
        again = anybody.get(urls["original"]["url"], headers={"If-None-Match": tag})
        async with again as answer:
            assert answer.status == 304
    listed = await done(house, "GET", "assets", params={"media_type": "video"})
    assert [it["id"] for it in listed["data"]] == [asset["id"]]


async def test_the_same_bytes_are_kept_once(house: House, tmp_path: Path, mp4: bytes) -> None:
    sent = [house.client.post("/api/assets", data=form(mp4, f"{n}.mp4")) for n in range(4)]
    answers = await asyncio.gather(*sent)
    statuses = sorted(it.status for it in answers)
    ids = {(await it.json())["id"] for it in answers}
    for it in answers:
        it.release()

    assert statuses == [200, 200, 200, 201]
    assert len(ids) == await count(house) == 1
    assert len(objects(tmp_path / "blobs")) == 2  # it, and its first picture
    other = await bring(house, JPEG, device_asset_id="IMG_1")
    assert other["id"] not in ids


async def test_a_device_that_is_a_camera_has_seen_it_else_uploads(house: House) -> None:
    theirs = await bring(house, JPEG, device_id=to_ruuid(house.camera.id))
    ours = await bring(house, PNG, device_id="a phone")

    cameras = {
        to_prefixed("asset", row["id"]): row["name"]
        for row in await house.sql.fetch(
            "SELECT a.id, c.name FROM asset a JOIN camera c ON c.id = a.camera"
        )
    }
    assert cameras == {theirs["id"]: "door", ours["id"]: "uploads"}


async def test_a_time_without_offset_is_the_clock_of_the_place(house: House) -> None:
    await house.sql.execute(
        "UPDATE location SET time_zone = 'Asia/Kolkata' WHERE id = $1", LOCATION
    )

    naive = await bring(house, JPEG, file_created_at="2026-11-21T17:30:00")
    aware = await bring(house, PNG, file_created_at="2026-11-21T22:00:00+10:00")

    for asset in (naive, aware):
        assert asset["local_datetime"] == "2026-11-21T17:30:00+05:30"
        assert asset["file_created_at"] == "2026-11-21T12:00:00Z"


async def test_another_library_keeps_its_own(
    house: House, database: Database, tmp_path: Path
) -> None:
    deps = some_deps(database, tmp_path)
    _, _, secret = await deps.orgs.create("theirs")
    mine = await bring(house, JPEG)

    headers = {"x-auth-apikey": "", "Authorization": f"Bearer {secret}"}
    async with aiohttp.ClientSession(house.client._base_url, headers=headers) as they:
        del they.headers["x-auth-apikey"]
        async with they.post("/api/assets", data=form(JPEG)) as answer:
            assert answer.status == 201
            theirs = (await answer.json())["id"]
        async with they.get(f"/api/assets/{mine['id']}") as answer:
            assert answer.status == 404
        async with they.delete(f"/api/assets/{mine['id']}") as answer:
            assert answer.status == 404
    assert theirs != mine["id"]
    assert await done(house, "GET", f"assets/{mine['id']}")


# --- what is refused --------------------------------------------------------------------------

TEXT = b"Dear sirs, " * 100
PLAYLIST = b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n"
HEIC = b"\0\0\0\x18ftypheic" + bytes(100)
BOMB = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (60_000).to_bytes(4, "big") * 2 + zlib.compress(b"\0" * 99)
)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b"", "a.jpg"),
        (TEXT, "a.jpg"),
        (TEXT, "a.txt"),
        (TEXT, "a.mp4"),
        (PLAYLIST, "a.m3u8"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a.ffconcat"),
        (HEIC, "a.heic"),
        (BOMB, "a.png"),
        (JPEG[: len(JPEG) // 2], "cut.jpg"),
        (b"\0" * 5000, "a.mkv"),
    ],
)
async def test_what_is_no_picture_and_no_clip(
    house: House, tmp_path: Path, body: bytes, name: str
) -> None:
    status, detail = await refused(house, "POST", "assets", data=form(body, name))

    assert status == 422
    assert name in detail[0]["msg"]
    assert "/intake/" not in detail[0]["msg"]
    assert await count(house) == 0
    assert objects(tmp_path / "blobs") == objects(tmp_path / "intake") == []


async def test_videos_that_cannot_be_decoded(house: House, tmp_path: Path, mp4: bytes) -> None:
    sound = audio_only(tmp_path / "sound.mp4").read_bytes()
    unknown = mp4.replace(b"avc1", b"zzz9")
    encode_video(tmp_path / "late.mp4", counting_pictures(50), fps=25)
    late = (tmp_path / "late.mp4").read_bytes()  # its index stands behind
    for body in (sound, unknown, late[: len(late) // 2]):
        status, detail = await refused(house, "POST", "assets", data=form(body, "a.mp4"))
        assert status == 422
        assert detail[0]["msg"]
    assert await count(house) == 0


async def test_a_small_file_that_unfolds_into_a_huge_picture(house: House, tmp_path: Path) -> None:
    black = np.zeros((6000, 9000, 3), np.uint8)
    bomb = coded_as(tmp_path / "bomb.mov", iter([black]), "rgb24", encoder="png").read_bytes()
    assert len(bomb) < 1 << 20

    status, detail = await refused(house, "POST", "assets", data=form(bomb, "bomb.mov"))

    assert status == 422
    assert "9000 x 6000" in detail[0]["msg"]


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ({"device_id": None}, "device_id"),
        ({"device_asset_id": None}, "device_asset_id"),
        ({"file_created_at": None}, "file_created_at"),
        ({"file_modified_at": "yesterday"}, "file_modified_at"),
        ({"file_created_at": "1700000000"}, "file_created_at"),
        ({"device_id": "x" * 1025}, "device_id"),
        ({"device_id": "a\0b"}, "device_id"),
        ({"file_created_at": "1969-12-31T23:59:59Z"}, None),
        ({"file_created_at": "0001-01-01T00:00:00"}, None),
        ({"file_created_at": "9999-12-31T23:59:59"}, None),
        ({"file_created_at": "2099-01-01T00:00:00Z"}, None),
        ({"file_modified_at": "0001-01-01T00:00:00"}, None),
        ({"file_modified_at": "9999-12-31T23:59:59.999999Z"}, None),
    ],
)
async def test_what_is_told_must_make_sense(
    house: House, told: dict[str, str | None], where: str | None
) -> None:
    status, detail = await refused(house, "POST", "assets", data=form(JPEG, **told))

    assert status == 422
    if where is not None:
        assert detail[0]["loc"] == ["body", where]
    assert await count(house) == 0


async def test_bodies_that_are_no_form(house: House) -> None:
    for sent in ({"json": {}}, {"data": b"x"}, {"data": form(None)}):
        assert (await refused(house, "POST", "assets", **sent))[0] == 422
    boundary = {"Content-Type": "multipart/form-data; boundary=x"}
    half = b'--x\r\nContent-Disposition: form-data; name="asset_data"; filename="a"\r\n\r\n' + JPEG
    for body in (b"", b"--x", half):
        status, _ = await refused(house, "POST", "assets", data=body, headers=boundary)
        assert status == 422
    assert await count(house) == 0


async def test_another_librarys_upload_is_404(house: House) -> None:
    foreign = to_prefixed("lib", new_id())
    assert (await refused(house, "POST", "assets", data=form(JPEG, library_id=foreign)))[0] == 404
    sent = {"data": form(JPEG), "params": {"library_id": foreign}}
    assert (await refused(house, "POST", "assets", **sent))[0] == 404
    assert await count(house) == 0
    own = to_prefixed("lib", ORG)
    assert await bring(house, JPEG, library_id=own)


async def test_too_much_is_refused(database: Database, tmp_path: Path) -> None:
    deps = some_deps(database, tmp_path)
    room = Room(file_bytes=2 << 20, files=2, bytes=100 << 20)
    deps = replace(deps, intake=replace(deps.intake, room=room))
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-apikey": secret}) as client,
    ):
        over = JPEG + bytes((2 << 20) + 1 - len(JPEG))
        for body, status in ((over, 413), (bytes(5 << 20), 413), (JPEG, 201), (PNG, 201)):
            async with client.post("/api/assets", data=form(body)) as answer:
                assert answer.status == status
        later = JpegPngEncoder().jpeg(PIXELS, 50)
        async with client.post("/api/assets", data=form(later)) as answer:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        async with client.post("/api/assets", data=form(JPEG)) as answer:
            assert answer.status == 200  # it is there already
    assert not objects(tmp_path / "intake")


async def test_a_viewer_brings_and_deletes_nothing(house: House, database: Database) -> None:
    asset = await bring(house, JPEG)
    _, secret = await PostgresKeys(database).create(ORG, "eyes", "viewer")
    headers = {"x-auth-apikey": secret}

    sent = {"data": form(PNG), "headers": headers}
    assert (await refused(house, "POST", "assets", **sent))[0] == 403
    assert (await refused(house, "DELETE", f"assets/{asset['id']}", headers=headers))[0] == 403


class Down(LocalBlobs):
    """A store that takes nothing large."""

    async def put_file(self, key: str, file: Path, content_type: str) -> None:
        from facewatch.errors import ObjectStoreUnavailable

        raise ObjectStoreUnavailable("the disk is full")


async def test_nothing_is_half_kept_while_the_store_is_down(
    database: Database, tmp_path: Path
) -> None:
    deps = some_deps(database, tmp_path)
    deps = replace(deps, intake=replace(deps.intake, blobs=Down(tmp_path / "blobs")))
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-apikey": secret}) as client,
        client.post("/api/assets", data=form(JPEG)) as answer,
    ):
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert await database._pool.fetchval("SELECT count(*) FROM asset") == 0


# --- what is deleted --------------------------------------------------------------------------


def found_in(house: House, asset: str, **given: Any) -> Any:
    """A visit that was found in what was brought."""
    record = a_record(house.camera.id, closed=True, **given)
    where = AssetId(from_prefixed("asset", asset))
    snapshot = replace(record.snapshot, id=where, brought=True, timestamp_ms=1500)
    return replace(record, snapshot=snapshot)


async def test_deleting_what_was_brought_takes_its_visits(
    house: House, tmp_path: Path, mp4: bytes
) -> None:
    asset = await bring(house, mp4)
    ann = await house.person("Ann")
    record = found_in(house, asset["id"], decision=a_decision(known(ann)))
    await house.events.add([record])
    shown = await done(house, "GET", f"assets/{asset['id']}")
    assert [it["timestamp_ms"] for it in shown["faces"]] == [1500]
    assert [it["name"] for it in shown["people"]] == ["Ann"]

    assert await done(house, "DELETE", f"assets/{asset['id']}") == {}

    assert (await refused(house, "GET", f"assets/{asset['id']}"))[0] == 404
    assert (await refused(house, "GET", f"faces/{face_of(record)}"))[0] == 404
    assert await house.found(ann) == []
    assert objects(tmp_path / "blobs") == []
    await house.events.add([replace(record, version=2), found_in(house, asset["id"])])
    assert await count(house) == 0
    assert await house.sql.fetchval("SELECT count(*) FROM face_event") == 0
    again = await bring(house, mp4)
    assert again["id"] != asset["id"]
    assert (await refused(house, "DELETE", f"assets/{asset['id']}"))[0] == 404


async def test_a_visit_that_is_written_while_its_clip_is_deleted_goes_too(
    house: House, mp4: bytes
) -> None:
    asset = await bring(house, mp4)
    earlier, record = found_in(house, asset["id"]), found_in(house, asset["id"])
    await house.events.add([earlier])

    async with asyncio.timeout(20):
        async with house.sql.acquire() as writer, writer.transaction():
            await writer.execute("SELECT FROM asset FOR KEY SHARE")
            deleting = asyncio.create_task(done(house, "DELETE", f"assets/{asset['id']}"))
            waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
            while not await house.sql.fetchval(waits):  # noqa: ASYNC110  # Postgres tells nobody
                await asyncio.sleep(0.01)
            await house.events.add([record])
        await deleting

    assert await house.sql.fetchval("SELECT count(*) FROM face_event") == 0
    garbage = {row["key"] for row in await house.sql.fetch("SELECT key FROM garbage")}
    assert {earlier.thumbnail_key, record.thumbnail_key} <= garbage


async def test_pixels_that_are_being_kept_get_their_row_when_the_work_is_called_off(
    house: House, tmp_path: Path
) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    class Slow(LocalBlobs):
        async def put_all(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
            began.set()
            await go_on.wait()
            await super().put_all(objects)

    record = a_record(house.camera.id, closed=True)
    adding = asyncio.create_task(
        Straight(Slow(tmp_path / "blobs"), house.events).add(record, {record.frame_key: JPEG})
    )
    async with asyncio.timeout(20):
        await began.wait()
        adding.cancel()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await adding

    assert [it.id for it in await house.events.page(ORG, 9)] == [record.id]
    assert len(objects(tmp_path / "blobs")) == 1


async def test_deleting_a_visit_leaves_what_it_was_found_in(house: House, mp4: bytes) -> None:
    asset = await bring(house, mp4)
    record, other = (found_in(house, asset["id"]) for _ in range(2))
    await house.events.add([record, other])

    await house.events.remove(ORG, record.id)

    shown = await done(house, "GET", f"assets/{asset['id']}")
    assert [it["id"] for it in shown["faces"]] == [face_of(other)]
    assert shown["asset_urls"]


async def test_a_newer_version_takes_the_place_of_the_face(house: House, mp4: bytes) -> None:
    asset = await bring(house, mp4)
    record = found_in(house, asset["id"])
    face = a_face(record.id)
    newer = replace(
        record, version=2, face=face.id, snapshot=replace(record.snapshot, faces=(face,))
    )
    await house.events.add([record])
    await house.events.add([newer])

    shown = await done(house, "GET", f"assets/{asset['id']}")
    assert [it["id"] for it in shown["faces"]] == [face_id(face.id)]


async def test_forgetting_somebody_erases_the_clips_they_are_in(
    house: House, tmp_path: Path, mp4: bytes
) -> None:
    asset = await bring(house, mp4)
    ann = await house.person("Ann")
    hers = found_in(house, asset["id"], decision=a_decision(known(ann)))
    other = found_in(house, asset["id"])
    await house.events.add([hers, other])

    await house.done("DELETE", f"people/{ann}")

    shown = await done(house, "GET", f"assets/{asset['id']}")
    assert shown["asset_urls"] is None
    assert [it["id"] for it in shown["faces"]] == [face_of(other)]
    assert objects(tmp_path / "blobs") == []


async def test_what_lost_its_pixels_is_kept_anew(house: House, tmp_path: Path, mp4: bytes) -> None:
    before = await bring(house, mp4)
    ann = await house.person("Ann")
    hers = found_in(house, before["id"], decision=a_decision(known(ann)))
    await house.events.add([hers, found_in(house, before["id"])])
    await house.done("DELETE", f"people/{ann}")

    status, again = await ask(house, "POST", "assets", data=form(mp4, "a.mp4"))

    assert (status, again["ingest"]["status"]) == (201, "pending")
    assert again["id"] != before["id"]
    assert again["asset_urls"]
    assert (await ask(house, "POST", "assets", data=form(mp4)))[1]["id"] == again["id"]
    assert (await done(house, "GET", f"assets/{before['id']}"))["asset_urls"] is None


async def test_deleting_a_snapshot_leaves_its_visit(house: House, tmp_path: Path) -> None:
    ann = await house.person("Ann")
    record = await visit(house, ann)
    await LocalBlobs(tmp_path / "blobs").put(record.frame_key, JPEG, "image/jpeg")
    asset = to_prefixed("asset", record.snapshot.id)

    await done(house, "DELETE", f"assets/{asset}")

    assert (await refused(house, "GET", f"assets/{asset}"))[0] == 404
    event = await house.event(to_ruuid(record.id))
    assert (event["faceName"], event.get("imageS3Key")) == ("Ann", None)
    assert objects(tmp_path / "blobs") == []
    later = replace(record.decision, gallery_revision=9)
    await house.events.add([replace(record, decision=later)])
    assert (await refused(house, "GET", f"assets/{asset}"))[0] == 404


async def test_the_snapshot_of_a_visit_that_goes_on_stays(house: House) -> None:
    record = a_record(house.camera.id)
    await house.events.add([record])

    status, detail = await refused(
        house, "DELETE", f"assets/{to_prefixed('asset', record.snapshot.id)}"
    )

    assert status == 409
    assert "goes on" in detail


async def test_deleting_an_enrolment_photo_takes_its_matchmaker(house: House) -> None:
    ann = await house.person("Ann")
    face = await house.enrolled(ann)
    asset = (await done(house, "GET", f"faces/{face_id(face)}"))["asset_id"]

    await done(house, "DELETE", f"assets/{asset}")

    assert (await refused(house, "GET", f"faces/{face_id(face)}"))[0] == 404
    shown = await done(house, "GET", f"people/{person_id(known(ann))}")
    assert (shown["name"], shown["asset_count"]) == ("Ann", 0)
