"""Templates in rows, each with the face and the person it is of: in memory, or on disk."""

from collections.abc import Iterable, Iterator
from typing import Protocol

import faiss
import numpy as np

from facewatch.gallery.alike import Floats
from facewatch.gallery.file import GalleryFile
from facewatch.gallery.index import Growing, Keys, Places, Sorted

faiss.cvar.distance_compute_blas_threshold = 8
"""So many probes at once are multiplied as a matrix: 7 times cheaper for 16 (decision 0097)."""

_LOOKED_AT = 256
_CHUNK = 8_192
_BLOCK = 65_536
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
        """Every row of theirs, in order."""
        ...

    def of_persons(self, persons: Keys) -> tuple[Places, Places]:
        """Which of *persons*, and a row of theirs: every one of each, in their order."""
        ...


class Block:
    """Room for so many rows; pages that nobody touched cost nothing."""

    def __init__(self, dimensions: int) -> None:
        self.templates = np.zeros((_BLOCK, dimensions), np.float32)
        self.faces, self.persons = np.zeros(_BLOCK, "S16"), np.zeros(_BLOCK, "S16")


class Fresh:
    """Rows in memory, in blocks: what grows is not copied.

    They are added by one thread while others read those before.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._blocks: list[Block] = []
        self._by_face, self._by_person = Growing(), Growing()
        self.count = 0

    def add(self, faces: Keys, persons: Keys, templates: Floats) -> None:
        start, end = self.count, self.count + len(faces)
        while len(self._blocks) * _BLOCK < end:
            self._blocks.append(Block(self._dimensions))
        for block, there, here in _cut(start, end):
            self._blocks[block].templates[there] = templates[here]
            self._blocks[block].faces[there] = faces[here]
            self._blocks[block].persons[there] = persons[here]
        rows, single = np.arange(start, end), faces != b""
        self._by_face.add(faces[single], rows[single])
        self._by_person.add(persons, rows)
        self.count = end

    def near(self, probes: Floats, width: int, count: int) -> tuple[Floats, Places]:
        found = [
            (cosines, np.where(places < 0, -1, places + block * _BLOCK))
            for block, there, _ in _cut(0, count)
            for cosines, places in [
                _nearest(probes, self._blocks[block].templates[there], min(width, there.stop))
            ]
        ]
        cosines, places = (np.concatenate(it, axis=1) for it in zip(*found, strict=True))
        if len(found) == 1:
            return cosines, places
        best = np.argsort(-cosines, axis=1)[:, :width]
        return np.take_along_axis(cosines, best, 1), np.take_along_axis(places, best, 1)

    def templates(self, places: Places) -> Floats:
        if len(self._blocks) == 1:
            return self._blocks[0].templates[places]
        found = np.empty((len(places), self._dimensions), np.float32)
        for block, there, here in self._by_block(places):
            found[here] = block.templates[there]
        return found

    def keys(self, places: Places) -> tuple[Keys, Keys]:
        if len(self._blocks) == 1:
            return self._blocks[0].faces[places], self._blocks[0].persons[places]
        faces, persons = np.zeros(len(places), "S16"), np.zeros(len(places), "S16")
        for block, there, here in self._by_block(places):
            faces[here], persons[here] = block.faces[there], block.persons[there]
        return faces, persons

    def of_faces(self, faces: Keys) -> Places:
        return self._by_face.newest(faces)

    def of_person(self, person: bytes) -> Places:
        return self._by_person.of(person)

    def of_persons(self, persons: Keys) -> tuple[Places, Places]:
        return self._by_person.every(persons)

    def _by_block(self, places: Places) -> Iterator[tuple[Block, Places, Places | slice]]:
        """Each block of theirs, where in it, and which of *places* these are."""
        blocks, there = np.divmod(places, _BLOCK)
        numbers = np.unique(blocks).tolist()
        for number in numbers:
            here = np.flatnonzero(blocks == number) if len(numbers) > 1 else slice(None)
            yield self._blocks[number], there[here], here


def _cut(start: int, end: int) -> Iterator[tuple[int, slice, slice]]:
    """The rows from *start* to *end* by blocks: which, where in it, and where after *start*."""
    for block in range(start // _BLOCK, -(-end // _BLOCK)):
        first, last = max(start, block * _BLOCK), min(end, (block + 1) * _BLOCK)
        there = slice(first - block * _BLOCK, last - block * _BLOCK)
        yield block, there, slice(first - start, last - start)


class Shelved:
    """Rows of a file: ids in memory, templates as well while they are few.

    Of many only four bits a dimension are held; the nearest by these are read and compared exactly.
    """

    def __init__(self, file: GalleryFile, exact: int) -> None:
        self._file = file
        self.dimensions = file.dimensions
        self.count = len(file.faces)
        self._by_face, self._by_person = Sorted(file.faces), Sorted(file.persons)
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
        return self._by_face.newest(faces)

    def of_person(self, person: bytes) -> Places:
        return self._by_person.of(person)

    def of_persons(self, persons: Keys) -> tuple[Places, Places]:
        return self._by_person.every(persons)

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
