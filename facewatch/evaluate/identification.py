"""Who is it, among the enrolled, or nobody: rank-1, and errors with strangers at the door.

FNIR is the share of probes of enrolled people that do not find them; FPIR the share of
strangers who are taken for somebody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from facewatch.domain.calibration import Calibration
from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id
from facewatch.domain.people import Matchmaker
from facewatch.errors import UnusableLabels
from facewatch.evaluate.photos import Face
from facewatch.evaluate.verification import NO_FACE, Scores, share_from, thinned
from facewatch.gallery.exact import ExactGallery
from facewatch.people.decide import Decider, Rule

FPIRS = (1e-1, 1e-2, 1e-3)

_MOST_MISTAKES = 100
_ORG = OrgId(UUID(int=1))

NamedPhoto = tuple[str, Path]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One probe.

    Attributes:
        name: Who it is; None is a stranger.
        best: Who is most like it; None when no face was found.
        similarity: How much, a cosine.
        named: What recognition calls it with the settings in force.
    """

    photo: Path
    name: str | None
    best: str | None
    similarity: float
    named: str | None


@dataclass(frozen=True, slots=True)
class Error:
    """What a threshold costs."""

    threshold: float
    fpir: float
    fnir: float


@dataclass(frozen=True, slots=True, eq=False)
class Identification:
    """What was measured.

    Attributes:
        people: Who has a photo in the gallery that could be enrolled.
        threshold: The confidence in force, and what cosine that is at this gallery.
        det: By ascending threshold; empty without strangers.
        refused: Photos that could not be enrolled, or in which no face was found, and why.
    """

    people: int
    gallery_photos: int
    attempts: tuple[Attempt, ...]
    threshold: float
    threshold_similarity: float
    det: tuple[Error, ...]
    refused: Mapping[Path, str]

    @property
    def mated(self) -> list[Attempt]:
        return [it for it in self.attempts if it.name is not None]

    @property
    def strangers(self) -> list[Attempt]:
        return [it for it in self.attempts if it.name is None]

    @property
    def rank1(self) -> float:
        return _share(it.best == it.name for it in self.mated)

    @property
    def named_right(self) -> float:
        return _share(it.named == it.name for it in self.mated)

    @property
    def named_wrong(self) -> float:
        """Of the enrolled: under somebody else's name."""
        return _share(it.named not in (None, it.name) for it in self.mated)

    @property
    def fpir(self) -> float:
        """With the settings in force, margin and quality included."""
        return _share(it.named is not None for it in self.strangers)

    @property
    def mistakes(self) -> list[Attempt]:
        """Whoever got a name that is not theirs, the surest first."""
        wrong = [it for it in self.attempts if it.named not in (None, it.name)]
        return sorted(wrong, key=lambda it: it.similarity, reverse=True)

    def at_fpir(self, fpir: float) -> Error:
        """The least that is overlooked while no more than *fpir* of the strangers get a name."""
        return min((it for it in self.det if it.fpir <= fpir), key=lambda it: it.fnir)

    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "gallery": {"people": self.people, "photos": self.gallery_photos},
            "probes": len(self.mated),
            "strangers": len(self.strangers),
            "rank1": round(self.rank1, 5),
            "in_force": {
                "threshold": self.threshold,
                "threshold_similarity": round(self.threshold_similarity, 4),
                "named_right": round(self.named_right, 5),
                "named_wrong": round(self.named_wrong, 5),
            },
            "mistakes": [
                {
                    "photo": str(it.photo),
                    "who": it.name,
                    "named": it.named,
                    "similarity": round(it.similarity, 4),
                }
                for it in self.mistakes[:_MOST_MISTAKES]
            ],
            "refused": {str(photo): why for photo, why in self.refused.items()},
        }
        if self.det:
            said["in_force"]["fpir"] = round(self.fpir, 5)
            said["fnir"] = [
                {"fpir_at_most": fpir, **_error_json(self.at_fpir(fpir))} for fpir in FPIRS
            ]
            said["det"] = [_error_json(it) for it in thinned(self.det)]
        return said


def _error_json(error: Error) -> dict[str, float]:
    return {
        "threshold": round(error.threshold, 4),
        "fpir": round(error.fpir, 6),
        "fnir": round(error.fnir, 6),
    }


def _share(found: Any) -> float:
    flags = list(found)
    return sum(flags) / len(flags) if flags else 0.0


def identify(
    gallery: Sequence[NamedPhoto],
    probes: Sequence[NamedPhoto],
    strangers: Sequence[Path],
    faces: Mapping[Path, Face | str],
    calibration: Calibration,
    rule: Rule,
    grey_calibration: Calibration | None = None,
) -> Identification:
    """Enrol *gallery*, then ask who *probes* and *strangers* are.

    A probe without a face is overlooked, a stranger without one gets no name. The threshold told
    is that for faces with colour.

    Raises:
        UnusableLabels: a probe bears the name of nobody in the gallery.
    """
    refuse_unknown(gallery, probes)
    refused = {photo: face for photo, face in faces.items() if isinstance(face, str)}
    ids: dict[str, PersonId] = {}
    matchmakers: list[Matchmaker] = []
    for name, photo in gallery:
        face = faces[photo]
        if isinstance(face, str):
            continue
        if face.refused:
            refused[photo] = face.refused
            continue
        person = ids.setdefault(name, PersonId(new_id()))
        matchmakers.append(Matchmaker(FaceId(new_id()), person, _ORG, face.template))
    if not matchmakers:
        why = next(iter(refused.values()))
        raise UnusableLabels(f"no photo of GALLERY can be enrolled: {why}", "use better photos")
    shelf = ExactGallery(matchmakers[0].template.shape[0])
    shelf.replace(_ORG, 1, matchmakers)
    decider = Decider(shelf, calibration, "", rule, grey_calibration=grey_calibration)
    names = {person: name for name, person in ids.items()}
    asked: list[tuple[str | None, Path]] = [*probes, *((None, it) for it in strangers)]
    attempts = tuple(_ask(decider, names, name, photo, faces[photo]) for name, photo in asked)
    return Identification(
        people=len(ids),
        gallery_photos=len(matchmakers),
        attempts=attempts,
        threshold=rule.threshold,
        threshold_similarity=calibration.similarity(rule.threshold, len(ids)),
        det=tuple(det(attempts)),
        refused=refused,
    )


def refuse_unknown(gallery: Sequence[NamedPhoto], probes: Sequence[NamedPhoto]) -> None:
    """
    Raises:
        UnusableLabels: a probe bears the name of nobody in the gallery.
    """
    unknown = sorted({name for name, _ in probes} - {name for name, _ in gallery})
    if unknown:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UnusableLabels(
            f"PROBES have {unknown[0]!r}{more}, whom GALLERY does not have",
            "name the folders alike; people who are not enrolled belong into --strangers",
        )


def _ask(
    decider: Decider, names: Mapping[PersonId, str], name: str | None, photo: Path, face: Face | str
) -> Attempt:
    if isinstance(face, str):
        return Attempt(photo, name, None, NO_FACE, None)
    decision = decider.decide(_ORG, face.template, face.quality.overall, grey=face.grey)
    best = decision.candidates[0]
    named = names[decision.person] if decision.person else None
    return Attempt(photo, name, names[best.person], best.similarity, named)


def det(attempts: Sequence[Attempt]) -> list[Error]:
    """Errors at each threshold that tells strangers apart, and above all; [] without strangers."""
    strangers = np.array([it.similarity for it in attempts if it.name is None])
    if not len(strangers):
        return []
    mated = [it for it in attempts if it.name is not None]
    # whoever resembles somebody else most is overlooked at every threshold
    found: Scores = np.array([it.similarity if it.best == it.name else -np.inf for it in mated])
    above = np.nextafter(strangers, np.inf)
    thresholds = np.unique(np.concatenate((strangers, above)))
    return [
        Error(float(threshold), fpir, 1 - tpir)
        for threshold, fpir, tpir in zip(
            thresholds,
            share_from(strangers, thresholds),
            share_from(found, thresholds),
            strict=True,
        )
    ]
