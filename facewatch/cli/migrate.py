"""facewatch migrate"""

import click

from facewatch import app
from facewatch.cli.options import command
from facewatch.settings import Settings


@click.command()
@command
async def migrate(settings: Settings) -> None:
    """Bring the database to this version's schema (serve does it by itself)."""
    async with app.open_stores(settings) as stores:
        click.echo(f"the database is at migration {await stores.database.schema_version()}")
