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
            person alone is not matched at a similarity at which siblings are.
    """

    version: str
    points: tuple[tuple[float, float], ...]
    least_gallery: int = 100

    def confidence(self, similarity: float, gallery: int) -> float:
        """0..1 for a cosine against the best of *gallery* people; rises with the cosine."""
        expected = self._log_fmr(similarity) + math.log10(max(gallery, self.least_gallery))
        return 1 - math.exp(-_K * max(0.0, -expected))

    def similarity(self, confidence: float, gallery: int) -> float:
        """The cosine at which `confidence` answers *confidence* (0 <= confidence < 1)."""
        log_fpir = math.log(1 - min(confidence, 1 - 1e-9)) / _K
        wanted = log_fpir - math.log10(max(gallery, self.least_gallery))
        for (x0, y0), (x1, y1) in self._pieces():
            if wanted >= y1:
                break
        return x0 + (wanted - y0) * (x1 - x0) / (y1 - y0)

    def _log_fmr(self, similarity: float) -> float:
        for (x0, y0), (x1, y1) in self._pieces():
            if similarity <= x1:
                break
        return y0 + (similarity - x0) * (y1 - y0) / (x1 - x0)

    def _pieces(self) -> list[tuple[tuple[float, float], tuple[float, float]]]:
        return list(zip(self.points, self.points[1:], strict=False))
