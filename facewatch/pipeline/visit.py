"""Tracks become visits: one identity at one camera, while the gap stays under the setting.

A pure state machine for one camera: frames and looks go in, visits to be decided come out.
It waits for nothing and reads no clock; whoever owns it calls `idle` when no frames come.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from facewatch.domain.events import TimeSource
from facewatch.domain.faces import Glimpse, Look, Pixels, Template
from facewatch.domain.ids import CameraId, EventId
from facewatch.pipeline.track import Following, Pairing, Shot, Track, pair
from facewatch.ports import Frame


@dataclass(frozen=True, slots=True)
class Visiting:
    """What makes a visit. Times in seconds.

    Attributes:
        gap_s: Somebody who is away for longer than this comes back as a new visit.
        join: Cosine from which a new track continues a visit that is still open.
        looks: A visit is real from this many looks on; fewer are glimpses, and dropped.
        good_looks: The same when the best look is good.
        good: Quality from which a look is good.
        again_s: An open visit is reported at most this often.
        better_by: A best shot this much better is worth a report.
    """

    gap_s: float = 3.0
    join: float = 0.42
    looks: int = 3
    good_looks: int = 2
    good: float = 0.5
    again_s: float = 1.0
    better_by: float = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Companion:
    """A face in the best shot's frame; *event* is the visit that it belongs to, if it is one."""

    look: Look
    event: EventId | None


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """A visit at one moment of its life.

    Attributes:
        looks: Frames in which the face was seen.
        faces: Every face of the best shot's frame, the visitor's own among them.
        best_looks: Best first; those that were embedded carry their template.
        template: Fused from the best looks, weighted by quality; None before the first.
        closed: This is the last that will be heard of it.
    """

    event: EventId
    camera: CameraId
    first_seen: datetime
    last_seen: datetime
    first_seen_s: float
    last_seen_s: float
    time_source: TimeSource
    looks: int
    tracks: int
    best: Shot
    faces: tuple[Companion, ...]
    best_looks: tuple[Look, ...]
    template: Template | None
    closed: bool


class _Open:
    """A visit that goes on."""

    def __init__(self, event: EventId, track: Track) -> None:
        self.event = event
        self.tracks = [track]
        self.reported_s: float | None = None
        self.reported_templates = 0
        self.reported_quality = 0.0

    @property
    def seen_s(self) -> float:
        return max(track.seen_s for track in self.tracks)

    @property
    def looks(self) -> int:
        return sum(track.looks for track in self.tracks)

    @property
    def templates(self) -> int:
        return sum(track.templates_added for track in self.tracks)

    @property
    def best(self) -> Shot:
        shots = [track.best for track in self.tracks if track.best is not None]
        return max(shots, key=lambda shot: shot.look.quality.overall)

    def best_looks(self, most: int) -> list[Look]:
        kept = [look for track in self.tracks for look in track.kept]
        kept.sort(key=lambda it: (it.template is not None, it.quality.overall), reverse=True)
        return kept[:most]

    def resemblance(self, template: Template) -> float:
        return max((track.resemblance(template) or -1.0 for track in self.tracks), default=-1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Present:
    """A face in the newest frame and its track; *look* is None where a glimpse was enough."""

    glimpse: Glimpse
    look: Look | None
    track: Track


class Visitors:
    """Everybody at one camera. Engine thread only.

    *name_event* makes the id of a visit from when and as which (0, 1, ...) it began.
    """

    def __init__(
        self,
        camera: CameraId,
        name_event: Callable[[datetime, int], EventId],
        following: Following | None = None,
        visiting: Visiting | None = None,
    ) -> None:
        self._camera = camera
        self._name_event = name_event
        self._following = following or Following()
        self._visiting = visiting or Visiting()
        self._tracks: list[Track] = []
        self._visits: list[_Open] = []
        self._visit_of: dict[Track, _Open] = {}
        self._clock_s = 0.0
        self._idled_s = 0.0
        self._last_frame: Frame | None = None
        self._visits_begun = 0

    def see(
        self, frame: Frame, glimpses: Sequence[Glimpse], closer: Callable[[Glimpse], Look]
    ) -> Generator[list[Pixels], Sequence[Template], list[Visit]]:
        """Take in one frame; yields once, the crops to embed, and is sent their templates.

        *closer* aligns and judges a glimpse of this frame; it is asked where that could matter.

        Returns:
            The visits that have something new to say, in order of their beginning.
        """
        self._advance(frame)
        pairs, strangers = pair(self._tracks, glimpses, self._clock_s, self._following)
        doubts = [(it, closer(it.glimpse)) for it in pairs if not it.sure]
        present = [self._follow(it, closer) for it in pairs if it.sure]
        wishes = self._wishes(present)
        asked = [look.crop for _, look in doubts] + [look.crop for _, look in wishes]
        templates = yield asked

        for (place, look), template in zip(wishes, templates[len(doubts) :], strict=True):
            present[place] = self._learn(present[place], look, template)
        present += [
            self._settle(doubt, look, template)
            for (doubt, look), template in zip(doubts, templates[: len(doubts)], strict=True)
        ]
        present += [self._begin(glimpse, closer(glimpse)) for glimpse in strangers]
        self._take_shots(frame, present, closer)
        return self._report()

    def idle(self, elapsed_s: float) -> list[Visit]:
        """No frame came for *elapsed_s*: time passes all the same."""
        self._idled_s += elapsed_s
        self._clock_s += elapsed_s
        return self._report()

    def close(self) -> list[Visit]:
        """The stream is over: every open visit ends where it was last seen."""
        self._clock_s += self._visiting.gap_s + self._following.lost_after_s + 1
        return self._report()

    def _advance(self, frame: Frame) -> None:
        """Move the clock by what passed between frames, whatever their time stamps do."""
        last, self._last_frame = self._last_frame, frame
        if last is None:
            return
        elapsed = (frame.at - last.at).total_seconds()
        if frame.time_source is not last.time_source:
            elapsed = frame.t_s - last.t_s
            elapsed = elapsed if 0 < elapsed < 10 else 0.0
        self._clock_s += max(elapsed - self._idled_s, 0.0)
        self._idled_s = 0.0

    def _follow(self, it: Pairing, closer: Callable[[Glimpse], Look]) -> _Present:
        """The same face, surely; looked at closely if that could teach anything."""
        track, rule = it.track, self._following
        track.follow(it.glimpse, self._clock_s)
        due = self._clock_s - track.embedded_s > rule.refresh_s
        worst = min((kept.quality.overall for kept in track.kept), default=0.0)
        if not due and len(track.kept) >= rule.keep and it.glimpse.promise < worst + rule.closer_by:
            return _Present(it.glimpse, None, track)
        look = closer(it.glimpse)
        track.keep(look, rule.keep)
        return _Present(it.glimpse, look, track)

    def _wishes(self, present: Sequence[_Present]) -> list[tuple[int, Look]]:
        """Which looks of whom could change an answer: a first good one, a better one, a refresh."""
        rule, wishes = self._following, list[tuple[int, Look]]()
        for place, it in enumerate(present):
            if it.look is None:
                continue
            due = self._clock_s - it.track.embedded_s > rule.refresh_s
            embedded = it.track.templates
            candidates = [it.look, *(kept for kept in it.track.kept if kept.template is None)]
            best = max(candidates, key=lambda it: it.quality.overall)
            if due and it.look.quality.overall >= self._visiting.good:
                best = it.look
            if best.quality.overall < rule.worth_embedding:
                continue
            if (
                not embedded
                or best.quality.overall > embedded[0].quality.overall + rule.better_by
                or due
            ):
                wishes.append((place, best))
        return wishes

    def _learn(self, it: _Present, look: Look, template: Template) -> _Present:
        """A template where there was no doubt; it may show that there was cause for it."""
        resemblance = it.track.resemblance(template)
        good = look.quality.overall >= self._visiting.good
        if resemblance is None or not good or resemblance >= self._following.other:
            it.track.add_template(look, template, self._clock_s)
            return it
        if look is not it.look:
            it.track.drop(look)
            return it
        it.track.take_back()
        self._tracks.remove(it.track)
        begun = self._begin(it.glimpse, look)
        begun.track.add_template(look, template, self._clock_s)
        return begun

    def _settle(self, doubt: Pairing, look: Look, template: Template) -> _Present:
        """Same person or another at the same place: the templates say; else the likeness does."""
        telling = look.quality.overall >= self._following.worth_embedding
        resemblance = doubt.track.resemblance(template) if telling else None
        same = (
            resemblance >= self._following.same
            if resemblance is not None
            else doubt.likeness >= self._following.alike / 2
        )
        if same:
            doubt.track.follow(doubt.glimpse, self._clock_s)
            doubt.track.keep(look, self._following.keep)
            present = _Present(doubt.glimpse, look, doubt.track)
        else:
            self._tracks.remove(doubt.track)
            present = self._begin(doubt.glimpse, look)
        if telling:
            present.track.add_template(look, template, self._clock_s)
        return present

    def _begin(self, glimpse: Glimpse, look: Look) -> _Present:
        track = Track(glimpse, self._clock_s)
        self._tracks.append(track)
        track.follow(glimpse, self._clock_s)
        track.keep(look, self._following.keep)
        return _Present(glimpse, look, track)

    def _take_shots(
        self, frame: Frame, present: Sequence[_Present], closer: Callable[[Glimpse], Look]
    ) -> None:
        """Keep the frame for whoever it shows best so far."""
        for it in present:
            best = it.track.best
            if it.look is None or (
                best and it.look.quality.overall <= best.look.quality.overall + 0.02
            ):
                continue
            others = tuple(
                (other.look or closer(other.glimpse), other.track)
                for other in present
                if other is not it
            )
            it.track.best = Shot(frame, it.look, others)

    def _report(self) -> list[Visit]:
        self._tracks = [
            it for it in self._tracks if self._clock_s - it.seen_s <= self._following.lost_after_s
        ]
        self._join()
        said = [self._describe(it) for it in self._visits if self._worth_saying(it)]
        self._visits = [it for it in self._visits if not self._over(it)]
        open_tracks = {track for it in self._visits for track in it.tracks}
        self._visit_of = {t: v for t, v in self._visit_of.items() if t in open_tracks}
        return said

    def _join(self) -> None:
        """Give tracks the visit that they continue, or a new one; wait a little for a template."""
        for track in self._tracks:
            if track in self._visit_of or (
                not track.templates and track.looks < self._visiting.looks
            ):
                continue
            visit = self._continued(track)
            if visit is None:
                event = self._name_event(track.first.at, self._visits_begun)
                self._visits_begun += 1
                visit = _Open(event, track)
                self._visits.append(visit)
            else:
                visit.tracks.append(track)
            self._visit_of[track] = visit

    def _continued(self, track: Track) -> _Open | None:
        """The open visit of the same person, who is not in view anywhere else."""
        if not track.templates:
            return None
        template = track.templates[0].template
        assert template is not None
        free = [
            visit
            for visit in self._visits
            if visit.seen_s < track.born_s
            and track.born_s - visit.seen_s <= self._visiting.gap_s
            and visit.resemblance(template) >= self._visiting.join
        ]
        return max(free, key=lambda visit: visit.resemblance(template), default=None)

    def _over(self, visit: _Open) -> bool:
        return self._clock_s - visit.seen_s > self._visiting.gap_s

    def _real(self, visit: _Open) -> bool:
        rule = self._visiting
        good = visit.best.look.quality.overall >= rule.good
        return visit.looks >= (rule.good_looks if good else rule.looks)

    def _worth_saying(self, visit: _Open) -> bool:
        if not self._real(visit):
            return False
        if self._over(visit) or visit.reported_s is None:
            return True
        if self._clock_s - visit.reported_s < self._visiting.again_s:
            return False
        better = visit.best.look.quality.overall - visit.reported_quality
        return visit.templates > visit.reported_templates or better >= self._visiting.better_by

    def _describe(self, visit: _Open) -> Visit:
        visit.reported_s = self._clock_s
        visit.reported_templates = visit.templates
        best = visit.best
        visit.reported_quality = best.look.quality.overall
        first, last = visit.tracks[0].first, max(visit.tracks, key=lambda it: it.seen_s).last
        looks = visit.best_looks(self._following.keep)
        return Visit(
            event=visit.event,
            camera=self._camera,
            first_seen=first.at,
            last_seen=last.at,
            first_seen_s=first.t_s,
            last_seen_s=last.t_s,
            time_source=best.frame.time_source,
            looks=visit.looks,
            tracks=len(visit.tracks),
            best=best,
            faces=(
                Companion(best.look, visit.event),
                *(Companion(look, self._event_of(track)) for look, track in best.others),
            ),
            best_looks=tuple(looks),
            template=fuse(looks),
            closed=self._over(visit),
        )

    def _event_of(self, track: Track) -> EventId | None:
        visit = self._visit_of.get(track)
        return visit.event if visit else None


def fuse(looks: Sequence[Look]) -> Template | None:
    """One template of unit length from those that were embedded, weighted by their quality."""
    weighted = [look.quality.overall * look.template for look in looks if look.template is not None]
    if not weighted:
        return None
    total = np.sum(np.stack(weighted), axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), dtype=np.float32)
