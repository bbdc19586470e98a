"""Which sightings would make good matchmakers, and why; nothing is added here."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Landmarks, Template
from facewatch.domain.ids import FaceId, PersonId
from facewatch.domain.people import Matchmaker, Teacher, View
from facewatch.errors import PoorFace
from facewatch.people.light import Light
from facewatch.people.look import Gate

_NEAR = 0.8
_MOST = 3
_ENOUGH = 10
_TURNED = 0.2
_NODDED = 0.12
_STOPS = 1.0
_BLOCK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Addition:
    """A sighting that would make a good matchmaker.

    Attributes:
        kind: first, far, angle, grey or light.
        similarity: Cosine to the nearest of the person's matchmakers; None where there is none.
    """

    sighting: Teacher
    kind: str
    reason: str
    similarity: float | None


@dataclass(slots=True)
class _Known:
    """What a person can be compared with so far, what is suggested among it."""

    templates: list[Template] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    suggested: int = 0


def worth_adding(
    sightings: Sequence[Teacher],
    faces: Sequence[Matchmaker],
    views: Mapping[FaceId, View],
    alike: float,
    gate: Gate,
    light: Callable[[View], Light | None],
) -> list[Addition]:
    """In the order of *sightings*, three a person at most, none like another. Blocks.

    *light* is asked where nothing else tells; None where nobody knows.

    *alike* is the cosine that gives a name in this gallery. A sighting is left out where it
    resembles somebody else that much and more than their own: it would attract them.
    """
    known: dict[PersonId, _Known] = {it.person: _Known() for it in sightings}
    for face in faces:
        if face.person in known and face.face in views:
            known[face.person].templates.append(face.template)
            known[face.person].views.append(views[face.face])
    others = _nearest_others(sightings, faces)
    found = []
    for sighting, other in zip(sightings, others, strict=True):
        them = known[sighting.person]
        if them.suggested == _MOST or len(them.templates) >= _ENOUGH or _poor(sighting, gate):
            continue
        nearest = max((float(it @ sighting.template) for it in them.templates), default=None)
        if other >= max(alike, -1.0 if nearest is None else nearest):
            continue
        if why := _why(sighting, them, nearest, alike, light):
            found.append(Addition(sighting, *why, nearest))
            them.templates.append(sighting.template)
            them.views.append(sighting.view)
            them.suggested += 1
    return found


def _nearest_others(sightings: Sequence[Teacher], faces: Sequence[Matchmaker]) -> list[float]:
    """How like each is to the nearest matchmaker of anybody else; -1 without one."""
    if not faces or not sightings:
        return [-1.0] * len(sightings)
    numbers = {person: n for n, person in enumerate({it.person for it in faces})}
    owners = np.array([numbers[it.person] for it in faces])
    templates: NDArray[np.float32] = np.stack([it.template for it in faces])
    nearest: list[float] = []
    for start in range(0, len(sightings), _BLOCK):
        some = sightings[start : start + _BLOCK]
        cosines = np.stack([it.template for it in some]) @ templates.T
        own = np.array([numbers.get(it.person, -1) for it in some])[:, None] == owners
        nearest += np.where(own, -1.0, cosines).max(axis=1).tolist()
    return nearest


def _poor(sighting: Teacher, gate: Gate) -> bool:
    """Whether it would be refused as a matchmaker."""
    try:
        gate.refuse_poor("it", sighting.width_px, sighting.view.quality)
    except PoorFace:
        return True
    return False


def _why(
    sighting: Teacher,
    them: _Known,
    nearest: float | None,
    alike: float,
    light: Callable[[View], Light | None],
) -> tuple[str, str] | None:
    """Kind and reason; None where it tells nothing that is not known."""
    if nearest is None:
        return "first", "they have no matchmaker yet"
    if nearest >= _NEAR:
        return None
    if nearest < alike:
        said = f"their nearest matchmaker has a cosine of {nearest:.2f}: alone it names from"
        return "far", f"{said} {alike:.2f} on"
    view, least = sighting.view, _least_turn(sighting.view, them.views)
    if least is not None and least >= 1:
        return "angle", "the head is turned as in none of their matchmakers"
    if view.grey and not any(it.grey for it in them.views):
        return "grey", "it was seen without colour, as no matchmaker that is a copy of a sighting"
    falls, theirs = light(view), [light(it) for it in them.views]
    known = [it for it in theirs if it is not None]
    if falls is None or len(known) < len(theirs):
        return None
    if (apart := min(falls.apart(it) for it in known)) >= _STOPS:
        return "light", f"the light falls from elsewhere: {apart:.1f} stops beside every matchmaker"
    return None


def _least_turn(view: View, views: Sequence[View]) -> float | None:
    """How far its pose is from the nearest of *views*, 1 is a new angle; None: nobody knows."""
    pose = _pose(view.landmarks)
    poses = [it for it in (_pose(other.landmarks) for other in views) if it is not None]
    if pose is None or len(poses) < len(views):
        return None
    return min(max(abs(pose[0] - it[0]) / _TURNED, abs(pose[1] - it[1]) / _NODDED) for it in poses)


def _pose(landmarks: Landmarks) -> tuple[float, float] | None:
    """Where the nose is: sideways by eye distances, and down by the height from eyes to mouth.

    0.2 sideways is a head some 20 degrees turned. None where eyes or mouth are no line.
    """
    right_eye, left_eye, nose, right_mouth, left_mouth = (
        complex(x, y) for x, y in landmarks.tolist()
    )
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across, down = left_eye - right_eye, mouth - eyes
    if abs((across.conjugate() * down).imag) < 1e-3 * max(1.0, math.hypot(*landmarks[0])):
        return None
    return ((nose - (eyes + mouth) / 2) / across).real, ((nose - eyes) / down).real
