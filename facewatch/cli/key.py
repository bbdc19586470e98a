"""facewatch key create | list | revoke"""

from datetime import UTC, datetime

import click

from facewatch.app.stores import open_stores
from facewatch.cli.named import of_org, org_of
from facewatch.cli.options import Instant, as_json, command
from facewatch.cli.output import note, say, table
from facewatch.domain.ids import from_ruuid, to_ruuid
from facewatch.errors import InvalidRequest
from facewatch.ports.access import ApiKey
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
    help="viewer: look; operator: enrol, name and correct too; admin: keys, settings, audit too.",
)
@click.option("--expires", type=Instant(), help="When it stops working; without this, never.")
@of_org
@as_json
@command
async def create(
    settings: Settings,
    name: str,
    role: str,
    expires: datetime | None,
    org: str | None,
    as_json: bool,
) -> None:
    """Make a key called NAME; its secret is shown this once."""
    if expires and expires <= datetime.now(UTC):
        raise InvalidRequest(f"{expires.isoformat()} is over", "give --expires a time to come")
    async with open_stores(settings) as stores:
        made, secret = await stores.keys.create(await org_of(stores, org), name, role, expires)
    if as_json:
        until = expires and expires.isoformat(timespec="seconds")
        row = {"id": to_ruuid(made.id), "name": name, "role": role, "expires": until}
        say({**row, "key": secret})
    else:
        note("keep this: it is not shown again")
        click.echo(secret)


@key.command("list")
@of_org
@as_json
@command
async def list_(settings: Settings, org: str | None, as_json: bool) -> None:
    """Show the keys, never their secrets."""
    async with open_stores(settings) as stores:
        keys = await stores.keys.all(await org_of(stores, org))
    rows = [
        {
            "id": to_ruuid(it.id),
            "name": it.name,
            "role": it.role,
            "state": _state(it),
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
            ["id", "name", "role", "state", "created", "expires", "revoked"],
            [list(it.values()) for it in rows],
        )


def _state(key: ApiKey) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "works"


@key.command()
@click.argument("key_id")
@of_org
@as_json
@command
async def revoke(settings: Settings, key_id: str, org: str | None, as_json: bool) -> None:
    """Revoke the key with this id (see `key list`), at once."""
    try:
        wanted = from_ruuid(key_id)
    except ValueError as error:
        raise InvalidRequest(f"{key_id}: {error}", "take an id from `facewatch key list`") from None
    async with open_stores(settings) as stores:
        await stores.keys.revoke(await org_of(stores, org), wanted)
    if as_json:
        say({"revoked": key_id})
    else:
        note(f"revoked {key_id}")
