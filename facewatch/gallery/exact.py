"""The enrolled templates of every org, searched exactly."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import CameraId, OrgId, PersonId
from facewatch.domain.people import Hit, Matchmaker, Refusal, Resemblance
from facewatch.gallery.alike import WIDTH, Refusals, alike, fused


@dataclass(frozen=True, slots=True, eq=False)
class _Shelf:
    """One org's gallery at one revision; replaced whole, never changed.

    Attributes:
        faces: Of each person the places of their matchmakers.
        fused: One template of each person in *several*, who has more than one matchmaker.
    """

    revision: int
    index: "faiss.IndexFlatIP"
    matchmakers: tuple[Matchmaker, ...]
    faces: Mapping[PersonId, Sequence[int]]
    fused: "faiss.IndexFlatIP"
    several: tuple[PersonId, ...]
    refusals: Refusals

    def near(self, probe: NDArray[np.float32], width: int) -> tuple[set[PersonId], float]:
        """Everybody who may be most like *probe*, and how much the others are at most."""
        single, places = self.index.search(probe, min(width, len(self.matchmakers)))
        people = {self.matchmakers[at].person for at in places[0]}
        most = float(single[0, -1])
        if self.several:
            fused, places = self.fused.search(probe, min(width, len(self.several)))
            people |= {self.several[at] for at in places[0]}
            most = max(most, (most + float(fused[0, -1])) / 2)
        return people, most

    def resemblance(self, probe: NDArray[np.float32], person: PersonId) -> Resemblance:
        places = self.faces[person]
        similarity, highest, best = alike(self.templates(places), probe)
        face = self.matchmakers[places[best]].face
        return Resemblance(person, face, similarity, highest, len(places))

    def templates(self, places: Sequence[int]) -> NDArray[np.float32]:
        return np.stack([self.matchmakers[at].template for at in places])


class ExactGallery:
    """Implements `ports.gallery.Gallery` with one flat inner-product index an org.

    For galleries that are made once, as a whole; `LiveGallery` follows a table. A search sees one
    revision from beginning to end: `replace` swaps the whole shelf.
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

    def resembling(
        self, org: OrgId, probes: NDArray[np.float32], limit: int
    ) -> list[list[Resemblance]]:
        shelf = self._shelves.get(org)
        if shelf is None or not shelf.matchmakers:
            return [[] for _ in probes]
        return [_resembling(shelf, probe, limit) for probe in probes]

    def refused(
        self, org: OrgId, probe: NDArray[np.float32], camera: CameraId | None
    ) -> Mapping[PersonId | None, float]:
        shelf = self._shelves.get(org)
        return shelf.refusals.most(probe, camera) if shelf else {}

    def people(self, org: OrgId) -> int:
        shelf = self._shelves.get(org)
        return len(shelf.faces) if shelf else 0

    def revision(self, org: OrgId) -> int:
        shelf = self._shelves.get(org)
        return shelf.revision if shelf else 0

    def replace(
        self,
        org: OrgId,
        revision: int,
        matchmakers: Sequence[Matchmaker],
        refusals: Sequence[Refusal] = (),
    ) -> None:
        """Put the whole gallery of *org* in force at once.

        An older revision than the one in force is ignored: reloads may overtake each other.
        """
        shelf = self._shelf(revision, matchmakers, refusals)
        with self._replacing:
            if revision >= self.revision(org):
                self._shelves[org] = shelf

    def _shelf(
        self, revision: int, matchmakers: Sequence[Matchmaker], refusals: Sequence[Refusal]
    ) -> _Shelf:
        faces: dict[PersonId, list[int]] = {}
        for place, it in enumerate(matchmakers):
            faces.setdefault(it.person, []).append(place)
        several = tuple(person for person, places in faces.items() if len(places) > 1)
        index, together = faiss.IndexFlatIP(self._dimensions), faiss.IndexFlatIP(self._dimensions)
        if matchmakers:
            index.add(np.stack([it.template for it in matchmakers]).astype(np.float32))
        shelf = _Shelf(
            *(revision, index, tuple(matchmakers), faces, together, several),
            Refusals(refusals, self._dimensions),
        )
        if several:
            together.add(np.stack([fused(shelf.templates(faces[it])) for it in several]))
        return shelf


def _resembling(shelf: _Shelf, probe: NDArray[np.float32], limit: int) -> list[Resemblance]:
    width = WIDTH * limit
    while True:
        people, most = shelf.near(probe.reshape(1, -1), width)
        found = [shelf.resemblance(probe, person) for person in people]
        found.sort(key=lambda it: it.similarity, reverse=True)
        sure = len(found) >= limit and found[limit - 1].similarity >= most
        if sure or width >= len(shelf.matchmakers):
            return found[:limit]
        width *= WIDTH
