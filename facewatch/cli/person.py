"""facewatch person enrol | list | merge | forget"""

from collections import Counter
from pathlib import Path

import click

from facewatch.app.recognition import enroller_of, kept_galleries, open_recognition
from facewatch.app.stores import open_stores
from facewatch.cli.options import as_json, command
from facewatch.cli.output import note, progress, say, table
from facewatch.domain.ids import to_ruuid
from facewatch.people.folder import Outcome, enrol_folder, photos_in
from facewatch.people.gallery import Remains
from facewatch.settings import Settings


@click.group()
def person() -> None:
    """People: enrolled from photos, listed, merged, forgotten."""


@person.command()
@click.argument("directory", type=click.Path(path_type=Path))
@as_json
@command
async def enrol(settings: Settings, directory: Path, as_json: bool) -> None:
    """Enrol from DIRECTORY: a folder per person, or image files named for the person.

    Exits with status 1 when no photo could be used.
    """
    total = len(photos_in(directory))
    counts: Counter[Outcome] = Counter()
    async with (
        open_stores(settings) as stores,
        open_recognition(settings, stores) as recognition,
    ):
        enroller = enroller_of(stores, recognition)
        with progress(total) as bar:
            async for it in enrol_folder(directory, stores.org, enroller):
                counts[it.outcome] += 1
                bar.at(counts.total(), it.person)
                if as_json:
                    say(
                        {
                            "person": it.person,
                            "photo": str(it.photo),
                            "outcome": it.outcome.value,
                            "why": it.why,
                            "warning": it.warning,
                        }
                    )
                elif it.why:
                    note(f"refused {it.photo}: {it.why}")
                elif it.warning:
                    note(f"look at {it.photo}: {it.warning}")
    note(", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome))
    if counts[Outcome.REFUSED] == total:
        raise SystemExit(1)


@person.command("list")
@as_json
@command
async def list_(settings: Settings, as_json: bool) -> None:
    """Show who is enrolled."""
    async with open_stores(settings) as stores:
        people = await stores.people.all(stores.org)
    if as_json:
        for it in people:
            say({"id": to_ruuid(it.id), "name": it.name, "photos": it.matchmakers})
    else:
        table(
            ["name", "photos", "id"], [[it.name, it.matchmakers, to_ruuid(it.id)] for it in people]
        )


@person.command()
@click.argument("name")
@click.argument("others", nargs=-1, required=True)
@as_json
@command
async def merge(settings: Settings, name: str, others: tuple[str, ...], as_json: bool) -> None:
    """OTHERS are NAME: their photos, events and labels go over; their ids mean NAME."""
    async with open_stores(settings) as stores:
        into, *absorbed = [(await stores.people.named(stores.org, it)).id for it in (name, *others)]
        merged = await stores.register.merge(stores.org, into, absorbed)
        shown = await stores.register.get(stores.org, merged)
    if as_json:
        say({"id": to_ruuid(shown.id), "name": shown.name, "photos": shown.matchmakers})
    else:
        note(f"{name!r} has {shown.matchmakers} photos now")


@person.command()
@click.argument("name")
@as_json
@command
async def forget(settings: Settings, name: str, as_json: bool) -> None:
    """Erase NAME: person, photos and templates; their past events stay, without a name."""
    async with open_stores(settings) as stores:
        found = await stores.people.named(stores.org, name)
        keys = await stores.people.forget(stores.org, found.id)
        await stores.blobs.delete(keys)
        await Remains(stores.people, kept_galleries(settings)).erase(stores.org)
    if as_json:
        say({"forgotten": name, "pictures_erased": len(keys)})
    else:
        note(f"forgot {name!r}: {len(keys)} pictures erased")
