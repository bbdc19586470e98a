"""/api/v1/cameras and /api/v1/locations over a socket."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import numpy as np
import pytest
from factories import LOCATION, NOON, ORG, a_record, some_deps
from house import Caller, an_admin
from rtsp_server import answering

from facewatch.app.looking import looking
from facewatch.domain.cameras import CameraState, CameraStatus, SuppressedRegion
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, RegionId, from_ruuid, new_id, to_ruuid
from facewatch.settings import Settings
from facewatch.store.cameras import CAMERAS
from facewatch.store.database import Database
from facewatch.store.regions import REGIONS

URL = "rtsp://admin:s3cr%40t@10.0.0.7/main"
NOBODY = to_ruuid(new_id())


@pytest.fixture
async def admin(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    hasty = Settings.model_validate({"cameras": {"open_timeout_s": 1, "read_timeout_s": 1}})
    async with an_admin(some_deps(database, tmp_path, look=looking(hasty)), ORG) as admin:
        yield admin


async def test_a_camera_from_its_first_day_to_its_last(admin: Caller) -> None:
    made = await admin.made("/cameras", name=" door ", url=URL)

    assert made == {
        "id": made["id"],
        "name": "door",
        "url": "rtsp://10.0.0.7/main",
        "has_password": True,
        "transport": "tcp",
        "location": to_ruuid(LOCATION),
        "sub_location": None,
        "match_threshold": None,
        "sub_url": None,
        "sub_has_password": False,
        "state": "unwatched",
        "reason": "",
        "fps": 0.0,
        "last_frame_at": None,
        "since": None,
        "suppressed": [],
    }
    path = f"/cameras/{made['id']}"
    assert await admin.get(path) == made
    renamed = await admin.changed(path, name="gate", transport="udp")
    assert renamed == {**made, "name": "gate", "transport": "udp"}
    await admin.removed(path)
    assert "no camera" in await admin.refused(404, "GET", path)
    assert "no camera" in await admin.refused(404, "DELETE", path)
    assert (await admin.get("/cameras")) == {"items": [], "cursor": None}


async def test_a_password_goes_in_and_never_comes_out(
    admin: Caller, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = await admin.made("/cameras", name="door", url=URL)
    id_ = CameraId(from_ruuid(made["id"]))
    assert (await admin.deps.cameras.get(ORG, id_)).credentials == ("admin", "s3cr@t")
    shown = str(await admin.get("/cameras")) + str(made)
    shown += str(await admin.changed(f"/cameras/{made['id']}", url="rtsp://u:pa55word@10.0.0.8/x"))
    shown += await admin.refused(400, "POST", "/cameras", name="b", url="http://u:s3cr%40t@h/")
    shown += await admin.refused(400, "POST", "/cameras", name="b", url="rtsp://u:s3cr/t@h/")
    shown += await admin.refused(409, "POST", "/cameras", name="door", url=URL)
    connection = await asyncpg.connect(dsn)
    shown += str([dict(row) for row in await connection.fetch("SELECT * FROM camera")])
    await connection.close()
    assert "s3cr" not in shown + caplog.text
    assert "pa55word" not in shown + caplog.text

    cleared = await admin.changed(f"/cameras/{made['id']}", url="rtsp://10.0.0.9/x")
    assert cleared["has_password"] is False


async def test_a_smaller_stream_and_its_password_are_kept_and_never_shown(
    admin: Caller, dsn: str, caplog: pytest.LogCaptureFixture
) -> None:
    small = "rtsp://viewer:s3cr%40t@10.0.0.7/sub"
    made = await admin.made("/cameras", name="door", url="rtsp://10.0.0.7/main", sub_url=small)
    path, id_ = f"/cameras/{made['id']}", CameraId(from_ruuid(made["id"]))

    assert (made["sub_url"], made["sub_has_password"]) == ("rtsp://10.0.0.7/sub", True)
    assert made["has_password"] is False
    kept = await admin.deps.cameras.get(ORG, id_)
    assert (kept.sub_url, kept.sub_credentials) == ("rtsp://10.0.0.7/sub", ("viewer", "s3cr@t"))
    renamed = await admin.changed(path, name="gate")
    assert (await admin.deps.cameras.get(ORG, id_)).sub_credentials == ("viewer", "s3cr@t")
    shown = str(made) + str(renamed) + str(await admin.get("/cameras")) + repr(kept)
    shown += await admin.refused(400, "PATCH", path, sub_url="http://u:s3cr%40t@h/")
    shown += await admin.refused(400, "POST", "/cameras", name="b", url=URL, sub_url="/etc/passwd")
    connection = await asyncpg.connect(dsn)
    shown += str([dict(row) for row in await connection.fetch("SELECT * FROM camera")])
    await connection.close()
    assert "s3cr" not in shown + caplog.text

    moved = await admin.changed(path, sub_url="rtsp://10.0.0.8/sub")
    assert (moved["sub_url"], moved["sub_has_password"]) == ("rtsp://10.0.0.8/sub", False)
    without = await admin.changed(path, sub_url=None)
    assert (without["sub_url"], without["sub_has_password"]) == (None, False)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "a"}, "url"),
        ({"name": "a", "url": "file:///etc/passwd"}, "rtsp"),
        ({"name": "a", "url": "/etc/passwd"}, "rtsp"),
        ({"name": "a", "url": "http://10.0.0.7/"}, "rtsp"),
        ({"name": "a", "url": "rtsp:///x"}, "host"),
        ({"name": "a", "url": "rtsp://cam:70000/x"}, "port"),
        ({"name": "a", "url": "rtsp://***@cam/x"}, "redacted"),
        ({"name": "a", "url": "rtsp://u%0d%0aX:y@cam/x"}, "cannot be read"),
        ({"name": "a", "url": "rtsp://cam/\r\nx"}, "cannot be read"),
        ({"name": "a", "url": "rtsp://cam/" + "x" * 3000}, "2000"),
        ({"name": " ", "url": URL}, "blank"),
        ({"name": "a\0b", "url": URL}, "blank"),
        ({"name": "a" * 201, "url": URL}, "200"),
        ({"name": 7, "url": URL}, "string"),
        ({"name": None, "url": URL}, "string"),
        ({"name": "a", "url": URL, "transport": "pigeon"}, "transport"),
        ({"name": "a", "url": URL, "pasword": "x"}, "pasword"),
        ({"name": "a", "url": URL, "location": "x"}, "location"),
        ({"name": "a", "url": URL, "location": 5}, "location"),
    ],
)
async def test_what_is_no_camera_is_refused_in_words(
    admin: Caller, body: dict[str, object], said: str
) -> None:
    assert said in await admin.refused(400, "POST", "/cameras", **body)
    assert (await admin.get("/cameras"))["items"] == []


async def test_a_camera_may_have_a_threshold_of_its_own(admin: Caller) -> None:
    door = await admin.made("/cameras", name="door", url=URL)
    gate = await admin.made("/cameras", name="gate", url=URL, match_threshold=0.9)
    assert (door["match_threshold"], gate["match_threshold"]) == (None, 0.9)

    strict = await admin.changed(f"/cameras/{door['id']}", match_threshold=0.85)
    same = await admin.changed(f"/cameras/{door['id']}", name="front door")
    assert (strict["match_threshold"], same["match_threshold"]) == (0.85, 0.85)
    back = await admin.changed(f"/cameras/{gate['id']}", match_threshold=None)
    assert back["match_threshold"] is None
    for wrong in (1.1, -0.1, "high"):
        said = await admin.refused(400, "PATCH", f"/cameras/{door['id']}", match_threshold=wrong)
        assert "match_threshold" in said
    assert (await admin.get(f"/cameras/{door['id']}"))["match_threshold"] == 0.85


async def test_names_are_taken_once_and_a_change_says_so_too(admin: Caller) -> None:
    await admin.made("/cameras", name="door", url=URL)
    gate = await admin.made("/cameras", name="gate", url=URL)

    assert "door" in await admin.refused(409, "PATCH", f"/cameras/{gate['id']}", name="door")
    assert "name" in await admin.refused(400, "PATCH", f"/cameras/{gate['id']}", name=None)


async def test_a_list_is_turned_page_by_page(admin: Caller) -> None:
    for n in range(5):
        await admin.made("/cameras", name=f"camera {n}", url=URL)
    names, cursor = [], None
    for size in (2, 2, 1):
        page = await admin.get("/cameras", limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(page["items"]) == size
        names += [it["name"] for it in page["items"]]
        cursor = page["cursor"]
    assert cursor is None
    assert names == [f"camera {n}" for n in range(5)]

    for wrong in ({"limit": "0"}, {"limit": "x"}, {"cursor": "x"}, {"page": "2"}):
        status, problem = await admin.ask("GET", "/cameras", params=wrong)
        assert (status, problem["status"]) == (400, 400)
    status, _ = await admin.ask("GET", "/cameras", params=[("limit", "1"), ("limit", "2")])
    assert status == 400


async def test_how_a_camera_is(admin: Caller) -> None:
    made = await admin.made("/cameras", name="door", url=URL)
    id_ = CameraId(from_ruuid(made["id"]))
    words = "rtsp://u:s3cret@h/ hung up"
    status = CameraStatus(id_, CameraState.GONE, words, 12.46, NOON, NOON)
    await admin.deps.statuses.report([status])

    (shown,) = (await admin.get("/cameras"))["items"]
    assert (shown["state"], shown["reason"], shown["fps"]) == (
        *("gone", "rtsp://***@h/ hung up"),
        12.5,
    )
    assert shown["last_frame_at"] == shown["since"] == "2026-11-21T12:00:00Z"
    assert await admin.get(f"/cameras/{made['id']}") == shown


def a_region(left: float = 10.2) -> SuppressedRegion:
    box = Box(left, 20.0, left + 49.8, 90.7)
    return SuppressedRegion(RegionId(new_id()), box, NOON, (np.ones(196, np.float32),))


async def test_what_stands_still_is_shown_and_watched_again(
    admin: Caller, database: Database
) -> None:
    made = await admin.made("/cameras", name="door", url="rtsp://10.0.0.7/x")
    id_ = CameraId(from_ruuid(made["id"]))
    await admin.deps.statuses.report([CameraStatus(id_, CameraState.LIVE, "", 5.0, NOON, NOON)])
    poster, chair = a_region(), a_region(200.0)
    await admin.deps.regions.keep(id_, [poster, chair])

    path = f"/cameras/{made['id']}"
    shown = (await admin.get(path))["suppressed"]
    assert min(shown, key=lambda it: it["left"]) == {
        **{"left": 10, "top": 20, "right": 60, "bottom": 91},
        **{"id": to_ruuid(poster.id), "since": "2026-11-21T12:00:00Z"},
    }
    region = f"{path}/suppressed/{to_ruuid(poster.id)}"
    async with asyncio.timeout(10):
        rung = database.listen(REGIONS)
        assert await anext(rung) == ""
        await (await admin.another("operator")).removed(region)
        assert await anext(rung) == str(id_)
    assert await admin.deps.regions.all() == {id_: (chair,)}
    assert [it["id"] for it in (await admin.get(path))["suppressed"]] == [to_ruuid(chair.id)]

    assert "suppresses no region" in await admin.refused(404, "DELETE", region)
    await (await admin.another("viewer")).refused(403, "DELETE", region)
    other_org, _, _ = await admin.deps.orgs.create("other")
    stranger = await admin.another("operator", other_org.id)
    other = f"{path}/suppressed/{to_ruuid(chair.id)}"
    await stranger.refused(404, "DELETE", other)
    assert await admin.deps.regions.all() == {id_: (chair,)}

    await admin.removed(path)
    await admin.deps.regions.keep(id_, [chair])  # a worker that has not heard of it yet
    assert await admin.deps.regions.all() == {}


async def test_regions_are_kept_with_what_they_show(admin: Caller) -> None:
    made = await admin.made("/cameras", name="door", url="rtsp://10.0.0.7/x")
    id_ = CameraId(from_ruuid(made["id"]))
    poster = a_region()
    await admin.deps.regions.keep(id_, [poster])
    await admin.deps.regions.keep(id_, [poster, replace(poster, id=RegionId(new_id()))])

    kept = (await admin.deps.regions.all())[id_]
    assert len(kept) == 2
    (again,) = [it for it in kept if it == poster]
    assert [it.tolist() for it in again.pictures] == [it.tolist() for it in poster.pictures]
    await admin.deps.regions.keep(id_, [])
    assert await admin.deps.regions.all() == {}


async def test_each_change_tells_the_running_service(admin: Caller, database: Database) -> None:
    async with asyncio.timeout(10):
        rung = database.listen(CAMERAS)
        assert await anext(rung) == ""
        made = await admin.made("/cameras", name="door", url=URL)
        assert await anext(rung) == str(ORG)
        await admin.changed(f"/cameras/{made['id']}", name="gate")
        assert await anext(rung) == str(ORG)
        await admin.removed(f"/cameras/{made['id']}")
        assert await anext(rung) == str(ORG)
        await rung.aclose()


async def test_who_may_do_what(admin: Caller) -> None:
    viewer, operator = await admin.another("viewer"), await admin.another("operator")
    made = await admin.made("/cameras", name="door", url=URL)
    path = f"/cameras/{made['id']}"

    assert await viewer.get(path) == made
    for method, where in [("POST", "/cameras"), ("PATCH", path), ("DELETE", path)]:
        await operator.refused(403, method, where)
    await viewer.refused(403, "POST", "/cameras/probe", url=URL)
    await operator.refused(403, "POST", "/locations", name="x")
    assert (await viewer.get("/locations"))["items"]


async def test_nothing_of_another_org_is_there(admin: Caller) -> None:
    org, _, _ = await admin.deps.orgs.create("shop")
    other = await admin.another("admin", org.id)
    camera = await admin.made("/cameras", name="door", url=URL)
    part = await admin.made("/locations", name="cellar", parent=to_ruuid(LOCATION))

    for method, kind, their in [
        ("GET", "cameras", camera["id"]),
        ("PATCH", "cameras", camera["id"]),
        ("DELETE", "cameras", camera["id"]),
        ("GET", "locations", part["id"]),
        ("PATCH", "locations", part["id"]),
        ("DELETE", "locations", part["id"]),
    ]:
        said = await other.refused(404, method, f"/{kind}/{their}")
        nobody = await other.refused(404, method, f"/{kind}/{NOBODY}")
        assert said.replace(their, "") == nobody.replace(NOBODY, "")
    for place in ({"location": to_ruuid(LOCATION)}, {"sub_location": part["id"]}):
        await other.refused(404, "POST", "/cameras", name="x", url=URL, **place)
    await other.refused(404, "POST", "/locations", name="x", parent=part["id"])
    assert (await other.get("/cameras", cursor=NOBODY))["items"] == []
    assert [it["name"] for it in (await other.get("/locations"))["items"]] == ["default"]
    await other.made("/cameras", name="door", url=URL)


async def test_a_probe_says_what_it_found_and_nothing_that_was_answered(admin: Caller) -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nSecret: s3cret\r\n\r\n") as port:
        status, found = await admin.ask(
            "POST", "/cameras/probe", json={"url": f"rtsp://u:pass1@127.0.0.1:{port}/x"}
        )
    assert status == 200
    assert found["state"] in ("gone", "refused", "stalled")
    assert found["reason"]
    assert "s3cret" not in str(found)
    assert "pass1" not in str(found)

    closed = await admin.made("/cameras", name="door", url="rtsp://127.0.0.1:9/x")
    status, found = await admin.ask("POST", f"/cameras/{closed['id']}/probe", json={})
    assert (status, found["state"]) == (200, "gone")
    for url in ("file:///etc/passwd", "http://169.254.169.254/", "rtsp://"):
        await admin.refused(400, "POST", "/cameras/probe", url=url)


async def test_only_so_many_look_at_once(admin: Caller) -> None:
    async with answering(None) as port:
        asked = [
            asyncio.create_task(
                admin.ask("POST", "/cameras/probe", json={"url": f"rtsp://127.0.0.1:{port}/{n}"})
            )
            for n in range(6)
        ]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        status, problem = done.pop().result()
        assert (status, problem["status"]) == (503, 503)
        answers = await asyncio.gather(*asked)
    assert sorted(status for status, _ in answers).count(200) == 2


# --- locations ---------------------------------------------------------------------------------


async def test_a_tree_of_locations(admin: Caller) -> None:
    berlin = await admin.made("/locations", name="Berlin", time_zone="Europe/Berlin")
    floor = await admin.made("/locations", name="floor 1", parent=berlin["id"])
    room = await admin.made("/locations", name="room", parent=floor["id"])

    assert room == {
        "id": room["id"],
        "name": "room",
        "parent": floor["id"],
        "location": berlin["id"],
        "time_zone": "Europe/Berlin",
    }
    await admin.changed(f"/locations/{berlin['id']}", time_zone="America/New_York", name="NYC")
    assert (await admin.get(f"/locations/{room['id']}"))["time_zone"] == "America/New_York"
    moved = await admin.changed(f"/locations/{room['id']}", parent=berlin["id"])
    assert moved["parent"] == berlin["id"]
    assert len((await admin.get("/locations"))["items"]) == 4


async def test_what_no_tree_can_be(admin: Caller) -> None:
    home = to_ruuid(LOCATION)
    for zone in ("Mars/Olympus", "", "../etc/passwd", "europe/berlin"):
        await admin.refused(400, "POST", "/locations", name="x", time_zone=zone)
    parent, chain = home, []
    for n in range(8):
        chain.append((await admin.made("/locations", name=f"level {n}", parent=parent))["id"])
        parent = chain[-1]
    assert "deep" in await admin.refused(400, "POST", "/locations", name="x", parent=parent)
    aside = await admin.made("/locations", name="aside", parent=home)
    said = await admin.refused(400, "PATCH", f"/locations/{chain[0]}", parent=aside["id"])
    assert "deep" in said
    for there in (chain[0], chain[3]):
        said = await admin.refused(400, "PATCH", f"/locations/{chain[0]}", parent=there)
        assert "in itself" in said
    await admin.refused(400, "PATCH", f"/locations/{home}", parent=chain[0])
    await admin.refused(400, "PATCH", f"/locations/{chain[0]}", parent=None)
    await admin.refused(400, "PATCH", f"/locations/{chain[0]}", time_zone="Europe/Berlin")
    await admin.refused(404, "PATCH", f"/locations/{chain[0]}", parent=NOBODY)
    other = await admin.made("/locations", name="other")
    await admin.refused(400, "PATCH", f"/locations/{chain[7]}", parent=other["id"])
    assert "default" in await admin.refused(409, "POST", "/locations", name="default")
    await admin.made("/locations", name="level 0", parent=other["id"])
    said = await admin.refused(409, "POST", "/locations", name="level 0", parent=home)
    assert "level 0" in said


async def test_two_moves_at_once_close_no_circle(admin: Caller) -> None:
    home = to_ruuid(LOCATION)
    a = (await admin.made("/locations", name="a", parent=home))["id"]
    b = (await admin.made("/locations", name="b", parent=home))["id"]

    answers = await asyncio.gather(
        admin.ask("PATCH", f"/locations/{a}", json={"parent": b}),
        admin.ask("PATCH", f"/locations/{b}", json={"parent": a}),
    )
    assert sorted(status for status, _ in answers) == [200, 400]


async def test_a_location_that_is_needed_is_not_removed(admin: Caller) -> None:
    home = to_ruuid(LOCATION)
    assert "only location" in await admin.refused(409, "DELETE", f"/locations/{home}")
    shop = await admin.made("/locations", name="shop")
    till = await admin.made("/locations", name="till", parent=shop["id"])
    camera = await admin.made("/cameras", name="door", url=URL, sub_location=till["id"])
    assert (camera["location"], camera["sub_location"]) == (shop["id"], till["id"])

    assert "camera" in await admin.refused(409, "DELETE", f"/locations/{till['id']}")
    assert "camera" in await admin.refused(409, "DELETE", f"/locations/{shop['id']}")
    await admin.changed(f"/cameras/{camera['id']}", sub_location=None)
    await admin.removed(f"/locations/{till['id']}")
    assert "camera" in await admin.refused(409, "DELETE", f"/locations/{shop['id']}")
    await admin.changed(f"/cameras/{camera['id']}", location=home)
    await admin.removed(f"/locations/{shop['id']}")
    assert "no location" in await admin.refused(
        404, "POST", "/cameras", name="x", url=URL, location=shop["id"]
    )
    await admin.made("/locations", name="shop")


async def test_a_camera_hangs_in_one_place(admin: Caller) -> None:
    home = to_ruuid(LOCATION)
    shop = await admin.made("/locations", name="shop")
    till = await admin.made("/locations", name="till", parent=shop["id"])
    door = await admin.made("/cameras", name="door", url=URL)

    for place in (
        {"location": till["id"]},
        {"sub_location": shop["id"]},
        {"location": home, "sub_location": till["id"]},
    ):
        await admin.refused(400, "POST", "/cameras", name="x", url=URL, **place)
        await admin.refused(400, "PATCH", f"/cameras/{door['id']}", **place)
    moved = await admin.changed(f"/cameras/{door['id']}", sub_location=till["id"])
    assert (moved["location"], moved["sub_location"]) == (shop["id"], till["id"])
    for wanted, found in [(shop, 1), (till, 1), ({"id": home}, 0)]:
        assert len((await admin.get("/cameras", location=wanted["id"]))["items"]) == found
    both = [("location", home), ("location", till["id"])]
    status, page = await admin.ask("GET", "/cameras", params=both)
    assert (status, [it["name"] for it in page["items"]]) == (200, ["door"])


async def test_rhombus_filters_follow(admin: Caller) -> None:
    shop = await admin.made("/locations", name="shop")
    floor = await admin.made("/locations", name="floor", parent=shop["id"])
    till = await admin.made("/locations", name="till", parent=floor["id"])
    door = await admin.made("/cameras", name="door", url=URL, sub_location=till["id"])
    yard = await admin.made("/cameras", name="yard", url=URL)
    seen = {}
    for name, camera in (("door", door), ("yard", yard)):
        id_ = CameraId(from_ruuid(camera["id"]))
        location = (await admin.deps.cameras.get(ORG, id_)).location
        record = a_record(id_, location=location)
        await admin.deps.events.add([record])
        seen[name] = to_ruuid(record.id)

    async def found(*locations: str) -> dict[str, str | None]:
        headers = {"x-auth-apikey": admin.secret, "x-auth-scheme": "api-token"}
        async with admin.client.post(
            "/api/faceRecognition/faceEvent/findFaceEventsByOrg",
            json={"searchFilter": {"locationUuids": locations}},
            headers=headers,
        ) as answer:
            events = (await answer.json())["faceEvents"]
        return {event["uuid"]: event["subLocationsHierarchyKey"] for event in events}

    key = f"{floor['id']}.{till['id']}"
    for place in (shop, floor, till):
        assert await found(place["id"]) == {seen["door"]: key}
    assert await found(to_ruuid(LOCATION)) == {seen["yard"]: None}
    assert await found(to_ruuid(LOCATION), till["id"]) == {seen["door"]: key, seen["yard"]: None}
    assert await found(NOBODY) == {}
    await admin.changed(f"/cameras/{door['id']}", location=to_ruuid(LOCATION))
    await admin.removed(f"/locations/{till['id']}")
    assert await found(till["id"]) == {seen["door"]: key}
