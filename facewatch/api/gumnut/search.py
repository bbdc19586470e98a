"""/api/search: pictures by what and who is in them, and when they were captured."""

from typing import Annotated

from pydantic import Field

from facewatch.api.deps import Deps
from facewatch.api.gumnut.assets import AssetResponse
from facewatch.api.gumnut.links import links_for
from facewatch.api.gumnut.resource import Call, NoCriterion, Unprocessable, resource, wrong
from facewatch.api.gumnut.wire import MOST_IDS, Moment, PageIn, PersonRef, Shape, cut_off
from facewatch.domain.audit import Action
from facewatch.domain.library import Asset, AssetFilter
from facewatch.errors import NoSearchModel

_LONGEST = 2_000
"""Characters; the models read about 300."""
_FARTHEST = 1 << 31
"""Behind so many pictures there are none."""


class SearchIn(PageIn):
    """What is looked for: one criterion at least.

    Attributes:
        query: In words; of a long text a model reads the beginning (docs/decisions/0087).
        person_ids: All of them are in it.
        captured_after, captured_before: Exclusive; without an offset by the clock of the place.
        threshold: How far from *query* a picture may be: 0 is the same, 1 unrelated.
    """

    query: Annotated[str, Field(max_length=_LONGEST)] | None = None
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
    """A page of what was found: what is nearest to the words first, else the newest capture."""

    data: list[SearchItem]
    has_more: bool


async def search_assets(deps: Deps, call: Call, asked: SearchIn) -> SearchResponse:
    """Pictures by what and who is in them, and when they were captured."""
    text = (asked.query or "").strip()
    wanted = AssetFilter(
        people=frozenset(asked.person_ids) if asked.person_ids else None,
        after=asked.captured_after,
        before=asked.captured_before,
    )
    if not text and wanted == AssetFilter():
        raise NoCriterion(
            "nothing is looked for",
            "give at least one of query, person_ids, captured_after, captured_before",
        )
    offset = min(asked.limit * (asked.page - 1), _FARTHEST)
    found: list[tuple[Asset, float | None]]
    if text:
        found = [*await _described(deps, call, asked, text, wanted, offset)]
    else:
        assets = await deps.assets.find(call.key.org, wanted, asked.limit + 1, offset)
        found = [(asset, None) for asset in assets]
    shown, more = cut_off(found, asked.limit)
    links = await links_for(deps, call)
    return SearchResponse(
        data=[SearchItem(asset=AssetResponse.of(it, links), distance=far) for it, far in shown],
        has_more=more,
    )


async def _described(
    deps: Deps, call: Call, asked: SearchIn, text: str, wanted: AssetFilter, offset: int
) -> list[tuple[Asset, float]]:
    """As `WordSearch.find`, one more than *asked* for.

    Raises:
        Unprocessable: there is no model.
    """
    try:
        return await deps.words.find(
            call.key.org, text, asked.threshold, wanted, asked.limit + 1, offset
        )
    except NoSearchModel as error:
        raise Unprocessable([wrong(["query", "query"], "no_model", str(error))]) from None


ROUTES = [resource("GET", "/api/search", search_assets, action=Action.FACE_EVENTS_SEARCHED)]
