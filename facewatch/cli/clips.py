"""Models to search by words with, as `facewatch models` handles them. Blocks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from facewatch.app.recognition import runtime
from facewatch.app.words import pins_of
from facewatch.cli.output import note, say
from facewatch.errors import ModelTrouble
from facewatch.settings import Settings
from facewatch.vision.clip import Clip
from facewatch.vision.clip_cards import ClipCard
from facewatch.vision.fetch import Progress
from facewatch.vision.pins import pin_command


def row(settings: Settings, card: ClipCard) -> dict[str, Any]:
    """A line of the list."""
    try:
        digest = pins_of(settings).installed(card).digest
        here = "verified"
    except ModelTrouble as trouble:
        digest, here = "", type(trouble).__name__.removeprefix("Model").lower()
    return {
        "name": card.name,
        "kind": "search",
        "in_use": card.name == settings.models.search,
        "here": here,
        "licence": card.licence.name,
        "file": f"{card.name}/",
        "sha256": digest,
        "same": card.same,
        "grounds": card.grounds,
    }


def fetch(
    settings: Settings, card: ClipCard, accept_licence: bool, progress: Callable[[Progress], None]
) -> None:
    for path in pins_of(settings).fetch(card, progress, accept_licence=accept_licence):
        note(f"fetched {path} ({card.licence.name})")
    note(f"nobody vouched for these files: look at them, then run: {pin_command(card)}")


def pin(
    settings: Settings, card: ClipCard, files: Sequence[Path], accept_licence: bool, as_json: bool
) -> None:
    found = pins_of(settings).pin(
        card,
        files,
        lambda installed: Clip(card, installed, runtime(settings)),
        accept_licence=accept_licence,
    )
    for name, digest in found.items():
        if as_json:
            say({"name": card.name, "file": name, "sha256": digest})
        else:
            note(f"pinned {name} of {card.name}, sha256 {digest}")
    if settings.models.search != card.name:
        note(f'to search with it: models.search = "{card.name}", then start serve again')


def verify(settings: Settings, card: ClipCard, as_json: bool) -> None:
    installed = pins_of(settings).installed(card)
    for path in (installed.pictures, installed.words, installed.tokenizer):
        if as_json:
            say({"name": card.name, "file": str(path), "licence": card.licence.name})
        else:
            note(f"verified {path} ({card.licence.name})")
