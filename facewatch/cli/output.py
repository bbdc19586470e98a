"""Tables for people, JSON lines for programs, progress bars on a terminal only."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

Made = TypeVar("Made")

stderr = Console(stderr=True)


def say(value: Any) -> None:
    """One line of JSON on stdout, out at once."""
    click.echo(json.dumps(value, ensure_ascii=False))


def note(text: str) -> None:
    """A line for people, on stderr: stdout is for results."""
    click.echo(text, err=True)


_WHOLE = frozenset({"event", "id"})
"""Columns that are never cut: somebody will copy what stands in them."""


def counted(number: int, what: str) -> str:
    """
    >>> counted(1, "event"), counted(2, "event")
    ('1 event', '2 events')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows on stdout, aligned; nothing is cut off in a pipe."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        grid.add_column(column, no_wrap=column in _WHOLE)
    for row in rows:
        grid.add_row(*("" if cell is None else str(cell) for cell in row))
    console = Console()
    if not console.is_terminal:
        console.width = 250
    console.print(grid)


@contextmanager
def progress(total: float | None) -> Iterator["Bar"]:
    """A bar on stderr while the block runs; silent when stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr, disable=not stderr.is_terminal) as drawn:
        yield Bar(drawn, drawn.add_task("", total=total))


async def prepared(make: Callable[[Callable[[str, float], None]], Made]) -> Made:
    """What *make* makes in a thread, with a bar; given up soon when its caller is cancelled.

    *make* is given what to call, from any thread, with what is going on and the share done.
    """
    given_up = threading.Event()
    with progress(1.0) as bar:

        def at(what: str, share: float) -> None:
            if given_up.is_set():
                raise asyncio.CancelledError
            bar.at(share, what)

        try:
            return await asyncio.to_thread(make, at)
        finally:
            given_up.set()


class Bar:
    """A progress bar that is being drawn."""

    def __init__(self, drawn: Progress, task: Any) -> None:
        self._drawn = drawn
        self._task = task

    def at(self, done: float, what: str, total: float | None = None) -> None:
        """*done* of the total is done; *what* is going on."""
        if total is not None:
            self._drawn.update(self._task, total=total)
        self._drawn.update(self._task, completed=done, description=what)
