"""facewatch serve"""

import asyncio
import signal

import click

from facewatch import app
from facewatch.cli.options import command
from facewatch.cli.output import note
from facewatch.settings import Settings


@click.command()
@command
async def serve(settings: Settings) -> None:
    """Watch the cameras and answer requests.

    On http.port, until Ctrl-C or SIGTERM; then what is in hand is finished.
    """
    stop = stop_on_signals()
    async with (
        app.open_stores(settings) as stores,
        app.open_recognition(settings, stores) as recognition,
    ):
        await app.serve(
            settings,
            stores,
            recognition,
            stop=stop,
            ready=lambda url: note(f"facewatch answers at {url}"),
            written=lambda _visit, _record: None,
        )


def stop_on_signals() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM; a second Ctrl-C ends the process without draining."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        note("stopping: finishing what is in hand")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    return stop
