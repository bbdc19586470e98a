"""One benchmark in a process of its own: what it says, how it ends, that it leaves nothing."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TextIO

_ROOT = Path(__file__).parent.parent
_ENDING_S = 30.0
"""A script may take so long to stop its servers and delete its folders."""


@dataclass
class Run:
    """One script, and what became of it."""

    name: str
    outcome: str = "ok"
    took_s: float = 0.0
    lines: list[dict[str, Any]] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return not self.outcome.startswith(("ok", "skipped"))


def run(script: Path, *, quick: bool, most_s: float, results: TextIO) -> Run:
    """Run *script*; its output is shown, and its figures go to *results* as they come.

    Its temporary files are in a folder of its own. That goes in the end, and so do its processes
    (Postgres leaves the session of whoever started it), however the script ended.
    """
    done, began, complaints = Run(script.stem), time.monotonic(), deque[str](maxlen=20)
    with _scratch() as scratch:
        process = subprocess.Popen(
            [sys.executable, str(script), *(["--quick"] if quick else [])],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT), "TMPDIR": str(scratch)},
            start_new_session=True,
        )
        said = threading.Thread(target=_note, args=(process.stdout, done.lines, results))
        complained = threading.Thread(target=_hear, args=(process.stderr, complaints))
        said.start()
        complained.start()
        try:
            outcome = _waited(process, most_s)
        except KeyboardInterrupt:
            outcome = "interrupted"
        with _unheard(signal.SIGINT), _unheard(signal.SIGTERM):
            _end(process)
            end_those_of(scratch)  # until then they may hold its pipes open
            said.join()
            complained.join()
    done.outcome = outcome or _outcome(process.returncode, done, complaints)
    done.took_s = time.monotonic() - began
    return done


def _waited(process: "subprocess.Popen[str]", most_s: float) -> str:
    try:
        process.wait(most_s)
    except subprocess.TimeoutExpired:
        return f"ended after {most_s:.0f} s"
    return ""


def _note(stdout: IO[str], lines: list[dict[str, Any]], results: TextIO) -> None:
    for text in stdout:
        print(text, end="", flush=True)
        if (line := _figures(text)) is not None:
            lines.append(line)
            results.write(json.dumps(line) + "\n")
            results.flush()


def _hear(stderr: IO[str], complaints: deque[str]) -> None:
    for text in stderr:
        print(text, end="", file=sys.stderr, flush=True)
        if text.strip():
            complaints.append(text.strip())


def _outcome(status: int, done: Run, complaints: deque[str]) -> str:
    if status:
        why = f": {complaints[-1]}" if complaints else ""
        return f"failed with status {status}{why}"
    if done.lines and (why := done.lines[-1].get("skipped")):
        return f"skipped: {why}"
    return "ok"


def _figures(text: str) -> dict[str, Any] | None:
    """The JSON object that *text* is, if it is one."""
    if not text.startswith("{"):
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _end(process: "subprocess.Popen[str]") -> None:
    """Ask *process* to end as Ctrl-C does; kill it and its children if it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_ENDING_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def end_those_of(scratch: Path) -> None:
    """Kill processes whose temporary files are in *scratch*: nobody started them but the script."""
    mark = f"TMPDIR={scratch}".encode()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in environment.read_bytes().split(b"\0"):
                os.kill(int(environment.parent.name), signal.SIGKILL)


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="facewatch-bench-"))
    try:
        folder.chmod(0o755)  # Postgres may have to run as another user
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _unheard(number: signal.Signals) -> Iterator[None]:
    """A second Ctrl-C does not break off what the first began."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)
