"""facewatch event list"""

import click

from facewatch.app.stores import open_stores
from facewatch.cli.options import as_json, command
from facewatch.cli.output import say, table
from facewatch.domain.ids import to_ruuid
from facewatch.settings import Settings


@click.group()
def event() -> None:
    """Face events: the newest ones, listed."""


@event.command("list")
@click.option("--camera", help="Of this camera only.")
@click.option("--person", help="Of this person only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_json
@command
async def list_(
    settings: Settings, camera: str | None, person: str | None, limit: int, as_json: bool
) -> None:
    """Show the newest events; their ids are what getFaceEvent takes."""
    async with open_stores(settings) as stores:
        org = stores.org
        of = (await stores.cameras.by_name(org, camera)).id if camera else None
        who = (await stores.people.named(org, person)).id if person else None
        events = await stores.events.page(org, limit, camera=of, person=who)
        names = {it.id: it.name for it in await stores.cameras.all(org)}
    rows = [
        {
            "event": to_ruuid(it.id),
            "camera": names.get(it.camera, "removed"),
            "first_seen": it.first_seen.isoformat(timespec="seconds"),
            "seconds": round((it.last_seen - it.first_seen).total_seconds(), 1),
            "person": it.person_name,
            "confidence": round(it.selected.candidate.confidence, 2) if it.selected else None,
            "closed": it.closed,
        }
        for it in events
    ]
    if as_json:
        for row in rows:
            say(row)
    else:
        table(
            ["event", "camera", "first seen", "s", "who", "confidence", ""],
            [
                [
                    it["event"],
                    it["camera"],
                    it["first_seen"],
                    it["seconds"],
                    it["person"] or "unknown",
                    it["confidence"],
                    "" if it["closed"] else "goes on",
                ]
                for it in rows
            ],
        )
