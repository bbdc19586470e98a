"""/api/v1/orgs, /api/v1/keys and /api/v1/settings over a socket."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from factories import ORG, some_deps
from house import Caller, an_admin

from facewatch.domain.ids import new_id, to_ruuid
from facewatch.settings import Settings
from facewatch.store.database import Database

NOBODY = to_ruuid(new_id())


@pytest.fixture
async def admin(database: Database, tmp_path: Path) -> AsyncIterator[Caller]:
    settings = Settings.model_validate({"database_url": "postgresql://u:s3cret@db/x"})
    deps = some_deps(database, tmp_path, settings=settings.shown(), clock=lambda: datetime.now(UTC))
    async with an_admin(deps, ORG) as admin:
        yield admin


def holder(admin: Caller, made: dict[str, Any]) -> Caller:
    """Whoever got the key that was *made*."""
    return Caller(admin.client, admin.deps, made["secret"])


async def test_a_new_org_is_usable_with_the_key_that_came_with_it(admin: Caller) -> None:
    made = await admin.made("/orgs", name=" shop ")
    theirs = holder(admin, made["key"])

    assert (made["name"], made["key"]["role"]) == ("shop", "admin")
    own = await theirs.get("/org")
    assert own == {"id": made["id"], "name": "shop", "match_threshold": 0.7}
    (place,) = (await theirs.get("/locations"))["items"]
    camera = await theirs.made("/cameras", name="door", url="rtsp://10.0.0.7/x")
    assert camera["location"] == place["id"]
    (key,) = (await theirs.get("/keys"))["items"]
    assert key["id"] == made["key"]["id"]
    assert "secret" not in key
    assert (await admin.get("/cameras"))["items"] == []


async def test_the_first_org_sees_that_there_are_others_and_nothing_in_them(admin: Caller) -> None:
    made = await admin.made("/orgs", name="shop")
    await admin.changed(f"/orgs/{made['id']}", name="store")

    shown = await admin.get(f"/orgs/{made['id']}")
    assert shown == {"id": made["id"], "name": "store", "created_at": made["created_at"]}
    page = await admin.get("/orgs", limit=1)
    assert [it["name"] for it in page["items"]] == ["default"]
    assert (await admin.get("/orgs", cursor=page["cursor"]))["items"] == [shown]
    assert made["key"]["id"] not in str(await admin.get("/keys"))
    await admin.refused(404, "DELETE", f"/keys/{made['key']['id']}")
    await admin.refused(404, "GET", f"/orgs/{NOBODY}")
    await admin.refused(404, "PATCH", f"/orgs/{NOBODY}", name="x")
    await admin.refused(400, "POST", "/orgs", name="  ")
    await admin.refused(400, "POST", "/orgs")


async def test_others_look_after_their_own_org_only(admin: Caller) -> None:
    theirs = holder(admin, (await admin.made("/orgs", name="shop"))["key"])
    own = (await theirs.get("/org"))["id"]

    said = {
        await theirs.refused(403, method, path, name="x")
        for method, path in [
            ("GET", "/orgs"),
            ("POST", "/orgs"),
            ("GET", f"/orgs/{own}"),
            ("GET", f"/orgs/{to_ruuid(ORG)}"),
            ("GET", f"/orgs/{NOBODY}"),
            ("PATCH", f"/orgs/{to_ruuid(ORG)}"),
        ]
    }
    assert len(said) == 1
    renamed = await theirs.changed("/org", name="default", match_threshold=0.8)
    assert renamed == {"id": own, "name": "default", "match_threshold": 0.8}
    assert (await admin.get("/org"))["match_threshold"] == 0.7
    operator = await admin.another("operator")
    for method, path in [("GET", "/orgs"), ("POST", "/orgs"), ("PATCH", "/org")]:
        await operator.refused(403, method, path, name="x")


async def test_a_key_from_its_first_day_to_its_last(admin: Caller) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    made = await admin.made("/keys", name="screen", role="viewer", expires_at=soon.isoformat())
    theirs = holder(admin, made)

    assert (await theirs.get("/org"))["name"] == "default"
    await theirs.refused(403, "GET", "/keys")
    shown = await admin.get(f"/keys/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert datetime.fromisoformat(shown["expires_at"]) == soon
    await admin.removed(f"/keys/{made['id']}")
    await theirs.refused(403, "GET", "/org")
    await admin.removed(f"/keys/{made['id']}")
    assert (await admin.get(f"/keys/{made['id']}"))["revoked_at"]
    assert made["secret"] not in str(await admin.get("/keys"))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "role": "owner"},
        {"name": "x", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "2030-01-01T00:00:00"},
        {"name": "x", "expires_at": 1893456000},
        {"name": "x", "expires_at": "tomorrow"},
        {"name": "x", "secret": "fw_mine"},
    ],
)
async def test_what_is_no_key_is_refused(admin: Caller, body: dict[str, object]) -> None:
    assert await admin.refused(400, "POST", "/keys", **body)


async def test_only_admins_see_keys_and_settings(admin: Caller) -> None:
    operator = await admin.another("operator")
    for method, path in [("GET", "/keys"), ("POST", "/keys"), ("GET", "/settings")]:
        await operator.refused(403, method, path, name="x")


async def test_settings_in_force_without_secrets(admin: Caller) -> None:
    items = {it.pop("key"): it for it in (await admin.get("/settings"))["items"]}

    assert items["database_url"] == {"value": None, "is_set": True, "change": None}
    assert items["http.port"] == {"value": 8280, "is_set": True, "change": None}
    assert items["models.providers"]["value"] == []
    assert "s3cret" not in str(items)
    assert items["org.match_threshold"] == {
        "value": 0.7,
        "is_set": False,
        "change": "PATCH /api/v1/org",
    }
    await admin.changed("/org", match_threshold=0.9)
    (threshold, *_) = (await admin.get("/settings"))["items"]
    assert (threshold["value"], threshold["is_set"]) == (0.9, True)


async def test_another_org_sees_no_settings_of_the_installation(admin: Caller) -> None:
    theirs = holder(admin, (await admin.made("/orgs", name="shop"))["key"])
    keys = {it["key"] for it in (await theirs.get("/settings"))["items"]}

    assert {"org.match_threshold", "recognition.margin", "cameras.silent_s"} <= keys
    assert not keys & {"home", "database_url", "http.port", "objects.url", "models.directory"}
