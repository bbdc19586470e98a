"""From a cosine to a confidence that means the same in every gallery.

A pair threshold is no gallery threshold: with n people enrolled a stranger has n chances to
look like one of them. So a similarity is first turned into the false match rate of one pair,
then into the false positive identification rate at the gallery in force, then into a confidence:
``1 - exp(-k * -log10(FPIR))`` with k chosen so that 0.7 is an FPIR of 1 %.
"""

import math
from dataclasses import dataclass

_K = -math.log(0.3) / 2


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often pairs of strangers reach a similarity, for one embedder.

    Attributes:
        version: Kept with each decision: past confidences are read with the mapping of their day.
        points: (cosine, log10 of the false match rate), cosine ascending; straight lines between
            and beyond.
        least_gallery: A smaller gallery is treated as one of this many people, so that one
            person alone is not matched at a similarity that siblings reach.
    """

    version: str
    points: tuple[tuple[float, float], ...]
    least_gallery: int = 100

    def confidence(self, similarity: float, gallery: int) -> float:
        """0..1 for a cosine against the best of *gallery* people; rises with the cosine."""
        cosines, rates = zip(*self.points, strict=True)
        log_fpir = _straight(similarity, cosines, rates) + self._log_people(gallery)
        return 1 - math.exp(-_K * max(0.0, -log_fpir))

    def similarity(self, confidence: float, gallery: int) -> float:
        """The cosine at which `confidence` answers *confidence*, 0 < confidence < 1."""
        cosines, rates = zip(*reversed(self.points), strict=True)
        log_fpir = math.log(1 - min(confidence, 1 - 1e-9)) / _K
        return _straight(log_fpir - self._log_people(gallery), rates, cosines)

    def _log_people(self, gallery: int) -> float:
        return math.log10(max(gallery, self.least_gallery))


def _straight(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    """*ys* at *x*: linear between the ascending *xs*, and on beyond them."""
    piece = next((i for i, at in enumerate(xs[1:-1], 1) if x < at), len(xs) - 1)
    slope = (ys[piece] - ys[piece - 1]) / (xs[piece] - xs[piece - 1])
    return ys[piece] + (x - xs[piece]) * slope
