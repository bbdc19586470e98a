"""How the house family spells things: snake_case, RUUIDs, times in ISO 8601."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Generic, Self, TypeVar
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from facewatch.domain.ids import from_prefixed, from_ruuid, to_prefixed, to_ruuid
from facewatch.errors import UnusableValue
from facewatch.people.words import MOST_CHARACTERS, as_kept


class Shape(BaseModel):
    """Unknown fields are refused: a misspelt one would change nothing, and nobody would know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _id(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise ValueError("must be an id of 22 characters")
    return from_ruuid(value)


Id = Annotated[
    UUID,
    PlainValidator(_id),
    PlainSerializer(to_ruuid),
    WithJsonSchema({"type": "string", "format": "RUUID", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}),
]
"""A UUID in the spelling that the Rhombus contract has too: an id read there works here."""


def _face(value: object) -> UUID:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise ValueError("must be an id that begins with face_")
    return from_prefixed("face", value)


FaceRef = Annotated[
    UUID,
    PlainValidator(_face),
    PlainSerializer(lambda face: to_prefixed("face", face)),
    WithJsonSchema({"type": "string", "pattern": "^face_[2-9A-HJ-NP-Za-km-z]{22}$"}),
]
"""A matchmaker, as the Rhombus contract spells its *faceId*."""


def _name(text: str) -> str:
    try:
        return as_kept(text, "it")
    except UnusableValue as error:
        raise ValueError(str(error)) from None


_NOT_BLANK = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$"

Name = Annotated[
    str,
    AfterValidator(_name),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": MOST_CHARACTERS,
            "pattern": _NOT_BLANK,
        }
    ),
]
"""What something is called: kept without space around it, composed (NFC)."""


def _read_date(value: object) -> object:
    """Of a body or a query alike: digits alone could be any unit of time."""
    if isinstance(value, str) and not value.replace(".", "").lstrip("+-").isdigit():
        with suppress(ValueError):
            return datetime.fromisoformat(value.upper())
    if not isinstance(value, datetime):
        raise ValueError("must be a date as ISO 8601 writes it")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_read_date)]
"""ISO 8601 with an offset."""


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


LEFT: Any = Field(default=None, json_schema_extra=_without_default)
"""The default of what a change leaves alone: read `model_fields_set`, not the field."""


class Thing(Shape):
    """Something that has an id."""

    id: Id


class PageIn(Shape):
    """Which part of a list: after *cursor*, which is the one of the page before."""

    cursor: Id | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


Item = TypeVar("Item", bound=Thing)


class Page(Shape, Generic[Item]):
    """A part of a list; *cursor* leads to what comes after it, and is null at the end."""

    items: list[Item]
    cursor: Id | None

    @classmethod
    def of(cls, found: Sequence[Item], limit: int) -> Self:
        """The first *limit* of *found*; one more than that means that the list goes on."""
        more = len(found) > limit
        return cls(items=list(found[:limit]), cursor=found[limit - 1].id if more else None)
