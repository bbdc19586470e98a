"""The embedder in force: what works with it, and how another takes its place."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from facewatch.app import switched
from facewatch.app.clusters import cluster_unknown
from facewatch.app.intake import look_at_brought
from facewatch.app.recognition import Recognition, another_recognition
from facewatch.app.stores import Stores
from facewatch.app.switch import catch_up
from facewatch.app.uploads import enrol_uploads
from facewatch.app.waiting import until_answered
from facewatch.domain.ids import to_ruuid
from facewatch.errors import FacewatchError
from facewatch.people.gallery import org_of_ring
from facewatch.settings import Settings
from facewatch.store.past import MODELS
from facewatch.store.people import GALLERY

log = logging.getLogger(__name__)

_GALLERIES_S = 2.0

Exchange = Callable[[Settings, Recognition], Awaitable[None]]


async def follow_model(
    settings: Settings, stores: Stores, recognition: Recognition, exchange: Exchange
) -> None:
    """Keep up what one embedder works with; when another is put in force, what that one does.

    *exchange* is given the other, warm and with its gallery; when it returns nothing uses the one
    before but requests that had begun. Runs until it is cancelled.
    """
    while True:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_follow_galleries(stores, recognition)),
                group.create_task(_keep_galleries(recognition)),
                group.create_task(enrol_uploads(settings, stores, recognition)),
                group.create_task(look_at_brought(settings, stores, recognition)),
                group.create_task(catch_up(settings, stores, recognition)),
                group.create_task(cluster_unknown(stores, recognition)),
            ]
            settings, recognition = await _another(settings, stores, recognition)
            await exchange(settings, recognition)
            for task in tasks:
                task.cancel()


async def _another(
    settings: Settings, stores: Stores, recognition: Recognition
) -> tuple[Settings, Recognition]:
    """Once another embedder is in force, and was seen to work here."""
    now = recognition.engine.model
    async for _ in stores.database.listen(MODELS):
        try:
            today = switched.applied(settings)
            if today.models.embedder == now:
                continue
            fresh = await another_recognition(today, stores, recognition)
        except FacewatchError as trouble:
            log.error("%s stays in force: %s", now, trouble)
            continue
        log.info("%s takes the place of %s", fresh.engine.model, now)
        return today, fresh
    raise RuntimeError("a database is listened to for ever")


async def _follow_galleries(stores: Stores, recognition: Recognition) -> None:
    """Put each new revision of a gallery, and threshold, in force as soon as it is told."""
    async for ring in stores.database.listen(GALLERY):
        told = partial(recognition.galleries.catch_up, org_of_ring(ring))
        for changed in await until_answered(told):
            people = recognition.gallery.people(changed)
            log.info("org %s: %d enrolled people are in force", to_ruuid(changed), people)


async def _keep_galleries(recognition: Recognition) -> None:
    """Write them into the home when they have changed much: the next start reads them there."""
    while True:
        await until_answered(recognition.galleries.keep_outgrown)
        await asyncio.sleep(_GALLERIES_S)
