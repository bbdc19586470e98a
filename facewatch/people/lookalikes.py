"""Who looks like whom, among all that the cameras saw."""

from dataclasses import dataclass

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Template
from facewatch.domain.ids import EventId, FaceId, OrgId
from facewatch.errors import UnusableValue
from facewatch.ports.events import SimilarEvents


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """Similarity search with the embedder in force.

    How alike two faces are is the confidence that they would match with in the smallest gallery
    that is counted: it depends on the two alone, not on who is enrolled today.

    Attributes:
        model: Name of the embedder: templates of no other are compared.
        dimensions: Numbers in a template.
    """

    similar: SimilarEvents
    model: str
    dimensions: int
    calibration: Calibration

    def confidence(self, similarity: float) -> float:
        """0..1 for a cosine."""
        return self.calibration.confidence(similarity, gallery=0)

    def similarity(self, confidence: float) -> float:
        """The cosine at which `confidence` reaches *confidence*, 0..1."""
        return self.calibration.similarity(confidence, gallery=0)

    async def face_of_event(self, org: OrgId, event: EventId) -> Template:
        """The face of a visit.

        Raises:
            NotFound: *org* has no such event.
            UnusableValue: it has no template.
        """
        template = await self.similar.template_of(org, event, self.model)
        return self._there(template, "no look of this event was fit to compare, or it was erased")

    async def face_enrolled(self, org: OrgId, face: FaceId) -> Template:
        """The face of a matchmaker.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
            UnusableValue: it has no template of the embedder in force.
        """
        template = await self.similar.template_enrolled(org, face, self.model)
        return self._there(template, f"this matchmaker has no template of {self.model}")

    def _there(self, template: Template | None, otherwise: str) -> Template:
        if template is None:
            raise UnusableValue(otherwise, "choose another")
        return template
