"""The journal: every answer that changes or shows something about people leaves an entry."""

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from typing import TypeAlias
from uuid import UUID

from aiohttp import web
from pydantic import BaseModel

from facewatch import errors
from facewatch.api import trace
from facewatch.domain.audit import Action, AuditEntry, AuditFilter, AuditId, Outcome
from facewatch.domain.ids import OrgId, from_prefixed, from_ruuid, new_id
from facewatch.flow.metrics import Metrics
from facewatch.ports.access import ApiKey, AuditLog

log = logging.getLogger(__name__)

_BATCH = 500
_GATHER_S = 0.25
_PAUSE_S = 0.5
_MOST_SUBJECTS = 100
_LONGEST_AGENT = 120
_LONGEST_SPELLING = 64

_Spelling: TypeAlias = UUID | str
"""An id, or what may spell one: it is parsed when the entry is written."""

_subjects: ContextVar[list[_Spelling] | None] = ContextVar("subjects", default=None)


def concerns(*subjects: UUID) -> None:
    """The request under way is about these: its entry names them.

    The ids of a message and of the one object in its answer are named without this.
    """
    if (noted := _subjects.get()) is not None:
        noted.extend(subjects)


def concerns_asked(question: BaseModel) -> None:
    """Every id that a caller named."""
    if (noted := _subjects.get()) is not None:
        _ask(question, noted)


def concerns_shown(answer: BaseModel) -> None:
    """The one object that an answer holds, or is, and who it shows; a list is not taken apart."""
    if (noted := _subjects.get()) is None:
        return
    for name in _fields(type(answer)):
        value = getattr(answer, name)
        if isinstance(value, BaseModel):
            for shown in _shown(type(value)):
                _keep(getattr(value, shown), noted)
        elif name in _SHOWN:
            _keep(value, noted)


_SHOWN = ("uuid", "id", "person_uuid", "person", "person_id")
_ID = re.compile(r"(.*_)?(uu)?ids?")
_BESIDE = frozenset({"cursor", "starting_after_id", "library_id"})
"""Where a page begins, and whose all of it is, is not what it is about."""


@cache
def _fields(shape: type[BaseModel]) -> Mapping[str, bool]:
    """Its fields, and whether they are named as ids are."""
    return {name: _ID.fullmatch(name) is not None for name in shape.model_fields}


@cache
def _shown(shape: type[BaseModel]) -> tuple[str, ...]:
    return tuple(name for name in _SHOWN if name in shape.model_fields)


def _ask(question: BaseModel, noted: list[_Spelling]) -> None:
    for name, is_id in _fields(type(question)).items():
        value = getattr(question, name)
        if isinstance(value, BaseModel):
            _ask(value, noted)
        elif name not in _BESIDE and (is_id or isinstance(value, UUID)):
            _keep(value, noted)


def _keep(value: object, noted: list[_Spelling]) -> None:
    """What may spell an id in *value*, and little else: it waits in memory."""
    match value:
        case UUID():
            noted.append(value)
        case str() if len(value) <= _LONGEST_SPELLING:
            noted.append(value)
        case list() | tuple() | frozenset():
            for each in islice(value, _MOST_SUBJECTS):
                _keep(each, noted)


def _id(spelling: _Spelling) -> UUID | None:
    """The id in any spelling of ours; None where it is none."""
    if isinstance(spelling, UUID):
        return spelling
    head = spelling.partition(".")[0]  # a device's facet
    try:
        return from_prefixed("face", head) if head[:5] == "face_" else from_ruuid(head)
    except ValueError:
        return None


@dataclass(slots=True)
class _Noted:
    """A request while it runs, and until its entry is made, which costs less in a batch."""

    action: Action
    caller: ApiKey
    at: datetime
    subjects: list[_Spelling]
    remote: str
    agent: str
    request: str
    outcome: Outcome = Outcome.FAILED

    def entry(self) -> AuditEntry:
        spellings = dict.fromkeys(self.subjects)
        subjects = dict.fromkeys(filter(None, map(_id, spellings)))
        return AuditEntry(
            id=AuditId(new_id(self.at)),
            org=self.caller.org,
            at=self.at,
            key=self.caller.id,
            key_name=self.caller.name,
            action=self.action,
            subjects=tuple(islice(subjects, _MOST_SUBJECTS)),
            outcome=self.outcome,
            remote=self.remote,
            agent=self.agent.encode("ascii", "backslashreplace").decode(),
            request=self.request,
        )


class Journal:
    """Entries on their way to the log, in batches, off the way of the answers.

    When *bound* entries wait, as with the database down, requests wait, and after *patience_s*
    are refused before they have shown anything. Event loop only.
    """

    def __init__(
        self, log: AuditLog, metrics: Metrics, bound: int = 10_000, patience_s: float = 5.0
    ) -> None:
        self._bound = bound
        self._patience_s = patience_s
        self._log = log
        self._metrics = metrics
        self._waiting: deque[_Noted] = deque()
        self._noted = self._written = 0
        self._some, self._hurry, self._room = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._progress = asyncio.Condition()
        self._writer: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Entries are written while the block runs; what waits at its end is written then."""
        self._writer = asyncio.create_task(self._write())
        try:
            yield
        finally:
            with suppress(errors.DatabaseUnavailable):
                await self.flushed()
            if self._waiting:
                log.error("%d audit entries are lost: Postgres is down", len(self._waiting))
            self._writer.cancel()
            with suppress(asyncio.CancelledError):
                await self._writer

    async def room(self) -> None:
        """Returns once one entry more can be kept.

        Raises:
            DatabaseUnavailable: there was no room in time.
        """
        if self._writer is not None and self._writer.done():
            self._writer.result()  # what broke it breaks every request that would go unrecorded
        if len(self._waiting) < self._bound:
            return
        try:
            async with asyncio.timeout(self._patience_s):
                while len(self._waiting) >= self._bound:
                    self._room.clear()
                    await self._room.wait()
        except TimeoutError:
            raise errors.DatabaseUnavailable(
                "the audit log takes no entries", "see what is wrong with Postgres"
            ) from None

    def noting(self, action: Action, caller: ApiKey, request: web.Request) -> "_Noting":
        """The block is one entry, however it ends."""
        noted = _Noted(
            *(action, caller, datetime.now(UTC), [], request.remote or ""),
            agent=request.headers.get("User-Agent", "")[:_LONGEST_AGENT],
            request=trace.current(),
        )
        return _Noting(self._note, noted)

    async def flushed(self) -> None:
        """Until everything noted so far is in the log.

        Raises:
            DatabaseUnavailable: it was not in time.
        """
        due = self._noted
        self._hurry.set()
        try:
            async with asyncio.timeout(self._patience_s), self._progress:
                await self._progress.wait_for(lambda: self._written >= due)
        except TimeoutError:
            raise errors.DatabaseUnavailable(
                "the audit log could not be written", "see what is wrong with Postgres"
            ) from None

    async def page(
        self, org: OrgId, wanted: AuditFilter, limit: int, before: AuditId | None = None
    ) -> list[AuditEntry]:
        """As `AuditLog.page`; what this process answered before is among it."""
        await self.flushed()
        return await self._log.page(org, wanted, limit, before)

    def _note(self, noted: _Noted) -> None:
        self._waiting.append(noted)
        self._noted += 1
        self._some.set()
        if len(self._waiting) >= _BATCH:
            self._hurry.set()

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(_GATHER_S):
                    await self._hurry.wait()
            self._hurry.clear()
            due = self._noted
            while self._written < due:
                await self._write_batch()
            if not self._waiting:
                self._some.clear()

    async def _write_batch(self) -> None:
        batch = list(islice(self._waiting, _BATCH))
        await self._added([noted.entry() for noted in batch])
        for _ in batch:
            self._waiting.popleft()
        self._written += len(batch)
        self._metrics.audit_entries.inc(len(batch))
        self._metrics.audit_waiting.set(len(self._waiting))
        self._room.set()
        async with self._progress:
            self._progress.notify_all()

    async def _added(self, batch: Sequence[AuditEntry]) -> None:
        """Try until the database takes it; a batch that it had taken already changes nothing."""
        said = False
        while True:
            try:
                return await self._log.add(batch)
            except errors.DatabaseUnavailable as trouble:
                if not said:
                    log.warning("audit entries wait: %s", trouble)
                said = True
                self._metrics.audit_waiting.set(len(self._waiting))
                await asyncio.sleep(_PAUSE_S)


class _Noting:
    """Hands a request to the journal when the block ends; a generator would cost five times it."""

    def __init__(self, note: Callable[[_Noted], None], noted: _Noted) -> None:
        self._note = note
        self._noted = noted

    def __enter__(self) -> None:
        self._token = _subjects.set(self._noted.subjects)

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        _subjects.reset(self._token)
        self._noted.outcome = Outcome.DONE if error is None else _outcome(error)
        self._note(self._noted)


def _outcome(error: BaseException) -> Outcome:
    match error:
        case errors.Forbidden():
            return Outcome.REFUSED
        case errors.InvalidRequest():
            return Outcome.INVALID
        case errors.NotFound():
            return Outcome.ABSENT
        case errors.StoreTrouble():
            return Outcome.FAILED
        case errors.FacewatchError():
            return Outcome.UNDONE
        case web.HTTPException() if error.status < 500:
            return Outcome.INVALID
        case _:
            return Outcome.FAILED
