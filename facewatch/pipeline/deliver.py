"""Events go from the spool to the stores: pictures first, then rows."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import TypeVar

from facewatch.errors import RecordRefused, StoreTrouble
from facewatch.flow.channel import Channel
from facewatch.flow.metrics import Metrics, Stage
from facewatch.ports.events import FaceEvents
from facewatch.ports.keeping import Blobs, Spool, SpooledEvent

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Events whose pictures the object store has.

    Attributes:
        taken_at: When they were read from the spool, by `time.perf_counter`.
    """

    events: Sequence[SpooledEvent]
    taken_at: float


async def deliver(
    spool: Spool, blobs: Blobs, events: FaceEvents, metrics: Metrics, *, most: int = 128
) -> None:
    """Carry events from the spool to the stores for ever, *most* at a time.

    The pictures of one batch are put while the rows of the one before are written. While a store
    is down nothing is lost and nothing is skipped: it is tried again with jittered back-off up to
    30 s, and said once.
    """
    pictured: Channel[_Batch] = Channel(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(_put_pictures(spool, blobs, pictured, most))
        group.create_task(_put_rows(spool, events, pictured, metrics))


async def _put_pictures(spool: Spool, blobs: Blobs, pictured: Channel[_Batch], most: int) -> None:
    after = 0
    while True:
        waiting = await _until_done(spool, partial(spool.oldest, most, after))
        began, after = perf_counter(), waiting[-1].place
        pictures = [
            (key, body, content_type(key)) for it in waiting for key, body in it.pictures.items()
        ]
        await _until_done(spool, partial(blobs.put_all, pictures))
        await pictured.put(_Batch(waiting, began))


async def _put_rows(
    spool: Spool, events: FaceEvents, pictured: Channel[_Batch], metrics: Metrics
) -> None:
    async for batch in pictured:
        await _until_done(spool, partial(_keep, batch.events, spool, events))
        metrics.took(Stage.STORE, perf_counter() - batch.taken_at)
        places = [it.place for it in batch.events]
        await _until_done(spool, partial(spool.delivered, places))
        now = datetime.now(UTC)
        for it in batch.events:
            if it.record.version == 1:  # a later one may show a look of long ago
                lag = (now - it.record.best_at).total_seconds()
                metrics.took(Stage.CAPTURE_TO_EVENT, max(lag, 0.0))


async def _until_done(spool: Spool, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """A store that is down comes back; so long events wait."""
    wait_s, said = 0.5, False
    while True:
        try:
            answer = await ask()
        except StoreTrouble as trouble:
            if not said:
                log.warning("%d events wait in the spool: %s", spool.backlog, trouble)
            said = True
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))
            wait_s = min(wait_s * 2, 30.0)
        else:
            if said:
                log.info("the stores take events again")
            return answer


async def _keep(waiting: Sequence[SpooledEvent], spool: Spool, events: FaceEvents) -> None:
    """All at once; if one of them can never be taken, each by itself, and that one set aside."""
    try:
        await events.add([it.record for it in waiting])
    except RecordRefused as refusal:
        if len(waiting) > 1:
            for it in waiting:
                await _keep([it], spool, events)
            return
        log.error("event %s is set aside in the spool: %s", waiting[0].record.id, refusal)
        await spool.set_aside(waiting[0].place)


def content_type(key: str) -> str:
    """Of a picture that was recorded."""
    return "image/png" if key.endswith(".png") else "image/jpeg"
