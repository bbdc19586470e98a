"""facewatch location add | list | remove"""

import click

from facewatch.app.stores import open_stores
from facewatch.cli.named import MOST, location_of, of_org, org_of
from facewatch.cli.options import as_json, command
from facewatch.cli.output import note, say, table
from facewatch.domain.cameras import Location
from facewatch.domain.ids import LocationId, new_id, to_ruuid
from facewatch.errors import InvalidRequest
from facewatch.people.words import as_kept
from facewatch.settings import Settings


@click.group()
def location() -> None:
    """Locations and their sub-locations: where cameras hang, and in which time zone."""


@location.command()
@click.argument("name")
@click.option("--in", "parent", help="The location or sub-location that it lies in.")
@click.option("--time-zone", help="IANA, such as Europe/Berlin; UTC by default.")
@of_org
@as_json
@command
async def add(
    settings: Settings,
    name: str,
    parent: str | None,
    time_zone: str | None,
    org: str | None,
    as_json: bool,
) -> None:
    """Make a location called NAME, or with --in a sub-location."""
    if parent and time_zone:
        raise InvalidRequest("a sub-location has the time zone of its location", "leave one out")
    made = LocationId(new_id())
    async with open_stores(settings) as stores:
        whose = await org_of(stores, org)
        within = (await location_of(stores, whose, parent)).id if parent else None
        kept = as_kept(name, "a location's name")
        await stores.locations.add(Location(made, whose, kept, time_zone or "UTC", made, within))
    if as_json:
        say({"id": to_ruuid(made), "name": kept})
    else:
        note(f"added {kept!r}: {to_ruuid(made)}")


@location.command("list")
@of_org
@as_json
@command
async def list_(settings: Settings, org: str | None, as_json: bool) -> None:
    """Show where cameras can hang."""
    async with open_stores(settings) as stores:
        found = await stores.locations.page(await org_of(stores, org), MOST)
    names = {it.id: it.name for it in found}
    rows = [
        {
            "id": to_ruuid(it.id),
            "name": it.name,
            "in": names[it.parent] if it.parent else None,
            "time_zone": it.time_zone,
        }
        for it in found
    ]
    if as_json:
        for row in rows:
            say(row)
    else:
        table(["id", "name", "in", "time zone"], [list(row.values()) for row in rows])


@location.command()
@click.argument("name")
@of_org
@as_json
@command
async def remove(settings: Settings, name: str, org: str | None, as_json: bool) -> None:
    """Remove NAME (or an id); not while cameras hang there."""
    async with open_stores(settings) as stores:
        whose = await org_of(stores, org)
        await stores.locations.remove(whose, (await location_of(stores, whose, name)).id)
    if as_json:
        say({"removed": name})
    else:
        note(f"removed {name!r}")
