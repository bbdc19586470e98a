"""What a watching service and a replay share: visits become events that are kept."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from facewatch.app.recognition import Recognition
from facewatch.domain.cameras import Camera
from facewatch.domain.events import EventRecord
from facewatch.domain.ids import CameraId
from facewatch.pipeline.record import Recorder, Reel
from facewatch.pipeline.visit import Visit
from facewatch.ports.keeping import EventSink, Spool

log = logging.getLogger(__name__)

Written = Callable[[Visit, EventRecord], None]
"""Told of each version of an event, once it is durable on the local disk."""

VISITS_BOUND = 64
DRAIN_S = 5.0


def recorder_for(
    camera_of: Callable[[CameraId], Camera],
    recognition: Recognition,
    spool: EventSink,
    written: Written,
    reel: Reel | None = None,
) -> Recorder:
    return Recorder(
        camera_of=camera_of,
        decider=recognition.decider,
        encoder=recognition.encoder,
        model=recognition.engine.model,
        spool=spool,
        engine_thread=recognition.thread,
        workers=recognition.workers,
        metrics=recognition.metrics,
        written=written,
        reel=reel,
    )


async def drained(spool: Spool) -> None:
    """Wait until the stores have everything, or for as long as a stop may take."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            await spool.drained()
    if spool.backlog:
        log.warning(
            "%d event versions stay in the spool; the next start delivers them", spool.backlog
        )
