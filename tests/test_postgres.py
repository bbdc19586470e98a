"""The embedded Postgres: shared, adopted, recovered, whoever we are."""
# ruff: noqa: ASYNC220, ASYNC240 - these tests wait for processes and files, and for nothing else

import asyncio
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

import facewatch
from facewatch.errors import DatabaseUnavailable, HomeUnusable
from facewatch.store.embedded import embedded_postgres

ROOT = Path(facewatch.__file__).parents[1]

USER_SCRIPT = """
import asyncio, sys
from pathlib import Path
import asyncpg
from facewatch.store.embedded import embedded_postgres

async def use(home):
    async with embedded_postgres(Path(home)) as dsn:
        connection = await asyncpg.connect(dsn)
        print("in", await connection.fetchval("SELECT 42"), flush=True)
        await connection.close()
        await asyncio.to_thread(sys.stdin.readline)
    print("out", flush=True)

asyncio.run(use(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def prepared() -> Iterator[Path]:
    """A home that was used before: setting one up takes most of a second."""

    async def use(home: Path) -> None:
        async with embedded_postgres(home):
            pass

    with folder_for_all() as folder:
        asyncio.run(use(folder / "home"))
        yield folder / "home"


@pytest.fixture
def home(prepared: Path) -> Iterator[Path]:
    with folder_for_all() as folder:
        subprocess.run(["cp", "-a", prepared, folder / "home"], check=True)
        yield folder / "home"


@pytest.fixture
def no_home() -> Iterator[Path]:
    """Where a home can be made."""
    with folder_for_all() as folder:
        yield folder / "home"


@contextmanager
def folder_for_all() -> Iterator[Path]:
    """As root, Postgres runs as a user that has to enter it."""
    with tempfile.TemporaryDirectory(prefix="fw-home-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def postmaster(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().splitlines()[0])


def lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - nothing rings when a foreign process dies
            await asyncio.sleep(0.005)


async def answer(dsn: str, sql: str = "SELECT 1") -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


@contextmanager
def another_process(home: Path) -> Iterator[subprocess.Popen[str]]:
    """One that uses *home* until a line is written to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER_SCRIPT, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await asyncio.to_thread(process.stdout.readline)).strip()


def goes(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def test_it_keeps_what_it_was_given_and_stops_with_its_last_user(no_home: Path) -> None:
    async with embedded_postgres(no_home) as dsn:
        await answer(dsn, "CREATE TABLE kept AS SELECT 7 AS n")
        pid = postmaster(no_home)
    assert not lives(pid)

    async with embedded_postgres(no_home) as dsn:
        assert await answer(dsn, "SELECT n FROM kept") == 7


async def test_it_listens_on_no_tcp_port_and_fsyncs(home: Path) -> None:
    async with embedded_postgres(home) as dsn:
        assert await answer(dsn, "SHOW listen_addresses") == ""
        assert await answer(dsn, "SHOW fsync") == "on"
        assert await answer(dsn, "SHOW synchronous_commit") == "on"
        assert await answer(dsn, "SELECT pg_encoding_to_char(encoding) FROM pg_database") == "UTF8"


async def test_it_is_out_of_reach_of_our_terminal(home: Path) -> None:
    async with embedded_postgres(home):
        assert os.getsid(postmaster(home)) != os.getsid(0)
        assert os.getpgid(postmaster(home)) != os.getpgid(0)


async def test_processes_share_it_and_the_last_one_out_stops_it(no_home: Path) -> None:
    with another_process(no_home) as first, another_process(no_home) as second:
        assert [await said(first), await said(second)] == ["in 42", "in 42"]
        pid = postmaster(no_home)
        goes(first)
        assert await said(first) == "out"
        assert lives(pid)
        async with embedded_postgres(no_home) as dsn:
            assert await answer(dsn) == 1
            goes(second)
            assert await said(second) == "out"
            assert lives(pid)
        assert not lives(pid)


async def test_one_process_can_be_in_twice(home: Path) -> None:
    async with embedded_postgres(home) as dsn:
        async with embedded_postgres(home) as again:
            assert again == dsn
        assert await answer(dsn) == 1


async def test_many_that_come_and_go_at_once(home: Path) -> None:
    async def visit() -> None:
        for _ in range(3):
            async with embedded_postgres(home) as dsn:
                assert await answer(dsn) == 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(visit() for _ in range(4)))
    assert not (home / "postgres/data/postmaster.pid").exists()


async def test_a_server_that_outlived_its_killed_user_is_adopted_and_stopped(home: Path) -> None:
    with another_process(home) as process:
        assert await said(process) == "in 42"
        pid = postmaster(home)
        process.kill()
        process.wait()
    assert lives(pid)

    async with embedded_postgres(home) as dsn:
        assert postmaster(home) == pid
        assert await answer(dsn) == 1
    assert not lives(pid)


async def test_a_killed_server_is_recovered_with_every_acknowledged_row(home: Path) -> None:
    async with embedded_postgres(home) as dsn:
        await answer(dsn, "CREATE TABLE kept (n int)")
        connection = await asyncpg.connect(dsn)
        for n in range(50):
            await connection.execute("INSERT INTO kept VALUES ($1)", n)
        os.kill(postmaster(home), signal.SIGKILL)
        connection.terminate()

        async with embedded_postgres(home) as again:  # from the very same process
            assert await answer(again, "SELECT count(*) FROM kept") == 50


async def test_everything_is_killed_at_once(home: Path) -> None:
    with another_process(home) as process:
        assert await said(process) == "in 42"
        os.kill(postmaster(home), signal.SIGKILL)
        process.kill()

    async with embedded_postgres(home) as dsn:
        assert await answer(dsn) == 1


async def test_a_pid_file_whose_pid_now_belongs_to_somebody_else(home: Path) -> None:
    """As after a reboot of a container, where pids are small and come back."""
    async with embedded_postgres(home):
        pid = postmaster(home)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not lives(pid))
    file = home / "postgres/data/postmaster.pid"
    owner = file.stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    try:
        file.write_text(f"{stranger.pid}\n{file.read_text().partition(chr(10))[2]}")
        async with embedded_postgres(home) as dsn:
            assert await answer(dsn) == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def test_a_start_that_was_killed_in_the_middle_of_initdb(home: Path) -> None:
    async with embedded_postgres(home):
        pass
    (home / "postgres/data").rename(home / "postgres/data-draft")

    async with embedded_postgres(home) as dsn:
        assert await answer(dsn) == 1


async def test_a_home_with_a_path_too_long_for_a_socket(no_home: Path) -> None:
    deep = no_home / ("d" * 60) / ("e" * 60)
    async with embedded_postgres(deep) as dsn:
        assert await answer(dsn) == 1
        directory = Path((deep / "postgres/data/postmaster.pid").read_text().splitlines()[4])
        assert directory.is_dir()
    assert not directory.exists()


async def test_a_home_that_is_a_file(no_home: Path) -> None:
    no_home.write_text("")
    with pytest.raises(HomeUnusable, match=rf"{no_home}.*FACEWATCH_HOME"):
        async with embedded_postgres(no_home):
            pass


async def test_a_database_that_cannot_start_says_why(home: Path) -> None:
    async with embedded_postgres(home):
        pass
    (home / "postgres/data/PG_VERSION").write_text("9.6\n")

    with pytest.raises(DatabaseUnavailable, match=r"9\.6.*(?s:.)*database_url"):
        async with embedded_postgres(home):
            pass


async def test_a_cancelled_start_leaves_nobody_inside(no_home: Path) -> None:
    async def enter() -> None:
        async with embedded_postgres(no_home):
            await asyncio.Event().wait()

    task = asyncio.create_task(enter())
    await until((no_home / "postgres.gate").exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not (no_home / "postgres/data/postmaster.pid").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's Postgres runs as another user")
@pytest.mark.parametrize(("base", "instead"), [("/tmp", "/tmp"), ("/root", "/var/lib/facewatch")])
async def test_roots_home_that_others_cannot_enter(base: str, instead: str) -> None:
    with tempfile.TemporaryDirectory(prefix="fw-closed-", dir=base) as folder:
        closed = Path(folder)
        async with embedded_postgres(closed) as dsn:
            place = (closed / "postgres").readlink()
            assert await answer(dsn) == 1
            assert place.parent == Path(instead)
            assert place.stat().st_mode & 0o777 == 0o700
            assert closed.stat().st_mode & 0o777 == 0o700
            pid = postmaster(closed)
        assert not lives(pid)
        async with embedded_postgres(closed) as dsn:
            assert await answer(dsn) == 1
            assert (closed / "postgres").readlink() == place
        shutil.rmtree(place)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_has_one_too() -> None:
    nobody = pwd.getpwnam("nobody")
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    site = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))])
    environment = {"PYTHONPATH": site, "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    able = subprocess.run(
        [python, "-c", "import asyncpg, facewatch"],
        env=environment, cwd="/", capture_output=True, check=False, **as_nobody,
    )  # fmt: skip
    if able.returncode:
        pytest.skip("no Python here that an ordinary user could run our packages with")
    with tempfile.TemporaryDirectory(prefix="fw-user-", dir="/tmp") as folder:
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        done = subprocess.run(
            [python, "-c", USER_SCRIPT, f"{folder}/home"],
            env=environment, cwd="/", input="\n", text=True, capture_output=True, timeout=60,
            check=False, **as_nobody,
        )  # fmt: skip
        assert done.stdout == "in 42\nout\n", done.stderr
        assert (Path(folder) / "home/postgres/data").stat().st_uid == nobody.pw_uid


def test_nothing_is_left_running_in_our_name() -> None:
    """Runs last in this file: every server above has gone with its last user."""
    held = [
        path
        for path in Path("/tmp").glob("fw-home-*/home/postgres/socket/.s.PGSQL.5432")
        if socket.socket(socket.AF_UNIX).connect_ex(str(path)) == 0
    ]
    assert held == []
