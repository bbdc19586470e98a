"""Pictures are found by words: looked at, kept, and asked for over a socket."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import aiohttp
import pytest
from clips import a_pair, coloured
from factories import NOON, ORG, a_face, a_template
from gumnut_api import done, face_id, person_id, refused, with_faces
from house_api import House, a_visit, known, open_house
from videos import shifted

from facewatch.app.words import shown
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import from_prefixed, new_id, to_prefixed
from facewatch.errors import ObjectStoreUnavailable
from facewatch.flow.metrics import Metrics
from facewatch.people.search import WordSearch
from facewatch.people.see import Looking
from facewatch.store.assets import PostgresAssets
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents
from facewatch.store.vectors import PostgresPictureVectors
from facewatch.stream.encode import encode_video
from facewatch.stream.files import duration_s
from facewatch.vision.clip import Clip
from facewatch.vision.clip_cards import ClipCard, card
from facewatch.vision.pictures import JpegPngEncoder
from facewatch.vision.pins import Installed

ROOT = Path(__file__).parents[1]
S0 = card("mobileclip2-s0")


@dataclass
class Gallery:
    """A house with pictures in it, which can be asked for by words."""

    house: House
    blobs: LocalBlobs
    looking: Looking
    vectors: PostgresPictureVectors

    async def picture(
        self, rgb: tuple[int, int, int], second: int = 0, person: str | None = None
    ) -> EventRecord:
        """A visit whose snapshot is all of one colour, not looked at yet."""
        at = NOON + timedelta(seconds=second)
        record = a_visit(self.house.camera.id, person, at=at)
        await self.blobs.put(
            record.frame_key, JpegPngEncoder().jpeg(coloured(*rgb), 95), "image/jpeg"
        )
        await self.house.events.add([record])
        return record

    async def look(self) -> None:
        while await self.looking.step():
            pass

    async def find(self, **params: Any) -> list[tuple[str, float]]:
        page = await done(self.house, "GET", "search", params=params)
        found = [(it["asset"]["id"], it["distance"]) for it in page["data"]]
        distances = [distance for _, distance in found]
        assert distances == sorted(distances)
        return found

    async def ids(self, **params: Any) -> list[str]:
        return [asset for asset, _ in await self.find(**params)]


@asynccontextmanager
async def open_gallery(
    database: Database, place: Path, card: ClipCard = S0, **sizes: int
) -> AsyncIterator[Gallery]:
    clip = Clip(card, Installed(*a_pair(card, place / card.name), digest=card.name))
    assets = PostgresAssets(database, PostgresFaceEvents(database))
    vectors = PostgresPictureVectors(database, assets, **sizes)
    model = await vectors.want(clip.model, clip.digest, clip.dimensions)
    await vectors.line_up(model)
    blobs = LocalBlobs(place / "blobs")
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as seeing:
        looking = Looking(
            *(clip, vectors, model, blobs, partial(shown, Event()), seeing), Metrics.on()
        )
        search = WordSearch(clip, vectors, model, reading)
        async with open_house(database, place, words=search) as house:
            yield Gallery(house, blobs, looking, vectors)


@pytest.fixture
async def gallery(database: Database, tmp_path: Path) -> AsyncIterator[Gallery]:
    async with open_gallery(database, tmp_path) as opened:
        yield opened


def asset_of(record: EventRecord) -> str:
    return to_prefixed("asset", record.snapshot.id)


GONE = "UPDATE camera SET removed_at = now()"
RED, PALE, GREY, BLUE = (255, 0, 0), (255, 140, 140), (128, 128, 128), (0, 0, 255)


async def test_the_sdk_searches_by_words(gallery: Gallery) -> None:
    ann = await gallery.house.person("Ann")
    pale = await gallery.picture(PALE, 2, ann)
    red = await gallery.picture(RED, 1)
    blue = await gallery.picture(BLUE, 3, ann)
    await gallery.look()
    until = (NOON + timedelta(seconds=2)).isoformat()
    hers = person_id(known(ann))

    said = await called(
        gallery.house,
        [
            {"query": "red"},
            {"query": "red", "threshold": 0.3},
            {"query": "red", "threshold": 1, "limit": 2},
            {"query": "red", "threshold": 1, "limit": 2, "page": 2},
            {"query": "red", "person_ids": [hers]},
            {"query": "blue", "captured_before": until},
            {"query": "red", "captured_before": until},
            {"query": "red", "person_ids": [hers], "threshold": 1},
            {"person_ids": [hers]},
            {"query": "red", "threshold": 2},
        ],
    )

    near, far = (distance for _, distance in said[0])
    assert [asset for asset, _ in said[0]] == [asset_of(red), asset_of(pale)]
    assert 0 < near < far < 0.8
    assert said[1] == [[asset_of(red), near]]
    assert said[2] == said[0]
    assert said[3] == [[asset_of(blue), 1.0]]
    assert said[4] == [[asset_of(pale), far]]
    assert said[5] == []
    assert said[6] == [[asset_of(red), near]]
    assert [it[0] for it in said[7]] == [asset_of(pale), asset_of(blue)]
    assert said[8] == [[asset_of(blue), None], [asset_of(pale), None]]
    assert said[9][0] == "UnprocessableEntityError"


async def test_whatever_is_as_far_as_the_threshold_is_found(gallery: Gallery) -> None:
    for step in range(20):
        await gallery.picture((255, 11 * step, 10 * step), step)
    await gallery.look()

    for number, (_, far) in enumerate(found := await gallery.find(query="red", threshold=0.99)):
        assert await gallery.find(query="red", threshold=far) == found[: number + 1]


async def called(house: House, calls: Sequence[dict[str, Any]]) -> Any:
    python = ROOT / ".venvs" / "gumnut-0.85.0" / "bin" / "python"
    if not python.exists():
        pytest.skip("no .venvs/gumnut-0.85.0: run tests/oracle/make_gumnut.sh")
    there = {
        "url": str(house.client._base_url),
        "key": house.client.headers["x-auth-apikey"],
        "calls": calls,
    }
    script = ROOT / "tests" / "oracle" / "gumnut_words.py"
    process = await asyncio.create_subprocess_exec(python, script, stdin=PIPE, stdout=PIPE)
    out, _ = await process.communicate(json.dumps(there).encode() + b"\n")
    assert process.returncode == 0
    return json.loads(out)


@pytest.mark.parametrize(
    "sizes", [{}, {"few": 0, "some": 0}, {"few": 0, "some": 0, "deepest": 5}], ids=str
)
async def test_pages_are_full_and_hold_everything_once(
    database: Database, tmp_path: Path, sizes: dict[str, int]
) -> None:
    async with open_gallery(database, tmp_path, **sizes) as gallery:
        ann = await gallery.house.person("Ann")
        reds = [
            await gallery.picture((255, 12 * step, 12 * step), step, ann if step % 3 else None)
            for step in range(14)
        ]
        for second in range(6):
            await gallery.picture(BLUE, second)
        await gallery.look()
        wanted = [asset_of(it) for it in reds]
        hers = {"person_ids": person_id(known(ann))}

        for filters, there in (
            ({}, wanted),
            (hers, [it for step, it in enumerate(wanted) if step % 3]),
            ({"captured_after": "2026-11-21T12:00:04"}, wanted[5:]),
        ):
            pages = [
                await gallery.ids(query="red", threshold=0.99, limit=4, page=page, **filters)
                for page in range(1, 6)
            ]
            walked = [it for page in pages for it in page]
            assert sorted(walked) == sorted(there)
            assert [len(it) for it in pages if it][:-1] == [4] * ((len(there) - 1) // 4)
            if sizes.get("deepest", 20) >= 20:
                assert walked == there
        everything = await gallery.ids(query="red", threshold=1, limit=200)
        assert (everything[:14], len(everything)) == (wanted, 20)
        assert await gallery.ids(query="red", threshold=1, page=10**30) == []


async def test_words_and_filters_are_combined_before_pages_are_cut(
    database: Database, tmp_path: Path
) -> None:
    async with open_gallery(database, tmp_path, few=0, some=0) as gallery:
        ann, bob = [await gallery.house.person(name) for name in ("Ann", "Bob")]
        for second in range(60):
            await gallery.picture(RED, second)
        pale = await gallery.picture(PALE, 30, ann)
        record = a_visit(gallery.house.camera.id, ann)
        own, other = record.snapshot.faces[0], a_face(None)
        both = with_faces(record, own, other)
        await gallery.blobs.put(
            both.frame_key, JpegPngEncoder().jpeg(coloured(*BLUE), 95), "image/jpeg"
        )
        await gallery.house.events.add([both])
        sent = {"person_id": person_id(known(bob))}
        await done(gallery.house, "PATCH", f"faces/{face_id(other.id)}", json=sent)
        await gallery.look()
        hers, his = person_id(known(ann)), person_id(known(bob))

        assert await gallery.ids(query="red", person_ids=hers, limit=1) == [asset_of(pale)]
        assert await gallery.ids(query="red", person_ids=f"{hers},{his}", threshold=1) == [
            asset_of(both)
        ]
        assert await gallery.ids(query="red", person_ids=f"{hers},{his}") == []
        assert len(await gallery.ids(query="red", limit=50, page=2)) == 11


async def test_another_orgs_pictures_are_not_found(gallery: Gallery) -> None:
    await gallery.picture(RED)
    await gallery.look()
    other = new_id()
    await gallery.house.sql.execute("INSERT INTO org (id, name) VALUES ($1, 'other')", other)
    await gallery.house.sql.execute("UPDATE asset SET org = $1", other)
    await gallery.house.sql.execute("UPDATE picture_vector SET org = $1", other)

    assert await gallery.ids(query="red", threshold=1) == []


async def test_a_vector_goes_with_its_pixels(gallery: Gallery) -> None:
    ann = await gallery.house.person("Ann")
    deleted, erased = await gallery.picture(RED), await gallery.picture(RED, 1, ann)
    waiting = await gallery.picture(RED, 2, ann)
    await gallery.look()
    count = "SELECT count(*) FROM picture_vector"
    assert await gallery.house.sql.fetchval(count) == 3

    await gallery.house.events.remove(ORG, deleted.id)
    assert await gallery.house.sql.fetchval(count) == 2
    await gallery.house.done("DELETE", f"people/{ann}")

    assert await gallery.house.sql.fetchval(count) == 0
    assert await gallery.ids(query="red", threshold=1) == []
    unseen = gallery.looking.seer.look
    vector = unseen(next(shown(Event(), _jpeg()))[1])
    for gone in (erased, waiting, deleted):
        await gallery.vectors.keep(gallery.looking.model, gone.snapshot.id, [(0, vector)])
    assert await gallery.house.sql.fetchval(count) == 0


def _jpeg() -> bytes:
    return JpegPngEncoder().jpeg(coloured(*RED), 95)


async def test_what_a_dead_process_had_in_hand_is_looked_at(gallery: Gallery) -> None:
    record = await gallery.picture(RED)
    (taken,) = await gallery.vectors.take(gallery.looking.model, 16)
    assert taken.asset == record.snapshot.id
    assert not await gallery.looking.step(), "somebody is at it"
    assert await gallery.vectors.waiting(gallery.looking.model) == 1

    await gallery.house.sql.execute(
        "UPDATE unseen_picture SET taken_until = now() - interval '1 s'"
    )
    await gallery.look()

    assert await gallery.ids(query="red") == [asset_of(record)]
    assert await gallery.vectors.waiting(gallery.looking.model) == 0


async def test_a_store_that_is_down_loses_nothing(gallery: Gallery, tmp_path: Path) -> None:
    class Down(LocalBlobs):
        async def get(self, key: str) -> bytes:
            raise ObjectStoreUnavailable("it is down")

    await gallery.picture(RED)
    with pytest.raises(ObjectStoreUnavailable):
        await replace(gallery.looking, blobs=Down(tmp_path / "blobs")).step()
    await gallery.house.sql.execute("UPDATE unseen_picture SET taken_until = '-infinity'")
    await gallery.look()

    assert len(await gallery.ids(query="red")) == 1


async def test_what_is_no_picture_holds_nothing_up(gallery: Gallery) -> None:
    broken, gone = await gallery.picture(RED), await gallery.picture(RED)
    await gallery.blobs.put(broken.frame_key, _jpeg()[:300], "image/jpeg")
    await gallery.blobs.delete([gone.frame_key])
    whole = await gallery.picture(RED)
    await gallery.look()

    assert await gallery.ids(query="red") == [asset_of(whole)]
    assert await gallery.vectors.waiting(gallery.looking.model) == 0


async def test_a_model_that_is_switched_on_later_sees_what_was_there(
    database: Database, tmp_path: Path
) -> None:
    async with open_gallery(database, tmp_path) as first:
        record = await first.picture(RED)
        await first.look()
        await first.vectors.want_none()
        await first.house.sql.execute(GONE)
        later = await first.picture(PALE)
        assert await first.vectors.waiting(first.looking.model) == 0
    siglip = card("siglip2-base")
    async with open_gallery(database, tmp_path / "again", siglip) as second:
        second.looking = replace(second.looking, blobs=LocalBlobs(tmp_path / "blobs"))
        assert await second.ids(query="red", threshold=1) == []
        assert await second.vectors.waiting(second.looking.model) == 2
        await second.look()
        assert await second.ids(query="red") == [asset_of(record), asset_of(later)]
        await second.house.sql.execute(GONE)
    async with open_gallery(database, tmp_path / "back") as third:
        assert await third.ids(query="red") == [asset_of(record)]
        assert await third.vectors.waiting(third.looking.model) == 1


async def test_other_files_of_a_model_start_anew(gallery: Gallery) -> None:
    await gallery.picture(RED)
    await gallery.look()

    model = await gallery.vectors.want(S0.name, "others", S0.dimensions)
    await gallery.vectors.line_up(model)

    assert await gallery.vectors.waiting(model) == 1
    assert await gallery.house.sql.fetchval("SELECT count(*) FROM picture_vector") == 0
    assert await gallery.house.sql.fetchval("SELECT count(*) FROM picture_model") == 1


async def test_nothing_is_missed_that_is_written_while_a_model_is_switched_on(
    gallery: Gallery,
) -> None:
    await gallery.vectors.want_none()
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(gallery.picture(RED, second)) for second in range(30)]
        wanting = group.create_task(gallery.vectors.want(S0.name, S0.name, S0.dimensions))
        model = await wanting
        await gallery.vectors.line_up(model)

    assert await gallery.vectors.waiting(model) == len(writing)


async def test_a_model_that_went_meanwhile_gets_no_vectors(gallery: Gallery) -> None:
    record = await gallery.picture(RED)
    await gallery.vectors.want(S0.name, "others", S0.dimensions)

    await gallery.vectors.keep(gallery.looking.model, record.snapshot.id, [(0, a_template(1, 512))])

    assert await gallery.ids(query="red", threshold=1) == []
    assert not await gallery.looking.step()


async def test_filters_and_words_are_led_by_their_indexes(
    database: Database, tmp_path: Path
) -> None:
    async with open_gallery(database, tmp_path, few=0, some=0) as gallery:
        await gallery.picture(RED)
        await gallery.look()
        await gallery.ids(query="red", captured_after="2026-11-21")

        async def scans(index: str) -> int:
            found: int = await gallery.house.sql.fetchval(
                "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = $1", index
            )
            return found

        await gallery.house.sql.execute("SELECT pg_stat_force_next_flush()")
        async with asyncio.timeout(20):
            while not await scans(f"picture_vector_{gallery.looking.model}_near"):
                await gallery.ids(query="red", captured_after="2026-11-21")
                await gallery.house.sql.execute("SELECT pg_stat_force_next_flush()")


async def test_a_clip_is_found_once_by_its_nearest_frame(gallery: Gallery, tmp_path: Path) -> None:
    sent = aiohttp.FormData({"device_asset_id": "1", "device_id": "her phone"})
    for field in ("file_created_at", "file_modified_at"):
        sent.add_field(field, NOON.isoformat())
    sent.add_field("asset_data", a_clip(tmp_path, [GREY, BLUE, RED]), filename="a.mp4")
    asset = (await done(gallery.house, "POST", "assets", data=sent))["id"]
    still = await gallery.picture(PALE)
    await gallery.look()

    assert await gallery.house.sql.fetchval(
        "SELECT count(*) FROM picture_vector WHERE asset = $1", from_prefixed("asset", asset)
    ) == pytest.approx(9, abs=1)
    for words in ("red", "blue"):
        (found, near), *rest = await gallery.find(query=words)
        assert found == asset
        assert near < 0.2
        assert [it for it, _ in rest] == [asset_of(still)] * (words == "red")


def test_a_clip_that_tells_no_length_is_not_looked_at_for_ever(tmp_path: Path) -> None:
    small = (coloured(*RED, 32, 32) for _ in range(3_700))
    encode_video(tmp_path / "a.mkv", small, fps=1, gop=50)
    endless = shifted(tmp_path / "a.mkv", tmp_path / "live.mkv", 0, live="1")

    assert duration_s(endless) is None
    assert sum(1 for _ in shown(Event(), endless)) == 3_600


def a_clip(folder: Path, colours: list[tuple[int, int, int]]) -> bytes:
    """Three seconds of each."""
    import av

    file = folder / "made.mp4"
    with av.open(str(file), "w") as container:
        stream = container.add_stream("h264", rate=5)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for rgb in colours:
            for _ in range(15):
                frame = av.VideoFrame.from_ndarray(coloured(*rgb, 320, 180), "bgr24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.read_bytes()


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"query": ""}, 400),
        ({"query": "  "}, 400),
        ({"query": "red", "threshold": "2"}, 422),
        ({"query": "red", "threshold": "nan"}, 422),
        ({"query": "red", "limit": "201"}, 422),
        ({"query": "red", "page": "0"}, 422),
        ({"query": "r" * 2_001}, 422),
        ({"query": "r" * 10_000}, 422),
        ({"query": "😀" * 10_000}, 422),
        ({"query": "red", "person_ids": "person_x"}, 404),
        ({"query": "red", "person_ids": to_prefixed("person", new_id())}, 404),
        ({"query": "red", "library_id": "lib_x"}, 404),
        ({"query": "red", "captured_after": "yesterday"}, 422),
    ],
)
async def test_what_cannot_be_asked(gallery: Gallery, params: dict[str, str], status: int) -> None:
    said, detail = await refused(gallery.house, "GET", "search", params=params)
    assert said == status
    assert detail


async def test_odd_words_are_words(gallery: Gallery) -> None:
    await gallery.picture(RED)
    await gallery.look()
    for odd in ("😀" * 300, "\x00", "'; DROP TABLE asset; --", "r" * 2_000, "﷽", "red\n\t"):
        found = await gallery.find(query=odd, threshold=1)
        assert len(found) == 1


async def test_every_bound_of_time(gallery: Gallery) -> None:
    records = [await gallery.picture(RED, second) for second in range(3)]
    await gallery.look()
    ids = [asset_of(it) for it in records]
    at = NOON + timedelta(seconds=1)

    async def found(**params: str) -> set[str]:
        return set(await gallery.ids(query="red", **params))

    assert await found(captured_after=at.isoformat()) == {ids[2]}
    assert await found(captured_after=at.replace(tzinfo=None).isoformat()) == {ids[2]}
    assert await found(captured_before=at.isoformat()) == {ids[0]}
    assert await found(captured_before=at.replace(tzinfo=None).isoformat()) == {ids[0]}
    assert await found(captured_after="0001-01-01T00:00:00") == set(ids)
    assert await found(captured_before="9999-12-31T23:59:59Z") == set(ids)
    assert await found(captured_before="0001-01-01T00:00:00") == set()
