"""Photos that were sent become matchmakers when their turn comes."""

import asyncio
import contextlib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from facewatch.domain.ids import FaceId, OrgId, PersonId
from facewatch.domain.uploads import FORGOTTEN, TWICE, Upload
from facewatch.errors import NotFound, StoreTrouble, UnusablePhoto
from facewatch.people.enrol import cut, made, photo_keys
from facewatch.people.forget import drop_pixels
from facewatch.people.inbox import absent
from facewatch.people.likeness import Likeness
from facewatch.people.look import Looker, Photo
from facewatch.ports.keeping import Blobs
from facewatch.ports.people import Accepted, Enrolment, People, Refused, Uploads

_LEASE = timedelta(seconds=60)
_MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class UploadEnroller:
    """Enrols what waits. Several may work at once, in one process or many.

    Attributes:
        worker: Who takes photos in hand; the same again after a restart.
        at_once: How many are taken in hand together: they share the cost of being written.
        unfinished: In hand when a store was down, and not given back yet.
    """

    uploads: Uploads
    people: People
    blobs: Blobs
    looker: Looker
    likeness: Likeness
    worker: str
    at_once: int = 8
    unfinished: set[FaceId] = field(default_factory=set)

    async def step(self) -> list[Upload]:
        """Settle the oldest that wait, and give them as they were.

        Cancelled, or where a store is down, it gives them back: that costs them no try.

        Raises:
            StoreTrouble: a store does not answer; they wait on.
        """
        await self._give_back()
        taken = await self.uploads.take(self.worker, self.at_once, _LEASE)
        try:
            for org in dict.fromkeys(it.org for it in taken):
                await self._settle(org, [it for it in taken if it.org == org])
        except (StoreTrouble, asyncio.CancelledError):
            self.unfinished.update(it.face for it in taken)
            with contextlib.suppress(StoreTrouble):
                await self._give_back()
            raise
        return taken

    async def _give_back(self) -> None:
        if faces := list(self.unfinished):
            self.unfinished.clear()
            try:
                await self.uploads.let_go(self.worker, faces)
            except StoreTrouble:
                self.unfinished.update(faces)
                raise

    async def _settle(self, org: OrgId, uploads: Sequence[Upload]) -> None:
        readable, refused = await self._readable(org, uploads)
        looked = await self.looker.look_at([it.photo for it in readable])
        chosen: list[tuple[_Readable, PersonId, Enrolment]] = []
        new: dict[str, PersonId] = {}
        for it, found in zip(readable, looked, strict=True):
            if isinstance(found, UnusablePhoto):
                refused.append(Refused(it.upload, str(found), it.person))
                continue
            name = it.upload.person_name
            if it.person is None and name not in new:
                new[name] = await made(self.people, org, name)
            chosen.append((it, it.person or new[name], found))
        warnings = await self.likeness.warnings(org, [(who, found) for _, who, found in chosen])
        accepted = [
            Accepted(it.upload, who, found, photo_keys(it.upload.key), warning)
            for (it, who, found), warning in zip(chosen, warnings, strict=True)
        ]
        await self.blobs.put_all([one for it in accepted for one in cut(it.enrolment, it.keys)])
        added, gone = await self.uploads.settle(accepted, refused)
        self.likeness.enrolled(added)
        await drop_pixels(self.blobs, gone)

    async def _readable(
        self, org: OrgId, uploads: Sequence[Upload]
    ) -> tuple[list["_Readable"], list[Refused]]:
        """Those that are worth looking at, and the others with the reason."""
        bodies = await asyncio.gather(*(self._body(it) for it in uploads))
        digests = [hashlib.sha256(body).digest() for body in bodies]
        owners = await self.people.photo_owners(org, digests)
        known = await self.people.of_names(org, [it.person_name for it in uploads])
        standing = await self.people.standing(org, [it.person for it in uploads if it.person])
        readable: list[_Readable] = []
        refused: list[Refused] = []
        for upload, body, digest in zip(uploads, bodies, digests, strict=True):
            name = upload.person_name
            if upload.person is None:
                person = known.get(name)
                why = "" if person or upload.create_person else absent(name)
            else:
                person = standing[upload.person].id if upload.person in standing else None
                why = "" if person else FORGOTTEN
            if not body:
                why = "its pixels are gone; send it again"
            elif upload.tries > _MOST_TRIES:
                why = f"it could not be read in {_MOST_TRIES} tries; send another photo"
            elif any(owner.id == person for owner in owners.get(digest, ())):
                why = TWICE
            if why:
                refused.append(Refused(upload, why, person))
            else:
                photo = Photo(upload.face, upload.file_name, body)
                readable.append(_Readable(upload, photo, person))
        return readable, refused

    async def _body(self, upload: Upload) -> bytes:
        """Nothing where it is gone."""
        try:
            return await self.blobs.get(upload.key)
        except NotFound:
            return b""


@dataclass(frozen=True, slots=True)
class _Readable:
    """A photo in hand; *person* is None where somebody is to be made."""

    upload: Upload
    photo: Photo
    person: PersonId | None
