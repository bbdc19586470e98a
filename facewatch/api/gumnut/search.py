"""/api/search: pictures by who is in them and when they were captured."""

from typing import Annotated

from pydantic import Field

from facewatch.api.deps import Deps
from facewatch.api.gumnut.assets import AssetResponse
from facewatch.api.gumnut.links import links_for
from facewatch.api.gumnut.resource import Call, NoCriterion, Unprocessable, resource, wrong
from facewatch.api.gumnut.wire import MOST_IDS, Moment, PageIn, PersonRef, Shape, cut_off
from facewatch.domain.audit import Action
from facewatch.domain.library import AssetFilter

_NO_MODEL = (
    "search by words needs a model of pictures and words, and this version has none; leave query"
    " out: person_ids, captured_after and captured_before work without"
)
_FARTHEST = 1 << 31
"""Behind so many pictures there are none."""


class SearchIn(PageIn):
    """What is looked for: one criterion at least.

    Attributes:
        query: In words; no model for that is installed.
        person_ids: All of them are in it.
        captured_after, captured_before: Exclusive; without an offset by the clock of the place.
        threshold: Of *query*: 0 is the same, 1 unrelated.
    """

    query: str | None = None
    person_ids: Annotated[list[PersonRef], Field(max_length=MOST_IDS)] | None = None
    captured_after: Moment | None = None
    captured_before: Moment | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] = 0.8
    page: Annotated[int, Field(ge=1)] = 1


class SearchItem(Shape):
    """A picture; *distance* to the words is null where there are none."""

    asset: AssetResponse
    distance: float | None


class SearchResponse(Shape):
    """A page of what was found, the newest capture first."""

    data: list[SearchItem]
    has_more: bool


async def search_assets(deps: Deps, call: Call, asked: SearchIn) -> SearchResponse:
    """Pictures by who is in them and when they were captured."""
    if asked.query:
        raise Unprocessable([wrong(["query", "query"], "no_model", _NO_MODEL)])
    wanted = AssetFilter(
        people=frozenset(asked.person_ids) if asked.person_ids else None,
        after=asked.captured_after,
        before=asked.captured_before,
    )
    if wanted == AssetFilter():
        raise NoCriterion(
            "nothing is looked for",
            "give at least one of query, person_ids, captured_after, captured_before",
        )
    offset = min(asked.limit * (asked.page - 1), _FARTHEST)
    found = await deps.assets.find(call.key.org, wanted, asked.limit + 1, offset)
    assets, more = cut_off(found, asked.limit)
    links = await links_for(deps, call)
    return SearchResponse(
        data=[SearchItem(asset=AssetResponse.of(it, links), distance=None) for it in assets],
        has_more=more,
    )


ROUTES = [resource("GET", "/api/search", search_assets, action=Action.FACE_EVENTS_SEARCHED)]
