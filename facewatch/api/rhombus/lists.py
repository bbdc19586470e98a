"""What every list of face events shares: its filter, its default window and its pages."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from facewatch.api.deps import Deps
from facewatch.api.rhombus import paging
from facewatch.api.rhombus.wire import (
    FaceEventSearchFilter,
    PageRequest,
    SearchFilter,
    TimestampFilter,
    milliseconds,
    moment,
)
from facewatch.domain.events import EventFilter
from facewatch.domain.ids import CameraId, EventId, LocationId, OrgId, PersonId, from_ruuid
from facewatch.people.words import composed

_DEFAULT_WINDOW = timedelta(days=7)
_DEFAULT_PAGE = 100
_SHORTEST_PART = 3
_FACET = re.compile(r"\.v[0-9]+\Z")

Id = TypeVar("Id", bound=UUID)
Found = TypeVar("Found")


def wanted(asked: SearchFilter) -> EventFilter:
    """What is asked for, in the house's words."""
    window = asked.timestamp_filter or TimestampFilter()
    part = composed(asked.face_name_contains or "").strip()
    return EventFilter(
        since=window.range_start,
        until=window.range_end,
        cameras=_ids(CameraId, [id and _FACET.sub("", id) for id in asked.device_uuids or ()]),
        locations=_ids(LocationId, asked.location_uuids),
        people=_ids(PersonId, asked.person_uuids),
        names=_names(asked.face_names),
        name_part=part if len(part) >= _SHORTEST_PART else None,
        labels=_names(asked.labels),
        has_template=asked.has_embedding if isinstance(asked, FaceEventSearchFilter) else None,
        has_name=asked.has_name,
    )


def lately(wanted: EventFilter, now: datetime) -> EventFilter:
    """*wanted*, of the last seven days where it says nothing of time."""
    if wanted.since is None and wanted.until is None:
        return replace(wanted, since=now - _DEFAULT_WINDOW)
    return wanted


def question(wanted: EventFilter, *more: object) -> str:
    """*wanted* as text: the same for the same filter, in whatever order its lists come."""
    fields = {name: _plain(value) for name, value in asdict(wanted).items()}
    return json.dumps([fields, *map(str, more)] if more else fields)


async def page(
    deps: Deps,
    org: OrgId,
    asked: PageRequest | None,
    question: str,
    window: EventFilter,
    find: Callable[[EventFilter, int, EventId | None], Awaitable[list[Found]]],
    id_of: Callable[[Found], EventId],
) -> tuple[list[Found], str | None]:
    """A page of what *find* finds, and the key to the next; None at the end.

    *window* is the filter of a first page; where its window began, the others' begins.
    """
    size = (asked and asked.max_page_size) or _DEFAULT_PAGE
    before = None
    if asked and asked.last_evaluated_key:
        secret = await deps.keys.page_secret(org)
        last, since_ms = paging.opened(secret, question, asked.last_evaluated_key)
        before, window = EventId(last), replace(window, since=moment(since_ms))
    # One more than asked for tells whether this page is the last.
    found = await find(window, size + 1, before)
    if len(found) <= size:
        return found, None
    secret = await deps.keys.page_secret(org)
    since_ms = max(0, milliseconds(window.since)) if window.since else 0  # no id is of before 1970
    return found[:size], paging.sealed(secret, question, id_of(found[size - 1]), since_ms)


def _names(texts: Sequence[str | None] | None) -> frozenset[str] | None:
    return _given([text and composed(text) for text in texts or ()])


def _given(texts: Sequence[str | None] | None) -> frozenset[str] | None:
    """None for a list that is empty, which filters nothing."""
    return frozenset(text for text in texts or () if text is not None) or None


def _ids(kind: Callable[[UUID], Id], texts: Sequence[str | None] | None) -> frozenset[Id] | None:
    """What spells no UUID is the id of nothing; a list of such finds nothing."""
    given = _given(texts)
    return None if given is None else frozenset(map(kind, _spelled(given)))


def _spelled(texts: Iterable[str]) -> Iterator[UUID]:
    for text in texts:
        with suppress(ValueError):
            yield from_ruuid(text)


def _plain(value: object) -> object:
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    return None if value is None else str(value)
