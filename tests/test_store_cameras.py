"""Cameras, their states, their passwords, and API keys."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from factories import NOON, ORG, a_camera

from facewatch.domain.cameras import CameraState, CameraStatus, Transport
from facewatch.domain.ids import CameraId, OrgId, new_id
from facewatch.errors import AlreadyExists, HomeUnusable, InvalidRequest, NotFound, StoreTrouble
from facewatch.store.cameras import PostgresCameras, PostgresCameraStatuses
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.store.secrets import Vault

LOGIN = ("admin", "pä:ss@word/ß")


@pytest.fixture
def cameras(database: Database, tmp_path: Path) -> PostgresCameras:
    return PostgresCameras(database, Vault(tmp_path))


@pytest.fixture
def keys(database: Database) -> PostgresKeys:
    return PostgresKeys(database)


async def test_a_camera_is_read_as_it_was_written(cameras: PostgresCameras) -> None:
    camera = a_camera(credentials=LOGIN, transport=Transport.UDP)
    await cameras.add(camera)

    assert await cameras.by_name(ORG, "door") == camera
    assert await cameras.all() == [camera]
    assert await cameras.all(OrgId(new_id())) == []


async def test_passwords_are_not_readable_in_the_database(
    cameras: PostgresCameras, dsn: str
) -> None:
    await cameras.add(a_camera(credentials=LOGIN))
    connection = await asyncpg.connect(dsn)
    row = await connection.fetchrow("SELECT * FROM camera")
    await connection.close()
    assert LOGIN[1] not in str(dict(row))
    assert LOGIN[1].encode() not in row["credentials"]


async def test_a_name_is_not_blank(cameras: PostgresCameras) -> None:
    with pytest.raises(InvalidRequest, match="blank"):
        await cameras.add(a_camera(name=" "))


async def test_a_name_is_taken_until_its_camera_is_removed(cameras: PostgresCameras) -> None:
    first = a_camera()
    await cameras.add(first)
    with pytest.raises(AlreadyExists, match="'door'"):
        await cameras.add(a_camera())
    await cameras.remove(ORG, first.id)
    second = a_camera()
    await cameras.add(second)

    assert await cameras.all(ORG) == [second]
    with pytest.raises(NotFound):
        await cameras.remove(ORG, first.id)
    with pytest.raises(NotFound):
        await cameras.remove(OrgId(new_id()), second.id)


async def test_a_camera_can_be_changed(cameras: PostgresCameras) -> None:
    camera = a_camera(credentials=LOGIN)
    await cameras.add(camera)
    changed = replace(camera, url="rtsp://10.0.0.9/sub", credentials=None)
    await cameras.change(changed)

    assert await cameras.by_name(ORG, "door") == changed
    with pytest.raises(NotFound):
        await cameras.change(a_camera(name="nobody's"))


async def test_every_change_rings(cameras: PostgresCameras, database: Database) -> None:
    camera = a_camera()
    async with asyncio.timeout(10):
        rung = database.listen("camera")
        assert await anext(rung) == ""
        for doing in (cameras.add(camera), cameras.change(camera), cameras.remove(ORG, camera.id)):
            await doing
            assert await anext(rung) == str(ORG)
        await rung.aclose()


def a_status(camera: CameraId, state: CameraState, reason: str = "") -> CameraStatus:
    return CameraStatus(camera, state, reason, 12.5, NOON, NOON - timedelta(minutes=1))


async def test_the_newest_report_of_a_camera_stands(
    cameras: PostgresCameras, database: Database
) -> None:
    statuses = PostgresCameraStatuses(database)
    camera = a_camera()
    await cameras.add(camera)
    live = a_status(camera.id, CameraState.LIVE)
    gone = a_status(camera.id, CameraState.GONE, "no route to host")
    await statuses.report([live])
    await statuses.report([live, gone])
    await statuses.report([])
    await statuses.report([a_status(CameraId(new_id()), CameraState.LIVE)])

    assert await statuses.all(ORG) == [gone]
    assert await statuses.all(OrgId(new_id())) == []
    await cameras.remove(ORG, camera.id)
    assert await statuses.all(ORG) == []


async def test_a_report_of_a_process_that_has_ended_is_not_shown(
    cameras: PostgresCameras, database: Database, dsn: str
) -> None:
    statuses, camera = PostgresCameraStatuses(database), a_camera()
    await cameras.add(camera)
    await statuses.report([a_status(camera.id, CameraState.LIVE)])
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE camera_status SET reported_at = now() - interval '1 minute'")
    await connection.close()

    assert await statuses.all(ORG) == []


async def test_a_key_opens_until_it_is_revoked(keys: PostgresKeys) -> None:
    key, secret = await keys.create(ORG, "console", "operator")

    assert await keys.authenticate(secret) == key
    assert (key.org, key.name, key.role, key.revoked_at) == (ORG, "console", "operator", None)
    assert await keys.all(ORG) == [key]
    await keys.revoke(ORG, key.id)
    assert await keys.authenticate(secret) is None
    assert (await keys.all(ORG))[0].revoked_at is not None


async def test_a_key_opens_until_it_expires(keys: PostgresKeys, dsn: str) -> None:
    _, secret = await keys.create(ORG, "visitor", "viewer")
    connection = await asyncpg.connect(dsn)
    await connection.execute("UPDATE api_key SET expires_at = now() + interval '1 hour'")
    assert await keys.authenticate(secret) is not None
    await connection.execute("UPDATE api_key SET expires_at = now() - interval '1 second'")
    assert await keys.authenticate(secret) is None
    await connection.close()


async def test_other_secrets_open_nothing(keys: PostgresKeys) -> None:
    await keys.create(ORG, "console", "admin")
    for secret in ("", "fw_guess", "a\0b", "\ud800", "x" * 10_000):
        assert await keys.authenticate(secret) is None


async def test_secrets_are_kept_as_hashes_and_never_alike(keys: PostgresKeys, dsn: str) -> None:
    secrets = [(await keys.create(ORG, "a", "viewer"))[1] for _ in range(3)]
    assert len(set(secrets)) == 3
    connection = await asyncpg.connect(dsn)
    kept = str([dict(row) for row in await connection.fetch("SELECT * FROM api_key")])
    await connection.close()
    assert not any(secret in kept or secret[3:] in kept for secret in secrets)


async def test_roles_and_foreign_keys(keys: PostgresKeys) -> None:
    with pytest.raises(InvalidRequest, match="viewer, operator, admin"):
        await keys.create(ORG, "a", "root")
    key, secret = await keys.create(ORG, "a", "viewer")
    with pytest.raises(NotFound):
        await keys.revoke(OrgId(new_id()), key.id)
    assert await keys.authenticate(secret) is not None


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "home").sealed(LOGIN)
    assert (tmp_path / "home/secret.key").stat().st_mode & 0o777 == 0o600
    assert Vault(tmp_path / "home").opened(sealed) == LOGIN
    assert Vault(tmp_path, tmp_path / "home/secret.key").opened(sealed) == LOGIN


async def test_a_password_that_cannot_be_read_costs_its_own_camera_only(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = PostgresCameras(database, Vault(tmp_path / "before"))
    after = PostgresCameras(database, Vault(tmp_path / "after"))
    lost, kept = a_camera(name="lost", credentials=LOGIN), a_camera(name="kept", credentials=LOGIN)
    await before.add(lost)
    await after.add(kept)

    assert {it.name: it.credentials for it in await after.all()} == {"lost": None, "kept": LOGIN}
    assert "'lost'" in caplog.text
    assert "another key" in caplog.text
    await after.remove(ORG, (await after.by_name(ORG, "lost")).id)
    assert [it.name for it in await after.all()] == ["kept"]


def test_another_key_or_none_is_said_plainly(tmp_path: Path) -> None:
    sealed = Vault(tmp_path / "one").sealed(LOGIN)
    with pytest.raises(StoreTrouble, match=r"another key.*secret\.key.*backup"):
        Vault(tmp_path / "two").opened(sealed)
    (tmp_path / "one/secret.key").write_text("not a key")
    with pytest.raises(StoreTrouble, match="no Fernet key"):
        Vault(tmp_path / "one")
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeUnusable, match=r"file/secret\.key"):
        Vault(tmp_path / "file")
