"""facewatch models list | fetch | pin | verify | switch"""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click

from facewatch.app import calibration
from facewatch.app.stores import open_stores
from facewatch.app.switch import embed_all, put_in_force, reconsidered, switchable
from facewatch.cli import clips
from facewatch.cli.options import Instant, as_json, command
from facewatch.cli.output import Bar, counted, note, progress, say, table
from facewatch.cli.whatif import show, tally
from facewatch.errors import ModelTrouble
from facewatch.people.embed_again import Kept
from facewatch.settings import Settings
from facewatch.vision import clip_cards, registry
from facewatch.vision.cards import Kind, ModelCard
from facewatch.vision.clip_cards import CLIP_CARDS, ClipCard
from facewatch.vision.fetch import Progress
from facewatch.vision.fetch import fetch as fetch_file
from facewatch.vision.fetch import verify as verify_file

_CALIBRATIONS = ("calibration", "grey_calibration")


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
            **_calibrations(settings, card),
        }
        for card in registry.CARDS.values()
    ]
    rows += [await asyncio.to_thread(clips.row, settings, card) for card in CLIP_CARDS.values()]
    if as_json:
        for row in rows:
            say(row)
    else:
        columns = ["name", "kind", "in_use", "here", "licence", "file", *_CALIBRATIONS]
        table(columns, [[row.get(column) for column in columns] for row in rows])


def _calibrations(settings: Settings, card: ModelCard) -> dict[str, str | None]:
    """Versions of what turns an embedder's cosines into confidences, with colour and without."""
    if card.kind is not Kind.EMBEDDER:
        return dict.fromkeys(_CALIBRATIONS)
    return dict(zip(_CALIBRATIONS, calibration.shown(settings, card), strict=True))


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
        for clip in _clips(names):
            await asyncio.to_thread(
                clips.fetch, settings, clip, accept_licence, partial(_draw, bar)
            )
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
    for clip in _clips(names):
        await asyncio.to_thread(clips.verify, settings, clip, as_json)
    for card in _cards(settings, names):
        path = await asyncio.to_thread(verify_file, card, settings.model_directory)
        _verified(card, path, as_json)


@models.command()
@click.argument("name")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--accept-licence", is_flag=True, help="Accept a non-commercial licence.")
@as_json
@command
async def pin(
    settings: Settings, name: str, files: tuple[Path, ...], accept_licence: bool, as_json: bool
) -> None:
    """Vouch for the files of a model to search by words with.

    No card could name their sha256. FILES are copied into the model's folder; those that
    `models fetch` put there need not be named. The model is tried, then the sha256 of each file is
    remembered in the home, and any other file in its place is refused.
    """
    card = clip_cards.card(name)
    await asyncio.to_thread(clips.pin, settings, card, files, accept_licence, as_json)


def _verified(card: ModelCard, path: Path, as_json: bool) -> None:
    if as_json:
        say({"name": card.name, "file": str(path), "licence": card.licence.name})
    else:
        note(f"verified {path} ({card.licence.name})")


@models.command()
@click.argument("name")
@click.option("--prepare", is_flag=True, help="Embed and compare only; nothing is switched.")
@click.option("--since", type=Instant(), help="Compare visits from then on (default: 30 days).")
@click.option("--limit", type=click.IntRange(0, 10_000), default=50, show_default=True)
@as_json
@command
async def switch(
    settings: Settings,
    name: str,
    prepare: bool,
    since: datetime | None,
    limit: int,
    as_json: bool,
) -> None:
    """Put another embedder in force; nobody has to be enrolled again.

    Embeds the kept crops of matchmakers and visits, shows whose name would change, then switches.
    It may be broken off and begun again, beside a running `serve`, which takes it over by itself.
    The way back is the same, and short: templates of both models stay.
    """
    card = switchable(settings, name)
    began = datetime.now(UTC)
    async with open_stores(settings) as stores:
        with progress(None) as bar:
            kept = await embed_all(settings, stores, card, partial(_told, bar))
        _say_kept(kept)
        since = since or began - timedelta(days=30)
        names = {it.id: it.name for it in await stores.cameras.all()}
        pages = reconsidered(settings, stores, card, since)
        counts, lines = await tally(pages, since, names, limit)
        show(counts, lines, as_json)
        if prepare:
            note(
                f"nothing is switched: that is done without --prepare, from {card.name}'s templates"
            )
            return
        await put_in_force(settings, stores, card, began)
        note(f"{card.name} is in force; a running serve takes it over within seconds")


def _told(bar: Bar, looked_at: int, made: int, what: str) -> None:
    bar.at(looked_at, f"{what}: {looked_at} looked at, {made} embedded")


def _say_kept(kept: Kept) -> None:
    note(f"embedded {counted(kept.matchmakers, 'matchmaker')} and {counted(kept.visits, 'visit')}")
    if kept.matchmakers_lost or kept.visits_lost:
        note(
            f"without a crop: {counted(kept.matchmakers_lost, 'matchmaker')}, which will match"
            f" nobody until enrolled again, and {counted(kept.visits_lost, 'visit')}"
        )


def _cards(settings: Settings, names: tuple[str, ...]) -> list[ModelCard]:
    wanted = names or (settings.models.detector, settings.models.embedder)
    return [card for name in wanted if name not in CLIP_CARDS for card in registry.cards(name)]


def _clips(names: tuple[str, ...]) -> list[ClipCard]:
    return [CLIP_CARDS[name] for name in names if name in CLIP_CARDS]
