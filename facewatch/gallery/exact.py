"""The enrolled templates of every org, searched exactly."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import OrgId
from facewatch.domain.people import Hit, Matchmaker


@dataclass(frozen=True, slots=True, eq=False)
class _Shelf:
    """One org's gallery at one revision; replaced whole, never changed."""

    revision: int
    index: "faiss.IndexFlatIP"
    matchmakers: tuple[Matchmaker, ...]
    people: int


class ExactGallery:
    """Implements `ports.Gallery` with one flat inner-product index an org.

    A search sees one revision from beginning to end: `replace` swaps the whole shelf.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._shelves: dict[OrgId, _Shelf] = {}
        self._replacing = threading.Lock()

    def search(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Hit]:
        shelf = self._shelves.get(org)
        if shelf is None or not shelf.matchmakers:
            return []
        limit = min(limit, len(shelf.matchmakers))
        similarities, places = shelf.index.search(probe.reshape(1, -1), limit)
        return [
            Hit(
                shelf.matchmakers[place].face,
                shelf.matchmakers[place].person,
                float(np.clip(similarity, -1, 1)),
            )
            for similarity, place in zip(similarities[0], places[0], strict=True)
        ]

    def people(self, org: OrgId) -> int:
        shelf = self._shelves.get(org)
        return shelf.people if shelf else 0

    def revision(self, org: OrgId) -> int:
        shelf = self._shelves.get(org)
        return shelf.revision if shelf else 0

    def replace(self, org: OrgId, revision: int, matchmakers: Sequence[Matchmaker]) -> None:
        """An older revision than the one in force is ignored: reloads may overtake each other."""
        index = faiss.IndexFlatIP(self._dimensions)
        if matchmakers:
            index.add(np.stack([m.template for m in matchmakers]).astype(np.float32))
        people = len({m.person for m in matchmakers})
        with self._replacing:
            if revision >= self.revision(org):
                self._shelves[org] = _Shelf(revision, index, tuple(matchmakers), people)
