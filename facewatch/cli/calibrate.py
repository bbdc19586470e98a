"""facewatch calibrate"""

from datetime import UTC, datetime
from pathlib import Path

import click

from facewatch.app import calibration
from facewatch.app.stores import open_stores
from facewatch.cli.labelled import album_of, face_option
from facewatch.cli.options import as_json, command
from facewatch.cli.output import counted, note, say, table
from facewatch.domain.calibration import Calibration
from facewatch.evaluate.calibrate import Labelled, Strangers, among, between, fit
from facewatch.evaluate.pairs import load_pairs
from facewatch.evaluate.photos import Face, Whose
from facewatch.people.folder import photos_in
from facewatch.settings import Settings
from facewatch.vision import registry

_MOST_EVENTS = 20_000
_GALLERIES = (100, 1_000, 10_000)


@click.command()
@click.option("--people", type=click.Path(path_type=Path), help="Folder of people's photos.")
@click.option("--pairs", type=click.Path(path_type=Path), help="As for `eval verification`.")
@click.option("--images", type=click.Path(path_type=Path), help="As for `eval verification`.")
@click.option("--events", is_flag=True, help="This site's enrolled faces and confirmed events.")
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
    face: str | None,
    apply: bool,
    as_json: bool,
) -> None:
    """Measure what a cosine is worth: how often two different people look that much alike.

    Take one of --people, --pairs and --events. Decisions that were made keep their confidence.
    """
    if [people is not None, pairs is not None, events].count(True) != 1:
        raise click.UsageError("say one of --people, --pairs and --events")
    card = registry.card(settings.models.embedder)
    whose = Whose(face) if face else Whose.CENTRE if images else Whose.LARGEST
    if people is not None:
        made_from, strangers = str(people), await _of_people(settings, people, whose)
    elif pairs is not None:
        made_from, strangers = str(pairs), await _of_pairs(settings, pairs, images, whose)
    else:
        made_from, strangers = "confirmed events", await _of_events(settings)
    fitted = fit(strangers, card.name, datetime.now(UTC).date())
    now = calibration.in_force(settings, card) or card.calibration
    assert now is not None, "every embedder's card has one"
    _show(strangers, now, fitted, settings.recognition.threshold, as_json)
    if apply:
        file = calibration.put_in_force(settings, card, fitted, made_from)
        note(f"in force from the next start on: {file}")


async def _of_people(settings: Settings, people: Path, whose: Whose) -> Strangers:
    photos = photos_in(people)
    album = await album_of(settings, [photo for _, photo in photos], whose)
    labelled: list[Labelled] = []
    for name, photo in photos:
        face = album.faces[photo]
        why = face if isinstance(face, str) else face.refused
        if why:
            note(f"refused {why}")
        elif isinstance(face, Face):
            labelled.append((name, face.template))
    return among(labelled)


async def _of_pairs(settings: Settings, file: Path, images: Path | None, whose: Whose) -> Strangers:
    different = [it for it in load_pairs(file, images) if not it.same]
    album = await album_of(settings, [it for p in different for it in (p.left, p.right)], whose)
    compared: list[tuple[str, str, float]] = []
    for pair in different:
        left, right = album.faces[pair.left], album.faces[pair.right]
        if isinstance(left, Face) and isinstance(right, Face):
            cosine = float(left.template @ right.template)
            compared.append((str(pair.left), str(pair.right), cosine))
    return between(compared)


async def _of_events(settings: Settings) -> Strangers:
    """Whom operators have named, and who is enrolled: those are not each other."""
    model = settings.models.embedder
    async with open_stores(settings) as stores:
        _, enrolled = await stores.people.gallery(stores.org, model)
        confirmed = await stores.people.confirmed(stores.org, model, _MOST_EVENTS)
    note(f"{counted(len(enrolled), 'enrolled face')}, {counted(len(confirmed), 'confirmed event')}")
    return among(
        [(str(it.person), it.template) for it in enrolled]
        + [(str(person), template) for person, template in confirmed]
    )


def _show(
    strangers: Strangers, now: Calibration, fitted: Calibration, threshold: float, as_json: bool
) -> None:
    left, right, cosine = strangers.alike
    if as_json:
        say(
            {
                "version": fitted.version,
                "points": [list(it) for it in fitted.points],
                "pairs": strangers.pairs,
                "most_alike": {"left": left, "right": right, "similarity": round(cosine, 4)},
                "threshold": threshold,
                "threshold_similarity": [
                    {
                        "gallery": people,
                        "now": round(now.similarity(threshold, people), 4),
                        "then": round(fitted.similarity(threshold, people), 4),
                    }
                    for people in _GALLERIES
                ],
            }
        )
        return
    rows = [
        [
            f"threshold {threshold:g} among {people}",
            f"{now.similarity(threshold, people):.3f}",
            f"{fitted.similarity(threshold, people):.3f}",
        ]
        for people in _GALLERIES
    ]
    table(["cosine of", now.version, fitted.version], rows)
    deepest = fitted.points[-1][1]
    note(f"{strangers.pairs} pairs of different people show rates down to 10^{deepest:.1f}")
    note(f"most alike, at {cosine:.3f}: {left} and {right}; are they the same person?")
