"""Photos that are sent are kept at once; `upload` enrols them when their turn comes."""

import contextlib
import re
from asyncio import Semaphore
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from facewatch.domain.ids import FaceId, OrgId, new_id
from facewatch.domain.keys import photo_prefix
from facewatch.domain.uploads import Upload
from facewatch.errors import StoreTrouble, UnusablePhoto, UnusableValue
from facewatch.people.enrol import photo_key
from facewatch.people.words import as_kept
from facewatch.ports.keeping import Blobs
from facewatch.ports.people import People, Uploads
from facewatch.ports.vision import PhotoHeader

LARGEST_BYTES = 5_000_000
"""Of one photo, as the contract has it."""

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may wait for an org, and how much one transaction may hold."""

    files: int = 5_000
    bytes: int = 2 << 30
    transaction: int = 5_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as a caller sent it; no *body*: it is larger than may be."""

    name: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Inbox:
    """Where photos are kept until their turn comes.

    Attributes:
        turns: How many calls are read at once; others wait, so that memory is bounded.
    """

    uploads: Uploads
    people: People
    blobs: Blobs
    header: Callable[[bytes, str], PhotoHeader]
    bounds: Bounds = Bounds()
    turns: Semaphore = field(default_factory=lambda: Semaphore(16))

    async def keep(
        self, org: OrgId, transaction: str, files: Sequence[Sent], *, create: bool
    ) -> list[Upload | str]:
        """Keep *files*, named for who they are of; durable when it returns.

        Args:
            create: Whether somebody is made where nobody is called so.

        Returns:
            Of each what is kept, or why it is not, in words.

        Raises:
            DatabaseUnavailable, ObjectStoreUnavailable: they could not be kept.
        """
        answers = [self._checked(org, transaction, it, create) for it in files]
        sound = [it for it in answers if isinstance(it, Upload)]
        known = await self.people.of_names(org, [it.person_name for it in sound])
        room = await self._room(org, transaction)
        kept: list[tuple[Upload, bytes]] = []
        for place, (file, upload) in enumerate(zip(files, answers, strict=True)):
            if isinstance(upload, str) or file.body is None:
                continue
            person = known.get(upload.person_name)
            why = room.refuses(upload)
            if person is None and not create:
                why = absent(upload.person_name)
            if why:
                answers[place] = why
                continue
            answers[place] = upload = replace(upload, person=person)
            kept.append((upload, file.body))
            room = room.less(upload)
        await self._put(kept)
        return answers

    def _checked(self, org: OrgId, transaction: str, file: Sent, create: bool) -> Upload | str:
        if file.body is None:
            return too_large(file.name)
        try:
            name = as_kept(_ENDING.sub("", file.name), "a file's name, which is the person's,")
            header = self.header(file.body, file.name)
        except (UnusableValue, UnusablePhoto) as error:
            return str(error)
        face, now = FaceId(new_id()), datetime.now(UTC)
        return Upload(
            face=face,
            org=org,
            transaction=transaction,
            file_name=file.name[:_LONGEST_NAME],
            person_name=name,
            person=None,
            create_person=create,
            key=photo_key(photo_prefix(org, face, now), header.mime),
            mime=header.mime,
            size_bytes=len(file.body),
            pixels=header.pixels,
            created_at=now,
        )

    async def _room(self, org: OrgId, transaction: str) -> "_Room":
        files, size = await self.uploads.waiting(org)
        held = await self.uploads.count(org, transaction)
        bounds = self.bounds
        return _Room(bounds.files - files, bounds.bytes - size, bounds.transaction - held)

    async def _put(self, kept: Sequence[tuple[Upload, bytes]]) -> None:
        """Pixels before rows, so that no row points at nothing."""
        if not kept:
            return
        try:
            await self.blobs.put_all([(it.key, body, it.mime) for it, body in kept])
            await self.uploads.add([it for it, _ in kept])
        except StoreTrouble:
            with contextlib.suppress(StoreTrouble):
                await self.blobs.delete([it.key for it, _ in kept])
            raise


def too_large(name: str) -> str:
    """Why a photo is refused that is too many bytes."""
    return f"{name} is larger than {LARGEST_BYTES // 1_000_000} MB; scale it down"


def absent(name: str) -> str:
    """Why a photo of nobody we know is refused."""
    return f"nobody is called {name}; create them first, or set createPersonIfNotFound"


@dataclass(frozen=True, slots=True)
class _Room:
    """What may still come."""

    files: int
    bytes: int
    transaction: int

    def refuses(self, upload: Upload) -> str:
        if self.files < 1 or self.bytes < upload.size_bytes:
            return "too many photos wait to be enrolled; send it again in a minute"
        if self.transaction < 1:
            return "this transaction holds too many photos; begin another one"
        return ""

    def less(self, upload: Upload) -> "_Room":
        return _Room(self.files - 1, self.bytes - upload.size_bytes, self.transaction - 1)
