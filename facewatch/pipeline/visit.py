"""Tracks become visits: one identity at one camera, while the gap stays under the setting.

A pure state machine for one camera: frames and looks go in, visits to be decided come out.
It waits for nothing and reads no clock; whoever owns it calls `idle` when no frames come.
"""

from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.events import TimeSource
from facewatch.domain.faces import Glimpse, Look, Pixels, Scene, Template
from facewatch.domain.ids import CameraId, EventId, RegionId
from facewatch.pipeline.still import Standstill, StillThings
from facewatch.pipeline.track import Following, Shot, Track, Verdict, compare, distance, rank
from facewatch.pipeline.tracker import Closer, Said, Tracker
from facewatch.ports.streams import Frame


@dataclass(frozen=True, slots=True)
class Visiting:
    """What makes a visit. Times in seconds.

    Attributes:
        gap_s: Somebody who is away for longer than this comes back as a new visit.
        near_s: Who comes back within this at the same place needs less proof to be the same.
        wait_s: A new track that may continue an open visit is watched for so long before it is
            a visit of its own,
        wait_templates: or until so many templates have left that open.
        cut: Likeness of two neighbouring pictures, -1..1, below which the scene was cut.
        face: Detector score that a face reaches at least once, and what is none seldom does.
        looks: A visit is real from this many looks on; fewer are glimpses, and dropped.
        good_looks: The same when the best look is good.
        good: Quality from which a look is good.
        again_s: An open visit is reported at most this often.
        better_by: A best shot this much better is worth a report.
    """

    gap_s: float = 3.0
    near_s: float = 1.2
    wait_s: float = 1.0
    wait_templates: int = 2
    cut: float = 0.35
    face: float = 0.82
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
        """Of a track that is known by its templates, if there is one."""
        shots = [(track.known, track.best) for track in self.tracks if track.best is not None]
        return max(shots, key=lambda it: (it[0], it[1].look.quality.overall))[1]

    def best_looks(self, most: int) -> list[Look]:
        kept = [look for track in self.tracks for look in track.kept]
        kept.sort(key=rank, reverse=True)
        return kept[:most]

    @property
    def score(self) -> float:
        return max(track.score for track in self.tracks)

    @property
    def kept(self) -> list[Look]:
        return [look for track in self.tracks for look in track.kept]


class Visitors:
    """Everybody at one camera. Engine thread only.

    *name_event* makes the id of a visit from when and as which (0, 1, ...) it began.
    *suppressed* was found to stand still before.
    """

    def __init__(
        self,
        camera: CameraId,
        name_event: Callable[[datetime, int], EventId],
        following: Following | None = None,
        visiting: Visiting | None = None,
        standstill: Standstill | None = None,
        suppressed: Sequence[SuppressedRegion] = (),
    ) -> None:
        self._camera = camera
        self._name_event = name_event
        self._following = following or Following()
        self._visiting = visiting or Visiting()
        self._tracker = Tracker(self._following, self._curious)
        self._still = StillThings(standstill or Standstill(), suppressed)
        self._scene: Scene | None = None
        self._cut_s = -1e9
        self._visits: list[_Open] = []
        self._visit_of: dict[Track, _Open] = {}
        self._clock_s = 0.0
        self._idled_s = 0.0
        self._last_frame: Frame | None = None
        self._visits_begun = 0

    def see(
        self,
        frame: Frame,
        glimpses: Sequence[Glimpse],
        closer: Closer,
        scene: Scene | None = None,
    ) -> Generator[list[Pixels], Sequence[Said], list[Visit]]:
        """Take in one frame; yields once, the crops to embed, and is sent what they said.

        *closer* aligns and judges a glimpse of this frame; it is asked where that could matter.
        *scene* is the whole picture, tiny.

        Returns:
            The visits that have something new to say, in order of their beginning.
        """
        self._advance(frame)
        cut = self._is_cut(scene)
        moving = self._still.sift(glimpses, self._clock_s)
        yield from self._tracker.see(frame, self._clock_s, moving, closer, cut=cut)
        return self._report()

    def _is_cut(self, scene: Scene | None) -> bool:
        last, self._scene = self._scene, scene
        if last is None or scene is None or float(last @ scene) >= self._visiting.cut:
            return False
        if not (last.any() and scene.any()):
            return False  # a flat picture, a dark one for instance, is like no other
        self._cut_s = self._clock_s
        return True

    @property
    def nobody(self) -> bool:
        """Whether no face is followed, and no visit open."""
        return not self._visits and not self._tracker.tracks

    @property
    def next_look_in_s(self) -> float | None:
        """When one more look may let a visit be told of, in seconds; None if none would.

        Who was looked at twice as often as that takes, and is no visit yet, is not waited for.
        """
        waits = [self._wanted_in_s(track) for track in self._tracker.tracks]
        return min((wait for wait in waits if wait is not None), default=None)

    def _wanted_in_s(self, track: Track) -> float | None:
        rule, visit = self._visiting, self._visit_of.get(track)
        looks = visit.looks if visit else track.looks
        told = visit is not None and visit.reported_s is not None
        if told or track.seen_s < self._clock_s or looks >= 2 * rule.looks:
            return None
        if not self._curious(track):
            return 0.0
        asked_s = min(track.embedded_s + self._following.question_s, track.born_s + rule.wait_s)
        return max(0.0, asked_s - self._clock_s)

    @property
    def suppressed(self) -> tuple[SuppressedRegion, ...]:
        """Where something that fires as a face stands still, and makes no events."""
        return self._still.suppressed

    def watch_again(self, regions: Collection[RegionId]) -> None:
        """See `StillThings.watch_again`."""
        self._still.watch_again(regions)

    def renew(self, embed: Callable[[Sequence[Look]], Sequence[Look]], most: int) -> None:
        """Another embedder: see `Track.renew`. Whoever is in view, or was just now, stays known."""
        for track in {*self._tracker.tracks, *(t for it in self._visits for t in it.tracks)}:
            track.renew(embed, most)

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

    def _report(self) -> list[Visit]:
        self._tracker.pass_time(self._clock_s)
        self._join()
        said = [self._describe(it) for it in self._visits if self._worth_saying(it)]
        self._visits = [it for it in self._visits if not self._over(it)]
        open_tracks = {track for it in self._visits for track in it.tracks}
        self._visit_of = {t: v for t, v in self._visit_of.items() if t in open_tracks}
        return said

    def _join(self) -> None:
        """Give tracks the visit that they continue, or a new one; wait a little for a template."""
        for track in self._tracker.take_ended():
            self._place(track, last_chance=True)
        for track in self._tracker.tracks:
            self._place(track, last_chance=False)

    def _place(self, track: Track, *, last_chance: bool) -> None:
        if track in self._visit_of or (not track.templates and track.looks < self._visiting.looks):
            return
        visit = self._continued(track)
        if visit is not None:
            visit.tracks.append(track)
        elif self._curious(track) and not last_chance:
            return
        else:
            event = self._name_event(track.first.at, self._visits_begun)
            self._visits_begun += 1
            visit = _Open(event, track)
            self._visits.append(visit)
        self._visit_of[track] = visit

    def _curious(self, track: Track) -> bool:
        """Whether *track* may continue a visit, if only it were better known."""
        rule = self._visiting
        if track in self._visit_of or self._clock_s - track.born_s >= rule.wait_s:
            return False
        if track.templates_added >= rule.wait_templates:
            return False
        return any(self._kinship(track, visit) > -1.0 for visit in self._absent(track))

    def _absent(self, track: Track) -> list[_Open]:
        """Open visits of people who were not in view any more when *track* began."""
        gap_s = self._visiting.gap_s
        return [it for it in self._visits if it.seen_s < track.born_s <= it.seen_s + gap_s]

    def _continued(self, track: Track) -> _Open | None:
        """The open visit of the same person, who is not in view anywhere else."""
        kin = [
            (kinship, visit)
            for visit in self._absent(track)
            if (kinship := self._kinship(track, visit)) >= 0
        ]
        return max(kin, key=lambda it: it[0], default=(0.0, None))[1]

    def _kinship(self, track: Track, visit: _Open) -> float:
        """From 0 on *track* continues *visit*; -1 if it surely does not."""
        found = compare(track.kept, visit.kept, self._following)
        match found.verdict:
            case Verdict.SAME:
                return found.cosine
            case Verdict.OTHER:
                return -1.0
            case _:
                here = self._same_place(track, visit) and not found.clear
                return 0.0 if here else -0.5

    def _same_place(self, track: Track, visit: _Open) -> bool:
        """Whether *track* began where and when *visit* was seen last."""
        last = max(visit.tracks, key=lambda it: it.seen_s)
        soon = track.born_s - last.seen_s <= self._visiting.near_s
        near = distance(last.last.box, track.first.box) < self._following.reach
        return soon and near and self._cut_s <= last.seen_s

    def _over(self, visit: _Open) -> bool:
        return self._clock_s - visit.seen_s > self._visiting.gap_s

    def _real(self, visit: _Open) -> bool:
        rule = self._visiting
        if visit.reported_s is not None:
            return True
        if visit.score < rule.face:
            return False
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
    weighted = [
        look.quality.overall * look.quality.telling * look.template
        for look in looks
        if look.template is not None
    ]
    if not weighted:
        return None
    total = np.sum(np.stack(weighted), axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), dtype=np.float32)
