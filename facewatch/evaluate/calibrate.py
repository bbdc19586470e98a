"""How often strangers look alike, measured: what turns a cosine into a confidence."""

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.errors import UnusableLabels

Labelled: TypeAlias = tuple[str, Template]
"""Who it is, and their face."""

LEAST_PAIRS = 1000
"""Pairs of different people; with fewer nothing below one in a hundred is seen."""

_SUPPORT = 10
"""So many pairs have to reach a cosine before its rate is believed."""

_BINS = 20_000
_BLOCK = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """Cosines of pairs of different people, counted in steps of 0.0001.

    Attributes:
        alike: The two who are most alike, and how much: often one person under two names.
    """

    counts: NDArray[np.int64]
    alike: tuple[str, str, float]

    @property
    def pairs(self) -> int:
        return int(self.counts.sum())

    def cosine_at(self, rate: float) -> float:
        """The lowest cosine that no more than this share of the pairs reach."""
        reached = np.cumsum(self.counts[::-1])[::-1]
        place = int(np.argmax(np.append(reached, 0) <= rate * self.pairs))
        return place * 2 / _BINS - 1


def among(labelled: Sequence[Labelled], seen: int | None = None) -> Strangers:
    """Every pair of different people. Time grows with the square; memory does not.

    *seen*: only pairs in which one of the first so many takes part.
    """
    if not labelled:
        return _counted([])
    names = np.unique([name for name, _ in labelled], return_inverse=True)
    templates = np.stack([template for _, template in labelled])
    return _counted(_blocks(names[0], names[1], templates, len(labelled) if seen is None else seen))


def between(pairs: Iterable[tuple[str, str, float]]) -> Strangers:
    """These pairs of different people: who, who, and their cosine."""
    return _counted(((a, b), np.array([cosine])) for a, b, cosine in pairs)


_Block: TypeAlias = tuple[tuple[str, str], NDArray[np.float64]]
"""Cosines, and who the most alike of them are."""


def _blocks(
    names: NDArray[np.str_], who: NDArray[np.intp], templates: NDArray[np.float32], seen: int
) -> Iterable[_Block]:
    for top in range(0, seen, _BLOCK):
        rows = slice(top, min(top + _BLOCK, seen))
        for left in range(top, len(who), _BLOCK):
            columns = slice(left, left + _BLOCK)
            different = who[rows, None] != who[None, columns]
            if left == top:
                different = np.triu(different)
            if not different.any():
                continue
            cosines = np.where(different, templates[rows] @ templates[columns].T, -2)
            row, column = np.unravel_index(int(np.argmax(cosines)), cosines.shape)
            alike = (str(names[who[top + row]]), str(names[who[left + column]]))
            yield alike, cosines[different].astype(np.float64)


def _counted(blocks: Iterable[_Block]) -> Strangers:
    counts = np.zeros(_BINS, np.int64)
    alike = ("", "", -1.0)
    for (left, right), cosines in blocks:
        places = ((cosines + 1) * _BINS / 2).astype(np.int64).clip(0, _BINS - 1)
        counts += np.bincount(places, minlength=_BINS)
        if (highest := float(cosines.max())) > alike[2]:
            alike = (left, right, highest)
    return Strangers(counts, alike)


def fit(strangers: Strangers, model: str, today: date) -> Calibration:
    """A point for each power of ten from 0.1 on, as far as ten pairs reach, and the last rate.

    Beyond it a straight line goes on. Tails fall more steeply than that, so that it errs on the
    side of "unknown". *model*, and what of it was measured, begins the version.

    Raises:
        UnusableLabels: there are fewer than a thousand pairs.
    """
    if strangers.pairs < LEAST_PAIRS:
        raise UnusableLabels(
            f"there are {strangers.pairs} pairs of different people, and at least {LEAST_PAIRS} "
            "are needed",
            "give more: a folder of n people with a photo each has n (n - 1) / 2",
        )
    deepest = math.log10(_SUPPORT / strangers.pairs)
    rates = [float(-power) for power in range(1, math.floor(-deepest) + 1)]
    if rates[-1] - deepest > 0.5:
        rates.append(deepest)
    points: list[tuple[float, float]] = []
    for rate in rates:
        cosine = round(strangers.cosine_at(10**rate), 4)
        if not points or cosine > points[-1][0]:
            points.append((cosine, round(rate, 3)))
    if len(points) < 2:
        raise UnusableLabels(
            "all pairs of different people are equally alike", "give photos of different people"
        )
    digest = hashlib.sha256(repr(points).encode()).hexdigest()[:8]
    return Calibration(f"{model}-site-{today.isoformat()}-{digest}", tuple(points))
