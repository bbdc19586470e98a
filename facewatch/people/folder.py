"""A folder of photos becomes enrolled people."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from facewatch.domain.ids import OrgId
from facewatch.errors import NotFound, UnusablePhoto
from facewatch.people.enrol import Enroller

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)
"""What looks like a photo by its name; one that cannot be read is refused, not passed over."""


class Outcome(StrEnum):
    """What became of a photo."""

    ENROLLED = "enrolled"
    """It is a new matchmaker."""
    KNOWN = "known already"
    """The person has this very photo."""
    REFUSED = "refused"
    """It is not fit to be compared."""


@dataclass(frozen=True, slots=True)
class Result:
    """One photo's outcome; *why* it was refused, or a *warning*, '' where there is none."""

    person: str
    photo: Path
    outcome: Outcome
    why: str = ""
    warning: str = ""


def photos_in(directory: Path) -> list[tuple[str, Path]]:
    """(name of the person, photo), sorted: a folder per person, or files named for the person.

    Files that are no pictures by their ending, and hidden ones, are passed over.

    Raises:
        NotFound: *directory* is not there, or holds no photos.
    """
    if not directory.is_dir():
        raise NotFound(f"{directory} is no folder", "name a folder that holds photos")
    found = [
        (path.stem if path.parent == directory else path.relative_to(directory).parts[0], path)
        for path in sorted(directory.rglob("*"))
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not found:
        raise NotFound(
            f"{directory} holds no photos",
            "make a folder per person in it, or name image files for the person",
        )
    return found


async def enrol_folder(directory: Path, org: OrgId, enroller: Enroller) -> AsyncIterator[Result]:
    """Enrol every photo below *directory*; a refused photo does not stop the others.

    Somebody none of whose photos can be used is not created.

    Raises:
        NotFound: there are no photos.
    """
    for name, photo in photos_in(directory):
        try:
            body = await asyncio.to_thread(photo.read_bytes)
            added = await enroller.enrol(org, name, photo.name, body)
        except UnusablePhoto as error:
            why = str(error).removeprefix(f"{photo.name}: ")
            yield Result(name, photo, Outcome.REFUSED, why)
        except OSError as error:
            yield Result(name, photo, Outcome.REFUSED, error.strerror or str(error))
        else:
            if added is None:
                yield Result(name, photo, Outcome.KNOWN)
            else:
                yield Result(name, photo, Outcome.ENROLLED, warning=added.warning)
