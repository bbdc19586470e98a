"""facewatch calibrate"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from facewatch.app import calibration
from facewatch.app.stores import open_stores
from facewatch.cli.labelled import album_of, face_option
from facewatch.cli.options import as_json, command
from facewatch.cli.output import counted, note, say, table
from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.evaluate.calibrate import Labelled, Strangers, among, between, fit
from facewatch.evaluate.pairs import load_pairs
from facewatch.evaluate.photos import Face, Whose
from facewatch.people.folder import photos_in
from facewatch.settings import Settings
from facewatch.vision import registry
from facewatch.vision.cards import ModelCard

_MOST_EVENTS = 20_000
_GALLERIES = (100, 1_000, 10_000)


@click.command()
@click.option("--people", type=click.Path(path_type=Path), help="Folder of people's photos.")
@click.option("--pairs", type=click.Path(path_type=Path), help="As for `eval verification`.")
@click.option("--images", type=click.Path(path_type=Path), help="As for `eval verification`.")
@click.option("--events", is_flag=True, help="This site's enrolled faces and confirmed events.")
@click.option("--grey", is_flag=True, help="For faces that are seen without colour (infrared).")
@click.option("--turn-grey", is_flag=True, help="With --grey: photos lose their colour first.")
@face_option
@click.option("--apply", is_flag=True, help="Put it in force, from the next start on.")
@as_json
@command
async def calibrate(
    settings: Settings,
    people: Path | None,
    pairs: Path | None,
    images: Path | None,
    events: bool,
    grey: bool,
    turn_grey: bool,
    face: str | None,
    apply: bool,
    as_json: bool,
) -> None:
    """Measure what a cosine is worth: how often two different people look that much alike.

    Take one of --people, --pairs and --events. Decisions that were made keep their confidence.
    --grey measures what is in force for visitors who are seen without colour: a pair counts where
    one of the two faces has none. --turn-grey makes such faces of photos: each is compared as it
    is, and as it looks without colour. That is a likeness of infrared light, not the thing itself.
    """
    if [people is not None, pairs is not None, events].count(True) != 1:
        raise click.UsageError("say one of --people, --pairs and --events")
    if turn_grey and (events or not grey):
        raise click.UsageError("--turn-grey goes with --grey, and with --people or --pairs")
    card = registry.card(settings.models.embedder)
    whose = Whose(face) if face else Whose.CENTRE if images else Whose.LARGEST
    if people is not None:
        made_from = str(people)
        strangers = await _of_people(settings, people, whose, Colour(grey, turn_grey))
    elif pairs is not None:
        made_from = str(pairs)
        strangers = await _of_pairs(settings, pairs, images, whose, Colour(grey, turn_grey))
    else:
        made_from, strangers = "confirmed events", await _of_events(settings, grey=grey)
    called = f"{card.name}{'-turned' if turn_grey else ''}{'-grey' if grey else ''}"
    fitted = fit(strangers, called, datetime.now(UTC).date())
    _show(strangers, _in_force(settings, card, grey=grey), fitted, settings, as_json)
    if apply:
        made_from += ", turned grey" if turn_grey else ", without colour" if grey else ""
        file = calibration.put_in_force(settings, card, fitted, made_from, grey=grey)
        note(f"in force from the next start on: {file}")


@dataclass(frozen=True, slots=True)
class Colour:
    """Which faces count: all, or pairs with one *grey*; *turned* makes some of each photo."""

    grey: bool
    turned: bool


async def _of_people(settings: Settings, people: Path, whose: Whose, colour: Colour) -> Strangers:
    photos = photos_in(people)
    album = await album_of(settings, [photo for _, photo in photos], whose)
    labelled: list[tuple[str, Face]] = []
    for name, photo in photos:
        face = album.faces[photo]
        why = face if isinstance(face, str) else face.refused
        if why:
            note(f"refused {why}")
        elif isinstance(face, Face):
            labelled.append((name, face))
    if colour.turned:
        turned = await album_of(settings, [it for _, it in photos], whose, turn_grey=True)
        for name, photo in photos:
            face = turned.faces[photo]
            if isinstance(face, Face) and not face.refused:
                labelled.append((name, face))
    return _among([(name, it.template, it.grey) for name, it in labelled], colour.grey)


def _among(faces: Sequence[tuple[str, Template, bool]], grey: bool) -> Strangers:
    """Every pair of different people; *grey*: where one of the two is."""
    ordered = sorted(faces, key=lambda it: not it[2])
    labelled: list[Labelled] = [(name, template) for name, template, _ in ordered]
    without = sum(it for _, _, it in faces)
    if grey:
        note(f"{counted(without, 'face')} without colour, {len(faces) - without} with it")
    return among(labelled, without if grey else None)


async def _of_pairs(
    settings: Settings, file: Path, images: Path | None, whose: Whose, colour: Colour
) -> Strangers:
    """With *colour.turned* the left photo of each is what a camera saw, the right one enrolled."""
    different = [it for it in load_pairs(file, images) if not it.same]
    seen = await album_of(settings, [it.left for it in different], whose, turn_grey=colour.turned)
    enrolled = await album_of(settings, [it.right for it in different], whose)
    compared: list[tuple[str, str, float]] = []
    for pair in different:
        left, right = seen.faces[pair.left], enrolled.faces[pair.right]
        if not isinstance(left, Face) or not isinstance(right, Face):
            continue
        if colour.grey and not (left.grey or right.grey):
            continue
        cosine = float(left.template @ right.template)
        compared.append((str(pair.left), str(pair.right), cosine))
    return between(compared)


async def _of_events(settings: Settings, *, grey: bool) -> Strangers:
    """Whom operators have named, and who is enrolled: those are not each other."""
    model = settings.models.embedder
    async with open_stores(settings) as stores:
        _, enrolled = await stores.people.gallery(stores.org, model)
        confirmed = await stores.people.confirmed(stores.org, model, _MOST_EVENTS)
    note(f"{counted(len(enrolled), 'enrolled face')}, {counted(len(confirmed), 'confirmed event')}")
    return _among(
        [(str(it.person), it.template, False) for it in enrolled]
        + [(str(it.person), it.template, it.grey) for it in confirmed],
        grey,
    )


def _in_force(settings: Settings, card: ModelCard, *, grey: bool) -> tuple[Calibration, float]:
    """The mapping and the confidence that give a name today."""
    rule = settings.recognition
    if grey and (measured := calibration.in_force(settings, card, grey=True)):
        return measured, rule.threshold
    now = calibration.in_force(settings, card) or card.calibration
    assert now is not None, "every embedder's card has one"
    return now, max(rule.threshold, rule.grey_threshold) if grey else rule.threshold


def _show(
    strangers: Strangers,
    in_force: tuple[Calibration, float],
    fitted: Calibration,
    settings: Settings,
    as_json: bool,
) -> None:
    (now, needed), threshold = in_force, settings.recognition.threshold
    left, right, cosine = strangers.alike
    if as_json:
        say(
            {
                "version": fitted.version,
                "points": [list(it) for it in fitted.points],
                "pairs": strangers.pairs,
                "most_alike": {"left": left, "right": right, "similarity": round(cosine, 4)},
                "threshold_now": needed,
                "threshold": threshold,
                "threshold_similarity": [
                    {
                        "gallery": people,
                        "now": round(now.similarity(needed, people), 4),
                        "then": round(fitted.similarity(threshold, people), 4),
                    }
                    for people in _GALLERIES
                ],
            }
        )
        return
    rows = [
        [
            f"{_both(needed, threshold)} among {people}",
            f"{now.similarity(needed, people):.3f}",
            f"{fitted.similarity(threshold, people):.3f}",
        ]
        for people in _GALLERIES
    ]
    table(["cosine of", now.version, fitted.version], rows)
    deepest = fitted.points[-1][1]
    note(f"{strangers.pairs} pairs of different people show rates down to 10^{deepest:.1f}")
    note(f"most alike, at {cosine:.3f}: {left} and {right}; are they the same person?")


def _both(needed: float, threshold: float) -> str:
    same = needed == threshold
    return f"threshold {threshold:g}" if same else f"threshold {needed:g}, then {threshold:g},"
