"""The messages of similarity search, as Rhombus' internal document describes them."""

from typing import Annotated

from pydantic import ConfigDict, Field

from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.rhombus.wire import (
    OMITTED,
    FaceEventOut,
    Message,
    PageRequest,
    SearchFilter,
    share,
)
from facewatch.domain.events import FaceEvent

Share = Annotated[float, Field(ge=0, le=1)]


class SimilaritySearchFilter(SearchFilter):
    """Every field narrows; an empty list, or null, does not.

    Attributes:
        embedding_confidence_threshold: The least ``embeddingConfidence`` of an event.
        face_match_distance_threshold: The least ``similarity`` of an event; 0.7 where it is left
            out. Higher is stricter, whatever its name says.
    """

    model_config = ConfigDict(title="Facerecognition_faceevent_SimilaritySearchFilter")

    embedding_confidence_threshold: Share | None = None
    face_match_distance_threshold: Share | None = None


class SimilarIn(Message):
    """What the three operations share."""

    page_request: PageRequest | None = None
    search_filter: SimilaritySearchFilter | None = None


class FindSimilarFaceEventsIn(SimilarIn):
    face_event_uuid: str | None = None


class FindSimilarFaceEventsByFaceMatchmakerIn(SimilarIn):
    face_id: str | None = None


class FindSimilarFaceEventsByEmbeddingIn(SimilarIn):
    embedding: Embedding | None = None


class SimilarFaceEventOut(FaceEventOut):
    """One visit that is like another face.

    Attributes:
        similarity: How alike, 0..1: the confidence of a match in a gallery of 100 people.
    """

    model_config = ConfigDict(title="Facerecognition_faceevent_SimilarFaceEvent")

    similarity: float

    @classmethod
    def like(cls, event: FaceEvent, similarity: float) -> "SimilarFaceEventOut":
        return cls(**dict(FaceEventOut.of(event)), similarity=share(similarity))


class FindSimilarFaceEventsOut(Message):
    """A page; its key is left out at the end."""

    face_events: list[SimilarFaceEventOut]
    last_evaluated_key: Annotated[str | None, OMITTED] = None
