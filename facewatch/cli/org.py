"""facewatch org create | list"""

import click

from facewatch.app.stores import open_stores
from facewatch.cli.named import MOST
from facewatch.cli.options import as_json, command
from facewatch.cli.output import note, say, table
from facewatch.domain.ids import to_ruuid
from facewatch.people.words import as_kept
from facewatch.settings import Settings


@click.group()
def org() -> None:
    """Orgs: whose cameras, people and keys these are. Nothing crosses from one to another."""


@org.command()
@click.argument("name")
@as_json
@command
async def create(settings: Settings, name: str, as_json: bool) -> None:
    """Make an org called NAME; the secret of its first admin's key is shown this once."""
    async with open_stores(settings) as stores:
        made, key, secret = await stores.orgs.create(as_kept(name, "an org's name"))
    if as_json:
        said = {"id": to_ruuid(made.id), "name": made.name}
        say({**said, "key_id": to_ruuid(key.id), "key": secret})
    else:
        note(f"made {made.name!r}: {to_ruuid(made.id)}; keep this: it is not shown again")
        click.echo(secret)


@org.command("list")
@as_json
@command
async def list_(settings: Settings, as_json: bool) -> None:
    """Show the orgs; the first one's admins look after the others."""
    async with open_stores(settings) as stores:
        orgs = await stores.orgs.page(MOST)
    if as_json:
        for it in orgs:
            say({"id": to_ruuid(it.id), "name": it.name, "created": it.created_at.isoformat()})
    else:
        rows = [[it.name, to_ruuid(it.id), f"{it.created_at:%Y-%m-%d}"] for it in orgs]
        table(["name", "id", "created"], rows)
