"""Pictures where a person would rather look than read; PNG."""

from collections.abc import Sequence
from pathlib import Path

from facewatch.errors import HomeUnusable, PlotsUnavailable
from facewatch.evaluate.identification import Identification
from facewatch.evaluate.score import (
    ALLOWANCE_S,
    Found,
    JudgedEvent,
    Naming,
    Verdict,
    VideoScore,
)
from facewatch.evaluate.truth import Kind, Subject
from facewatch.evaluate.verification import FARS, Verification

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
except ImportError:
    raise PlotsUnavailable(
        "matplotlib, which draws the pictures, is not installed",
        "run: pip install 'facewatch[plots]' (from a clone: .venv/bin/pip install matplotlib), "
        "or leave --pictures out",
    ) from None

_TRUTH = {
    Kind.CLEAR: "#4878a8",
    Kind.WEAK: "#a9c4de",
    Kind.BACKGROUND: "#d5dde5",
    Kind.THING: "#e8d9c8",
}
_EVENT = {
    Verdict.ONLY: "#3a9a4a",
    Verdict.PIECE: "#e89a1c",
    Verdict.UNJUDGED: "#b0b0b0",
    Verdict.FALSE: "#d03030",
}
_MEANING = {
    Verdict.ONLY: "event: the only one of its visit",
    Verdict.PIECE: "event: one of several of its visit",
    Verdict.UNJUDGED: "event: neither right nor wrong",
    Verdict.FALSE: "event: of no face",
}
_BAD = "#b00020"


class Pictures:
    """Draws into a folder, which it makes; each method answers where the picture is.

    A picture that was there under this name is replaced.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HomeUnusable(
                f"{folder} cannot be made: {error.strerror}", "name another folder"
            ) from None
        self._folder = folder

    def timeline(self, score: VideoScore) -> Path:
        return self._save(_timeline(score), Path(score.truth.file).stem)

    def roc(self, measured: Verification) -> Path:
        return self._save(_roc(measured), "verification")

    def det(self, measured: Identification) -> Path:
        return self._save(_det(measured), "identification")

    def _save(self, figure: Figure, name: str) -> Path:
        picture = self._folder / f"{name}.png"
        try:
            figure.savefig(picture, dpi=110)
        except OSError as error:
            raise HomeUnusable(
                f"{picture} cannot be written: {error.strerror}", "name another folder"
            ) from None
        return picture


def _timeline(score: VideoScore) -> Figure:
    """One row for each label: when it could be seen, and below it the events that are its."""
    rows = _rows(score)
    figure = Figure(figsize=(13, 1.6 + 0.45 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    for row, (_, subjects) in enumerate(rows):
        _draw_truth(axes, row, score, subjects)
        for event in score.events:
            if event.subject in subjects:
                _draw_event(axes, row, event)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("seconds of the video")
    axes.set_title(_headline(score), loc="left", fontsize=10)
    axes.grid(axis="x", color="#eeeeee")
    axes.set_axisbelow(True)
    figure.legend(handles=_legend(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _roc(measured: Verification) -> Figure:
    """True against false accept rate."""
    figure, axes = _curve(
        f"{measured.same + measured.different} pairs: accuracy {measured.accuracy:.2%} "
        f"± {measured.standard_error:.2%} at cosine {measured.threshold:.3f}",
        [it.far for it in measured.roc],
        [it.tar for it in measured.roc],
        floor=1 / measured.different,
    )
    lowest = min((it.tar for it in measured.roc if it.far > 0), default=0.0)
    axes.set_ylim(lowest - 0.1 * (1.02 - lowest), 1.02 - 0.02 * lowest)
    for far in FARS:
        point = measured.at_far(far)
        axes.axvline(far, color="#cccccc", linestyle=":")
        axes.annotate(f" TAR {point.tar:.3f}\n at FAR ≤ {far:g}", (far, lowest), fontsize=8)
    axes.set_xlabel("false accept rate (pairs of two people taken for one)")
    axes.set_ylabel("true accept rate (pairs of one person found)")
    return figure


def _det(measured: Identification) -> Figure:
    """False negative against false positive identification rate, and where we stand."""
    figure, axes = _curve(
        f"{measured.people} enrolled, {len(measured.mated)} probes, "
        f"{len(measured.strangers)} strangers: rank-1 {measured.rank1:.2%}",
        [it.fpir for it in measured.det],
        [it.fnir for it in measured.det],
        floor=1 / len(measured.strangers),
    )
    missed = 1 - measured.named_right
    here = max(measured.fpir, 1 / len(measured.strangers) / 2)
    axes.plot(here, missed, "o", color=_EVENT[Verdict.FALSE])
    axes.annotate(
        f"  in force (threshold {measured.threshold:g})\n"
        f"  FPIR {measured.fpir:.4f}, named right {measured.named_right:.3f}",
        (here, missed),
        fontsize=8,
    )
    axes.set_xlabel("FPIR (strangers who are taken for somebody)")
    axes.set_ylabel("FNIR (probes of the enrolled who are not found)")
    return figure


def _curve(
    title: str, xs: Sequence[float], ys: Sequence[float], *, floor: float
) -> tuple[Figure, Axes]:
    """*ys* over *xs*, these on a logarithmic axis; a rate of 0 is drawn at half of *floor*."""
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([max(x, floor / 2) for x in xs], ys, drawstyle="steps-post", color=_TRUTH[Kind.CLEAR])
    axes.set_xscale("log")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(color="#eeeeee", which="both")
    axes.set_axisbelow(True)
    return figure, axes


def _rows(score: VideoScore) -> list[tuple[str, list[Subject | None]]]:
    """People have a row each; background faces share one, and so does what is no face."""
    of: dict[Kind, list[Subject | None]] = {kind: [] for kind in Kind}
    for subject in score.truth.subjects:
        of[subject.kind].append(subject)
    people = [it for it in score.truth.subjects if it.kind in (Kind.CLEAR, Kind.WEAK)]
    rows: list[tuple[str, list[Subject | None]]] = [(_label(it), [it]) for it in people]
    shared = [("background", of[Kind.BACKGROUND]), ("no face", [*of[Kind.THING], None])]
    seen = {it.subject for it in score.events}
    return rows + [it for it in shared if any(one or one in seen for one in it[1])]


def _label(subject: Subject) -> str:
    name = f" ({subject.enrolled_as})" if subject.enrolled_as else ""
    return f"{subject.called}{name}" + ("" if subject.kind is Kind.CLEAR else ", weak")


def _draw_truth(
    axes: Axes, row: int, score: VideoScore, subjects: Sequence[Subject | None]
) -> None:
    for subject in subjects:
        if subject is None:
            continue
        for span in subject.visible:
            width = max(span.length_s, 0.2)
            axes.barh(row - 0.2, width, 0.3, span.start_s, color=_TRUTH[subject.kind])
    for visit in score.visits:
        lost = visit.found in (Found.MISSED, Found.SWALLOWED)
        if lost and visit.subject in subjects:
            axes.text(visit.span.start_s, row + 0.3, visit.found.value, color=_BAD, fontsize=8)


def _draw_event(axes: Axes, row: int, event: JudgedEvent) -> None:
    span = event.seen.span
    edge = _BAD if event.beyond_s > ALLOWANCE_S else "white"
    axes.barh(
        row + 0.2,
        max(span.length_s, 0.1),
        0.3,
        span.start_s,
        color=_EVENT[event.verdict],
        edgecolor=edge,
        linewidth=1.2,
        alpha=0.8,  # two at once are seen as two
    )
    said = event.seen.name or ""
    if event.naming is Naming.WITHHELD:
        said = "name withheld"
    if event.naming is Naming.WRONG:
        said = "WRONG: " + ", ".join(sorted({it for it in event.seen.names if it}))
    colour = _BAD if event.naming is Naming.WRONG else "black"
    axes.text(span.start_s, row + 0.21, f" {said}", color=colour, fontsize=7, va="center")


def _headline(score: VideoScore) -> str:
    tally = score.tally
    return (
        f"{score.truth.file}: {tally.once} of {tally.visits} visits found once, "
        f"{tally.split} split, {tally.swallowed} swallowed, {tally.missed} missed, "
        f"{tally.false} false, {tally.beyond} beyond {ALLOWANCE_S:.0f} s; "
        f"names {tally.right} right, {tally.wrong} wrong, {tally.withheld} withheld"
    )


def _legend() -> list[Patch]:
    return [
        Patch(color=_TRUTH[Kind.CLEAR], label="visible, clearly recognisable"),
        Patch(color=_TRUTH[Kind.WEAK], label="visible, hardly recognisable"),
        *(Patch(color=_EVENT[it], label=meaning) for it, meaning in _MEANING.items()),
        Patch(facecolor="white", edgecolor=_BAD, label="event sticks out of its visit"),
    ]
