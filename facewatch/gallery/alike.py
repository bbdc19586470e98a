"""How much a probe is like somebody, and like what is not somebody: decisions 0064 and 0068."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Template
from facewatch.domain.ids import CameraId, PersonId
from facewatch.domain.people import Refusal

WIDTH = 8
"""So many times as many faces as people are looked at first."""

Floats = NDArray[np.float32]


def alike(templates: Floats, probe: Template) -> tuple[float, float, int]:
    """By all *templates* of somebody (n, d), by the best alone, and which that is."""
    cosines = np.clip(templates @ probe, -1, 1)
    best = int(np.argmax(cosines))
    highest = float(cosines[best])
    if len(templates) == 1:
        return highest, highest, best
    return (highest + float(np.clip(fused(templates) @ probe, -1, 1))) / 2, highest, best


def fused(templates: Floats) -> Template:
    """One of unit length for all of them."""
    total = templates.sum(axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)


def fused_each(templates: Floats, firsts: NDArray[np.int64]) -> Floats:
    """`fused` of each run of *templates* (n, d); where each begins."""
    totals = np.add.reduceat(templates, firsts)
    lengths = np.linalg.norm(totals, axis=1, keepdims=True)
    return np.asarray(totals / np.maximum(lengths, np.float32(1e-6)), np.float32)


class Refusals:
    """Faces that are not somebody's."""

    def __init__(self, refusals: Sequence[Refusal], dimensions: int) -> None:
        self._refusals = tuple(refusals)
        self._templates = np.zeros((len(refusals), dimensions), np.float32)
        for place, it in enumerate(refusals):
            self._templates[place] = it.template

    def most(self, probe: Template, camera: CameraId | None) -> dict[PersonId | None, float]:
        """The highest cosine of each."""
        most: dict[PersonId | None, float] = {}
        cosines = (self._templates @ probe).tolist()
        for it, cosine in zip(self._refusals, cosines, strict=True):
            if it.camera in (None, camera):
                most[it.person] = max(most.get(it.person, -1.0), cosine)
        return most
