"""/api/v1/locations: where cameras hang; a sub-location has a parent."""

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import LEFT, Id, Name, Page, PageIn, Shape, Thing
from facewatch.domain.audit import Action
from facewatch.domain.cameras import Location
from facewatch.domain.ids import LocationId, new_id
from facewatch.errors import InvalidRequest
from facewatch.ports.access import ApiKey
from facewatch.ports.cameras import LocationChanges


class LocationIn(Shape):
    location: Id


class LocationMadeIn(Shape):
    """A new location, or with *parent* a sub-location.

    Attributes:
        time_zone: IANA, such as Europe/Berlin; UTC where it is not given. A sub-location has
            that of its location.
    """

    name: Name
    parent: Id | None = None
    time_zone: str | None = None


class LocationChangesIn(Shape):
    """A field that is not there is left alone; a *parent* lies in the same location."""

    location: Id
    name: Name = LEFT
    parent: Id = LEFT
    time_zone: str = LEFT


class LocationOut(Thing):
    """A location or sub-location.

    Attributes:
        parent: The next outer one; null for a location.
        location: The location that it lies in; its own id where it is one.
    """

    name: str
    parent: Id | None
    location: Id
    time_zone: str

    @classmethod
    def of(cls, it: Location) -> "LocationOut":
        return cls(
            id=it.id, name=it.name, parent=it.parent, location=it.outermost, time_zone=it.time_zone
        )


async def list_locations(deps: Deps, caller: ApiKey, asked: PageIn) -> Page[LocationOut]:
    """Locations and sub-locations, the oldest first."""
    after = LocationId(asked.cursor) if asked.cursor else None
    found = await deps.locations.page(caller.org, asked.limit + 1, after)
    return Page[LocationOut].of([LocationOut.of(it) for it in found], asked.limit)


async def get_location(deps: Deps, caller: ApiKey, asked: LocationIn) -> LocationOut:
    """One location or sub-location."""
    return LocationOut.of(await deps.locations.get(caller.org, LocationId(asked.location)))


async def add_location(deps: Deps, caller: ApiKey, asked: LocationMadeIn) -> LocationOut:
    """One more; a sub-location at most eight levels deep."""
    made = LocationId(new_id())
    if asked.parent is not None and asked.time_zone is not None:
        raise InvalidRequest(
            "time_zone: a sub-location has that of its location", "leave it out, or the parent"
        )
    await deps.locations.add(
        Location(
            id=made,
            org=caller.org,
            name=asked.name,
            time_zone="UTC" if asked.time_zone is None else asked.time_zone,
            outermost=made,
            parent=LocationId(asked.parent) if asked.parent else None,
        )
    )
    return await get_location(deps, caller, LocationIn(location=made))


async def change_location(deps: Deps, caller: ApiKey, asked: LocationChangesIn) -> LocationOut:
    """Another name, time zone or parent; past events keep the place that they were seen in."""
    changes = LocationChanges()
    if "name" in asked.model_fields_set:
        changes["name"] = asked.name
    if "time_zone" in asked.model_fields_set:
        changes["time_zone"] = asked.time_zone
    if "parent" in asked.model_fields_set:
        changes["parent"] = LocationId(asked.parent)
    changed = await deps.locations.change(caller.org, LocationId(asked.location), changes)
    return LocationOut.of(changed)


async def remove_location(deps: Deps, caller: ApiKey, asked: LocationIn) -> None:
    """Not while cameras hang there, it has sub-locations, or the org has no other."""
    await deps.locations.remove(caller.org, LocationId(asked.location))


_BASE = "/api/v1/locations"
_ONE = f"{_BASE}/{{location}}"

ROUTES = [
    resource("GET", _BASE, list_locations, action=None),
    resource("POST", _BASE, add_location, Role.ADMIN, 201, action=Action.LOCATION_CREATED),
    resource("GET", _ONE, get_location, action=None),
    resource("PATCH", _ONE, change_location, Role.ADMIN, action=Action.LOCATION_UPDATED),
    resource("DELETE", _ONE, remove_location, Role.ADMIN, action=Action.LOCATION_DELETED),
]
