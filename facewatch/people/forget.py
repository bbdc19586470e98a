"""Rows first, then pixels and the templates that galleries keep on disk."""

import contextlib
from collections.abc import Sequence

from facewatch.domain.ids import FaceId, OrgId, PersonId
from facewatch.errors import ObjectStoreUnavailable
from facewatch.people.gallery import Remains
from facewatch.ports.keeping import Blobs
from facewatch.ports.people import People


async def forget(
    people: People, blobs: Blobs, remains: Remains, org: OrgId, person: PersonId
) -> None:
    """Erase somebody who has a name: docs/deletion.md says what goes and what stays.

    Raises:
        NotFound: *org* has nobody with this id who has a name.
    """
    named = await people.get(org, person)
    await drop(blobs, remains, org, await people.forget(org, named.id))


async def erase(
    people: People, blobs: Blobs, remains: Remains, org: OrgId, person: PersonId
) -> None:
    """`forget`, of somebody with or without a name.

    Raises:
        NotFound: *org* has nobody with this id.
    """
    await drop(blobs, remains, org, await people.forget(org, person))


async def unenrol(people: People, blobs: Blobs, remains: Remains, org: OrgId, face: FaceId) -> None:
    """Erase one matchmaker.

    Raises:
        NotFound: nobody of *org* who has a name has this matchmaker.
    """
    await drop(blobs, remains, org, await people.remove_matchmaker(org, face))


async def drop(blobs: Blobs, remains: Remains, org: OrgId, keys: Sequence[str]) -> None:
    """What is left of removed rows: templates for sure, pixels as `drop_pixels` says.

    Raises:
        StoreTrouble: Postgres does not answer.
        HomeUnusable: templates that the home keeps cannot be erased.
    """
    await drop_pixels(blobs, keys)
    await remains.erase(org)


async def drop_pixels(blobs: Blobs, keys: Sequence[str]) -> None:
    """At once where the object store answers; else the sweep comes to them: they are garbage."""
    with contextlib.suppress(ObjectStoreUnavailable):
        await blobs.delete(keys)
