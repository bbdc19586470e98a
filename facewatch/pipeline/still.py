"""What stands still at one place and fires as a face: a chair, a coat of arms, a poster.

A pure state machine for one camera: it is told what was seen when, and says what of that is
worth following. Nobody stands so still that a tiny picture of them stays the same for minutes.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from facewatch.domain.cameras import SuppressedRegion
from facewatch.domain.faces import Glimpse, Tiny
from facewatch.domain.geometry import Box
from facewatch.domain.ids import RegionId, new_id


@dataclass(frozen=True, slots=True)
class Standstill:
    """What is no person. Times in seconds.

    Attributes:
        after_s: What has stood still for so long is suppressed; 0 suppresses nothing.
        forget_s: A region in which that was not seen for so long is watched again.
        gap_s: What has not stood still for longer than `after_s` is given up after this.
        alike: Product of the tiny pictures from which two looks are the same picture.
        near, near_px: Distance of the centres, with growth, up to which it is one place: in face
            widths, and pixels by which a detector may err besides.
        half_hidden: In a suppressed region, and up to twice as far, looks this much alike are the
            same picture, a part of it covered. Who stands before it hardly ever fits so.
        here: The same up to which another picture is before that one, or has replaced it.
        modes: So many pictures may be one thing: what is small is aligned now this way, now that.
        share: Of the looks at its place so many show it, or it moved.
        most: Regions that are watched at once; beyond it the one seen least often is given up.
    """

    after_s: float = 180.0
    forget_s: float = 300.0
    gap_s: float = 20.0
    alike: float = 0.93
    half_hidden: float = 0.5
    near: float = 0.03
    near_px: float = 3.0
    here: float = 0.6
    modes: int = 4
    share: float = 0.9
    most: int = 64


class _Spot:
    """Something at a place; *suppressed* once it has stood still for long enough.

    Nothing whose left and right add up to more than *reach* from *across* is *here* face widths
    near: most are ruled out by that alone.
    """

    def __init__(self, box: Box, modes: Sequence[Tiny], clock_s: float, here: float) -> None:
        self.box = box
        self.across = box.left + box.right
        self.reach = 2 * here * max(box.width, 1.0)
        self.modes = list(modes)
        self.began_s = clock_s
        self.seen_s = clock_s
        self.same = 1
        self.other = 0
        self.suppressed: SuppressedRegion | None = None

    def shows(self, glimpse: Glimpse, rule: Standstill) -> bool:
        """Whether it is this, seen again; until it is suppressed it may come to look otherwise."""
        far = self.far(glimpse)
        near = rule.near + rule.near_px / max(glimpse.box.width, 1.0)
        tiny = glimpse.detection.tiny
        alike = max(float(it @ tiny) for it in self.modes)
        if self.suppressed is not None:
            return far <= 2 * near and alike >= rule.half_hidden
        if far > near or (alike < rule.alike and len(self.modes) >= rule.modes):
            return False
        if alike < rule.alike:
            self.modes.append(tiny)
        return True

    def far(self, glimpse: Glimpse) -> float:
        a, b = self.box, glimpse.box
        width = max(a.width, 1.0)
        across = (a.left + a.right - b.left - b.right) / 2
        down = (a.top + a.bottom - b.top - b.bottom) / 2
        growth = abs(math.log(max(b.width, 1.0) / width))
        return math.hypot(across, down) / width + growth


class StillThings:
    """The regions of one camera in which something stands still. Engine thread only.

    *known* were suppressed before a restart; they are forgotten as any other is.
    """

    def __init__(self, rule: Standstill, known: Sequence[SuppressedRegion] = ()) -> None:
        self._rule = rule
        self._spots: list[_Spot] = []
        self._all_stay_until_s = -math.inf
        for region in known:
            spot = _Spot(region.box, region.pictures, 0.0, rule.here)
            spot.suppressed = region
            self._spots.append(spot)

    @property
    def suppressed(self) -> tuple[SuppressedRegion, ...]:
        """The regions in which what stands still is passed over."""
        return tuple(it.suppressed for it in self._spots if it.suppressed is not None)

    def watch_again(self, regions: Collection[RegionId]) -> None:
        """What stands still there is worth following, until it has stood still once more."""
        self._spots = [
            it for it in self._spots if it.suppressed is None or it.suppressed.id not in regions
        ]

    def sift(self, glimpses: Sequence[Glimpse], clock_s: float) -> list[Glimpse]:
        """Those of *glimpses* that are not known to stand still; somebody before it is kept."""
        if not self._rule.after_s:
            return list(glimpses)
        kept = []
        self._forget(clock_s, suppressed_too=False)
        for glimpse in glimpses:
            spot = self._spot(glimpse, clock_s)
            self._judge(spot, glimpse, clock_s)
            if spot.suppressed is None:
                kept.append(glimpse)
        # behind that: a camera that was silent for long may show the same poster again
        self._forget(clock_s, suppressed_too=True)
        return kept

    def _spot(self, glimpse: Glimpse, clock_s: float) -> _Spot:
        """What *glimpse* shows again; where it shows something else, that is noted."""
        rule = self._rule
        found: _Spot | None = None
        across = glimpse.box.left + glimpse.box.right
        here = [
            it
            for it in self._spots
            if abs(it.across - across) <= it.reach and it.far(glimpse) <= rule.here
        ]
        # what is suppressed first, then what was there first
        for spot in sorted(here, key=lambda it: (it.suppressed is None, it.began_s)):
            if found is None and spot.shows(glimpse, rule):
                found = spot
            elif spot.suppressed is None:
                spot.other += 1
        if found is None:
            found = _Spot(glimpse.box, [glimpse.detection.tiny], clock_s, rule.here)
            self._spots.append(found)
            self._all_stay_until_s = min(self._all_stay_until_s, clock_s + rule.gap_s)
        else:
            found.same += 1
            found.seen_s = clock_s
        return found

    def _judge(self, spot: _Spot, glimpse: Glimpse, clock_s: float) -> None:
        still = spot.same >= self._rule.share * (spot.same + spot.other)
        if spot.suppressed is None and still and clock_s - spot.began_s >= self._rule.after_s:
            spot.suppressed = SuppressedRegion(
                RegionId(new_id(glimpse.at)), spot.box, glimpse.at, tuple(spot.modes)
            )

    def _forget(self, clock_s: float, *, suppressed_too: bool) -> None:
        rule = self._rule

        def stays_until_s(spot: _Spot) -> float:
            return spot.seen_s + (rule.gap_s if spot.suppressed is None else rule.forget_s)

        if clock_s > self._all_stay_until_s:
            self._spots = [
                it
                for it in self._spots
                if clock_s <= stays_until_s(it) or (it.suppressed and not suppressed_too)
            ]
            self._all_stay_until_s = min(map(stays_until_s, self._spots), default=math.inf)
        if len(self._spots) > rule.most:
            self._spots.sort(key=lambda it: (it.suppressed is not None, it.same, it.seen_s))
            del self._spots[: -rule.most]
