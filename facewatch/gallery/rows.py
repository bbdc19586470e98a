"""Templates in rows, each with the face and the person it is of: in memory, or on disk."""

from collections.abc import Iterable
from typing import Protocol, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from facewatch.gallery.alike import Floats
from facewatch.gallery.file import GalleryFile

Keys: TypeAlias = NDArray[np.bytes_]
"""The bytes of ids as `GalleryChange` has them; b"" where there is none."""
Places: TypeAlias = NDArray[np.int64]

faiss.cvar.distance_compute_blas_threshold = 8
"""So many probes at once are multiplied as a matrix: 7 times cheaper for 16 (decision 0097)."""

_LOOKED_AT = 256
_CHUNK = 65_536
_TAUGHT_BY = 16_384


class Rows(Protocol):
    """Rows that never change; more may follow behind them. Any thread."""

    def near(self, probes: Floats, width: int, count: int) -> tuple[Floats, Places]:
        """Of each probe (m, d) the *width* nearest of the first *count*, in any order.

        Returns:
            Cosines (m, width), and the rows; -1 where there are no more.
        """
        ...

    def templates(self, places: Places) -> Floats:
        """(n, d)."""
        ...

    def keys(self, places: Places) -> tuple[Keys, Keys]:
        """Faces, b"" for a template fused from several; and persons."""
        ...

    def of_faces(self, faces: Keys) -> Places:
        """The newest row of each, -1 where there is none."""
        ...

    def of_person(self, person: bytes) -> Places:
        """Every row of theirs."""
        ...


class Fresh:
    """Rows in memory. They are added by one thread while others read those before."""

    def __init__(self, dimensions: int) -> None:
        self._templates = np.zeros((64, dimensions), np.float32)
        self._faces, self._persons = np.zeros(64, "S16"), np.zeros(64, "S16")
        self._of_face: dict[bytes, int] = {}
        self._of_person: dict[bytes, tuple[int, ...]] = {}
        self.count = 0

    def add(self, faces: Keys, persons: Keys, templates: Floats) -> None:
        start, end = self.count, self.count + len(faces)
        if end > len(self._faces):
            self._grow(max(end, 8 * len(self._faces)))  # pages that nobody touched cost nothing
        self._templates[start:end] = templates
        self._faces[start:end], self._persons[start:end] = faces, persons
        for row, (face, person) in enumerate(zip(faces.tolist(), persons.tolist(), strict=True)):
            if face:
                self._of_face[face] = start + row
            self._of_person[person] = (*self._of_person.get(person, ()), start + row)
        self.count = end

    def near(self, probes: Floats, width: int, count: int) -> tuple[Floats, Places]:
        return _nearest(probes, self._templates[:count], width)

    def templates(self, places: Places) -> Floats:
        return self._templates[places]

    def keys(self, places: Places) -> tuple[Keys, Keys]:
        return self._faces[places], self._persons[places]

    def of_faces(self, faces: Keys) -> Places:
        return np.array([self._of_face.get(it, -1) for it in faces.tolist()], np.int64)

    def of_person(self, person: bytes) -> Places:
        return np.array(self._of_person.get(person, ()), np.int64)

    def _grow(self, size: int) -> None:
        """Those who read keep what they have."""
        templates = np.zeros((size, self._templates.shape[1]), np.float32)
        faces, persons = np.zeros(size, "S16"), np.zeros(size, "S16")
        templates[: self.count] = self._templates[: self.count]
        faces[: self.count], persons[: self.count] = (
            self._faces[: self.count],
            self._persons[: self.count],
        )
        self._templates, self._faces, self._persons = templates, faces, persons


class Shelved:
    """Rows of a file: ids in memory, templates as well while they are few.

    Of many only four bits a dimension are held; the nearest by these are read and compared exactly.
    """

    def __init__(self, file: GalleryFile, exact: int) -> None:
        self._file = file
        self.dimensions = file.dimensions
        self.count = len(file.faces)
        self._by_face = np.argsort(file.faces, kind="stable").astype(np.int32)
        self._by_person = np.argsort(file.persons, kind="stable").astype(np.int32)
        self._sorted_faces = file.faces[self._by_face]
        self._sorted_persons = file.persons[self._by_person]
        self.erased = np.zeros(self.count, np.bool_)
        self._held: Floats | None = None
        self._packed: faiss.IndexPQFastScan | None = None
        if self.count <= exact:
            self._held = self._read_all()
        else:
            self._packed = self._pack()

    def near(self, probes: Floats, width: int, count: int) -> tuple[Floats, Places]:
        if self._held is not None:
            return _nearest(probes, self._held, width)
        assert self._packed is not None
        faiss.omp_set_num_threads(1)
        wide = min(self.count, max(_LOOKED_AT, 4 * width))
        _, places = self._packed.search(probes, wide)
        cosines = np.full((len(probes), width), -2, np.float32)
        nearest = np.full((len(probes), width), -1, np.int64)
        for row, probe in enumerate(probes):
            there = places[row][places[row] >= 0]
            exact = self.templates(there) @ probe
            best = np.argsort(-exact)[:width]
            cosines[row, : len(best)], nearest[row, : len(best)] = exact[best], there[best]
        return cosines, nearest

    def templates(self, places: Places) -> Floats:
        return self._file.read(places) if self._held is None else self._held[places]

    def keys(self, places: Places) -> tuple[Keys, Keys]:
        return self._file.faces[places], self._file.persons[places]

    def of_faces(self, faces: Keys) -> Places:
        at = np.searchsorted(self._sorted_faces, faces, "right") - 1
        there = (at >= 0) & (self._sorted_faces[at] == faces)
        return np.where(there, self._by_face[at], -1).astype(np.int64)

    def of_person(self, person: bytes) -> Places:
        first, last = (
            np.searchsorted(self._sorted_persons, np.bytes_(person), side)
            for side in ("left", "right")
        )
        return self._by_person[first:last].astype(np.int64)

    def _chunks(self) -> Iterable[tuple[int, Floats]]:
        for start, templates in self._file.chunks(_CHUNK):
            self.erased[start : start + len(templates)] = ~templates.any(axis=1)
            yield start, templates

    def _read_all(self) -> Floats:
        held = np.zeros((self.count, self._file.dimensions), np.float32)
        for start, templates in self._chunks():
            held[start : start + len(templates)] = templates
        return held

    def _pack(self) -> "faiss.IndexPQFastScan":
        packed = faiss.IndexPQFastScan(
            *(self._file.dimensions, self._file.dimensions, 4, faiss.METRIC_INNER_PRODUCT)
        )
        packed.pq.cp.min_points_per_centroid, packed.pq.cp.niter = 1, 10
        some = np.linspace(0, self.count - 1, min(self.count, _TAUGHT_BY)).astype(np.int64)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # of this thread: two that learn so little wait for each other
        packed.train(self._file.read(some))
        faiss.omp_set_num_threads(threads)
        for _, templates in self._chunks():
            packed.add(templates)
        return packed


def _nearest(probes: Floats, templates: Floats, width: int) -> tuple[Floats, Places]:
    # Of this thread: two that have so little to do wait for each other, on a busy machine 30 ms.
    faiss.omp_set_num_threads(1)
    found: tuple[Floats, Places] = faiss.knn(
        probes, templates, width, metric=faiss.METRIC_INNER_PRODUCT
    )
    return found
