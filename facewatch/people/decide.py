"""Who a visit is: a name, or honestly nobody we know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.domain.ids import CameraId, OrgId, PersonId
from facewatch.domain.people import Candidate, Decision, Resemblance, SettledBy
from facewatch.ports.gallery import Gallery

_MOST_DENIED = 50
"""So many more people are looked at, at most, where some may be struck out."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What it takes to be named.

    Attributes:
        threshold: Least confidence, 0..1, where the org has not settled its own; 0.7 means an
            FPIR of 1 % at the gallery in force.
        margin: Least cosine between the best person and the runner-up.
        quality: Least quality of the best look, 0..1: blurred strangers look alike.
        candidates: How many people a decision remembers.
        grey_threshold: Least confidence in a face without colour, while no calibration for such
            faces was measured.
    """

    threshold: float = 0.7
    margin: float = 0.05
    quality: float = 0.3
    candidates: int = 5
    grey_threshold: float = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A visit that is to be decided.

    Attributes:
        quality: Of its best look, 0..1.
        grey: It was seen without colour.
        camera_threshold: The camera's own, if it has one.
    """

    template: Template
    quality: float
    grey: bool = False
    camera_threshold: float | None = None
    camera: CameraId | None = None


@dataclass(frozen=True, slots=True)
class Decider:
    """Searches the gallery and applies the rule. Any thread; blocks for one search.

    Attributes:
        thresholds: Of the orgs that have settled their own; they may change at any time.
        grey_calibration: Measured without colour; None where nobody has.
    """

    gallery: Gallery
    calibration: Calibration
    model_digest: str
    rule: Rule
    thresholds: Mapping[OrgId, float] = field(default_factory=dict)
    grey_calibration: Calibration | None = None

    def decide(
        self,
        org: OrgId,
        template: Template,
        quality: float,
        *,
        grey: bool = False,
        camera_threshold: float | None = None,
        camera: CameraId | None = None,
    ) -> Decision:
        """Who *template*, whose best look has *quality*, belongs to.

        *grey*: it was seen without colour. *camera_threshold*: the camera's own, if it has one.
        """
        asked = Asked(template, quality, grey, camera_threshold, camera)
        return self.decide_each(org, [asked])[0]

    def decide_each(self, org: OrgId, asked: Sequence[Asked]) -> list[Decision]:
        """Each for itself; the gallery is searched once."""
        if not asked:
            return []
        state = self.gallery.revision(org), self.gallery.people(org)  # never newer than the search
        refused = [self.gallery.refused(org, it.template, it.camera) for it in asked]
        wanted = [self.rule.candidates + min(len(it), _MOST_DENIED) for it in refused]
        templates = np.stack([it.template for it in asked])
        resembling = self.gallery.resembling(org, templates, max(wanted))
        return [
            self._decide(org, state, it, not_theirs, found[:most])
            for it, not_theirs, found, most in zip(asked, refused, resembling, wanted, strict=True)
        ]

    def _decide(
        self,
        org: OrgId,
        state: tuple[int, int],
        asked: Asked,
        refused: Mapping[PersonId | None, float],
        found: Sequence[Resemblance],
    ) -> Decision:
        rule, grey, (revision, people) = self.rule, asked.grey, state
        calibration = self.grey_calibration if grey and self.grey_calibration else self.calibration
        threshold, settled_by = self._threshold(org, grey, asked.camera_threshold)
        resembling = [
            Candidate(
                *(it.person, it.face, it.similarity),
                calibration.confidence(it.similarity, people),
                *(it.best, it.matchmakers),
            )
            for it in found
        ]
        denied = tuple(it for it in resembling if _denies(refused.get(it.person), it))
        candidates = tuple(it for it in resembling if it not in denied)[: rule.candidates]
        best = candidates[0] if candidates else None
        margin = (
            candidates[0].similarity - candidates[1].similarity if len(candidates) > 1 else None
        )
        reason = self._doubt(best, margin, asked.quality, threshold)
        if best and not reason and _denies(refused.get(None), best):
            reason = "it is at least as like to what is no face at this camera"
        if denied and not best:
            reason = "it is at least as like to faces that are not theirs as to the enrolled"
        return Decision(
            person=best.person if best and not reason else None,
            candidates=candidates,
            confidence=best.confidence if best else None,
            margin=margin,
            threshold=threshold,
            threshold_similarity=calibration.similarity(threshold, people),
            model=self.model_digest,
            calibration=calibration.version,
            gallery_revision=revision,
            gallery_people=people,
            reason=reason,
            settled_by=settled_by,
            grey=grey,
            denied=denied,
        )

    def _threshold(
        self, org: OrgId, grey: bool, camera_threshold: float | None
    ) -> tuple[float, SettledBy]:
        """The camera's goes before the org's, that before the rule's; grey asks for more."""
        if camera_threshold is not None:
            return camera_threshold, SettledBy.CAMERA
        settled = self.thresholds.get(org)
        threshold = self.rule.threshold if settled is None else settled
        if grey and self.grey_calibration is None and self.rule.grey_threshold > threshold:
            return self.rule.grey_threshold, SettledBy.GREY
        return threshold, SettledBy.SETTINGS if settled is None else SettledBy.ORG

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


def _denies(refused: float | None, candidate: Candidate) -> bool:
    """Whether the probe is at least as like to a face that is not theirs as to their own."""
    own = candidate.similarity if candidate.best is None else candidate.best
    return refused is not None and refused >= own
