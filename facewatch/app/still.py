"""What stands still at the cameras, kept over restarts, and watched again when told so."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor

from facewatch.app.stores import Stores
from facewatch.app.waiting import until_answered
from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.ids import CameraId
from facewatch.pipeline.recognise import Recogniser
from facewatch.ports.cameras import Regions
from facewatch.store.database import Database
from facewatch.store.regions import REGIONS

Known = Mapping[CameraId, tuple[SuppressedRegion, ...]]


async def known_regions(stores: Stores, after_s: float) -> Known:
    """What was suppressed before; nothing, from now on, where nothing is to be (*after_s* 0)."""
    known = await stores.regions.all()
    if after_s:
        return known
    for camera in known:
        await stores.regions.keep(camera, ())
    return {}


class StillRegions:
    """Carries regions from the recogniser to the table, and what operators take out back.

    *known* is in both; *thread* is the engine's.
    """

    def __init__(
        self,
        database: Database,
        regions: Regions,
        recogniser: Recogniser,
        thread: Executor,
        known: Known,
    ) -> None:
        self._database = database
        self._regions = regions
        self._recogniser = recogniser
        self._thread = thread
        self._kept = dict(known)
        self._turn = asyncio.Lock()

    async def keep(self) -> None:
        """Write what began or ended to stand still since this was asked last.

        Raises:
            DatabaseUnavailable: it is tried again by the next call.
        """
        async with self._turn:
            for camera, regions in self._recogniser.suppressed.items():
                if regions != self._kept.get(camera, ()):
                    await self._regions.keep(camera, regions)
                    self._kept[camera] = regions

    async def heed(self) -> None:
        """Follow again what is taken out of the table; runs until it is cancelled."""
        async for _ in self._database.listen(REGIONS):
            await until_answered(self._take_out)

    async def _take_out(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._turn:
            there = await self._regions.all()
            for camera, regions in self._kept.items():
                gone = {it.id for it in regions} - {it.id for it in there.get(camera, ())}
                if gone:
                    await loop.run_in_executor(
                        self._thread, self._recogniser.watch_again, camera, gone
                    )
                    self._kept[camera] = tuple(it for it in regions if it.id not in gone)
