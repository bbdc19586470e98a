"""facewatch doctor"""

from collections.abc import AsyncIterator

import click

from facewatch.cli.options import as_json, command
from facewatch.cli.output import say
from facewatch.installation import Finding, look_over
from facewatch.settings import Settings


@click.command()
@as_json
@command
async def doctor(settings: Settings, as_json: bool) -> None:
    """Find out what is not well.

    Looks at installation, home, models, stores and cameras; exits 1 if anything has to be put
    right, and says how.
    """
    ill = False
    async for it in _findings(settings):
        ill = ill or not it.well
        if as_json:
            say({"check": it.check, "well": it.well, "detail": it.detail, "remedy": it.remedy})
            continue
        mark = click.style("ok ", fg="green") if it.well else click.style("ILL", fg="red")
        click.echo(f"{mark} {it.check:<18} {it.detail}")
        if it.remedy:
            click.echo(f"    what to do: {it.remedy}")
    if ill:
        raise SystemExit(1)


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    loads = True
    for it in look_over():
        loads = loads and it.well
        yield it
    if loads:
        # Not above: with a broken package this import is what would fail.
        from facewatch.doctor import examine

        async for it in examine(settings):
            yield it
