"""facewatch key create | list | revoke"""

import click

from facewatch.app.stores import open_stores
from facewatch.cli.options import as_json, command
from facewatch.cli.output import note, say, table
from facewatch.domain.ids import from_ruuid, to_ruuid
from facewatch.errors import InvalidRequest
from facewatch.settings import Settings


@click.group()
def key() -> None:
    """API keys: made, listed, revoked."""


@key.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(["viewer", "operator", "admin"]),
    default="operator",
    show_default=True,
)
@as_json
@command
async def create(settings: Settings, name: str, role: str, as_json: bool) -> None:
    """Make a key called NAME; its secret is shown this once."""
    async with open_stores(settings) as stores:
        made, secret = await stores.keys.create(stores.org, name, role)
    if as_json:
        say({"id": to_ruuid(made.id), "name": name, "role": role, "key": secret})
    else:
        note("keep this: it is not shown again")
        click.echo(secret)


@key.command("list")
@as_json
@command
async def list_(settings: Settings, as_json: bool) -> None:
    """Show the keys, never their secrets."""
    async with open_stores(settings) as stores:
        keys = await stores.keys.all(stores.org)
    rows = [
        {
            "id": to_ruuid(it.id),
            "name": it.name,
            "role": it.role,
            "created": it.created_at.isoformat(timespec="seconds"),
            "expires": it.expires_at and it.expires_at.isoformat(timespec="seconds"),
            "revoked": it.revoked_at and it.revoked_at.isoformat(timespec="seconds"),
        }
        for it in keys
    ]
    if as_json:
        for row in rows:
            say(row)
    else:
        table(
            ["id", "name", "role", "created", "expires", "revoked"],
            [list(it.values()) for it in rows],
        )


@key.command()
@click.argument("key_id")
@as_json
@command
async def revoke(settings: Settings, key_id: str, as_json: bool) -> None:
    """Revoke the key with this id (see `key list`), at once."""
    try:
        wanted = from_ruuid(key_id)
    except ValueError as error:
        raise InvalidRequest(f"{key_id}: {error}", "take an id from `facewatch key list`") from None
    async with open_stores(settings) as stores:
        await stores.keys.revoke(stores.org, wanted)
    if as_json:
        say({"revoked": key_id})
    else:
        note(f"revoked {key_id}")
