"""facewatch doctor"""

import click

from facewatch.cli.options import as_json, command
from facewatch.cli.output import say
from facewatch.doctor import examine
from facewatch.settings import Settings


@click.command()
@as_json
@command
async def doctor(settings: Settings, as_json: bool) -> None:
    """Check installation, home, models, stores and cameras; exit 1 if anything is not well."""
    ill = False
    async for it in examine(settings):
        ill = ill or not it.well
        if as_json:
            say({"check": it.check, "well": it.well, "detail": it.detail, "remedy": it.remedy})
            continue
        mark = click.style("ok ", fg="green") if it.well else click.style("ILL", fg="red")
        click.echo(f"{mark} {it.check:<13} {it.detail}")
        if it.remedy:
            click.echo(f"    what to do: {it.remedy}")
    if ill:
        raise SystemExit(1)
