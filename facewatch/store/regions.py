"""What stands still at cameras, in Postgres."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.faces import Tiny
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, OrgId, RegionId, to_ruuid
from facewatch.errors import NotFound
from facewatch.store.database import Database

REGIONS = "suppressed_region"
"""NOTIFY channel that rings with a camera's id when an operator took regions of it out."""

_TINY_BYTES = 196 * 4


class PostgresRegions:
    """`ports.cameras.Regions` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> dict[CameraId, tuple[SuppressedRegion, ...]]:
        """Of every camera that has any."""
        found: dict[CameraId, list[SuppressedRegion]] = defaultdict(list)
        for row in await self._database.fetch("suppressed_regions"):
            region = SuppressedRegion(
                RegionId(row["id"]), Box(*row["box"]), row["since"], _pictures(row["pictures"])
            )
            found[CameraId(row["camera"])].append(region)
        return {camera: tuple(regions) for camera, regions in found.items()}

    async def keep(self, camera: CameraId, regions: Sequence[SuppressedRegion]) -> None:
        """These are all that *camera* has; one that was removed meanwhile is passed over."""
        async with self._database.transaction() as work:
            ids = [it.id for it in regions]
            await work.fetch("suppressed_regions_end", camera=camera, ids=ids)
            await work.fetch(
                "suppressed_regions_begin",
                camera=camera,
                ids=ids,
                boxes=[_spelled(it.box) for it in regions],
                since=[it.since for it in regions],
                pictures=[b"".join(tiny.tobytes() for tiny in it.pictures) for it in regions],
            )

    async def remove(self, org: OrgId, camera: CameraId, region: RegionId | None = None) -> int:
        """What is there makes events again: *region*, or all of the camera; how many these were.

        Raises:
            NotFound: the org's camera has no such region.
        """
        async with self._database.transaction() as work:
            gone = await work.fetch("suppressed_regions_remove", org=org, camera=camera, id=region)
            if region is not None and not gone:
                raise NotFound(
                    f"the camera suppresses no region {to_ruuid(region)}",
                    "its suppressed regions are shown with it",
                )
            await work.fetch("ring", channel=REGIONS, payload=str(camera))
        return len(gone)


def _spelled(box: Box) -> str:
    return f"{{{box.left},{box.top},{box.right},{box.bottom}}}"


def _pictures(kept: bytes) -> tuple[Tiny, ...]:
    tinies = np.frombuffer(kept, np.float32).reshape(-1, _TINY_BYTES // 4)
    return tuple(tinies)
