"""Who a visit is: a name, or honestly nobody we know."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.domain.ids import OrgId
from facewatch.domain.people import Candidate, Decision, Hit
from facewatch.ports import Gallery


@dataclass(frozen=True, slots=True)
class Rule:
    """What it takes to be named.

    Attributes:
        threshold: Least confidence, 0..1, where the org has not settled its own; 0.7 means an
            FPIR of 1 % at the gallery in force.
        margin: Least cosine between the best person and the runner-up.
        quality: Least quality of the best look, 0..1: blurred strangers look alike.
        candidates: How many people a decision remembers.
    """

    threshold: float = 0.7
    margin: float = 0.05
    quality: float = 0.3
    candidates: int = 5


@dataclass(frozen=True, slots=True)
class Decider:
    """Searches the gallery and applies the rule. Any thread; blocks for one search.

    Attributes:
        thresholds: Of the orgs that have settled their own; they may change at any time.
    """

    gallery: Gallery
    calibration: Calibration
    model_digest: str
    rule: Rule
    thresholds: Mapping[OrgId, float] = field(default_factory=dict)

    def decide(self, org: OrgId, template: Template, quality: float) -> Decision:
        """Who *template*, whose best look has *quality*, belongs to."""
        rule, people = self.rule, self.gallery.people(org)
        revision = self.gallery.revision(org)
        threshold = self.thresholds.get(org, rule.threshold)
        hits = self._hits(org, template)
        candidates = tuple(
            Candidate(
                hit.person,
                hit.face,
                hit.similarity,
                self.calibration.confidence(hit.similarity, people),
            )
            for hit in _best_of_each(hits)[: rule.candidates]
        )
        best = candidates[0] if candidates else None
        margin = (
            candidates[0].similarity - candidates[1].similarity if len(candidates) > 1 else None
        )
        reason = self._doubt(best, margin, quality, threshold)
        return Decision(
            person=best.person if best and not reason else None,
            candidates=candidates,
            confidence=best.confidence if best else None,
            margin=margin,
            threshold=threshold,
            threshold_similarity=self.calibration.similarity(threshold, people),
            model=self.model_digest,
            calibration=self.calibration.version,
            gallery_revision=revision,
            gallery_people=people,
            reason=reason,
        )

    def _hits(self, org: OrgId, template: Template) -> list[Hit]:
        """The best matchmakers, and a runner-up among them however many photos the best has."""
        limit = 8 * self.rule.candidates
        while True:
            hits = self.gallery.search(org, template, limit)
            if len(hits) < limit or len({hit.person for hit in hits}) > 1:
                return hits
            limit *= 8

    def _doubt(
        self, best: Candidate | None, margin: float | None, quality: float, threshold: float
    ) -> str:
        if best is None:
            return "nobody is enrolled"
        if quality < self.rule.quality:
            return f"best look has quality {quality:.2f}, below {self.rule.quality:.2f}"
        if best.confidence < threshold:
            return f"confidence {best.confidence:.2f} is below {threshold:.2f}"
        if margin is not None and margin < self.rule.margin:
            return f"the runner-up is only {margin:.3f} behind, less than {self.rule.margin:.3f}"
        return ""


def _best_of_each(hits: list[Hit]) -> list[Hit]:
    """The best hit of each person, best first."""
    best: dict[object, Hit] = {}
    for hit in hits:
        best.setdefault(hit.person, hit)
    return list(best.values())
