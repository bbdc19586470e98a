"""Where pixels and events wait and stay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from facewatch.domain.events import (
    EventRecord,
)


class Blobs(Protocol):
    """The object store."""

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Durable when it returns; the same key again replaces.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def put_all(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        """`put` for many at once: key, body and content type of each; they share its cost.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def put_file(self, key: str, file: Path, content_type: str) -> None:
        """`put` of a file that may be larger than memory; it stays where it is.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def part(self, key: str, start: int, most: int) -> bytes:
        """At most so many bytes from *start* on; fewer only at the end, nothing behind it.

        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def get(self, key: str) -> bytes:
        """
        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...

    async def delete(self, keys: Sequence[str]) -> None:
        """Gone when it returns; a key that is not there is no error."""
        ...

    async def ready(self) -> str:
        """Where pixels are kept, in words for an operator, once it has answered.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SpooledEvent:
    """An event with its pixels on the local disk, on its way to the stores.

    Attributes:
        place: Rises with each record; how the spool is told what was delivered.
        pictures: Object key -> bytes.
    """

    place: int
    record: EventRecord
    pictures: Mapping[str, bytes]


class EventSink(Protocol):
    """Takes versions of events, with their pictures."""

    async def add(self, record: EventRecord, pictures: Mapping[str, bytes]) -> None:
        """Durable when it returns.

        Raises:
            StoreTrouble: it takes none now; the same again may do later.
        """
        ...


class Spool(EventSink, Protocol):
    """Where events are safe before Postgres and the object store have them."""

    async def add(self, record: EventRecord, pictures: Mapping[str, bytes]) -> None:
        """Durable (fsync) when it returns; many calls share one fsync.

        Raises:
            SpoolFull: the bound is reached by events that may not be dropped.
        """
        ...

    async def oldest(self, limit: int, after: int = 0) -> list[SpooledEvent]:
        """The oldest undelivered events behind place *after*, in the order of `add`.

        Waits while there are none.
        """
        ...

    async def delivered(self, places: Sequence[int]) -> None:
        """Forget these: the stores have them."""
        ...

    async def set_aside(self, place: int) -> None:
        """The stores will never take this one: keep it for a person to look at, and go on."""
        ...

    async def drained(self) -> None:
        """Wait until no event waits any more."""
        ...

    @property
    def backlog(self) -> int:
        """How many events wait."""
        ...
