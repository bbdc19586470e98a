"""The enrolled templates of every org, searched exactly."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import faiss
import numpy as np
from numpy.typing import NDArray

from facewatch.domain.ids import CameraId, OrgId, PersonId
from facewatch.domain.people import Hit, Matchmaker, Refusal, Resemblance

_WIDTH = 8
"""So many times as many faces as people are looked at first."""


@dataclass(frozen=True, slots=True, eq=False)
class _Shelf:
    """One org's gallery at one revision; replaced whole, never changed.

    Attributes:
        faces: Of each person the places of their matchmakers.
        refused: Templates of *refusals*, a row each.
        fused: One template of each person in *several*, who has more than one matchmaker.
    """

    revision: int
    index: "faiss.IndexFlatIP"
    matchmakers: tuple[Matchmaker, ...]
    faces: Mapping[PersonId, Sequence[int]]
    fused: "faiss.IndexFlatIP"
    several: tuple[PersonId, ...]
    refusals: tuple[Refusal, ...]
    refused: NDArray[np.float32]

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
        cosines = np.clip(self.templates(places) @ probe, -1, 1)
        best = int(np.argmax(cosines))
        alike = highest = float(cosines[best])
        if len(places) > 1:
            alike = (highest + float(np.clip(_fused(self.templates(places)) @ probe, -1, 1))) / 2
        face = self.matchmakers[places[best]].face
        return Resemblance(person, face, alike, highest, len(places))

    def templates(self, places: Sequence[int]) -> NDArray[np.float32]:
        return np.stack([self.matchmakers[at].template for at in places])


class ExactGallery:
    """Implements `ports.gallery.Gallery` with one flat inner-product index an org.

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

    def resembling(self, org: OrgId, probe: NDArray[np.float32], limit: int) -> list[Resemblance]:
        shelf = self._shelves.get(org)
        if shelf is None or not shelf.matchmakers:
            return []
        width = _WIDTH * limit
        while True:
            people, most = shelf.near(probe.reshape(1, -1), width)
            found = [shelf.resemblance(probe, person) for person in people]
            found.sort(key=lambda it: it.similarity, reverse=True)
            sure = len(found) >= limit and found[limit - 1].similarity >= most
            if sure or width >= len(shelf.matchmakers):
                return found[:limit]
            width *= _WIDTH

    def refused(
        self, org: OrgId, probe: NDArray[np.float32], camera: CameraId | None
    ) -> Mapping[PersonId | None, float]:
        shelf = self._shelves.get(org)
        most: dict[PersonId | None, float] = {}
        if shelf is None or not shelf.refusals:
            return most
        for it, cosine in zip(shelf.refusals, (shelf.refused @ probe).tolist(), strict=True):
            if it.camera in (None, camera):
                most[it.person] = max(most.get(it.person, -1.0), cosine)
        return most

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
        """An older revision than the one in force is ignored: reloads may overtake each other."""
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
        index, fused = faiss.IndexFlatIP(self._dimensions), faiss.IndexFlatIP(self._dimensions)
        if matchmakers:
            index.add(np.stack([it.template for it in matchmakers]).astype(np.float32))
        refused = np.zeros((len(refusals), self._dimensions), np.float32)
        for place, refusal in enumerate(refusals):
            refused[place] = refusal.template
        shelf = _Shelf(
            *(revision, index, tuple(matchmakers), faces, fused, several),
            *(tuple(refusals), refused),
        )
        if several:
            fused.add(np.stack([_fused(shelf.templates(faces[it])) for it in several]))
        return shelf


def _fused(templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """One of unit length for all of them."""
    total = templates.sum(axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-6), np.float32)
