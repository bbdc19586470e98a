"""What has been seen, and how it was decided."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from facewatch.domain.events import (
    EventFilter,
    EventRecord,
    Explained,
    FaceEvent,
    Likeness,
    SimilarEvent,
)
from facewatch.domain.faces import Template
from facewatch.domain.ids import (
    CameraId,
    EventId,
    FaceId,
    OrgId,
    PersonId,
)
from facewatch.domain.past import PastMatchmaker, PastVisit


class FaceEvents(Protocol):
    """The event log."""

    async def add(self, records: Sequence[EventRecord]) -> None:
        """Record; of one id the highest version stands, and repeating it changes nothing.

        Raises:
            RecordRefused: one of *records* can never be taken; none was.
            DatabaseUnavailable: Postgres does not answer.
        """
        ...

    async def get(self, org: OrgId, event: EventId) -> FaceEvent:
        """One event.

        Raises:
            NotFound: *org* has none with this id.
        """
        ...

    async def find(
        self, org: OrgId, wanted: EventFilter, limit: int, before: EventId | None = None
    ) -> list[FaceEvent]:
        """Newest visit first, from just after *before*; fewer than *limit* only at the end."""
        ...

    async def assign(
        self, org: OrgId, event: EventId, person: PersonId | None, name: str = ""
    ) -> None:
        """An operator says whose visit it is; no machine overwrites that.

        *name* decides where *person* is none of the event's candidates; whoever it names is
        made if nobody is called so. Without both, the visit is nobody's.

        Raises:
            NotFound: *org* has no such event, or no named person of this id.
            InvalidRequest: *name* cannot be a name.
        """
        ...

    async def deny(self, org: OrgId, event: EventId, person: PersonId | None) -> None:
        """An operator says that the visit is not *person*'s, or whose it is; again changes nothing.

        It is nobody's then if it was theirs. Running workers follow: who is at least as like to
        this face as to the person's own is not named for them.

        Raises:
            NotFound: *org* has no such event, or nobody with this id.
            UnusableValue: no *person*, and the visit is nobody's.
        """
        ...

    async def no_face(self, org: OrgId, event: EventId) -> None:
        """An operator says that it shows no face: it is removed, and its templates are remembered.

        Running workers name nobody at its camera who is at least as like to it. Again changes
        nothing.

        Raises:
            NotFound: *org* has no such event.
        """
        ...

    async def face_after_all(self, org: OrgId, event: EventId) -> None:
        """Takes `no_face` back as far as it goes: the templates are forgotten.

        Raises:
            NotFound: nobody said so of this event of *org*.
        """
        ...

    async def remove(self, org: OrgId, event: EventId) -> None:
        """Gone, with its pixels and templates; a late version does not bring it back.

        Raises:
            NotFound: *org* has none with this id.
        """
        ...


class Decisions(Protocol):
    """What the answer who a visit is rested on."""

    async def explain(self, org: OrgId, event: EventId) -> Explained:
        """
        Raises:
            NotFound: *org* has no such event.
        """
        ...


class SimilarEvents(Protocol):
    """Visits by how they look: every template of every visit there is."""

    async def template_of(self, org: OrgId, event: EventId, model: str) -> Template | None:
        """Of the best shot; None where there is none of *model* (any more).

        Raises:
            NotFound: *org* has no such event.
        """
        ...

    async def template_enrolled(self, org: OrgId, face: FaceId, model: str) -> Template | None:
        """Of a matchmaker; None where there is none of *model*.

        Raises:
            NotFound: nobody of *org* who has a name has this matchmaker.
        """
        ...

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
        ...


class Past(Protocol):
    """Visits and matchmakers with their crops, to be decided or embedded again."""

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
        ...

    async def matchmakers(
        self, org: OrgId, model: str, limit: int, after: FaceId | None = None
    ) -> list[PastMatchmaker]:
        """By id, from just behind *after*, with the template of *model* if there is one."""
        ...

    async def put(
        self, org: OrgId, model: str, templates: Sequence[tuple[FaceId, Template]]
    ) -> None:
        """What *model* makes of these faces; nothing is kept of whoever was erased meanwhile."""
        ...

    async def put_enrolled(
        self, org: OrgId, model: str, templates: Sequence[tuple[FaceId, Template]]
    ) -> None:
        """`put`, of matchmakers: running workers load them."""
        ...

    async def tell_of_model(self, model: str) -> None:
        """Running services load *model*."""
        ...
