"""Visits by how they look, in Postgres."""

from typing import Any

from facewatch.domain.events import EventFilter, Likeness, SimilarEvent
from facewatch.domain.faces import Template
from facewatch.domain.ids import EventId, FaceId, OrgId
from facewatch.errors import NotFound
from facewatch.store.database import Database, Row
from facewatch.store.events import LAST, PostgresFaceEvents, received, spelled

_HALVES = 0.002
"""How far a cosine of halves can be off, and more: they leave nobody out."""


class PostgresSimilarEvents:
    """`ports.events.SimilarEvents` in Postgres: every template is looked at (docs/decisions/0051).

    A scan gives the newest *most_near* visits; there is another where they do not fill a page.
    """

    def __init__(
        self, database: Database, events: PostgresFaceEvents, most_near: int = 20_000
    ) -> None:
        self._database = database
        self._events = events
        self._most_near = most_near

    async def template_of(self, org: OrgId, event: EventId, model: str) -> Template | None:
        """Of the best shot; None where there is none of *model* (any more).

        Raises:
            NotFound: *org* has no such event.
        """
        row = await self._database.row("template_of_event", org=org, event=event, model=model)
        if row is None:
            raise NotFound(f"there is no face event {event}")
        return None if row["embedding"] is None else received(row["embedding"])

    async def template_enrolled(self, org: OrgId, face: FaceId, model: str) -> Template | None:
        """Of a matchmaker; None where there is none of *model*.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        row = await self._database.row("template_of_matchmaker", org=org, face=face, model=model)
        if row is None:
            raise NotFound(f"there is no matchmaker {face}")
        return None if row["embedding"] is None else received(row["embedding"])

    async def find(
        self,
        org: OrgId,
        like: Likeness,
        wanted: EventFilter,
        limit: int,
        before: EventId | None = None,
    ) -> list[SimilarEvent]:
        """Every visit that is alike and *wanted*, newest first, from just after *before*.

        Fewer than *limit* only at the end.
        """
        model = await self._database.row("model_id", name=like.model)
        if model is None:
            return []
        values = await self._events.conditions(org, wanted, before or LAST)
        values |= {"model": model["id"], "probe": spelled(like.template)}
        found: list[SimilarEvent] = []
        while missing := limit - len(found):
            near = await self._near(like, values)
            alike = await self._database.fetch(
                "visits_alike",
                **values,
                among=[row["event"] for row in near],
                but=like.but,
                least=like.least,
                least_quality=like.least_quality,
                limit=missing,
            )
            found += await self._read(org, alike)
            if len(alike) == missing:
                # One that is deleted between the two statements leaves a gap, which is filled.
                values["before"] = alike[-1]["id"]
            elif len(near) == self._most_near:
                values["before"] = near[-1]["event"]
            else:
                break
        return found

    async def _near(self, like: Likeness, values: dict[str, Any]) -> list[Row]:
        """The newest visits that may be alike."""
        window = {name: values[name] for name in ("model", "org", "since", "before", "probe")}
        farthest = _HALVES - like.least
        async with self._database.transaction() as work:
            await work.fetch("visits_near_at_once")
            return await work.fetch(
                "visits_near", **window, farthest=farthest, limit=self._most_near
            )

    async def _read(self, org: OrgId, alike: list[Row]) -> list[SimilarEvent]:
        similarities = {row["id"]: row["similarity"] for row in alike}
        return [
            SimilarEvent(event, similarities[event.id])
            for event in await self._events.read(org, alike)
        ]
