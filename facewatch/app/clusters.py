"""Unknown visitors become persons without a name, off the way of the cameras."""

import asyncio
import contextlib
import logging

from facewatch.app.recognition import Recognition
from facewatch.app.stores import Stores
from facewatch.domain.clusters import Sureness
from facewatch.errors import StoreTrouble
from facewatch.ports.library import Clusters
from facewatch.store.clusters import PostgresClusters
from facewatch.store.events import CHANGES

log = logging.getLogger(__name__)

_AGAIN_S = 10.0
_TROUBLE_S = 2.0


def clusters_of(stores: Stores, recognition: Recognition) -> Clusters:
    """With the embedder in force."""
    engine = recognition.engine
    return PostgresClusters(stores.database, Sureness(engine.calibration), engine.model)


async def cluster_unknown(stores: Stores, recognition: Recognition) -> None:
    """Compare what waits, and what comes, one visit at a time, until cancelled.

    What waits stands in the table: a process that dies leaves it to the next.
    """
    bell = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(_ring(stores, bell))
        clusters, said = clusters_of(stores, recognition), False
        while True:
            bell.clear()
            try:
                while await clusters.step():
                    pass
            except StoreTrouble as trouble:
                if not said:
                    log.warning("unknown visitors are compared later: %s", trouble)
                said = True
                await asyncio.sleep(_TROUBLE_S)
                continue
            said = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN_S):  # another process may have died at it
                    await bell.wait()


async def _ring(stores: Stores, bell: asyncio.Event) -> None:
    async for _ in stores.database.listen(CHANGES):
        bell.set()
