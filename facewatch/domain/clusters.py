"""Which unknown visitors are one human: surely, or not at all (docs/decisions/0067)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Quality, Template
from facewatch.domain.ids import EventId, PersonId


@dataclass(frozen=True, slots=True, eq=False)
class Visitor:
    """A past visit of nobody, and its face."""

    event: EventId
    template: Template


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """An unnamed person by their newest visits; *denied* are faces that are not theirs."""

    faces: Sequence[Template]
    denied: Sequence[Template] = ()


@dataclass(frozen=True, slots=True)
class Company:
    """With whom a visit goes: *person*, or somebody new if None, and visits that come along."""

    person: PersonId | None
    events: tuple[EventId, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """Cosines: two faces are surely one human from *sure* on, and agree from *agree* on."""

    sure: float
    agree: float

    def company(
        self, face: Template, loose: Sequence[Visitor], groups: Mapping[PersonId, Group]
    ) -> Company | None:
        """With whom *face* goes; None as long as it is nobody that was seen before.

        A group is joined that surely holds the face, most of it agreeing; of several the nearest.
        Else it begins one with the nearest loose visit that surely is the same. Loose visits
        that surely are the same, and belong by the same rule, come along.
        """
        joined = max(
            ((cosine, person) for person, it in groups.items() if (cosine := self._fit(face, it))),
            default=(0.0, None),
        )[1]
        near = sorted(
            (it for it in loose if it.template @ face >= self.sure),
            key=lambda it: float(it.template @ face),
            reverse=True,
        )
        if joined is None and not near:
            return None
        group = groups[joined] if joined else Group([near[0].template])
        whole = Group([*group.faces, face], group.denied)
        come = [it.event for it in near if self._fit(it.template, whole)]
        return Company(joined, tuple(come))

    def _fit(self, face: Template, group: Group) -> float:
        """How near the nearest of *group* is; 0 where *face* does not belong."""
        cosines = np.stack(group.faces) @ face
        nearest = float(cosines.max())
        agreed = 2 * int((cosines >= self.agree).sum()) > len(cosines)
        denied = max((float(it @ face) for it in group.denied), default=-1.0)
        return nearest if nearest >= self.sure and agreed and denied < nearest else 0.0


@dataclass(frozen=True, slots=True)
class Sureness:
    """What it takes to be taken for the same unknown human.

    Attributes:
        sure: Confidence, 0..1, in the crowd that a visit is compared with; 0.836 is one false
            answer in a thousand, where a name is given at one in a hundred.
        agree: The same for the other faces of a group.
        quality, telling: Least of a visit's best shot, 0..1.
    """

    calibration: Calibration
    sure: float = 0.836
    agree: float = 0.7
    quality: float = 0.5
    telling: float = 0.8

    def bar(self, crowd: int) -> Bar:
        """Among so many visits."""
        return Bar(
            self.calibration.similarity(self.sure, crowd),
            self.calibration.similarity(self.agree, crowd),
        )

    def fit(self, quality: Quality) -> bool:
        """Whether a visit whose best shot is like this is compared at all."""
        return quality.overall >= self.quality and quality.telling >= self.telling
