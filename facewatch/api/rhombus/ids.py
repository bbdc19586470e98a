"""Ids as callers send them: whatever is wrong with one, the answer has the same bytes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from facewatch.domain.ids import EventId, FaceId, PersonId, from_prefixed, from_ruuid
from facewatch.errors import NotFound


@contextmanager
def person_of(text: str | None, field: str = "personUuid") -> Iterator[PersonId]:
    """The person that *text* spells; in the block, NotFound is theirs."""
    with _absent(f"there is no person with this {field}"):
        yield PersonId(_parsed(from_ruuid, text))


@contextmanager
def event_of(text: str | None, field: str = "eventUuid") -> Iterator[EventId]:
    """The event that *text* spells; in the block, NotFound is its."""
    with _absent(f"there is no face event with this {field}"):
        yield EventId(_parsed(from_ruuid, text))


@contextmanager
def face_of(text: str | None) -> Iterator[FaceId]:
    """The matchmaker that *text* spells; in the block, NotFound is its."""
    with _absent("there is no matchmaker with this faceId"):
        yield FaceId(_parsed(lambda it: from_prefixed("face", it), text))


def _parsed(parse: Callable[[str], UUID], text: str | None) -> UUID:
    try:
        return parse(text or "")
    except ValueError as error:
        raise NotFound("no id is spelled so") from error


@contextmanager
def _absent(what: str) -> Iterator[None]:
    try:
        yield
    except NotFound:
        raise NotFound(what, "check the id") from None
