"""What all commands take: --home, --config, --json."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from facewatch.app import switched
from facewatch.settings import Settings, load_for_process


class Instant(click.ParamType[datetime]):
    """An ISO 8601 time; one without an offset is UTC."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no ISO 8601 time such as 2026-11-21T08:00:00Z", param, ctx)
        return read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC)


P = ParamSpec("P")
T = TypeVar("T")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def command(
    run: Callable[Concatenate[Settings, P], Coroutine[Any, Any, T]],
) -> Callable[..., T]:
    """A coroutine that takes settings becomes a command with --home and --config."""

    @click.option("--home", type=click.Path(), help="Home directory (FACEWATCH_HOME).")
    @click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="Settings file; default <home>/facewatch.toml.",
    )
    @wraps(run)
    def runner(home: str | None, config: Path | None, *args: P.args, **kwargs: P.kwargs) -> T:
        settings = switched.applied(load_for_process(config, {"home": home} if home else {}))
        log_to_stderr(settings.log.level)
        try:
            return asyncio.run(_ended_cleanly(run(settings, *args, **kwargs)))
        except asyncio.CancelledError:
            sys.exit(128 + signal.SIGTERM)

    return runner


async def _ended_cleanly(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM ends *work* as Ctrl-C does: the embedded Postgres is not left running."""
    task = asyncio.current_task()
    assert task is not None
    for each in endings():
        asyncio.get_running_loop().add_signal_handler(each, task.cancel)
    return await work


def endings() -> list[signal.Signals]:
    """What asks for the end: SIGTERM, and a terminal that is closed, unless under nohup."""
    hung_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGTERM, *([signal.SIGHUP] if hung_up else [])]


def log_to_stderr(level: str) -> None:
    """Lines from *level* on, one an event."""
    # What no line of ours shows is not looked up for each: half of what a line costs.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(
        level=level.upper(),
        stream=sys.stderr,
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        datefmt="%H:%M:%S",
    )
    for chatty in ("asyncio", "faiss", "botocore", "boto3", "urllib3", "s3transfer"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
