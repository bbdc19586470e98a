"""Frames of one camera become tracks, with a template asked for where it decides something."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from facewatch.domain.faces import Glimpse, Look, Pixels, Template
from facewatch.pipeline.track import (
    Comparison,
    Doubt,
    Following,
    Pairing,
    Shot,
    Track,
    Verdict,
    compare,
    embedded,
    pair,
)
from facewatch.ports.streams import Frame

Said: TypeAlias = tuple[Template, float]
"""A template, and how much it tells about who it is, 0..1."""

Closer: TypeAlias = Callable[[Glimpse], Look]
"""Aligns and judges a glimpse of the newest frame; asked where that could matter."""


@dataclass(slots=True, eq=False)
class _Present:
    """A face in the newest frame; *look* is None where a glimpse was enough."""

    glimpse: Glimpse
    look: Look | None
    track: Track


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """A look to embed: *pairing* where the answer decides whose it is, else *present*."""

    look: Look
    pairing: Pairing | None = None
    present: _Present | None = None


class Tracker:
    """The faces that are followed at one camera. Engine thread only.

    *curious* says of which track one more template would decide something.
    """

    def __init__(self, rule: Following, curious: Callable[[Track], bool]) -> None:
        self._rule = rule
        self._curious = curious
        self.tracks: list[Track] = []
        self._ended: list[Track] = []
        self._clock_s = 0.0

    def see(
        self,
        frame: Frame,
        clock_s: float,
        glimpses: Sequence[Glimpse],
        closer: Closer,
        *,
        cut: bool,
    ) -> Generator[list[Pixels], Sequence[Said], None]:
        """Take in one frame; yields once, the crops to embed, and is sent what they said.

        After a *cut* nothing is where it was.
        """
        self._clock_s = clock_s
        pairs, strangers = pair(self.tracks, glimpses, clock_s, self._rule, cut=cut)
        present: list[_Present] = []
        wishes: list[_Wish] = []
        for it in pairs:
            look = self._closely(it, closer)
            if it.doubt is Doubt.GREAT and look is not None and self._worth(look):
                wishes.append(_Wish(look, pairing=it))
            else:
                present.append(self._go_on(it, look, cut=cut))
        present += [self._begin(it, closer(it)) for it in strangers]
        for at in present:
            wanted = self._wanted(at)
            if wanted is not None:
                wishes.append(_Wish(wanted, present=at))
        said = yield [wish.look.crop for wish in wishes]
        for wish, (template, telling) in zip(wishes, said, strict=True):
            look = embedded(wish.look, template, telling)
            if wish.pairing is not None:
                present.append(self._settle(wish.pairing, look, cut=cut))
            elif wish.present is not None:
                self._learn(wish.present, look)
        self._take_shots(frame, present, closer)
        self.pass_time(clock_s)

    def pass_time(self, clock_s: float) -> None:
        """Tracks that were not seen for long enough end."""
        self._clock_s = clock_s
        for track in list(self.tracks):
            if clock_s - track.seen_s > self._rule.lost_after_s:
                self._end(track)

    def take_ended(self) -> list[Track]:
        """The tracks that have ended since this was asked last."""
        ended, self._ended = self._ended, []
        return ended

    def _end(self, track: Track) -> None:
        self.tracks.remove(track)
        self._ended.append(track)

    def _closely(self, it: Pairing, closer: Closer) -> Look | None:
        """A closer look if it could teach anything."""
        track, rule = it.track, self._rule
        worst = min((kept.quality.overall for kept in track.kept), default=0.0)
        if (
            it.doubt is Doubt.NONE
            and not track.in_question
            and not self._due(track)
            and len(track.kept) >= rule.keep
            and it.glimpse.promise < worst + rule.closer_by
        ):
            return None
        return closer(it.glimpse)

    def _go_on(self, it: Pairing, look: Look | None, *, cut: bool) -> _Present:
        """Place and likeness alone say whose glimpse this is."""
        away = self._clock_s - it.track.seen_s >= self._rule.gap_s
        if it.doubt is Doubt.GREAT and (cut or away or it.likeness < self._rule.unlike):
            self._end(it.track)
            return self._begin(it.glimpse, look)
        if it.doubt is not Doubt.NONE:
            it.track.question(it.glimpse, self._clock_s)
        return self._follow(it, look)

    def _follow(self, it: Pairing, look: Look | None) -> _Present:
        it.track.follow(it.glimpse, self._clock_s, it.novelty)
        if look is not None:
            it.track.keep(look, self._rule.keep)
        return _Present(it.glimpse, look, it.track)

    def _begin(self, glimpse: Glimpse, look: Look | None) -> _Present:
        track = Track(glimpse, self._clock_s)
        self.tracks.append(track)
        track.follow(glimpse, self._clock_s)
        if look is not None:
            track.keep(look, self._rule.keep)
        return _Present(glimpse, look, track)

    def _worth(self, look: Look) -> bool:
        return look.quality.overall >= self._rule.worth_embedding

    def _due(self, track: Track) -> bool:
        return self._clock_s - track.embedded_s > self._rule.refresh_s

    def _wanted(self, it: _Present) -> Look | None:
        """The look whose template could change an answer, if any."""
        rule, track = self._rule, it.track
        if it.look is None:
            return None
        have = track.templates
        asked_lately = self._clock_s - track.embedded_s < rule.question_s
        if have and (track.in_question or self._curious(track)) and not asked_lately:
            return it.look if self._worth(it.look) else None
        fresh = [it.look, *(kept for kept in track.kept if kept.template is None)]
        best = max(fresh, key=lambda look: look.quality.overall)
        if self._due(track) and it.look.quality.overall >= 2 * rule.worth_embedding:
            best = it.look
        if not self._worth(best):
            return None
        seen = max((look.quality.visible for look in have), default=-1.0)
        better = best.quality.visible > seen + rule.better_by
        return best if better or self._due(track) else None

    def _learn(self, it: _Present, look: Look) -> None:
        """A template of who was followed; it may show that it is somebody else by now."""
        track = it.track
        if look.detection is it.glimpse.detection:
            it.look = look
        found = compare([look], track.kept, self._rule)
        if found.verdict is Verdict.OTHER or self._another(track, look, found):
            self._part(it, look)
        elif found.verdict is Verdict.UNCLEAR and track.in_question:
            track.suspect(look, self._clock_s)
        else:
            proves = found.verdict is Verdict.SAME
            track.add_template(look, self._clock_s, proves=proves)

    def _settle(self, it: Pairing, look: Look, *, cut: bool) -> _Present:
        """The same person, or another at the same place: the template says, if it tells."""
        track = it.track
        found = compare([look], track.kept, self._rule)
        if found.verdict is Verdict.MUTE:
            present = self._go_on(it, look, cut=cut)
            present.track.add_template(look, self._clock_s, proves=False)
            return present
        if found.verdict is Verdict.SAME:
            present = self._follow(it, look)
            track.add_template(look, self._clock_s, proves=True)
            return present
        unclear = found.verdict is Verdict.UNCLEAR and not (cut or found.clear)
        if unclear and not self._another(track, look, found):
            track.question(it.glimpse, self._clock_s)
            present = self._follow(it, look)
            track.suspect(look, self._clock_s)
            return present
        return self._replace(it, look)

    def _another(self, track: Track, look: Look, found: Comparison) -> bool:
        """It is like those that were suspected before, and none of them like the track."""
        if found.verdict is not Verdict.UNCLEAR:
            return False
        theirs = compare([look], track.suspects, self._rule)
        return theirs.verdict is Verdict.SAME and theirs.cosine > found.cosine + 0.1

    def _replace(self, it: Pairing, look: Look) -> _Present:
        """Somebody else stands there; perhaps since the track came into question."""
        track = it.track
        theirs = track.part() if self._like_suspects(track, look) else None
        self._end(track)
        if theirs is None:
            present = self._begin(it.glimpse, look)
        else:
            self.tracks.append(theirs)
            theirs.follow(it.glimpse, self._clock_s)
            present = _Present(it.glimpse, look, theirs)
        present.track.add_template(look, self._clock_s, proves=True)
        return present

    def _like_suspects(self, track: Track, look: Look) -> bool:
        return compare([look], track.suspects, self._rule).verdict is Verdict.SAME

    def _part(self, it: _Present, look: Look) -> None:
        """Since the track came into question it was somebody else, who has a track from now on."""
        track = it.track
        if look.detection is not it.glimpse.detection:
            track.drop(look)
            track.question(it.glimpse, self._clock_s)
            return
        theirs = track.part()
        self._end(track)
        if theirs is None:
            theirs = self._begin(it.glimpse, look).track
        else:
            self.tracks.append(theirs)
        theirs.add_template(look, self._clock_s, proves=True)
        it.track, it.look = theirs, look

    def _take_shots(self, frame: Frame, present: Sequence[_Present], closer: Closer) -> None:
        """Keep the frame for whoever it shows best so far."""
        for it in present:
            best = it.track.best
            if it.look is None or (best is not None and not self._beats(it.look, it.track, best)):
                continue
            others = tuple(
                (other.look or closer(other.glimpse), other.track)
                for other in present
                if other is not it
            )
            it.track.take(Shot(frame, it.look, others))

    def _beats(self, look: Look, track: Track, best: Shot) -> bool:
        """Whether *look* shows more of its person; in question, it may be somebody else's."""
        better = look.quality.overall > best.look.quality.overall + 0.02
        return better and not track.in_question
