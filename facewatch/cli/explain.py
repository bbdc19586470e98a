"""facewatch explain"""

import asyncio
from pathlib import Path

import click

from facewatch.api.house.events import ExplainedOut
from facewatch.app.explain import drawn
from facewatch.app.stores import open_stores
from facewatch.cli.named import of_org, org_of
from facewatch.cli.options import as_json, command
from facewatch.cli.output import note, say, table
from facewatch.domain.events import AssignedBy, Compared, Explained
from facewatch.domain.faces import Quality
from facewatch.domain.ids import EventId, from_ruuid, to_prefixed, to_ruuid
from facewatch.domain.people import Decision, SettledBy
from facewatch.errors import InvalidRequest
from facewatch.settings import Settings

_WHOSE = {
    SettledBy.SETTINGS: "recognition.threshold",
    SettledBy.GREY: "recognition.grey_threshold: it was seen without colour",
    SettledBy.ORG: "the org's own",
    SettledBy.CAMERA: "the camera's own",
}


@click.command()
@click.argument("event")
@click.option(
    "--picture",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the faces are drawn: explain-EVENT.png here. It is yours to delete.",
)
@of_org
@as_json
@command
async def explain(
    settings: Settings, event: str, picture: Path | None, org: str | None, as_json: bool
) -> None:
    """Why EVENT has the name that it has, or none; and the faces that were compared."""
    try:
        id_ = EventId(from_ruuid(event))
    except ValueError as error:
        raise InvalidRequest(f"{event!r}: {error}", "facewatch event list shows ids") from None
    async with open_stores(settings) as stores:
        found = await stores.decisions.explain(await org_of(stores, org), id_)
        png = await drawn(found, stores.blobs)
    file = picture or Path(f"explain-{event}.png")
    try:
        await asyncio.to_thread(file.write_bytes, png)
    except OSError as error:
        raise InvalidRequest(
            f"{file} cannot be written: {error.strerror}", "name another file with --picture"
        ) from None
    if as_json:
        say({**ExplainedOut.of(found).model_dump(mode="json"), "picture": str(file)})
        return
    _show(found)
    note(f"drew {file}")


def _show(found: Explained) -> None:
    event, decision = found.event, found.decision
    rows: list[list[object]] = [["who", _who(found)]]
    if decision is None:
        rows.append(["why", "no look was fit to compare"])
        rows += _parts("best shot", event.quality)
        table(["what", "figure"], rows)
        return
    rows += [
        ["the machine said", _answer(decision, found.compared)],
        ["threshold", _threshold(decision)],
        ["margin", "no runner-up" if decision.margin is None else f"{decision.margin:.3f}"],
        *_parts("best look", decision.quality or event.quality),
        ["gallery", f"{decision.gallery_people} people, revision {decision.gallery_revision}"],
        ["calibration", decision.calibration],
        ["model", decision.model],
    ]
    table(["what", "figure"], rows)
    columns = ["", "person", "name", "score", "confidence", "best", "of", "matchmaker", "since"]
    click.echo()
    rows = [_row(f"{number}", it) for number, it in enumerate(found.compared, 1)]
    table(columns, rows + [_row("denied", it) for it in found.denied])
    if found.denied:
        note("denied: at least as like to a face that an operator said is not theirs")


def _who(found: Explained) -> str:
    event = found.event
    if found.erased_at:
        return f"somebody who was erased at {found.erased_at:%Y-%m-%d %H:%M:%S %Z}"
    who = event.person_name or (to_ruuid(event.person) if event.person else "nobody")
    if event.assigned_by is None or found.assigned_at is None:
        return who
    by = "an operator" if event.assigned_by is AssignedBy.OPERATOR else event.assigned_by.value
    return f"{who}, said {by} at {found.assigned_at:%Y-%m-%d %H:%M:%S %Z}"


def _answer(decision: Decision, compared: tuple[Compared, ...]) -> str:
    if decision.person is None:
        return f"nobody: {decision.reason}"
    named = next(it for it in compared if it.candidate.person == decision.person)
    return f"{named.name or to_ruuid(decision.person)}, confidence {named.candidate.confidence:.3f}"


def _threshold(decision: Decision) -> str:
    whose = f" ({_WHOSE[decision.settled_by]})" if decision.settled_by else ""
    return f"{decision.threshold:g}, a cosine of {decision.threshold_similarity:.3f}{whose}"


def _parts(what: str, quality: Quality) -> list[list[object]]:
    parts = ("size", "sharpness", "pose", "exposure", "score", "telling")
    said = ", ".join(f"{part} {getattr(quality, part):.2f}" for part in parts)
    return [[what, f"quality {quality.overall:.2f}: {said}"]]


def _row(place: str, it: Compared) -> list[object]:
    one, since = it.candidate, ""
    if it.erased_at:
        since = f"erased at {it.erased_at:%Y-%m-%d %H:%M:%S %Z}"
    elif it.removed_at:
        since = f"matchmaker removed at {it.removed_at:%Y-%m-%d %H:%M:%S %Z}"
    elif it.stands_for != one.person:
        since = f"merged into {to_ruuid(it.stands_for)}"
    return [
        *(place, to_ruuid(one.person), it.name, f"{one.similarity:.3f}", f"{one.confidence:.3f}"),
        *("" if one.best is None else f"{one.best:.3f}", one.matchmakers),
        *(to_prefixed("face", one.face), since),
    ]
