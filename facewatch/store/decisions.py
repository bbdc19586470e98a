"""What an answer rested on, in Postgres."""

import json
from typing import Any
from uuid import UUID

from facewatch.domain.events import Compared, Explained
from facewatch.domain.faces import Quality
from facewatch.domain.ids import EventId, FaceId, OrgId, PersonId
from facewatch.domain.people import Candidate, Decision, SettledBy
from facewatch.errors import NotFound
from facewatch.store.database import Database
from facewatch.store.events import PostgresFaceEvents


class PostgresDecisions:
    """`ports.events.Decisions` in Postgres."""

    def __init__(self, database: Database, events: PostgresFaceEvents) -> None:
        self._database = database
        self._events = events

    async def explain(self, org: OrgId, event: EventId) -> Explained:
        """
        Raises:
            NotFound: *org* has no such event.
        """
        found = await self._events.get(org, event)
        row = await self._database.row("decision_of_event", org=org, event=event)
        if row is None:
            raise NotFound(f"there is no face event {event}")
        decision = _decision(row["decision"])
        return Explained(
            event=found,
            decision=decision,
            compared=await self._compared(org, decision.candidates) if decision else (),
            denied=await self._compared(org, decision.denied) if decision else (),
            assigned_at=row["assigned_at"],
            erased_at=row["erased_at"],
            picture_key=row["picture_key"] or None,
        )

    async def _compared(
        self, org: OrgId, candidates: tuple[Candidate, ...]
    ) -> tuple[Compared, ...]:
        rows = await self._database.fetch(
            "candidates_today",
            org=org,
            people=[it.person for it in candidates],
            faces=[it.face for it in candidates],
        )
        return tuple(
            Compared(
                candidate=candidate,
                name=row["name"],
                stands_for=PersonId(row["stands_for"] or candidate.person),
                erased_at=row["erased_at"],
                removed_at=row["removed_at"],
                picture_key=row["picture_key"] or None,
            )
            for candidate, row in zip(candidates, rows, strict=True)
        )


def _decision(kept: str | None) -> Decision | None:
    """As any version of facewatch wrote it: what it did not know yet is None."""
    if kept is None:
        return None
    said: dict[str, Any] | None = json.loads(kept)
    if said is None:
        return None
    settled_by, quality = said.get("settled_by"), said.get("quality")
    return Decision(
        person=said["person"] and PersonId(UUID(said["person"])),
        candidates=tuple(_candidate(it) for it in said["candidates"]),
        confidence=said["confidence"],
        margin=said["margin"],
        threshold=said["threshold"],
        threshold_similarity=said["threshold_similarity"],
        model=said["model"],
        calibration=said["calibration"],
        gallery_revision=said["gallery_revision"],
        gallery_people=said["gallery_people"],
        reason=said["reason"],
        settled_by=settled_by and SettledBy(settled_by),
        grey=said.get("grey"),
        quality=quality and Quality(**quality),
        denied=tuple(_candidate(it) for it in said.get("denied", ())),
    )


def _candidate(kept: dict[str, Any]) -> Candidate:
    return Candidate(
        person=PersonId(UUID(kept["person"])),
        face=FaceId(UUID(kept["face"])),
        similarity=kept["similarity"],
        confidence=kept["confidence"],
        best=kept.get("best"),
        matchmakers=kept.get("matchmakers"),
    )
