"""Whole pictures in Postgres."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from facewatch.domain.ids import AssetId, CameraId, OrgId, PersonId, to_prefixed
from facewatch.domain.library import (
    Asset,
    AssetFilter,
    AssetKind,
    Brought,
    IntakeState,
    LibraryFace,
    Portrait,
)
from facewatch.errors import InUse, NotFound
from facewatch.store import corrections
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import CHANGES, LAST, PostgresFaceEvents
from facewatch.store.faces import PostgresFaces, erase_enrolled
from facewatch.store.portraits import PostgresPortraits

_FIRST = UUID(int=0)
_EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
"""Before and after all that is: asyncpg spells these -infinity and infinity."""
_ZONES = timedelta(hours=16)
"""No clock on a wall is farther from UTC."""


class PostgresAssets:
    """`ports.library.Assets` in Postgres."""

    def __init__(self, database: Database, events: PostgresFaceEvents) -> None:
        self._database = database
        self._events = events
        self._faces = PostgresFaces(database, events)
        self._portraits = PostgresPortraits(database, events)

    async def get(self, org: OrgId, asset: AssetId) -> Asset:
        """
        Raises:
            NotFound: *org* has no such asset.
        """
        for found in await self.shown(org, [asset]):
            return found
        raise _absent(asset)

    async def page(
        self,
        org: OrgId,
        wanted: AssetFilter,
        limit: int,
        after: AssetId | None = None,
        *,
        newest: bool = True,
        ids: frozenset[AssetId] | None = None,
    ) -> list[Asset]:
        """As `ports.library.Assets.page` says."""
        statement = "asset_page" if newest else "asset_page_oldest"
        values = _conditions(wanted) | {"org": org}
        values |= await self._span(org, wanted, after, newest=newest)
        if ids is not None or wanted.people is not None:
            people = None if wanted.people is None else await self.meant(org, wanted.people)
            statement = "asset_page_of"
            values |= {
                "people": people,
                "ids": None if ids is None else sorted(ids),
                "newest": newest,
            }
        found: list[Asset] = []
        while missing := limit - len(found):
            rows = await self._database.fetch(statement, **values, limit=missing)
            # One that is deleted between the two statements leaves a gap, which is filled.
            found += await self.shown(org, [row["id"] for row in rows])
            if len(rows) < missing:
                break
            values |= await self._span(org, wanted, rows[-1]["id"], newest=newest)
        return found

    async def remove(self, org: OrgId, asset: AssetId) -> list[str]:
        """As `ports.library.Assets.remove` says."""
        keys: list[str] = []

        async def write(work: Work) -> None:
            keys[:] = await _remove(work, org, asset)
            await work.fetch("garbage_add", keys=keys, orgs=[org] * len(keys))
            await work.fetch("ring", channel=CHANGES, payload=str(org))

        await self._events.write({org}, write)
        return keys

    async def find(self, org: OrgId, wanted: AssetFilter, limit: int, offset: int) -> list[Asset]:
        """As `ports.library.Assets.find` says."""
        values: dict[str, Any] = {"org": org, "limit": limit, "offset": offset}
        values |= _conditions(wanted)
        if wanted.people is None:
            rows = await self._database.fetch("assets_found", **values)
        else:
            people = await self.meant(org, wanted.people)
            rows = await self._database.fetch("assets_found_of_people", **values, people=people)
        return await self.shown(org, [row["id"] for row in rows])

    async def _span(
        self, org: OrgId, wanted: AssetFilter, after: AssetId | None, *, newest: bool
    ) -> dict[str, Any]:
        """The places in the order of capture that a page lies between, both exclusive."""
        least = (_coarse(wanted.after, -_ZONES) or _EVER[0], _FIRST)
        most = (_coarse(wanted.before, _ZONES) or _EVER[1], LAST)
        if after is not None:
            row = await self._database.row("asset_captured", org=org, asset=after)
            place = (row["captured_at"], after) if row else _dated(after, newest=newest)
            least, most = (least, min(most, place)) if newest else (max(least, place), most)
        return {"from_at": least[0], "from_id": least[1], "to_at": most[0], "to_id": most[1]}

    async def meant(self, org: OrgId, people: Iterable[PersonId]) -> list[UUID]:
        """Whom these ids mean, each once.

        Raises:
            NotFound: *org* has nobody with one of them.
        """
        rows = await self._database.fetch("people_standing", org=org, persons=list(people))
        known = {row["asked"] for row in rows}
        for person in people:
            if person not in known:
                raise NotFound(f"there is no person {to_prefixed('person', person)}")
        return sorted({row["id"] for row in rows})

    async def shown(self, org: OrgId, assets: Sequence[UUID]) -> list[Asset]:
        """In this order; those that are gone are left out."""
        rows = await self._database.fetch("assets_shown", org=org, ids=list(assets))
        ids = [face for row in rows for face in row["faces"]]
        faces = {face.id: face for face in await self._faces.shown(org, ids)}
        people = sorted({face.person for face in faces.values() if face.person is not None})
        portraits = {it.id: it for it in await self._portraits.shown(org, people)}
        return [
            _asset(row, [face for id in row["faces"] if (face := faces.get(id))], portraits)
            for row in rows
        ]


async def _remove(work: Work, org: OrgId, asset: AssetId) -> list[str]:
    """Events are locked before assets, as where they are written."""
    await work.fetch("asset_events_lock", asset=asset, org=org)
    gone = await work.row("asset_lock", asset=asset, org=org)
    if gone is None:
        raise _absent(asset)
    # Again behind the lock, which may have waited for somebody who was writing another.
    events = await work.fetch("asset_events_lock", asset=asset, org=org)
    keys = {gone["key"], gone["still_key"]}
    if gone["brought"]:
        for event in events:
            await corrections.remove(work, org, event["id"])
    elif not all(event["closed"] for event in events):
        raise InUse("this is the picture of a visit that goes on", "try again when it is over")
    else:
        left = await work.fetch("asset_events_without", asset=asset, org=org)
        keys |= {event["frame_key"] for event in left}
        ids = sorted(event["id"] for event in left)
        await work.fetch("log_changes", org=org, kind="event", subjects=ids)
    for row in await work.fetch("asset_enrolled", asset=asset):
        keys |= {*await erase_enrolled(work, org, row["face"])}
    await work.fetch("asset_tombstones", asset=asset, org=org)
    await work.fetch("asset_erase", asset=asset)
    return sorted(key for key in keys if key)


def _absent(asset: AssetId) -> NotFound:
    return NotFound(f"there is no asset {to_prefixed('asset', asset)}", "check the id")


def _conditions(wanted: AssetFilter) -> dict[str, Any]:
    when = _moment("after", wanted.after) | _moment("before", wanted.before)
    return {**when, "is_clip": wanted.is_clip}


def _coarse(moment: datetime | None, by: timedelta) -> datetime | None:
    """A moment of the world that is surely not on the wrong side of *moment*."""
    if moment is None or (moment.tzinfo is not None and not _EVER[0] < moment < _EVER[1]):
        return None
    try:
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC) + by
    except OverflowError:
        return None


def _dated(asset: UUID, *, newest: bool) -> tuple[datetime, UUID]:
    """Where an asset stood that is gone: its id tells when it was captured, to the millisecond.

    What was captured in the same one is shown perhaps again, and never left out.
    """
    milliseconds = timedelta(milliseconds=asset.int >> 80)
    try:
        at = datetime.fromtimestamp(0, UTC) + milliseconds
        return (at + timedelta(milliseconds=1), _FIRST) if newest else (at, _FIRST)
    except OverflowError:
        return _EVER[1], LAST


def _moment(name: str, moment: datetime | None) -> dict[str, datetime | None]:
    """Of the world where it has an offset, else of a clock on a wall."""
    is_wall = moment is not None and moment.tzinfo is None
    return {name: None if is_wall else moment, f"{name}_wall": moment if is_wall else None}


def _brought(row: Row) -> Brought:
    return Brought(
        device=row["device"],
        device_asset=row["device_asset"],
        created_at=row["file_created_at"],
        modified_at=row["file_modified_at"],
        sha1=row["sha1"],
        state=IntakeState(row["state"]),
        percent=row["percent"],
        said=row["said"],
    )


def _asset(row: Row, faces: list[LibraryFace], portraits: dict[PersonId, Portrait]) -> Asset:
    people = dict.fromkeys(face.person for face in faces if face.person is not None)
    return Asset(
        id=AssetId(row["id"]),
        kind=AssetKind(row["kind"]),
        camera=row["camera"] and CameraId(row["camera"]),
        captured_at=row["captured_at"],
        time_zone=row["time_zone"],
        width=row["width"],
        height=row["height"],
        size_bytes=row["size_bytes"],
        sha256=row["sha256"],
        mime=row["mime"],
        file_name=row["file_name"],
        duration_ms=row["duration_ms"],
        key=row["key"],
        still_key=(row["still_key"] or "") if row["key"] else "",
        brought=_brought(row) if row["state"] else None,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        faces=tuple(faces),
        people=tuple(portraits[person] for person in people if person in portraits),
    )
