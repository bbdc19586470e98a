"""Persons with and without a name in Postgres, and who of them is the same human."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import numpy as np

from facewatch.domain.faces import Quality
from facewatch.domain.ids import (
    CameraId,
    EventId,
    FaceId,
    OrgId,
    PersonId,
    first_id,
    new_id,
    to_ruuid,
)
from facewatch.domain.people import LastSeen, NearMiss, Part, Profile, Sure, Teacher, View
from facewatch.errors import NotFound, UnusableValue
from facewatch.ports.library import ProfileChanges
from facewatch.store import merging
from facewatch.store.database import Database, Row, Work
from facewatch.store.events import received
from facewatch.store.people import lock, take_name, tell
from facewatch.store.revision import next_revision

_LAST = UUID(int=2**128 - 1)
_VISITS = 5_000


class PostgresRegister:
    """`ports.library.Register` in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def named(
        self, org: OrgId, limit: int, before: PersonId | None = None, prefix: str | None = None
    ) -> list[Profile]:
        """Newest first; those whose name begins with *prefix*, whatever its case."""
        if prefix is None:
            found = await self._database.fetch(
                "register_named", org=org, before=before, limit=limit
            )
        elif "\0" in prefix:
            found = []
        else:
            found = await self._database.fetch(
                "register_called", org=org, before=before, limit=limit, prefix=prefix
            )
        return await self._profiles(found)

    async def unnamed(
        self, org: OrgId, limit: int, before: PersonId | None = None
    ) -> list[Profile]:
        """Unknowns who came back, and whoever lost their name; newest first."""
        found = await self._database.fetch("register_unnamed", org=org, before=before, limit=limit)
        return await self._profiles(found)

    async def get(self, org: OrgId, person: PersonId) -> Profile:
        """
        Raises:
            NotFound: *org* has nobody with this id.
        """
        meant = await self._database.fetch("register_meant", org=org, person=person)
        for profile in await self._profiles(meant):
            return profile
        raise NotFound(f"there is no person {to_ruuid(person)}", "check the id")

    async def create(
        self, org: OrgId, name: str, email: str | None = None, labels: Sequence[str] = ()
    ) -> PersonId:
        """
        Raises:
            AlreadyExists: *org* has somebody of this name.
        """
        person = PersonId(new_id())
        async with self._database.transaction() as work:
            await take_name(work, org, name)
            await work.fetch("register_add", id=person, org=org, name=name, email=email)
            await work.fetch("register_labels_set", org=org, person=person, labels=list(labels))
            await tell(work, org, [person])
        return person

    async def change(self, org: OrgId, person: PersonId, changes: ProfileChanges) -> None:
        """
        Raises:
            NotFound: *org* has nobody with this id.
            AlreadyExists: somebody else has the new name.
        """
        async with self._database.transaction() as work:
            person = await lock(work, org, person)
            if name := changes.get("name"):
                await take_name(work, org, name, person)
            await work.fetch(
                "register_change",
                person=person,
                set_name="name" in changes,
                name=changes.get("name"),
                set_email="email" in changes,
                email=changes.get("email"),
            )
            if "labels" in changes:
                labels = list(changes["labels"])
                await work.fetch("register_labels_set", org=org, person=person, labels=labels)
            await tell(work, org, [person])

    async def merge(
        self, org: OrgId, into: PersonId, others: Sequence[PersonId], name: str | None = None
    ) -> PersonId:
        """As `ports.library.Register.merge` says; recorders get a turn between batches."""
        more = True
        while more:
            async with self._database.transaction() as work:
                more = await merging.move_some(work, org, into, others, name)
        async with self._database.transaction() as work:
            return await merging.merge(work, org, into, others, name)

    async def split(
        self, org: OrgId, person: PersonId, part: Part, to: PersonId | None, name: str | None = None
    ) -> PersonId:
        """As `ports.library.Register.split` says."""
        async with self._database.transaction() as work:
            return await merging.split(work, org, person, part, to, name)

    async def near_misses(
        self, org: OrgId, least: float, since: datetime, limit: int, before: EventId | None = None
    ) -> list[NearMiss]:
        """Newest first, from confidence *least* on (0.4 at least), without the dismissed."""
        rows = await self._database.fetch(
            "near_misses",
            org=org,
            least=least,
            since=first_id(since),
            before=before or _LAST,
            limit=limit,
        )
        return [_near_miss(row) for row in rows]

    async def teachers(
        self, org: OrgId, model: str, sure: Sure, since: datetime, limit: int
    ) -> list[Teacher]:
        """The confirmed first, then the best; without the copied and the dismissed."""
        rows = await self._database.fetch(
            "sightings_to_add",
            **{"org": org, "model": model, "since": first_id(since), "visits": _VISITS},
            **{"quality": sure.quality, "telling": sure.telling},
            **{"beyond": sure.beyond, "margin": sure.margin, "limit": limit},
        )
        return [_teacher(row) for row in rows]

    async def views(self, org: OrgId, faces: Collection[FaceId]) -> dict[FaceId, View]:
        """How these matchmakers look."""
        rows = await self._database.fetch("matchmaker_views", org=org, faces=list(faces))
        return {FaceId(row["face"]): _view(row) for row in rows}

    async def names(self, org: OrgId, people: Collection[PersonId]) -> dict[PersonId, str | None]:
        """Of those of *people* who are of *org*."""
        rows = await self._database.fetch("names_of", org=org, people=list(people))
        return {PersonId(row["id"]): row["name"] for row in rows}

    async def different(self, org: OrgId) -> set[frozenset[PersonId]]:
        """Pairs that an operator said are two."""
        rows = await self._database.fetch("dismissed_pairs", org=org)
        return {frozenset((PersonId(row["one"]), PersonId(row["other"]))) for row in rows}

    async def dismiss_pair(self, org: OrgId, one: PersonId, other: PersonId) -> None:
        """They are two. Saying it again changes nothing.

        Raises:
            NotFound: *org* has nobody with one of these ids.
            UnusableValue: both are the same person.
        """
        async with self._database.transaction() as work:
            await work.fetch("people_gate", org=org)
            meant = await merging.meant(work, org, [one, other])
            if meant[one] == meant[other]:
                raise UnusableValue("both ids mean the same person", "name two persons")
            one, other = sorted((meant[one], meant[other]))
            await work.fetch("dismiss", org=org, kind="same_person", one=one, other=other)

    async def dismiss_name(self, org: OrgId, event: EventId, person: PersonId) -> None:
        """The visit is not theirs. Saying it again changes nothing.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
        """
        async with self._database.transaction() as work:
            if await _dismiss(work, org, "name", event, person):
                await next_revision(work, org)  # the face is a negative example from now on

    async def dismiss_teacher(self, org: OrgId, event: EventId, person: PersonId) -> None:
        """The visit makes no matchmaker of theirs. Saying it again changes nothing.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
        """
        async with self._database.transaction() as work:
            await _dismiss(work, org, "matchmaker", event, person)

    async def _profiles(self, found: Sequence[Row]) -> list[Profile]:
        people = [row["id"] for row in found]
        rows = await self._database.fetch("register_profiles", people=people)
        return [_profile(row) for row in rows]


async def _dismiss(work: Work, org: OrgId, kind: str, event: EventId, person: PersonId) -> bool:
    """Whether nobody had said so before."""
    await work.fetch("people_gate_shared", org=org)
    if await work.row("face_event_lock", org=org, event=event) is None:
        raise NotFound(f"there is no face event {to_ruuid(event)}", "check the id")
    known = await work.row("register_meant", org=org, person=person)
    if known is None:
        raise NotFound(f"there is no person {to_ruuid(person)}", "check the id")
    return bool(await work.fetch("dismiss", org=org, kind=kind, one=event, other=known["id"]))


def _profile(row: Row) -> Profile:
    seen = row["last_event"] and LastSeen(
        EventId(row["last_event"]), CameraId(row["last_camera"]), row["last_at"]
    )
    return Profile(
        id=PersonId(row["id"]),
        org=OrgId(row["org"]),
        name=row["name"],
        email=row["email"],
        labels=tuple(row["labels"]),
        matchmakers=row["matchmakers"],
        events=row["events"],
        last_seen=seen,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _near_miss(row: Row) -> NearMiss:
    return NearMiss(
        event=EventId(row["id"]),
        camera=CameraId(row["camera"]),
        at=row["first_seen"],
        thumbnail_key=row["thumbnail_key"],
        person=PersonId(row["person"]),
        name=row["name"],
        face=FaceId(row["face"]),
        similarity=row["similarity"],
        confidence=row["confidence"],
        reason=row["reason"],
    )


def _teacher(row: Row) -> Teacher:
    return Teacher(
        event=EventId(row["id"]),
        camera=CameraId(row["camera"]),
        at=row["first_seen"],
        thumbnail_key=row["thumbnail_key"],
        person=PersonId(row["person"]),
        name=row["name"],
        confirmed=row["confirmed"],
        width_px=row["width"],
        view=_view(row),
        template=received(row["embedding"]),
    )


def _view(row: Row) -> View:
    landmarks = np.array(row["landmarks"], np.float32).reshape(5, 2)
    return View(landmarks, Quality(*row["quality"]), row["grey"], row["crop_key"])
