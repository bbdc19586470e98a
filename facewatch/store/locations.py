"""Locations and their sub-locations in Postgres."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import asyncpg

from facewatch.domain.cameras import DEEPEST, Location, known_time_zone
from facewatch.domain.ids import LocationId, OrgId, to_ruuid
from facewatch.errors import AlreadyExists, InUse, InvalidRequest, NotFound
from facewatch.ports.cameras import LocationChanges
from facewatch.store.database import Database, Row, Work


class PostgresLocations:
    """`ports.cameras.Locations` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, org: OrgId, limit: int, after: LocationId | None = None) -> list[Location]:
        """Locations and sub-locations, the oldest first, from just behind *after*."""
        rows = await self._database.fetch("locations", org=org, after=after, limit=limit)
        return [_location(row) for row in rows]

    async def get(self, org: OrgId, location: LocationId) -> Location:
        """
        Raises:
            NotFound: *org* has no such location or sub-location.
        """
        return _found(await self._database.row("location_get", org=org, id=location), location)

    async def first(self, org: OrgId) -> LocationId:
        """The oldest: where a camera hangs of which nobody says where."""
        row = await self._database.row("location_first", org=org)
        if row is None:
            raise NotFound(f"there is no org {org}")
        return LocationId(row["id"])

    async def add(self, location: Location) -> None:
        """
        Raises:
            AlreadyExists: there is one of this name beside it.
            InvalidRequest: no such time zone, or the sub-locations would be too deep.
            NotFound: *org* has no such parent.
        """
        _check_zone(location.time_zone)
        async with self._changing(location.org, location.name) as work:
            if location.parent is not None:
                await _parent(work, location.org, location.parent)
                await _check_depth(work, location.parent, 1)
            await work.fetch(
                "location_add",
                id=location.id,
                org=location.org,
                parent=location.parent,
                name=location.name,
                time_zone=location.time_zone,
            )

    async def change(self, org: OrgId, location: LocationId, changes: LocationChanges) -> Location:
        """As it is then. Past events keep the place that they were seen in.

        Raises:
            AlreadyExists: there is one of this name beside it.
            InvalidRequest: it cannot be moved there, or there is no such time zone.
            NotFound: *org* has no such location, or no such parent.
        """
        async with self._changing(org, changes.get("name", "")) as work:
            was = _found(await work.row("location_get", org=org, id=location), location)
            now = replace(was, **changes)
            if now.time_zone != was.time_zone:
                _check_zone(now.time_zone)
                if now.parent is not None:
                    raise InvalidRequest(
                        "a sub-location has the time zone of its location",
                        f"change that of the location {to_ruuid(was.outermost)}",
                    )
            if now.parent != was.parent:
                await _check_move(work, was, now.parent)
            await work.fetch(
                "location_change",
                id=location,
                parent=now.parent,
                name=now.name,
                time_zone=now.time_zone,
            )
        return now

    async def remove(self, org: OrgId, location: LocationId) -> None:
        """It can be chosen no more; events that were seen there keep its id.

        Raises:
            InUse: cameras hang there, it has sub-locations, or the org has no other.
            NotFound: *org* has no such location.
        """
        async with self._changing(org, "") as work:
            row = await work.row("location_remove", org=org, id=location)
            if row is None:
                raise _absent(location)
            use = await work.row("location_use", org=org, id=location)
            assert use is not None
            if use["cameras"]:
                raise InUse(f"{use['cameras']} cameras hang there", "move or remove them first")
            if use["sub_locations"]:
                raise InUse(
                    f"there are {use['sub_locations']} sub-locations in it", "remove them first"
                )
            if row["parent"] is None and not use["others"]:
                raise InUse("it is the only location of this org", "add another one first")

    @asynccontextmanager
    async def _changing(self, org: OrgId, name: str) -> AsyncIterator[Work]:
        """One change of the org's tree at a time."""
        try:
            async with self._database.transaction() as work:
                await work.fetch("location_tree_lock", org=org)
                yield work
        except asyncpg.UniqueViolationError as error:
            raise AlreadyExists(
                f"there is a location {name!r} beside it already", "choose another name"
            ) from error


async def _check_move(work: Work, was: Location, parent: LocationId | None) -> None:
    if was.parent is None or parent is None:
        raise InvalidRequest(
            "a location stays a location and a sub-location stays one",
            "add another, and hang the cameras there",
        )
    beneath = await _parent(work, was.org, parent)
    if beneath.outermost != was.outermost:
        raise InvalidRequest(
            "the parent lies in another location", "choose one in the same location"
        )
    path = {row["id"] for row in await work.fetch("location_path", id=parent)}
    if was.id in path:
        raise InvalidRequest("a sub-location cannot lie in itself", "choose another parent")
    height = await work.row("location_height", id=was.id)
    assert height is not None
    await _check_depth(work, parent, 1 + height["height"])


async def _parent(work: Work, org: OrgId, parent: LocationId) -> Location:
    return _found(await work.row("location_get", org=org, id=parent), parent)


async def _check_depth(work: Work, parent: LocationId, levels: int) -> None:
    above = await work.fetch("location_path", id=parent)
    if len(above) + levels > DEEPEST:
        raise InvalidRequest(
            f"sub-locations go {DEEPEST} levels deep at most", "choose a parent further out"
        )


def _check_zone(name: str) -> None:
    if not known_time_zone(name):
        raise InvalidRequest(
            f"there is no time zone {name!r}", "take an IANA name such as Europe/Berlin"
        )


def _found(row: Row | None, location: LocationId) -> Location:
    if row is None:
        raise _absent(location)
    return _location(row)


def _absent(location: LocationId) -> NotFound:
    return NotFound(f"there is no location {to_ruuid(location)}")


def _location(row: Row) -> Location:
    return Location(
        id=LocationId(row["id"]),
        org=OrgId(row["org"]),
        name=row["name"],
        time_zone=row["time_zone"],
        outermost=LocationId(row["outermost"]),
        parent=LocationId(row["parent"]) if row["parent"] else None,
    )
