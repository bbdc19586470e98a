"""How the house family spells things: snake_case, RUUIDs, times in ISO 8601."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, PlainSerializer, PlainValidator, WithJsonSchema

from facewatch.domain.ids import from_ruuid, to_ruuid


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
    WithJsonSchema({"type": "string", "format": "RUUID", "pattern": "^[A-Za-z0-9_-]{22}$"}),
]
"""A UUID in the spelling that the Rhombus contract has too: an id read there works here."""
