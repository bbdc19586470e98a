"""Unknown visitors who came back, as persons without a name, in Postgres.

Whoever writes a visit that closes unknown leaves a mark with it; a mark goes in the transaction
that compared the visit. So none is missed and none compared twice, whoever dies meanwhile. The
gate of people comes first, then persons, then visits, then the marks (docs/decisions/0056, 0067).
"""

from collections import defaultdict
from collections.abc import Sequence

from facewatch.domain.clusters import Bar, Company, Group, Sureness, Visitor
from facewatch.domain.faces import Quality, Template
from facewatch.domain.ids import EventId, OrgId, PersonId, new_id
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import received, spelled
from facewatch.store.people import tell

_NEAREST = 500
_FACES_EACH = 32
_HALVES = 0.002
"""How far a cosine of halves can be off, and more."""


class PostgresClusters:
    """`ports.library.Clusters` in Postgres; *model* is the embedder in force."""

    def __init__(self, database: Database, sureness: Sureness, model: str) -> None:
        self._database = database
        self._sureness = sureness
        self._model = model

    async def step(self) -> bool:
        """Compare the oldest visit that waits; whether there was one that nobody else has."""
        waiting = await self._database.row("unclustered_next")
        if waiting is None:
            return False
        event, org = EventId(waiting["event"]), OrgId(waiting["org"])
        async with self._database.transaction() as work:
            await work.fetch("people_gate_shared", org=org)
            gate = await work.row("clusters_gate", org=org)
            if gate is None or not gate["open"]:
                return False
            visit = await work.row("unclustered_visit", event=event, model=self._model)
            if visit is not None and self._sureness.fit(Quality(*visit["quality"])):
                await self._settle(work, org, event, visit)
            else:
                await work.fetch("unclustered_done", event=event)
        return True

    async def _settle(self, work: Work, org: OrgId, event: EventId, visit: Row) -> None:
        face, bar = received(visit["embedding"]), self._sureness.bar(visit["crowd"])
        company = await self._company(work, org, event, visit, face, bar)
        locked: list[EventId] = []
        if company is not None:
            rows = await work.fetch("clusters_lock", org=org, events=[event, *company.events])
            locked = [EventId(row["id"]) for row in rows]
        alone = company is not None and company.person is None and len(locked) < 2
        if company is not None and event in locked and not alone:
            await _assign(work, org, company.person, locked)
        await work.fetch("unclustered_done", event=event)

    async def _company(
        self, work: Work, org: OrgId, event: EventId, visit: Row, face: Template, bar: Bar
    ) -> Company | None:
        probe, model = spelled(face), visit["model"]
        here = {"org": org, "camera": visit["camera"], "model": model, "probe": probe}
        if await work.row("no_faces_near", **here, least=bar.agree):
            return None
        near = await work.fetch(
            "unknown_near",
            **{"org": org, "event": event, "model": model, "probe": probe},
            farthest=_HALVES - bar.agree,
            limit=_NEAREST,
        )
        loose = [
            Visitor(EventId(row["id"]), received(row["embedding"]))
            for row in near
            if row["person"] is None and self._sureness.fit(Quality(*row["quality"]))
        ]
        people = sorted({row["person"] for row in near if row["person"] is not None})
        return bar.company(face, loose, await self._groups(work, org, model, people))

    async def _groups(
        self, work: Work, org: OrgId, model: int, people: Sequence[PersonId]
    ) -> dict[PersonId, Group]:
        rows = await work.fetch("unnamed_lock", org=org, people=people)
        unnamed = [PersonId(row["id"]) for row in rows]
        faces: dict[PersonId, list[Template]] = defaultdict(list)
        denied: dict[PersonId, list[Template]] = defaultdict(list)
        for row in await work.fetch(
            "unnamed_faces", people=unnamed, model=model, limit=_FACES_EACH
        ):
            faces[row["person"]].append(received(row["embedding"]))
        for row in await work.fetch(
            "unnamed_denied", org=org, people=unnamed, model=model, limit=_NEAREST
        ):
            denied[row["person"]].append(received(row["embedding"]))
        return {person: Group(them, denied[person]) for person, them in faces.items()}


async def _assign(
    work: Work, org: OrgId, person: PersonId | None, events: Sequence[EventId]
) -> None:
    """They are *person*'s, or somebody's who is made for them; no name, so nobody is told one."""
    whose = person or PersonId(new_id())
    if person is None:
        await work.fetch("register_add", id=whose, org=org, name=None, email=None)
    await work.fetch("clusters_assign", events=events, person=whose)
    await work.fetch("clusters_faces_assign", events=events, person=whose)
    await work.fetch("log_changes", org=org, kind="event", subjects=events)
    await tell(work, org, [whose])
