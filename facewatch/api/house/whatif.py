"""/api/v1/whatif: which names another threshold or margin would have given and taken."""

from collections import Counter
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from facewatch.api.audit import concerns
from facewatch.api.deps import Deps
from facewatch.api.family import Role
from facewatch.api.house.resource import resource
from facewatch.api.house.wire import Id, Shape, Thing, Time
from facewatch.domain.audit import Action
from facewatch.domain.ids import CameraId
from facewatch.domain.past import UNLIKE_BEFORE, Change, Reconsidered
from facewatch.people.whatif import Wish
from facewatch.ports.access import ApiKey

_WINDOW = timedelta(days=7)
_MOST = 10_000

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class WhatIfIn(Shape):
    """What is not said is as it is in force; *since* is 7 days ago.

    With *camera* the threshold is that camera's own, else the org's.
    """

    threshold: Share | None = None
    margin: Share | None = None
    since: Time | None = None
    camera: Id | None = None
    limit: Annotated[int, Field(ge=0, le=1000)] = 100


class WhatIfEventOut(Thing):
    """A visit (its *id*) that would be called something else; null is nobody."""

    at: datetime
    camera: Id
    change: Change
    before: str | None
    after: str | None
    confidence: float | None
    similarity: float | None
    reason: str

    @classmethod
    def of(cls, it: Reconsidered) -> "WhatIfEventOut":
        return cls(
            id=it.event,
            at=it.at,
            camera=it.camera,
            change=it.change,
            before=it.before or None,
            after=it.after or None,
            confidence=it.confidence,
            similarity=it.similarity,
            reason=it.reason,
        )


class WhatIfOut(Shape):
    """Counts of the newest ten thousand visits at most, and the newest *limit* of what changes.

    *oldest* is when the last one that was looked at began.
    """

    visits: int
    oldest: datetime | None
    counts: dict[Change, int]
    events: list[WhatIfEventOut]


async def what_if(deps: Deps, caller: ApiKey, asked: WhatIfIn) -> WhatIfOut:
    """Decide past visits again, with the gallery in force; nothing is changed."""
    camera = CameraId(asked.camera) if asked.camera else None
    if camera:
        await deps.cameras.get(caller.org, camera)
    since = asked.since or deps.clock() - _WINDOW
    counts: Counter[Change] = Counter()
    events: list[WhatIfEventOut] = []
    oldest = None
    pages = deps.reconsiderer.reconsider(
        caller.org, Wish(asked.threshold, asked.margin, since, camera)
    )
    async with aclosing(pages) as opened:
        async for page in opened:
            page = page[: _MOST - counts.total()]
            counts.update(it.change for it in page)
            oldest = page[-1].at
            unlike = [it for it in page if it.change in UNLIKE_BEFORE]
            events += [WhatIfEventOut.of(it) for it in unlike[: asked.limit - len(events)]]
            if counts.total() == _MOST:
                break
    concerns(*(it.id for it in events))
    return WhatIfOut(
        visits=counts.total(),
        oldest=oldest,
        counts={it: counts[it] for it in Change},
        events=events,
    )


ROUTES = [
    resource("POST", "/api/v1/whatif", what_if, Role.ADMIN, action=Action.FACE_EVENTS_SEARCHED),
]
