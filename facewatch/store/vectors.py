"""What pictures look like, in Postgres."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import AssetId, OrgId
from facewatch.domain.library import Asset, AssetFilter, AssetKind, Described, Unseen
from facewatch.store.assets import PostgresAssets
from facewatch.store.database import Database, Row
from facewatch.store.events import spelled

_TAKEN_S = 20.0
_LINED_UP = 20_000
_EASTERNMOST, _WESTERNMOST = timedelta(hours=14), timedelta(hours=12)
"""How far a clock on a wall may be before and behind UTC."""
_EVER = ("-infinity", "infinity")


class PostgresPictureVectors:
    """`ports.library.PictureVectors` in Postgres (docs/decisions/0085).

    Where there are *few*, or *some* in a window of time, all of them are compared. Elsewhere an
    index gives the nearest, up to *deepest* of them; whatever lies behind is compared one by one.
    """

    def __init__(
        self,
        database: Database,
        assets: PostgresAssets,
        *,
        few: int = 10_000,
        some: int = 40_000,
        deepest: int = 2_000,
    ) -> None:
        self._database = database
        self._assets = assets
        self._few = few
        self._some = some
        self._deepest = deepest

    async def want(self, name: str, digest: str, dimensions: int) -> int:
        row = await self._database.row(
            "pictures_want", name=name, digest=digest, dimensions=dimensions
        )
        assert row is not None
        model: int = row["id"]
        return model

    async def want_none(self) -> None:
        await self._database.fetch("pictures_want", name=None, digest=None, dimensions=None)

    async def line_up(self, model: int) -> None:
        after = UUID(int=0)
        while True:
            row = await self._database.row(
                "pictures_missing", model=model, after=after, limit=_LINED_UP
            )
            if row is None:
                return
            after = row["id"]

    async def take(self, model: int, limit: int) -> list[Unseen]:
        rows = await self._database.fetch(
            "pictures_take", model=model, limit=limit, seconds=_TAKEN_S
        )
        return [
            Unseen(AssetId(row["asset"]), row["kind"] and AssetKind(row["kind"]), row["key"])
            for row in rows
        ]

    async def keep(
        self, model: int, asset: AssetId, vectors: Sequence[tuple[int, NDArray[np.float32]]]
    ) -> None:
        async with self._database.transaction() as work:
            if vectors:
                await work.fetch(
                    "pictures_keep",
                    model=model,
                    asset=asset,
                    at_ms=[at_ms for at_ms, _ in vectors],
                    embeddings=[spelled(vector) for _, vector in vectors],
                )
            await work.fetch("pictures_done", model=model, asset=asset)

    async def waiting(self, model: int) -> int:
        row = await self._database.row("pictures_waiting", model=model)
        assert row is not None
        pictures: int = row["pictures"]
        return pictures

    async def near(
        self, org: OrgId, like: Described, wanted: AssetFilter, limit: int, offset: int
    ) -> list[tuple[Asset, float]]:
        """As `ports.library.PictureVectors.near` says."""
        values: dict[str, Any] = {
            "org": org,
            "model": like.model,
            **_window(wanted),
            "people": None,
        }
        if wanted.people is not None:
            values["people"] = await self._assets.meant(org, wanted.people)
        probe = {"probe": spelled(like.vector)}
        exactly = await self._exactly(values)
        if exactly is not None:
            bounds = {"farthest": like.farthest, "limit": limit, "offset": offset, "but": []}
            async with self._database.transaction() as work:
                await work.fetch("pictures_exactly_settings")
                rows = await work.fetch(exactly, **values, **probe, **bounds)
            return await self._shown(org, _told(rows))
        near = await self._stream(values | probe, like.farthest, limit + offset)
        page = near[offset : offset + limit]
        if missing := limit - len(page):
            rows = await self._database.fetch(
                "pictures_exactly",
                **values,
                **probe,
                farthest=like.farthest,
                limit=missing,
                offset=max(0, offset - len(near)),
                but=[asset for asset, _ in near],
            )
            page = sorted([*page, *_told(rows)], key=lambda it: it[1])
        return await self._shown(org, page)

    async def _exactly(self, values: dict[str, Any]) -> str | None:
        """The statement that compares all that the filters leave; None where these are many."""
        window = {name: values[name] for name in ("model", "org", "after", "before")}
        bounded = (values["after"], values["before"]) != _EVER
        few = self._some if bounded else self._few
        counted = await self._database.row("pictures_in_time", **window, most=few + 1)
        if counted and counted["pictures"] <= few:
            return "pictures_exactly"
        if values["people"]:
            counted = await self._database.row(
                "pictures_of_rarest", people=values["people"], most=self._few + 1
            )
            if counted and counted["pictures"] <= self._few:
                return "pictures_exactly_of_people"
        return None

    async def _stream(
        self, values: dict[str, Any], farthest: float, wanted: int
    ) -> list[tuple[UUID, float]]:
        """The nearest assets that the index leads to: of one order, whatever is *wanted* of it."""
        wanted = min(wanted, self._deepest)
        most = wanted
        async with self._database.transaction() as work:
            await work.fetch("pictures_near_settings")
            while True:
                rows = await work.fetch("pictures_near", **values, most=most)
                nearest: dict[UUID, float] = {}
                for row in rows:  # of a clip's frames the nearest comes first
                    if row["distance"] <= farthest:
                        nearest.setdefault(row["asset"], row["distance"])
                too_far = bool(rows) and rows[-1]["distance"] > farthest
                if len(nearest) >= wanted or len(rows) < most or too_far:
                    return list(nearest.items())[: self._deepest]
                most *= 2

    async def _shown(
        self, org: OrgId, found: Sequence[tuple[UUID, float]]
    ) -> list[tuple[Asset, float]]:
        distances = dict(found)
        assets = await self._assets.shown(org, list(distances))
        return [(asset, distances[asset.id]) for asset in assets]


def _told(rows: Sequence[Row]) -> list[tuple[UUID, float]]:
    return [(row["asset"], row["distance"]) for row in rows]


def _window(wanted: AssetFilter) -> dict[str, str]:
    """Bounds of moments and of walls, as Postgres spells them; there are always all four.

    A wall says roughly which moment it is, and moments have an index.
    """
    after, after_wall = _split(wanted.after)
    before, before_wall = _split(wanted.before)
    if after_wall is not None:
        after = _shifted(after_wall, -_EASTERNMOST)
    if before_wall is not None:
        before = _shifted(before_wall, _WESTERNMOST)
    return {
        "after": _spelled(after, _EVER[0]),
        "before": _spelled(before, _EVER[1]),
        "after_wall": _spelled(after_wall, _EVER[0]),
        "before_wall": _spelled(before_wall, _EVER[1]),
    }


def _split(moment: datetime | None) -> tuple[datetime | None, datetime | None]:
    if moment is None or moment.tzinfo:
        return moment, None
    return None, moment


def _shifted(wall: datetime, by: timedelta) -> datetime | None:
    """None beyond the calendar's ends: there it bounds nothing."""
    try:
        return (wall + by).replace(tzinfo=UTC)
    except OverflowError:
        return None


def _spelled(moment: datetime | None, never: str) -> str:
    return never if moment is None else moment.isoformat()
