"""Same person or not: accuracy, ROC and error rates of scored pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from facewatch.evaluate.pairs import Pair
from facewatch.evaluate.photos import Face

Scores: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]

NO_FACE = -1.0
"""The similarity of a pair in which a face was not found: it is taken for two people."""

FARS = (1e-2, 1e-3)
_MOST_POINTS = 500


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold costs: shares of strangers let in and of pairs of one person found."""

    threshold: float
    far: float
    tar: float


@dataclass(frozen=True, slots=True, eq=False)
class Verification:
    """What was measured.

    Attributes:
        accuracies: Of each fold, at the threshold that is best on the other folds.
        threshold: The mean of those.
        roc: By ascending threshold.
        failures: Photos in which no face was found, and why.
    """

    same: int
    different: int
    accuracies: tuple[float, ...]
    threshold: float
    roc: tuple[Point, ...]
    failures: Mapping[Path, str]
    photos: int

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.accuracies))

    @property
    def standard_error(self) -> float:
        """Of the mean over the folds."""
        return float(np.std(self.accuracies, ddof=1) / np.sqrt(len(self.accuracies)))

    def at_far(self, far: float) -> Point:
        """The most that is found while no more than *far* of the strangers get in."""
        return max((it for it in self.roc if it.far <= far), key=lambda it: it.tar)

    def json(self) -> dict[str, Any]:
        return {
            "pairs": {"same": self.same, "different": self.different},
            "accuracy": round(self.accuracy, 5),
            "standard_error": round(self.standard_error, 5),
            "folds": [round(it, 5) for it in self.accuracies],
            "threshold": round(self.threshold, 4),
            "tar": [{"far_at_most": far, **_point_json(self.at_far(far))} for far in FARS],
            "photos": self.photos,
            "failures_to_enrol": {str(photo): why for photo, why in self.failures.items()},
            "roc": [_point_json(it) for it in thinned(self.roc)],
        }


def _point_json(point: Point) -> dict[str, float]:
    return {
        "threshold": round(point.threshold, 4),
        "far": round(point.far, 6),
        "tar": round(point.tar, 6),
    }


T = TypeVar("T")


def thinned(points: Sequence[T]) -> list[T]:
    """At most 500 of them, evenly, the ends among them."""
    if len(points) <= _MOST_POINTS:
        return list(points)
    chosen = np.unique(np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int))
    return [points[place] for place in chosen]


def verify(pairs: Sequence[Pair], faces: Mapping[Path, Face | str]) -> Verification:
    """Compare the faces of each pair. At least two pairs of each kind."""
    scores = np.array([_similarity(faces[it.left], faces[it.right]) for it in pairs])
    same = np.array([it.same for it in pairs])
    accuracies, thresholds = cross_validated(scores, same, _folds(pairs, same))
    return Verification(
        same=int(same.sum()),
        different=int((~same).sum()),
        accuracies=tuple(accuracies),
        threshold=float(np.mean(thresholds)),
        roc=tuple(roc(scores, same)),
        failures={photo: face for photo, face in faces.items() if isinstance(face, str)},
        photos=len(faces),
    )


def _similarity(left: Face | str, right: Face | str) -> float:
    if isinstance(left, str) or isinstance(right, str):
        return NO_FACE
    return float(left.template @ right.template)


def _folds(pairs: Sequence[Pair], same: Flags) -> Numbers:
    """The file's own sets; of a file with one: ten (or as many as there are pairs of a kind).

    Both kinds are dealt out evenly, in the order of the file.
    """
    given = np.array([it.fold for it in pairs], np.int64)
    if given.any():
        return given
    number = min(10, int(same.sum()), int((~same).sum()))
    dealt = np.empty(len(pairs), np.int64)
    for kind in (same, ~same):
        dealt[kind] = np.arange(kind.sum()) % number
    return dealt


def cross_validated(scores: Scores, same: Flags, folds: Numbers) -> tuple[list[float], list[float]]:
    """Accuracy of each fold at the threshold that is best on the others; and those thresholds."""
    accuracies, thresholds = [], []
    for fold in np.unique(folds):
        inside = folds == fold
        threshold = best_threshold(scores[~inside], same[~inside])
        thresholds.append(threshold)
        accuracies.append(float(np.mean((scores[inside] >= threshold) == same[inside])))
    return accuracies, thresholds


def best_threshold(scores: Scores, same: Flags) -> float:
    """Where most pairs are told rightly; in the middle between neighbours, the lowest of equals.

    >>> best_threshold(np.array([0.1, 0.3, 0.5, 0.9]), np.array([False, False, True, True]))
    0.4
    """
    order = np.argsort(scores)
    ordered, truth = scores[order], same[order]
    # right when everything from place i on is taken for the same person
    below = np.concatenate(([0], np.cumsum(~truth)))
    above = truth.sum() - np.concatenate(([0], np.cumsum(truth)))
    edges = np.concatenate(([True], ordered[1:] > ordered[:-1], [True]))
    right = np.where(edges, below + above, -1)
    place = int(np.argmax(right))
    if place == 0:
        return float(ordered[0])
    if place == len(ordered):
        return float(np.nextafter(ordered[-1], np.inf))
    return float((ordered[place - 1] + ordered[place]) / 2)


def roc(scores: Scores, same: Flags) -> list[Point]:
    """False and true accept rates at each score, and above all of them."""
    thresholds = np.append(np.unique(scores), np.nextafter(scores.max(), np.inf))
    return [
        Point(float(threshold), far, tar)
        for threshold, far, tar in zip(
            thresholds,
            share_from(scores[~same], thresholds),
            share_from(scores[same], thresholds),
            strict=True,
        )
    ]


def share_from(scores: Scores, thresholds: Scores) -> list[float]:
    """What share of *scores* is at each threshold or above.

    >>> share_from(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.3, 0.5]))
    [1.0, 0.5, 0.0]
    """
    ordered = np.sort(scores)
    reached = len(ordered) - np.searchsorted(ordered, thresholds, side="left")
    return [float(it) for it in reached / max(len(ordered), 1)]
