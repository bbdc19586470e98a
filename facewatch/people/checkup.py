"""What is wrong with a gallery, enrolled face by enrolled face; nothing is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facewatch.domain.ids import FaceId, PersonId
from facewatch.domain.people import FaceNote, Matchmaker

_SAME = 0.97
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with *face* of *person*, and what to do.

    Attributes:
        kind: attracts, corrected, poor, duplicate or alone.
        other: Whose face it attracts; None where it is about nobody else.
    """

    kind: str
    person: PersonId
    face: FaceId
    other: PersonId | None
    reason: str
    remedy: str


def examine(
    faces: Sequence[Matchmaker], notes: Mapping[FaceId, FaceNote], alike: float
) -> list[Finding]:
    """The worst kind first. *alike* is the cosine that gives a name in this gallery. Blocks."""
    found = [*_by_likeness(faces, alike), *_by_notes(faces, notes)]
    return sorted(found, key=lambda it: _KINDS.index(it.kind))


_KINDS = ("attracts", "corrected", "poor", "duplicate", "alone")


def _by_likeness(faces: Sequence[Matchmaker], alike: float) -> list[Finding]:
    if not faces:
        return []
    found: list[Finding] = []
    templates = np.stack([it.template for it in faces])
    numbers = {person: n for n, person in enumerate({it.person for it in faces})}
    owners = np.array([numbers[it.person] for it in faces])
    for start in range(0, len(faces), _BLOCK):
        cosines = templates[start : start + _BLOCK] @ templates.T
        for row, cosine in enumerate(cosines):
            at = start + row
            mine = owners == owners[at]
            mine[at] = False
            found += _of_one(faces, at, cosine, mine, alike)
    return found


def _of_one(
    faces: Sequence[Matchmaker],
    at: int,
    cosine: "np.ndarray[tuple[int], np.dtype[np.float32]]",
    mine: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
    alike: float,
) -> list[Finding]:
    face, found = faces[at], []
    theirs = np.where(mine, -2.0, cosine)
    theirs[at] = -2.0
    nearest, own = int(np.argmax(theirs)), float(cosine[mine].max()) if mine.any() else -2.0
    other = float(theirs[nearest])
    if other >= max(own, alike):
        said = f"{other:.2f} alike to a face of somebody else"
        said += f", {own:.2f} to the nearest of their own" if own > -2 else ", and the only one"
        what = "look at both: remove the wrong one, or merge the two persons if they are one"
        found.append(Finding("attracts", face.person, face.face, faces[nearest].person, said, what))
    if own >= _SAME and int(np.argmax(np.where(mine, cosine, -2.0))) < at:
        said = f"{own:.2f} alike to another photo of theirs: it adds nothing"
        found.append(
            Finding("duplicate", face.person, face.face, None, said, "remove one of the two")
        )
    if own == -2.0:
        said, what = "their only photo", "add one of another day, light or angle"
        found.append(Finding("alone", face.person, face.face, None, said, what))
    return found


def _by_notes(faces: Sequence[Matchmaker], notes: Mapping[FaceId, FaceNote]) -> list[Finding]:
    found: list[Finding] = []
    for face in faces:
        if (note := notes.get(face.face)) is None:
            continue
        if note.corrected:
            said = f"{note.corrected} events were given to them by this face, and taken away again"
            what = "remove it, or add a better photo of theirs"
            found.append(Finding("corrected", face.person, face.face, None, said, what))
        if note.quality.overall < 0.4:
            said = f"quality {note.quality.overall:.2f}, sharpness {note.quality.sharpness:.2f}"
            what = "replace it by a sharp photo that looks at the camera"
            found.append(Finding("poor", face.person, face.face, None, said, what))
    return found
