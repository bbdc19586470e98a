"""facewatch serve"""

import asyncio
import logging
import signal

import click

from facewatch.app.recognition import open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import open_stores
from facewatch.cli.options import command, endings
from facewatch.cli.output import note
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import to_ruuid
from facewatch.pipeline.visit import Visit
from facewatch.settings import Settings

log = logging.getLogger(__name__)


@click.command()
@command
async def serve(settings: Settings) -> None:
    """Watch the cameras and answer requests.

    On http.port, until Ctrl-C or SIGTERM; then what is in hand is finished.
    """
    stop = stop_on_signals()
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
    ):
        await run_service(
            settings,
            stores,
            recognition,
            stop=stop,
            ready=lambda url: note(f"facewatch answers at {url}"),
            written=_tell,
        )


def _tell(_: Visit, record: EventRecord) -> None:
    """A line an event, for whoever looks for its id; names are for those who may ask."""
    if record.version == 1:
        known = record.decision is not None and record.decision.person is not None
        log.info("event %s: somebody %s", to_ruuid(record.id), "known" if known else "unknown")


def stop_on_signals() -> asyncio.Event:
    """Set by Ctrl-C and `endings`; a second Ctrl-C ends the process without draining."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def told_to_stop(impatient: bool) -> None:
        if not stop.is_set():
            stop.set()
            note("stopping: finishing what is in hand")
        elif impatient:
            raise KeyboardInterrupt

    loop.add_signal_handler(signal.SIGINT, told_to_stop, True)
    # timeout(1) and others tell the process and then its group: twice is once
    for each in endings():
        loop.add_signal_handler(each, told_to_stop, False)
    return stop
