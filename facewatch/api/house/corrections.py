"""/api/v1/events: what an event does not show, as an operator says, remembered for good.

Whose it is instead is said with updateFaceEvent of the Rhombus contract.
"""

from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import Id, Shape
from facewatch.domain.audit import Action
from facewatch.domain.ids import EventId, PersonId
from facewatch.ports.access import ApiKey


class EventIn(Shape):
    """Which one."""

    event: Id


class NotPersonIn(EventIn):
    """Whose it is not; without *person* whoever it shows."""

    person: Id | None = None


async def not_this_person(deps: Deps, caller: ApiKey, asked: NotPersonIn) -> None:
    """The event is not theirs, and whoever is as like to it as to them is not named for them."""
    person = PersonId(asked.person) if asked.person else None
    await deps.events.deny(caller.org, EventId(asked.event), person)


async def not_a_face(deps: Deps, caller: ApiKey, asked: EventIn) -> None:
    """The event goes, and nothing that is as like to it is named at its camera."""
    await deps.events.no_face(caller.org, EventId(asked.event))


async def a_face_after_all(deps: Deps, caller: ApiKey, asked: EventIn) -> None:
    """What not-a-face remembered is forgotten; the event itself is gone."""
    await deps.events.face_after_all(caller.org, EventId(asked.event))


_NO_FACE = "/api/v1/events/{event}/not-a-face"

ROUTES = [
    resource(
        "POST",
        "/api/v1/events/{event}/not-person",
        not_this_person,
        Role.OPERATOR,
        action=Action.FACE_EVENT_UPDATED,
    ),
    resource("POST", _NO_FACE, not_a_face, Role.OPERATOR, action=Action.FACE_EVENT_DELETED),
    resource("DELETE", _NO_FACE, a_face_after_all, Role.OPERATOR, action=Action.FACE_EVENT_UPDATED),
]
