"""The enrolled templates of every org, change by change, and kept in the home."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import CameraId, FaceId, OrgId, PersonId, to_ruuid
from facewatch.domain.people import Hit, Resemblance
from facewatch.errors import HomeUnusable
from facewatch.gallery.alike import Floats, Refusals
from facewatch.gallery.draft import Draft
from facewatch.gallery.file import GalleryFile, UnusableFile, erase, locked, write
from facewatch.gallery.rows import Shelved
from facewatch.gallery.shelf import Shelf, empty, moved, of_file

log = logging.getLogger(__name__)

_CHUNK = 8_192


@dataclass(frozen=True, slots=True)
class Sizes:
    """From which number of templates on something is done.

    Attributes:
        kept: Fewer are not worth a file: the table is read as fast.
        exact: More are searched by four bits a dimension first: decision 0097.
        share: A file is written anew when its gallery changed by one in so many.
    """

    kept: int = 1_000
    exact: int = 50_000
    share: int = 16


class LiveGallery:
    """`ports.gallery.FollowedGallery`, kept in *folder*; None keeps nothing."""

    def __init__(
        self, dimensions: int, model: str, folder: Path | None = None, sizes: Sizes | None = None
    ) -> None:
        self._dimensions, self._model, self._folder = dimensions, model, folder
        self._sizes = sizes or Sizes()
        self._shelves: dict[OrgId, Shelf] = {}
        self._unkeepable: set[OrgId] = set()

    def search(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Hit]:
        return self._shelf(org).search(probe, limit)

    def resembling(
        self, org: OrgId, probes: NDArray[np.float32], limit: int
    ) -> list[list[Resemblance]]:
        return self._shelf(org).resembling(np.ascontiguousarray(probes, np.float32), limit)

    def refused(
        self, org: OrgId, probe: NDArray[np.float32], camera: CameraId | None
    ) -> Mapping[PersonId | None, float]:
        return self._shelf(org).refusals.most(probe, camera)

    def people(self, org: OrgId) -> int:
        return self._shelf(org).people

    def revision(self, org: OrgId) -> int:
        return self._shelf(org).revision

    def matchmakers(self, org: OrgId) -> int:
        return self._shelf(org).matchmakers

    def draft(self, org: OrgId, *, anew: bool = False) -> Draft:
        def put(shelf: Shelf) -> None:
            self._shelves[org] = shelf

        shelf = empty(self._dimensions) if anew else self._shelf(org)
        return Draft(shelf, put, self._dimensions)

    def taken_up(self, org: OrgId, lineage: UUID, newest: int) -> bool:
        if self._folder is None:
            return False
        path = place(self._folder, org, self._model)
        try:
            file = GalleryFile(path)
            self._refuse_foreign(file, org, lineage, newest)
            shelved = Shelved(file, self._sizes.exact)
        except FileNotFoundError:
            return False
        except (UnusableFile, HomeUnusable) as trouble:
            log.warning("%s is left out, and written anew: %s", path, trouble)
            return False
        nothing = Refusals((), self._dimensions)
        self._shelves[org] = of_file(shelved, file.header.revision, nothing)
        return True

    def outgrown(self) -> list[OrgId]:
        if self._folder is None:
            return []
        return [org for org, it in self._shelves.items() if self._is_outgrown(org, it)]

    def keep(
        self, org: OrgId, lineage: UUID, went: Callable[[int], Sequence[FaceId]]
    ) -> Callable[[], None]:
        assert self._folder is not None, "nothing is outgrown that is not kept"
        was, path = self._shelf(org), place(self._folder, org, self._model)
        try:
            with locked(self._folder):
                self._write(path, org, lineage, was, went(was.revision))
                shelved = Shelved(GalleryFile(path), self._sizes.exact)
        except HomeUnusable:
            self._unkeepable.add(org)  # until the next start: not tried again at each change
            raise

        def take_its_place() -> None:
            self._shelves[org] = moved(was, self._shelf(org), shelved)

        return take_its_place

    def _write(
        self, path: Path, org: OrgId, lineage: UUID, was: Shelf, went: Sequence[FaceId]
    ) -> None:
        faces, persons = was.keys(np.flatnonzero(np.concatenate([~it.gone for _, it in was.parts])))
        templates = _templates(was, _rows_of(faces, persons, went))
        write(
            *(path, org, self._model, was.revision, str(lineage), faces, persons),
            *(templates, self._dimensions),
        )

    def _shelf(self, org: OrgId) -> Shelf:
        return self._shelves.get(org) or empty(self._dimensions)

    def _is_outgrown(self, org: OrgId, shelf: Shelf) -> bool:
        kept = shelf.kept.alive if shelf.kept else 0
        lost = len(shelf.kept.gone) - kept if shelf.kept else 0
        least = max(self._sizes.kept, kept // self._sizes.share)
        return org not in self._unkeepable and len(shelf.fresh.gone) + lost >= least

    def _refuse_foreign(self, file: GalleryFile, org: OrgId, lineage: UUID, newest: int) -> None:
        it = file.header
        if (it.org, it.model, it.dimensions) != (str(org), self._model, self._dimensions):
            raise UnusableFile("it is of another org or model")
        if it.lineage != str(lineage) or it.revision > newest:
            raise UnusableFile("it was read from another database, or from a later state of it")


class HomeGalleries:
    """`ports.gallery.KeptGalleries` in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def revisions(self, org: OrgId) -> dict[str, int]:
        if not self._folder.is_dir():
            return {}
        with locked(self._folder):
            for path in self._folder.glob(f"{to_ruuid(org)}.*.new"):
                path.unlink()  # of a process that was killed
            return self._revisions(org)

    def _revisions(self, org: OrgId) -> dict[str, int]:
        found = {}
        for path in sorted(self._folder.glob(f"{to_ruuid(org)}.*.gallery")):
            try:
                header = GalleryFile(path).header
            except UnusableFile as trouble:
                log.warning("%s is removed: %s", path, trouble)
                path.unlink()
                continue
            found[header.model] = header.revision
        return found

    def erase(self, org: OrgId, model: str, faces: Sequence[FaceId]) -> None:
        with locked(self._folder):
            erase(place(self._folder, org, model), [it.bytes for it in faces])


def place(folder: Path, org: OrgId, model: str) -> Path:
    """Where a gallery is kept."""
    return folder / f"{to_ruuid(org)}.{model}.gallery"


def _rows_of(
    faces: NDArray[np.bytes_], persons: NDArray[np.bytes_], went: Sequence[FaceId]
) -> NDArray[np.bool_]:
    """Those of the faces that *went*, and what was fused of them."""
    theirs = np.isin(faces, np.array([it.bytes for it in went], "S16"))
    out: NDArray[np.bool_] = theirs | ((faces == b"") & np.isin(persons, persons[theirs]))
    return out


def _templates(shelf: Shelf, out: NDArray[np.bool_]) -> Iterator[Floats]:
    """Of the rows that count, in order; zeros for those that are *out*."""
    at = 0
    for _, part in shelf.parts:
        places = np.flatnonzero(~part.gone)
        for start in range(0, len(places), _CHUNK):
            templates = np.array(part.rows.templates(places[start : start + _CHUNK]))
            templates[out[at : at + len(templates)]] = 0
            yield templates
            at += len(templates)
