"""Photos that were sent are enrolled while the service runs."""

import asyncio
import contextlib
import logging
import socket
from datetime import timedelta

from facewatch.app.recognition import Recognition
from facewatch.app.stores import Stores
from facewatch.errors import StoreTrouble
from facewatch.people.upload import UploadEnroller
from facewatch.settings import Settings
from facewatch.store.uploads import UPLOADS

log = logging.getLogger(__name__)

_LANES = 3
"""While the engine looks at the photos of one, the others read and write theirs."""

_AGAIN_S = 10.0
_TROUBLE_S = 2.0
_EXPIRE_S = 600.0
_KEPT = timedelta(days=7)


async def enrol_uploads(settings: Settings, stores: Stores, recognition: Recognition) -> None:
    """Enrol what waits, and what comes, until cancelled.

    What a service of this home had in hand when it died is taken up at once, what another had
    within a minute.
    """
    enroller = UploadEnroller(
        stores.uploads,
        stores.people,
        stores.blobs,
        recognition.looker,
        recognition.likeness,
        worker=f"{socket.gethostname()}:{settings.home_path}",
    )
    bell = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_ring(stores, bell))
        group.create_task(_expire(stores))
        await _let_go(enroller)
        for _ in range(_LANES):
            group.create_task(_lane(enroller, bell))


async def _ring(stores: Stores, bell: asyncio.Event) -> None:
    async for _ in stores.database.listen(UPLOADS):
        bell.set()


async def _let_go(enroller: UploadEnroller) -> None:
    """Nobody else of this home is at work."""
    while True:
        try:
            return await enroller.uploads.let_go(enroller.worker)
        except StoreTrouble:
            await asyncio.sleep(_TROUBLE_S)


async def _lane(enroller: UploadEnroller, bell: asyncio.Event) -> None:
    said = False
    while True:
        bell.clear()
        try:
            taken = await enroller.step()
        except StoreTrouble as trouble:
            if not said:
                log.warning("photos that were sent wait: %s", trouble)
            said = True
            await asyncio.sleep(_TROUBLE_S)
            continue
        said = False
        if len(taken) == enroller.at_once:
            bell.set()  # there may be more, for the others as well
        if not taken:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):
                    await bell.wait()


async def _expire(stores: Stores) -> None:
    while True:
        with contextlib.suppress(StoreTrouble):
            await stores.uploads.expire(_KEPT)
        await asyncio.sleep(_EXPIRE_S)
