"""Glimpses become tracks: the same face across the frames of one camera.

A track is what motion and overlap follow, backed by a tiny picture of the face, which costs next
to nothing, and proved by templates, which are dear. Only a template that tells who it is proves
anything: those of faces that are half hidden, turned away or blurred are like everybody's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Glimpse, Look, Template
from facewatch.domain.geometry import Box
from facewatch.ports.streams import Frame


@dataclass(frozen=True, slots=True)
class Following:
    """When two glimpses are one face. Distances in face widths, times in seconds.

    Attributes:
        reach: How far a face may be from where its track expects it.
        near: Distance up to which a face is where it was expected.
        lost_after_s: A track not seen for this long ends.
        gap_s: A gap from which on somebody else may have taken the place.
        calm: Novelty up to which neighbouring glimpses need no template to be one face.
        usual: So many times a track's usual novelty is no surprise.
        restless: Novelty from which they need a template however restless the face is.
        unlike: Likeness below which they need one at once.
        telling: How much a template must tell to prove anything, 0..1.
        clear: How much it must tell to prove a difference.
        same: Cosine from which two telling templates prove one person.
        unlike_clear: Cosine below which two clear templates are two people.
        unlike_telling: Cosine below which two telling templates are two people.
        keep: Best looks kept of a track.
        worth_embedding: Quality below which a template is not worth its cost.
        closer_by: A glimpse is worth a closer look if it promises this much more than the worst
            of those that are kept.
        better_by: A look this much better than the best embedded one is embedded too.
        refresh_s: A look is embedded at least this often, to notice a change of person.
        question_s: A track in question is asked for a template at most this often.
    """

    reach: float = 1.0
    near: float = 0.6
    lost_after_s: float = 0.9
    gap_s: float = 0.45
    calm: float = 0.15
    usual: float = 3.0
    restless: float = 0.7
    unlike: float = 0.4
    telling: float = 0.5
    clear: float = 0.8
    same: float = 0.4
    unlike_clear: float = 0.3
    unlike_telling: float = 0.2
    keep: int = 5
    worth_embedding: float = 0.25
    closer_by: float = 0.05
    better_by: float = 0.15
    refresh_s: float = 5.0
    question_s: float = 0.55


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A look, the frame that it was taken from and whoever else was in it."""

    frame: Frame
    look: Look
    others: tuple[tuple[Look, "Track"], ...] = ()


class Doubt(IntEnum):
    """How sure it is that a glimpse is the next one of a track."""

    NONE = 0
    SOME = 1
    """It looks a little different: to be proved when there is occasion."""
    GREAT = 2
    """It jumped, was away, looks different, or the scene was cut: to be proved now."""


@dataclass(frozen=True, slots=True, eq=False)
class _Sure:
    """How far it is sure that a track is one person."""

    seen_s: float
    last: Glimpse
    looks: int
    best: Shot | None


class Track:
    """One face, as far as it has been followed. Engine thread only."""

    def __init__(self, glimpse: Glimpse, clock_s: float) -> None:
        self.first = glimpse
        self.last = glimpse
        self.looks = 0
        self.born_s = clock_s
        self.seen_s = clock_s
        self.embedded_s = -1e9
        self.score = 0.0
        self.best: Shot | None = None
        self._first_shot: Shot | None = None
        self.kept: list[Look] = []
        self.suspects: list[Look] = []
        self.templates_added = 0
        self._proven = _Sure(clock_s, glimpse, 0, None)
        self._question: tuple[_Sure, Glimpse, float] | None = None
        self.restlessness = 0.2
        self._velocity = (0.0, 0.0)

    def expected(self, clock_s: float) -> Box:
        """Where the face should be now, at constant velocity."""
        ahead = min(clock_s - self.seen_s, 0.5)
        dx, dy = self._velocity[0] * ahead, self._velocity[1] * ahead
        box = self.last.box
        return Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)

    @property
    def in_question(self) -> bool:
        """Whether it may be somebody else by now."""
        return self._question is not None

    def question(self, glimpse: Glimpse, clock_s: float) -> None:
        """From *glimpse* on it may be somebody else: remember how far it is sure."""
        if self._question is None:
            self._question = self._now, glimpse, clock_s

    @property
    def _now(self) -> _Sure:
        return _Sure(self.seen_s, self.last, self.looks, self.best)

    def follow(self, glimpse: Glimpse, clock_s: float, novelty: float | None = None) -> None:
        """*glimpse* is this face, now."""
        if novelty is not None:
            self.restlessness += 0.2 * (novelty - self.restlessness)
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
        self.score = max(self.score, glimpse.detection.score)

    def take(self, shot: Shot) -> None:
        """The best so far."""
        self.best = shot
        self._first_shot = self._first_shot or shot

    def keep(self, look: Look, most: int) -> None:
        """Remember *look* if it is among the best; one with a template outranks one without."""
        self.kept.append(look)
        self.kept.sort(key=rank, reverse=True)
        del self.kept[most:]

    def add_template(self, look: Look, clock_s: float, *, proves: bool) -> None:
        """*look* has its template now; *proves*: it is surely this track's."""
        self.kept = [it for it in self.kept if it.detection is not look.detection]
        self.keep(look, len(self.kept) + 1)
        if self.best is not None and self.best.look.detection is look.detection:
            self.best = replace(self.best, look=look)
        self.embedded_s = clock_s
        self.templates_added += 1
        if proves:
            self.suspects.clear()
            self._question = None
        if not self.in_question:
            self._proven = self._now

    def renew(self, embed: Callable[[Sequence[Look]], Sequence[Look]], most: int) -> None:
        """Another embedder: the best *most* of its looks are embedded again, others no more are.

        What was suspected waits for new templates.
        """
        again = self.templates[:most]
        fresh = dict(zip(map(id, again), embed(again), strict=True))
        self.kept = [fresh.get(id(it)) or replace(it, template=None) for it in self.kept]
        self.kept.sort(key=rank, reverse=True)
        self.suspects = []

    def suspect(self, look: Look, clock_s: float) -> None:
        """The template of *look* neither proves nor disproves that it is this face."""
        self.suspects.append(look)
        self.embedded_s = clock_s

    def part(self) -> "Track | None":
        """It was somebody else, since it came into question: their track, taken out of this one.

        None where nothing told when they came: this one then ends where it was proven last.
        """
        if self._question is None:
            self._take_back(self._proven)
            return None
        sure, glimpse, clock_s = self._question
        theirs = None
        if self.looks > sure.looks:
            theirs = Track(glimpse, clock_s)
            theirs.last, theirs.seen_s = self.last, self.seen_s
            theirs.looks, theirs.score = self.looks - sure.looks, self.score
            theirs.suspects = self.suspects
            theirs.kept = [it for it in self.kept if it.t_s > sure.last.t_s]
        self._take_back(sure)
        return theirs

    def _take_back(self, sure: _Sure) -> None:
        self.seen_s, self.last, self.looks = sure.seen_s, sure.last, max(1, sure.looks)
        if self.best is not None and self.best.look.t_s > sure.last.t_s:
            self.best = sure.best or self._first_shot
        self.kept = [it for it in self.kept if it.t_s <= sure.last.t_s]
        self.suspects, self._question = [], None

    def drop(self, look: Look) -> None:
        """*look* was somebody else."""
        self.kept = [it for it in self.kept if it.detection is not look.detection]

    @property
    def known(self) -> bool:
        """Whether one of its templates says more than nothing about who it is."""
        return any(look.quality.telling >= 0.5 for look in self.templates)

    @property
    def templates(self) -> list[Look]:
        """The kept looks that have been embedded, best first."""
        return [look for look in self.kept if look.template is not None]


def rank(look: Look) -> tuple[bool, float]:
    """By what looks are kept: one with a template counts by what that tells."""
    if look.template is None:
        return False, look.quality.overall
    return True, look.quality.overall * look.quality.telling


class Verdict(Enum):
    """What templates say about two faces."""

    SAME = auto()
    OTHER = auto()
    UNCLEAR = auto()
    """Between the two."""
    MUTE = auto()
    """One of them has no template that tells anything."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The looks of two tracks, or of a look and a track, compared.

    Attributes:
        cosine: The highest; -1 where nothing tells.
        clear: The templates are such that a person's own would be much alike.
    """

    verdict: Verdict
    cosine: float
    clear: bool


def compare(mine: Sequence[Look], theirs: Sequence[Look], rule: Following) -> Comparison:
    """One person or two, as far as telling templates say."""
    mine, theirs = _telling(mine, rule.telling), _telling(theirs, rule.telling)
    if not mine or not theirs:
        return Comparison(Verdict.MUTE, -1.0, clear=False)
    cosine = float(np.max(_rows(mine) @ _rows(theirs).T))
    clear = bool(_telling(mine, rule.clear) and _telling(theirs, rule.clear))
    if cosine >= rule.same:
        return Comparison(Verdict.SAME, cosine, clear)
    if cosine < (rule.unlike_clear if clear else rule.unlike_telling):
        return Comparison(Verdict.OTHER, cosine, clear)
    return Comparison(Verdict.UNCLEAR, cosine, clear)


def _telling(looks: Sequence[Look], least: float) -> list[Look]:
    return [it for it in looks if it.template is not None and it.quality.telling >= least]


def _rows(looks: Sequence[Look]) -> NDArray[np.float32]:
    return np.stack([it.template for it in looks if it.template is not None])


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """A track and the glimpse that may be its next one.

    Attributes:
        likeness: Product of their tiny pictures, -1..1.
        novelty: How far it is from where and how it was expected; 0 is a standing picture.
    """

    track: Track
    glimpse: Glimpse
    likeness: float
    novelty: float
    doubt: Doubt


def pair(
    tracks: Sequence[Track],
    glimpses: Sequence[Glimpse],
    clock_s: float,
    rule: Following,
    *,
    cut: bool,
) -> tuple[list[Pairing], list[Glimpse]]:
    """Give each track at most one glimpse, nearest and most alike first; and those left over."""
    choices: list[tuple[float, int, int, float, float]] = []
    for i, track in enumerate(tracks):
        expected = track.expected(clock_s)
        patience = rule.reach * (1 + clock_s - track.seen_s)
        for j, glimpse in enumerate(glimpses):
            far = distance(expected, glimpse.box)
            if far < patience:
                alike = float(track.last.detection.tiny @ glimpse.detection.tiny)
                choices.append((far - alike, i, j, alike, far))
    pairs: list[Pairing] = []
    taken_tracks: set[int] = set()
    taken_glimpses: set[int] = set()
    for _, i, j, alike, far in sorted(choices):
        if i in taken_tracks or j in taken_glimpses:
            continue
        taken_tracks.add(i)
        taken_glimpses.add(j)
        novelty = 1 - alike + far
        if cut or far >= rule.near or clock_s - tracks[i].seen_s >= rule.gap_s:
            doubt = Doubt.GREAT
        else:
            doubt = _doubt(tracks[i], alike, novelty, rule)
        pairs.append(Pairing(tracks[i], glimpses[j], alike, novelty, doubt))
    return pairs, [it for j, it in enumerate(glimpses) if j not in taken_glimpses]


def _doubt(track: Track, alike: float, novelty: float, rule: Following) -> Doubt:
    """What is usual for a restless face is a surprise in a calm one."""
    if alike < rule.unlike:
        return Doubt.GREAT
    expected = min(max(rule.calm, rule.usual * track.restlessness), rule.restless)
    return Doubt.NONE if novelty < expected else Doubt.SOME


def distance(a: Box, b: Box) -> float:
    """Between centres in face widths, and a change of size counts as distance."""
    width = (a.width + b.width) / 2
    (ax, ay), (bx, by) = a.centre, b.centre
    growth = abs(np.log(max(b.width, 1.0) / max(a.width, 1.0)))
    return float(np.hypot(ax - bx, ay - by) / max(width, 1.0) + growth)


def embedded(look: Look, template: Template, telling: float) -> Look:
    """*look* with what the embedder said of it."""
    return replace(look, template=template, quality=replace(look.quality, telling=telling))
