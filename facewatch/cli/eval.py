"""facewatch eval visits | verification | identification"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facewatch.app.evaluate import Bench, open_bench, watch
from facewatch.app.recognition import rule_of
from facewatch.cli.labelled import album_of, face_option
from facewatch.cli.options import as_json, command
from facewatch.cli.output import Bar, counted, note, progress, say, table
from facewatch.evaluate.identification import FPIRS, identify, refuse_unknown
from facewatch.evaluate.pairs import load_pairs
from facewatch.evaluate.photos import Whose
from facewatch.evaluate.score import Cost, Tally, VideoScore
from facewatch.evaluate.truth import Kind, VideoTruth, load_truth, truth_of
from facewatch.evaluate.verification import FARS, verify
from facewatch.evaluate.visits import judge
from facewatch.people.folder import photos_in
from facewatch.ports.streams import Frame
from facewatch.settings import Settings
from facewatch.stream.files import duration_s

if TYPE_CHECKING:
    from facewatch.evaluate.draw import Pictures

_FOUND = ("visits", "once", "split", "swallowed", "missed", "beyond", "false", "unjudged")
_NAMES = ("right", "wrong", "withheld", "unchecked")


@click.group("eval")
def eval() -> None:
    """How good recognition is, on pictures and videos that somebody labelled."""


pictures_option = click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Draw PNG pictures into this folder (needs matplotlib).",
)


@eval.command()
@click.argument("videos", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--truth",
    required=True,
    type=click.Path(path_type=Path),
    help="JSON file that says who can be seen when, and where.",
)
@click.option(
    "--enrol",
    type=click.Path(path_type=Path),
    help="Folder of photos, as for `person enrol`: who may be named. Default: nobody.",
)
@pictures_option
@as_json
@command
async def visits(
    settings: Settings,
    videos: tuple[Path, ...],
    truth: Path,
    enrol: Path | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Hold the events of VIDEOS against what people saw in them.

    The videos run through the same stages as in `replay`; nothing is kept. An event is about
    whoever's box its best shot hits; a visit of somebody clearly recognisable should have
    exactly one.
    """
    truths = load_truth(truth)
    labels = [truth_of(video, truths, truth) for video in videos]
    drawn = _drawn(pictures)
    scores: list[VideoScore] = []
    async with AsyncExitStack() as stack:
        with progress(len(photos_in(enrol)) if enrol else None) as bar:
            bench = await stack.enter_async_context(open_bench(settings, enrol, bar.at))
        for _, why in bench.refused:
            note(f"refused {why}")
        for video, label in zip(videos, labels, strict=True):
            score = await _judged(bench, video, label)
            scores.append(score)
            if drawn:
                note(f"drew {drawn.timeline(score)}")
            if as_json:
                say(score.json())
            else:
                _show(score)
    _show_totals(scores, as_json)


async def _judged(bench: Bench, video: Path, label: VideoTruth) -> VideoScore:
    with progress(duration_s(video)) as bar:
        seen, embeddings = await watch(bench, video, partial(_draw_bar, bar, video.name))
    return judge(
        label,
        seen,
        embeddings=embeddings,
        gap_s=bench.settings.recognition.visit_gap_s,
        enrolled=bench.names.values(),
    )


def _draw_bar(bar: Bar, name: str, frame: Frame) -> None:
    bar.at(frame.t_s, name)


@eval.command()
@click.argument("pairs", type=click.Path(path_type=Path))
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="PAIRS is LFW's pairs.txt, and this its folder of people.",
)
@face_option
@pictures_option
@as_json
@command
async def verification(
    settings: Settings,
    pairs: Path,
    images: Path | None,
    face: str | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Are two photos of the same person? PAIRS is CSV: left,right,same (paths of images, 0 or 1).

    Accuracy is the mean over ten folds, each at the threshold that is best on the other nine.
    """
    loaded = load_pairs(pairs, images)
    drawn = _drawn(pictures)
    whose = Whose(face) if face else Whose.CENTRE if images else Whose.LARGEST
    album = await album_of(
        settings, [it for pair in loaded for it in (pair.left, pair.right)], whose
    )
    measured = verify(loaded, album.faces)
    if drawn:
        note(f"drew {drawn.roc(measured)}")
    if as_json:
        say(measured.json())
        return
    rows: list[list[object]] = [
        ["pairs", f"{measured.same} of one person, {measured.different} of two"],
        ["accuracy", f"{measured.accuracy:.2%} ± {measured.standard_error:.2%}"],
        ["at cosine", f"{measured.threshold:.3f}"],
    ]
    for far in FARS:
        point = measured.at_far(far)
        rows.append([f"TAR at FAR {far:g}", f"{point.tar:.2%} (cosine {point.threshold:.3f})"])
    rows.append(["failures to enrol", f"{len(measured.failures)} of {measured.photos} photos"])
    table(["what", "figure"], rows)
    _note_each(measured.failures)


@eval.command()
@click.argument("gallery", type=click.Path(path_type=Path))
@click.argument("probes", type=click.Path(path_type=Path))
@click.option(
    "--strangers", type=click.Path(path_type=Path), help="Folder of people who are not enrolled."
)
@click.option("--turn-grey", is_flag=True, help="Probes and strangers lose their colour first.")
@face_option
@pictures_option
@as_json
@command
async def identification(
    settings: Settings,
    gallery: Path,
    probes: Path,
    strangers: Path | None,
    turn_grey: bool,
    face: str | None,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Who is it? GALLERY is enrolled, PROBES are asked for: folders as for `person enrol`.

    --turn-grey stands in for a camera that sees by infrared light, of which it is only a likeness.
    """
    enrolled, asked = photos_in(gallery), photos_in(probes)
    refuse_unknown(enrolled, asked)
    others = [photo for _, photo in photos_in(strangers)] if strangers else []
    drawn = _drawn(pictures)
    whose = Whose(face) if face else Whose.LARGEST
    album = await album_of(settings, [photo for _, photo in enrolled], whose)
    seen = await album_of(
        settings, [*(photo for _, photo in asked), *others], whose, turn_grey=turn_grey
    )
    measured = identify(
        *(enrolled, asked, others, {**seen.faces, **album.faces}),
        *(album.calibration, rule_of(settings), album.grey_calibration),
    )
    if drawn and measured.det:
        note(f"drew {drawn.det(measured)}")
    if as_json:
        say(measured.json())
        return
    rows: list[list[object]] = [
        ["enrolled", f"{measured.people} people, {measured.gallery_photos} photos"],
        ["probes", f"{len(measured.mated)} of the enrolled, {len(measured.strangers)} strangers"],
        ["rank-1", f"{measured.rank1:.2%}"],
        ["in force", f"{measured.threshold:g}, a cosine of {measured.threshold_similarity:.3f}"],
        ["named right", f"{measured.named_right:.2%}"],
        ["named wrong", f"{measured.named_wrong:.2%}"],
    ]
    if measured.det:
        rows.append(["strangers named (FPIR)", f"{measured.fpir:.2%}"])
    for fpir in FPIRS if measured.det else ():
        error = measured.at_fpir(fpir)
        rows.append([f"FNIR at FPIR {fpir:g}", f"{error.fnir:.2%} (cosine {error.threshold:.3f})"])
    table(["what", "figure"], rows)
    for it in measured.mistakes:
        note(f"{it.photo} is named {it.named}, at a cosine of {it.similarity:.3f}")
    _note_each(measured.refused)


def _note_each(refused: Mapping[Path, str]) -> None:
    for why in refused.values():
        note(f"refused {why}")


def _drawn(folder: Path | None) -> "Pictures | None":
    """Where pictures go, if anywhere.

    Raises:
        PlotsUnavailable: there is no library to draw them: said before the work, not after it.
    """
    if folder is None:
        return None
    from facewatch.evaluate.draw import Pictures

    return Pictures(folder)


def _show(score: VideoScore) -> None:
    """Who, and what became of their visits and names; those without either have no line."""
    click.echo(f"\n{score.truth.file}")
    rows: list[list[object]] = []
    for subject in (*score.truth.subjects, None):
        tally = score.tally_of(subject)
        if (subject and subject.kind is Kind.CLEAR) or tally != Tally():
            kind = subject.kind.value if subject else Kind.THING.value
            rows.append([subject.called if subject else "no label", kind, *_cells(tally)])
    table(["who", "kind", *_FOUND, *_NAMES], rows)


def _show_totals(scores: Sequence[VideoScore], as_json: bool) -> None:
    total = sum((it.tally for it in scores), Tally())
    cost = sum((it.cost for it in scores), Cost())
    if as_json:
        say({"videos": len(scores), **total.json(), **cost.json()})
        return
    rows = [[it.truth.file, *_cells(it.tally), *_cost_cells(it.cost)] for it in scores]
    rows.append([counted(len(scores), "video"), *_cells(total), *_cost_cells(cost)])
    click.echo("\nall together")
    table(["video", *_FOUND, *_NAMES, "embeddings", "allowed"], rows)


def _cells(tally: Tally) -> list[object]:
    """Counts; a zero is left blank, so that what went wrong is seen."""
    counts = tally.json()
    return [counts[column] or "" for column in (*_FOUND, *_NAMES)]


def _cost_cells(cost: Cost) -> list[object]:
    return [cost.embeddings, f"{cost.allowed:.0f}"]
