"""What was seen and enrolled before, with its crops, for another rule or another model."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg

from facewatch.domain.events import AssignedBy, EventFilter
from facewatch.domain.faces import Quality, Template
from facewatch.domain.ids import CameraId, EventId, FaceId, OrgId, PersonId
from facewatch.domain.past import PastMatchmaker, PastVisit
from facewatch.domain.people import Called
from facewatch.errors import DatabaseUnavailable, WriterInTheWay
from facewatch.store.database import Database, Row
from facewatch.store.enrolments import model_id
from facewatch.store.events import LAST, PostgresFaceEvents, received, spelled
from facewatch.store.revision import next_revision

MODELS = "model"
"""NOTIFY channel that rings with an embedder's name when it was put in force."""

_TRIES = 3


class PostgresPast:
    """`ports.events.Past` in Postgres."""

    def __init__(self, database: Database, events: PostgresFaceEvents) -> None:
        self._database = database
        self._events = events

    async def visits(
        self,
        org: OrgId,
        model: str,
        limit: int,
        *,
        since: datetime | None = None,
        camera: CameraId | None = None,
        before: EventId | None = None,
    ) -> list[PastVisit]:
        """Newest first, from just after *before*, with the template of *model* if there is one."""
        found = await self._events.conditions(org, EventFilter(since=since), before or LAST)
        window = {name: found[name] for name in ("since", "before", "months_from", "months_to")}
        values: dict[str, Any] = {"org": org, "model": await self._known(model), "limit": limit}
        if camera is None:
            rows = await self._database.fetch("past_visits", **values, **window)
        else:
            rows = await self._database.fetch(
                "past_visits_of_camera", **values, **window, camera=camera
            )
        return [_visit(row) for row in rows]

    async def matchmakers(
        self, org: OrgId, model: str, limit: int, after: FaceId | None = None
    ) -> list[PastMatchmaker]:
        """By id, from just behind *after*, with the template of *model* if there is one."""
        rows = await self._database.fetch(
            "past_matchmakers", org=org, model=await self._known(model), limit=limit, after=after
        )
        return [
            PastMatchmaker(
                *(FaceId(row["face"]), PersonId(row["person"]), row["crop_key"]),
                received(row["embedding"]) if row["embedding"] else None,
            )
            for row in rows
        ]

    async def put(
        self, org: OrgId, model: str, templates: Sequence[tuple[FaceId, Template]]
    ) -> None:
        """What *model* makes of these faces; nothing is kept of whoever was erased meanwhile.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        await self._put(org, model, templates)

    async def put_enrolled(
        self, org: OrgId, model: str, templates: Sequence[tuple[FaceId, Template]]
    ) -> None:
        """`put`, of matchmakers: running workers load them.

        Raises:
            DatabaseUnavailable: Postgres does not answer.
        """
        await self._put(org, model, templates, enrolled=True)

    async def _put(
        self,
        org: OrgId,
        model: str,
        templates: Sequence[tuple[FaceId, Template]],
        *,
        enrolled: bool = False,
    ) -> None:
        if not templates:
            return
        number = await model_id(self._database, model, len(templates[0][1]))
        faces = [face for face, _ in templates]
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._database.transaction() as work:
                    await work.fetch(
                        "templates_put",
                        faces=faces,
                        models=[number] * len(templates),
                        orgs=[org] * len(templates),
                        embeddings=[spelled(template) for _, template in templates],
                    )
                    if enrolled:
                        revision = await next_revision(work, org)
                        await work.fetch(
                            "matchmakers_embedded", org=org, faces=faces, revision=revision
                        )
                return
            except (asyncpg.ForeignKeyViolationError, WriterInTheWay) as error:
                if not tries_left:  # somebody was erased between look and write, three times
                    raise DatabaseUnavailable(
                        f"templates cannot be written: {error}", "try again"
                    ) from error

    async def tell_of_model(self, model: str) -> None:
        """Running services load *model*."""
        await self._database.fetch("ring", channel=MODELS, payload=model)

    async def _known(self, model: str) -> int | None:
        row = await self._database.row("model_id", name=model)
        return row["id"] if row else None


def _visit(row: Row) -> PastVisit:
    compared = row["compared_quality"] and json.loads(row["compared_quality"])
    quality = Quality(**compared) if compared else Quality(*row["quality"])
    return PastVisit(
        event=EventId(row["id"]),
        face=FaceId(row["face"]),
        camera=CameraId(row["camera"]),
        at=row["first_seen"],
        person=Called(PersonId(row["person"]), row["name"] or "") if row["person"] else None,
        assigned_by=row["assigned_by"] and AssignedBy(row["assigned_by"]),
        closed=row["closed"],
        compared=row["has_template"],
        quality=quality.overall,
        grey=row["grey"],
        camera_threshold=row["match_threshold"],
        crop_keys=tuple(row["look_keys"]),
        template=received(row["embedding"]) if row["embedding"] else None,
    )
