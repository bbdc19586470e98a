"""`run_service`, again and again: with the embedder of today."""

import asyncio
import logging
from collections.abc import Callable

from facewatch.app import switched
from facewatch.app.recognition import open_recognition, warm_engine
from facewatch.app.recording import Written
from facewatch.app.serve import run_service
from facewatch.app.stores import Stores
from facewatch.errors import FacewatchError
from facewatch.settings import Settings
from facewatch.store.past import MODELS

log = logging.getLogger(__name__)


async def keep_serving(
    settings: Settings,
    stores: Stores,
    *,
    stop: asyncio.Event,
    ready: Callable[[str], None],
    written: Written,
) -> None:
    """Watch and answer until *stop* is set; a switch of the embedder drains and begins again.

    What is in view when it is switched is recorded, and seen again as a new visit. *ready* is
    told the URL each time.

    Raises:
        See `run_service` and `open_recognition`.
    """
    while True:
        settings = switched.applied(settings)
        over = asyncio.Event()
        async with (
            open_recognition(settings, stores) as recognition,
            asyncio.TaskGroup() as group,
        ):
            waiting = [
                group.create_task(_stopped(stop, over)),
                group.create_task(_switched(settings, stores, over)),
            ]
            await run_service(
                settings, stores, recognition, stop=over, ready=ready, written=written
            )
            for task in waiting:
                task.cancel()
        if stop.is_set():
            return


async def _stopped(stop: asyncio.Event, over: asyncio.Event) -> None:
    await stop.wait()
    over.set()


async def _switched(settings: Settings, stores: Stores, over: asyncio.Event) -> None:
    """Set *over* once another embedder is in force, and was seen to work here."""
    async for _ in stores.database.listen(MODELS):
        try:
            today = switched.applied(settings)
            if today.models.embedder == settings.models.embedder:
                continue
            await asyncio.to_thread(warm_engine, today)
        except FacewatchError as trouble:
            log.error("%s stays in force: %s", settings.models.embedder, trouble)
            continue
        log.info("%s takes the place of %s", today.models.embedder, settings.models.embedder)
        over.set()
        return
