"""How the Gumnut contract spells things: snake_case, prefixed ids, ISO 8601."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias, get_args
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from facewatch.domain.ids import (
    AssetId,
    FaceId,
    OrgId,
    PersonId,
    from_prefixed,
    to_prefixed,
)
from facewatch.errors import NotFound

NO_SUCH_ID = "no_such_id"
"""Kind of the validation error that an id gives which can be nobody's."""


class Shape(BaseModel):
    """What is not known is passed over, as that service does: newer clients say more."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


def _reader(prefix: str) -> Callable[[object], UUID]:
    def read(value: object) -> UUID:
        if isinstance(value, UUID):
            return value
        try:
            return from_prefixed(prefix, value if isinstance(value, str) else "")
        except ValueError:
            raise PydanticCustomError(
                NO_SUCH_ID, f"there is nothing with this id: it begins with {prefix}_"
            ) from None

    return read


def _spelling(prefix: str) -> Any:
    return (
        BeforeValidator(_reader(prefix)),
        PlainSerializer(lambda it: to_prefixed(prefix, it), return_type=str),
        WithJsonSchema({"type": "string", "pattern": f"^{prefix}_[2-9A-HJ-NP-Za-km-z]{{22}}$"}),
    )


FaceRef = Annotated[FaceId, *_spelling("face")]
PersonRef = Annotated[PersonId, *_spelling("person")]
AssetRef = Annotated[AssetId, *_spelling("asset")]
AlbumRef = Annotated[UUID, *_spelling("album")]
LibraryRef = Annotated[OrgId, *_spelling("lib")]


class InLibrary(Shape):
    """What is asked of a library; an org is one, and it may be left out (docs/decisions/0080)."""

    library_id: LibraryRef | None = None

    def refuse_foreign(self, org: OrgId) -> None:
        """
        Raises:
            NotFound: another library is asked for than *org*'s.
        """
        if self.library_id not in (None, org):
            raise NotFound("there is no such library", "leave library_id out: there is one")


class PageIn(InLibrary):
    """Which part of a list: *limit* things behind the one called *starting_after_id*."""

    limit: Annotated[int, Field(ge=1, le=200)] = 20


MOST_IDS = 200

_UNESCAPED = re.compile(r"(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$")
"""A plus sign that nobody escaped stands there as a space."""


def _moment(value: object) -> object:
    """ISO 8601: digits alone could be any unit of time."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or value.replace(".", "").lstrip("+-").isdigit():
        raise ValueError("must be a date and time as ISO 8601 writes it")
    moment = datetime.fromisoformat(_UNESCAPED.sub(r"\1+\2", value.strip().upper()))
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        raise ValueError("must be a moment of this calendar") from None


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""Without an offset it is what a clock on a wall showed; with one it is UTC from here on."""


class AssetVariant(Shape):
    """A picture: *url* needs no key, and expires."""

    url: str
    mimetype: str
    width: int | None = None


AssetUrls: TypeAlias = dict[Literal["thumbnail"], AssetVariant]


Variant: TypeAlias = Literal["thumbnail", "preview", "original"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)
AssetVariants: TypeAlias = dict[Variant, AssetVariant]


class Done(Shape):
    """It is done; there is no more to say."""


def cut_off(found: Sequence[Any], limit: int) -> tuple[list[Any], bool]:
    """The first *limit*, and whether there are more."""
    return list(found[:limit]), len(found) > limit
