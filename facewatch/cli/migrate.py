"""facewatch migrate"""

import click

from facewatch.app.stores import open_stores
from facewatch.cli.options import as_json, command
from facewatch.cli.output import say
from facewatch.settings import Settings


@click.command()
@as_json
@command
async def migrate(settings: Settings, as_json: bool) -> None:
    """Bring the database up to date.

    Every command that uses it does so too.
    """
    async with open_stores(settings) as stores:
        version = await stores.database.schema_version()
    if as_json:
        say({"migration": version})
    else:
        click.echo(f"the database is at migration {version}")
