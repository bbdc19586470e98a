"""Search by words: the model, if there is one, and what looks at the pictures meanwhile."""

import asyncio
import contextlib
import logging
import math
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from facewatch.app.recognition import runtime
from facewatch.app.stores import Stores
from facewatch.app.waiting import until_answered
from facewatch.domain.ids import CameraId, new_id
from facewatch.errors import ModelTrouble, StoreTrouble
from facewatch.flow.metrics import Metrics
from facewatch.people.search import OFF, NoWordSearch, WordSearch
from facewatch.people.see import Looking
from facewatch.ports.streams import Picture
from facewatch.settings import Settings
from facewatch.store.events import CHANGES
from facewatch.stream.files import FileSource, duration_s
from facewatch.vision import clip_cards
from facewatch.vision.clip import Clip
from facewatch.vision.clip_cards import ClipCard
from facewatch.vision.pictures import decode
from facewatch.vision.pins import Pins

log = logging.getLogger(__name__)

_AGAIN_S = 5.0
_TROUBLE_S = 5.0
_MOST_FRAMES = 64
"""Of a clip: one a second, fewer a second of what is longer than a minute."""
_MOST_LOOKS = 3600
"""Of a clip that tells no length, or a wrong one: one a second of its first hour."""
_NICE = 10


@dataclass(frozen=True, slots=True)
class Words:
    """Who answers; *looking* is None where there is no model."""

    search: WordSearch | NoWordSearch
    looking: Looking | None


@asynccontextmanager
async def open_words(settings: Settings, stores: Stores, metrics: Metrics) -> AsyncIterator[Words]:
    """The model that the settings name, in force; without it the service runs, and says so.

    Raises:
        NotFound: no model has this name.
        DatabaseUnavailable: Postgres does not answer.
    """
    if not settings.models.search:
        await stores.vectors.want_none()
        yield Words(OFF, None)
        return
    card = clip_cards.card(settings.models.search)
    with (
        ThreadPoolExecutor(1, "words") as reading,
        ThreadPoolExecutor(1, "pictures", initializer=_step_back) as looking,
    ):
        try:
            seer = await asyncio.to_thread(open_clip, settings, card)
        except ModelTrouble as trouble:
            log.warning("search by words does not work: %s", trouble)
            yield Words(NoWordSearch(trouble.what, trouble.remedy), None)
            return
        leave = threading.Event()
        model = await stores.vectors.want(seer.model, seer.digest, seer.dimensions)
        metrics.pictures_waiting.set(math.nan)
        try:
            yield Words(
                WordSearch(seer, stores.vectors, model, reading),
                Looking(
                    *(seer, stores.vectors, model, stores.blobs),
                    *(partial(shown, leave), looking, metrics),
                ),
            )
        finally:
            leave.set()


def pins_of(settings: Settings) -> Pins:
    """What this home vouches for."""
    return Pins(settings.model_directory, settings.home_path / "pinned-models.json")


def open_clip(settings: Settings, card: ClipCard) -> Clip:
    """Blocks for seconds.

    Raises:
        ModelTrouble: its files are not there, not vouched for, others, or cannot be run.
    """
    return Clip(card, pins_of(settings).installed(card), runtime(settings))


async def look_at_pictures(stores: Stores, words: Words) -> None:
    """Look at what waits, and at what comes, until cancelled.

    What waits stands in the table: a process that dies leaves it to the next.
    """
    if words.looking is None:
        return
    bell = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_ring(stores, bell))
        await until_answered(partial(words.looking.vectors.line_up, words.looking.model))
        group.create_task(_gauge(words.looking))
        said = False
        while True:
            bell.clear()
            try:
                while await words.looking.step():
                    pass
            except (StoreTrouble, ModelTrouble) as trouble:
                if not said:
                    log.warning("pictures are looked at later: %s", trouble)
                said = True
                await asyncio.sleep(_TROUBLE_S)
                continue
            said = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):  # uploads do not ring
                    await bell.wait()


async def _ring(stores: Stores, bell: asyncio.Event) -> None:
    async for _ in stores.database.listen(CHANGES):
        bell.set()


async def _gauge(looking: Looking) -> None:
    while True:
        with contextlib.suppress(StoreTrouble):
            looking.metrics.pictures_waiting.set(await looking.vectors.waiting(looking.model))
        await asyncio.sleep(_AGAIN_S)


def shown(leave: threading.Event, body: bytes | Path) -> Iterator[tuple[int, Picture]]:
    """A picture, or frames of a clip, each with its millisecond; no more once *leave* is set.

    Raises:
        NotAPicture, UnreadableStream: there is none in it.
    """
    if isinstance(body, bytes):
        yield 0, decode(body, "the picture")
        return
    seconds = duration_s(body) or _MOST_FRAMES
    source = FileSource(
        CameraId(new_id()), body, looks_per_s=min(1.0, _MOST_FRAMES / max(seconds, 1.0))
    )
    for frame in islice(source.frames(leave), _MOST_LOOKS):
        yield int(frame.t_s * 1000), frame.picture


def _step_back() -> None:
    """This thread gives way to all others; elsewhere than on Linux the whole process would."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
