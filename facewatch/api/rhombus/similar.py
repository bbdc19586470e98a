"""/api/faceRecognition/faceEvent/findSimilarFaceEvents...: visits by how they look.

docs/decisions/0050 says what the thresholds mean.
"""

import hashlib
from functools import partial

from facewatch.api.deps import Deps
from facewatch.api.rhombus import lists
from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.rhombus.ids import event_of, face_of
from facewatch.api.rhombus.operation import operation
from facewatch.api.rhombus.wire_similar import (
    FindSimilarFaceEventsByEmbeddingIn,
    FindSimilarFaceEventsByFaceMatchmakerIn,
    FindSimilarFaceEventsIn,
    FindSimilarFaceEventsOut,
    SimilarFaceEventOut,
    SimilarIn,
    SimilaritySearchFilter,
)
from facewatch.domain.audit import Action
from facewatch.domain.events import Likeness
from facewatch.domain.faces import Template
from facewatch.domain.ids import EventId
from facewatch.ports.access import ApiKey

_DEFAULT_THRESHOLD = 0.7


async def find_similar_face_events(
    deps: Deps, caller: ApiKey, message: FindSimilarFaceEventsIn
) -> FindSimilarFaceEventsOut:
    """Every other visit whose face is like that of ``faceEventUuid``, newest first."""
    with event_of(message.face_event_uuid, "faceEventUuid") as event:
        template = await deps.lookalikes.face_of_event(caller.org, event)
    return await _found(deps, caller, message, template, f"event {event}", but=event)


async def find_similar_face_events_by_face_matchmaker(
    deps: Deps, caller: ApiKey, message: FindSimilarFaceEventsByFaceMatchmakerIn
) -> FindSimilarFaceEventsOut:
    """Every visit whose face is like that of the matchmaker ``faceId``, newest first."""
    with face_of(message.face_id) as face:
        template = await deps.lookalikes.face_enrolled(caller.org, face)
    return await _found(deps, caller, message, template, f"matchmaker {face}")


async def find_similar_face_events_by_embedding(
    deps: Deps, caller: ApiKey, message: FindSimilarFaceEventsByEmbeddingIn
) -> FindSimilarFaceEventsOut:
    """Every visit whose face is like the one that the embedding was made of, newest first."""
    looks = deps.lookalikes
    template = (message.embedding or Embedding()).template(looks.model, looks.dimensions)
    probe = f"embedding {hashlib.sha256(template.tobytes()).hexdigest()}"
    return await _found(deps, caller, message, template, probe)


async def _found(
    deps: Deps,
    caller: ApiKey,
    message: SimilarIn,
    template: Template,
    probe: str,
    but: EventId | None = None,
) -> FindSimilarFaceEventsOut:
    """A page of those who are like *template*, over all past visits unless a window is given."""
    asked = message.search_filter or SimilaritySearchFilter()
    threshold = asked.face_match_distance_threshold
    if threshold is None:
        threshold = _DEFAULT_THRESHOLD
    looks = deps.lookalikes
    like = Likeness(
        template,
        looks.model,
        looks.similarity(threshold),
        asked.embedding_confidence_threshold,
        but,
    )
    wanted = lists.wanted(asked)
    events, key = await lists.page(
        deps,
        caller.org,
        message.page_request,
        lists.question(wanted, probe, threshold, like.least_quality),
        wanted,
        partial(looks.similar.find, caller.org, like),
        lambda it: it.event.id,
    )
    return FindSimilarFaceEventsOut(
        face_events=[
            SimilarFaceEventOut.like(it.event, looks.confidence(it.similarity)) for it in events
        ],
        last_evaluated_key=key,
    )


_BASE = "/api/faceRecognition/faceEvent"

ROUTES = [
    operation(
        f"{_BASE}/findSimilarFaceEvents",
        FindSimilarFaceEventsIn,
        find_similar_face_events,
        action=Action.FACE_EVENTS_SEARCHED_BY_FACE,
    ),
    operation(
        f"{_BASE}/findSimilarFaceEventsByEmbedding",
        FindSimilarFaceEventsByEmbeddingIn,
        find_similar_face_events_by_embedding,
        action=Action.FACE_EVENTS_SEARCHED_BY_FACE,
    ),
    operation(
        f"{_BASE}/findSimilarFaceEventsByFaceMatchmaker",
        FindSimilarFaceEventsByFaceMatchmakerIn,
        find_similar_face_events_by_face_matchmaker,
        action=Action.FACE_EVENTS_SEARCHED_BY_FACE,
    ),
]
