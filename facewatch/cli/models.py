"""facewatch models list | fetch | verify"""

import asyncio
from functools import partial
from pathlib import Path

import click

from facewatch.cli.options import as_json, command
from facewatch.cli.output import Bar, note, progress, say, table
from facewatch.errors import ModelTrouble
from facewatch.settings import Settings
from facewatch.vision import registry
from facewatch.vision.cards import ModelCard
from facewatch.vision.fetch import Progress
from facewatch.vision.fetch import fetch as fetch_file
from facewatch.vision.fetch import verify as verify_file


@click.group()
def models() -> None:
    """Model files: listed, fetched, verified."""


@models.command("list")
@as_json
@command
async def list_(settings: Settings, as_json: bool) -> None:
    """Show every model that facewatch knows, its licence and whether its file is here."""
    in_use = (settings.models.detector, settings.models.embedder)
    rows = [
        {
            "name": card.name,
            "kind": card.kind.value,
            "in_use": card.name in in_use,
            "here": await asyncio.to_thread(_state, card, settings.model_directory),
            "licence": card.licence.name,
            "file": card.file,
            "sha256": card.sha256,
        }
        for card in registry.CARDS.values()
    ]
    if as_json:
        for row in rows:
            say(row)
    else:
        columns = ["name", "kind", "in_use", "here", "licence", "file"]
        table(columns, [[row[column] for column in columns] for row in rows])


def _state(card: ModelCard, directory: Path) -> str:
    try:
        verify_file(card, directory)
    except ModelTrouble as trouble:
        return type(trouble).__name__.removeprefix("Model").lower()
    return "verified"


@models.command()
@click.argument("names", nargs=-1)
@click.option("--accept-licence", is_flag=True, help="Accept a non-commercial licence.")
@as_json
@command
async def fetch(
    settings: Settings, names: tuple[str, ...], accept_licence: bool, as_json: bool
) -> None:
    """Fetch models (default: the pair in use); the only command that downloads weights."""
    with progress(None) as bar:
        for card in _cards(settings, names):
            path = await asyncio.to_thread(
                fetch_file,
                card,
                settings.model_directory,
                accept_licence=accept_licence,
                progress=partial(_draw, bar),
            )
            _verified(card, path, as_json)


def _draw(bar: Bar, at: Progress) -> None:
    bar.at(at.done, at.phase, at.total)


@models.command()
@click.argument("names", nargs=-1)
@as_json
@command
async def verify(settings: Settings, names: tuple[str, ...], as_json: bool) -> None:
    """Check files against their cards' sha256 (default: the pair in use)."""
    for card in _cards(settings, names):
        path = await asyncio.to_thread(verify_file, card, settings.model_directory)
        _verified(card, path, as_json)


def _verified(card: ModelCard, path: Path, as_json: bool) -> None:
    if as_json:
        say({"name": card.name, "file": str(path), "licence": card.licence.name})
    else:
        note(f"verified {path} ({card.licence.name})")


def _cards(settings: Settings, names: tuple[str, ...]) -> list[ModelCard]:
    wanted = names or (settings.models.detector, settings.models.embedder)
    return [card for name in wanted for card in registry.cards(name)]
