"""facewatch audit list"""

from datetime import datetime
from uuid import UUID

import click

from facewatch.app.stores import open_stores
from facewatch.cli.options import Instant, as_json, command
from facewatch.cli.output import say, table
from facewatch.domain.audit import Action, AuditFilter
from facewatch.domain.ids import KeyId, from_prefixed, from_ruuid, to_ruuid
from facewatch.errors import InvalidRequest
from facewatch.settings import Settings


@click.group()
def audit() -> None:
    """The audit log: who changed what, and who looked at whom."""


@audit.command("list")
@click.option("--since", type=Instant(), help="From this time on.")
@click.option("--until", type=Instant(), help="Before this time.")
@click.option("--key", help="Id of the key that asked.")
@click.option("--action", type=click.Choice([it.value for it in Action]), help="What was done.")
@click.option("--subject", help="Id of the person, event or face that it was about.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@command
async def list_(
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    key: str | None,
    action: str | None,
    subject: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the newest entries; a running service writes them within a second."""
    wanted = AuditFilter(
        since=since,
        until=until,
        key=KeyId(_id(key)) if key else None,
        action=Action(action) if action else None,
        subject=_id(subject) if subject else None,
    )
    async with open_stores(settings) as stores:
        entries = await stores.audit.page(stores.org, wanted, limit)
    rows = [
        {
            "id": to_ruuid(it.id),
            "at": it.at.isoformat(timespec="milliseconds"),
            "key": to_ruuid(it.key),
            "key_name": it.key_name,
            "action": it.action.value,
            "subjects": [to_ruuid(subject) for subject in it.subjects],
            "outcome": it.outcome.value,
            "remote": it.remote,
            "agent": it.agent,
            "request": it.request,
        }
        for it in entries
    ]
    if as_json:
        for row in rows:
            say(row)
    else:
        shown = ["at", "key_name", "action", "outcome", "remote"]
        table(
            [*shown, "subjects"],
            [[*(row[it] for it in shown), " ".join(row["subjects"])] for row in rows],
        )


def _id(text: str) -> UUID:
    """In either spelling.

    Raises:
        InvalidRequest: in none.
    """
    try:
        return from_prefixed("face", text) if text.startswith("face_") else from_ruuid(text)
    except ValueError as error:
        raise InvalidRequest(f"{text}: {error}", "take an id as it was shown") from None
