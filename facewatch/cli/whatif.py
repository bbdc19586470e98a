"""facewatch whatif"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import click

from facewatch.app.stores import open_stores
from facewatch.app.whatif import open_reconsiderer
from facewatch.cli.named import of_org, org_of
from facewatch.cli.options import Instant, as_json, command
from facewatch.cli.output import counted, note, progress, say, table
from facewatch.domain.ids import CameraId, to_ruuid
from facewatch.domain.past import UNLIKE_BEFORE, Change, Reconsidered
from facewatch.people.whatif import Wish
from facewatch.settings import Settings

_SHARE = click.FloatRange(0, 1)


@click.command()
@click.option("--threshold", type=_SHARE, help="Least confidence; with --camera the camera's own.")
@click.option("--margin", type=_SHARE, help="Least cosine to the runner-up.")
@click.option("--model", help="Another embedder, on the kept crops.")
@click.option("--since", type=Instant(), required=True, help="The oldest visit (ISO 8601).")
@click.option("--camera", help="Visits at this camera only.")
@click.option("--limit", type=click.IntRange(0, 10_000), default=50, show_default=True)
@of_org
@as_json
@command
async def whatif(
    settings: Settings,
    threshold: float | None,
    margin: float | None,
    model: str | None,
    since: datetime,
    camera: str | None,
    limit: int,
    org: str | None,
    as_json: bool,
) -> None:
    """Decide past visits again, by another threshold, margin or model; change nothing.

    Shows which names would be gained, lost or changed (the newest --limit of them) with the
    gallery of today and what operators refused. What an operator said stands, and is counted apart.
    """
    async with open_stores(settings) as stores:
        whose = await org_of(stores, org)
        at = (await stores.cameras.by_name(whose, camera)).id if camera else None
        names = {it.id: it.name for it in await stores.cameras.all(whose)}
        async with open_reconsiderer(settings, stores, whose, model) as opened:
            if opened.lost:
                note(f"{counted(opened.lost, 'matchmaker')} without a crop: --model knows them not")
            if opened.unheard:
                note(f"{counted(opened.unheard, 'refusal')} not embedded by --model: not heeded")
            wish = Wish(threshold, margin, since, at)
            pages = opened.reconsiderer.reconsider(whose, wish)
            counts, lines = await tally(pages, since, names, limit)
    show(counts, lines, as_json)


async def tally(
    pages: AsyncIterator[list[Reconsidered]],
    since: datetime | None,
    cameras: Mapping[CameraId, str],
    limit: int,
) -> tuple[Counter[Change], list[dict[str, Any]]]:
    """How many of each, and the newest *limit* that would not stay as they are."""
    counts: Counter[Change] = Counter()
    lines: list[dict[str, Any]] = []
    with progress(None) as bar:
        newest: datetime | None = None
        async for page in pages:
            counts.update(it.change for it in page)
            shown = [it for it in page if it.change in UNLIKE_BEFORE][: limit - len(lines)]
            lines += [_line(it, cameras) for it in shown]
            newest = newest or page[0].at
            span = (newest - since).total_seconds() if since else None
            bar.at((newest - page[-1].at).total_seconds(), f"{counts.total()} visits", span)
    return counts, lines


def _line(it: Reconsidered, cameras: Mapping[CameraId, str]) -> dict[str, Any]:
    return {
        "event": to_ruuid(it.event),
        "camera": cameras.get(it.camera, "removed"),
        "first_seen": it.at.isoformat(timespec="seconds"),
        "change": it.change.value,
        "before": it.before or None,
        "after": it.after or None,
        "confidence": None if it.confidence is None else round(it.confidence, 4),
        "similarity": None if it.similarity is None else round(it.similarity, 4),
        "reason": it.reason or None,
    }


def show(counts: Counter[Change], lines: list[dict[str, Any]], as_json: bool) -> None:
    """Counts, then the table; as JSON one value."""
    if as_json:
        say({"visits": counts.total(), **{it.value: counts[it] for it in Change}, "events": lines})
        return
    table(
        ["visits", *(it.value for it in Change)], [[counts.total(), *(counts[it] for it in Change)]]
    )
    if lines:
        click.echo()
        columns = ["first_seen", "camera", "change", "before", "after", "confidence", "event"]
        table(columns, [[it[column] for column in columns] for it in lines])
    if (more := sum(counts[it] for it in UNLIKE_BEFORE) - len(lines)) > 0:
        note(f"and {more} more: --limit shows them")
