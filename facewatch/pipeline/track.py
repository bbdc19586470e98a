"""Glimpses become tracks: the same face across the frames of one camera.

Association is by motion and overlap, backed by a tiny picture of the face, which costs next to
nothing. Where the three leave a doubt (a jump, a gap, another face at the same place)
the look is embedded and the templates decide. Embedding is the dear step on a CPU, so a track
asks for it seldom: for its first good look, for a clearly better one, and now and then.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from facewatch.domain.faces import Glimpse, Look, Template
from facewatch.domain.geometry import Box
from facewatch.ports import Frame


@dataclass(frozen=True, slots=True)
class Following:
    """When two glimpses are one face. Distances in face widths, times in seconds.

    Attributes:
        reach: How far a face may be from where its track expects it.
        lost_after_s: A track not seen for this long ends.
        alike: Likeness from which neighbouring glimpses need no template to be one face.
        same: Cosine from which two templates of one track are one person, where there is doubt.
        other: Cosine below which they are two, where there was none.
        keep: Best looks kept of a track.
        worth_embedding: Quality below which a template says nothing about who it is.
        closer_by: A glimpse is worth a closer look if it promises this much more than the worst
            of those that are kept.
        better_by: A look this much better than the best embedded one is embedded too.
        refresh_s: A look is embedded at least this often, to notice a change of person.
    """

    reach: float = 1.0
    lost_after_s: float = 0.9
    alike: float = 0.7
    same: float = 0.3
    other: float = 0.15
    keep: int = 5
    worth_embedding: float = 0.25
    closer_by: float = 0.05
    better_by: float = 0.08
    refresh_s: float = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A look, the frame that it was taken from and whoever else was in it."""

    frame: Frame
    look: Look
    others: tuple[tuple[Look, "Track"], ...] = ()


class Track:
    """One face, as far as it has been followed. Engine thread only."""

    def __init__(self, glimpse: Glimpse, clock_s: float) -> None:
        self.first = glimpse
        self.last = glimpse
        self.looks = 0
        self.born_s = clock_s
        self.seen_s = clock_s
        self.embedded_s = -1e9
        self.best: Shot | None = None
        self.kept: list[Look] = []
        self.templates_added = 0
        self._proven: tuple[float, Glimpse, Shot | None] = (clock_s, glimpse, None)
        self._velocity = (0.0, 0.0)

    def expected(self, clock_s: float) -> Box:
        """Where the face should be now, at constant velocity."""
        ahead = min(clock_s - self.seen_s, 0.5)
        dx, dy = self._velocity[0] * ahead, self._velocity[1] * ahead
        box = self.last.box
        return Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)

    def follow(self, glimpse: Glimpse, clock_s: float) -> None:
        """*glimpse* is this face, now."""
        elapsed = clock_s - self.seen_s
        if elapsed > 0:
            (x0, y0), (x1, y1) = self.last.box.centre, glimpse.box.centre
            self._velocity = (
                0.5 * self._velocity[0] + 0.5 * (x1 - x0) / elapsed,
                0.5 * self._velocity[1] + 0.5 * (y1 - y0) / elapsed,
            )
        self.last = glimpse
        self.looks += 1
        self.seen_s = clock_s

    def keep(self, look: Look, most: int) -> None:
        """Remember *look* if it is among the best; one with a template outranks one without."""
        self.kept.append(look)
        self.kept.sort(key=lambda it: (it.template is not None, it.quality.overall), reverse=True)
        del self.kept[most:]

    def add_template(self, look: Look, template: Template, clock_s: float) -> None:
        """What the embedder said of one of this track's looks."""
        self.kept = [it for it in self.kept if it is not look]
        self.keep(replace(look, template=template), len(self.kept) + 1)
        self.embedded_s = clock_s
        self.templates_added += 1
        self._proven = (self.seen_s, self.last, self.best)

    def take_back(self) -> None:
        """Since its last template this was somebody else."""
        self.seen_s, self.last, self.best = self._proven
        self.kept = self.templates

    def drop(self, look: Look) -> None:
        """*look* was somebody else."""
        self.kept = [it for it in self.kept if it is not look]

    @property
    def templates(self) -> list[Look]:
        """The kept looks that have been embedded, best first."""
        return [look for look in self.kept if look.template is not None]

    def resemblance(self, template: Template) -> float | None:
        """Highest cosine to this track's templates; None while it has none."""
        cosines = [
            float(look.template @ template) for look in self.kept if look.template is not None
        ]
        return max(cosines, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """A track and the glimpse that may be its next one.

    Attributes:
        likeness: Product of their tiny pictures, -1..1.
        sure: No template is needed to tell that they are one face.
    """

    track: Track
    glimpse: Glimpse
    likeness: float
    sure: bool


def pair(
    tracks: Sequence[Track], glimpses: Sequence[Glimpse], clock_s: float, rule: Following
) -> tuple[list[Pairing], list[Glimpse]]:
    """Give each track at most one glimpse, nearest and most alike first; and those left over."""
    choices: list[tuple[float, int, int, float, float]] = []
    for i, track in enumerate(tracks):
        expected = track.expected(clock_s)
        patience = rule.reach * (1 + clock_s - track.seen_s)
        for j, glimpse in enumerate(glimpses):
            distance = _distance(expected, glimpse.box)
            if distance < patience:
                alike = float(track.last.detection.tiny @ glimpse.detection.tiny)
                choices.append((distance - alike, i, j, alike, distance))
    pairs: list[Pairing] = []
    taken_tracks: set[int] = set()
    taken_glimpses: set[int] = set()
    for _, i, j, alike, distance in sorted(choices):
        if i in taken_tracks or j in taken_glimpses:
            continue
        taken_tracks.add(i)
        taken_glimpses.add(j)
        gap = clock_s - tracks[i].seen_s
        sure = alike >= rule.alike and distance < 0.6 * rule.reach and gap < rule.lost_after_s / 2
        pairs.append(Pairing(tracks[i], glimpses[j], alike, sure))
    return pairs, [it for j, it in enumerate(glimpses) if j not in taken_glimpses]


def _distance(a: Box, b: Box) -> float:
    """Between centres in face widths, and a change of size counts as distance."""
    width = (a.width + b.width) / 2
    (ax, ay), (bx, by) = a.centre, b.centre
    growth = abs(np.log(max(b.width, 1.0) / max(a.width, 1.0)))
    return float(np.hypot(ax - bx, ay - by) / max(width, 1.0) + growth)
