"""What an operator might want to put right; nothing here changes anything by itself."""

import asyncio
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.calibration import Calibration
from facewatch.domain.ids import OrgId, PersonId
from facewatch.domain.people import Likeness, Matchmaker, Sure
from facewatch.errors import Busy
from facewatch.people.additions import Addition, worth_adding
from facewatch.people.checkup import Finding, examine
from facewatch.people.crops import Crops
from facewatch.people.light import Light, light_of
from facewatch.people.look import Gate
from facewatch.ports.library import Register
from facewatch.ports.people import People

MOST_FACES = 10_000
"""Compared with each other at once: seconds of work and 100 MB at 512 dimensions."""

_BLOCK_FACES = 512
_AT_ONCE = 4
_MOST_SIGHTINGS = 1_000
_MOST_CROPS = 200
"""Looked at for their light in one question; each is read from the object store."""
_CROPS_AT_ONCE = 16

Pair: TypeAlias = tuple[float, int, int]
"""Similarity, and the places of two faces."""


@dataclass(frozen=True, slots=True)
class Suggester:
    """Compares the enrolled with each other.

    Attributes:
        model: Name of the embedder in force; its *calibration* turns cosines into confidences.
        gate: What a matchmaker must be at least.
    """

    people: People
    register: Register
    model: str
    calibration: Calibration
    crops: Crops
    gate: Gate = field(default_factory=Gate)
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def same_people(self, org: OrgId, least: float, limit: int) -> tuple[list[Likeness], int]:
        """Pairs of enrolled persons who look alike at confidence *least* or more, best first.

        Pairs that an operator said are two are left out. One at a time is worked out, three
        wait.

        Returns:
            At most *limit* pairs, and how many faces were compared: the newest `MOST_FACES`.

        Raises:
            Busy: so many wait already.
        """
        if self._places.locked():
            raise Busy(f"{_AT_ONCE} such questions wait already", "try again in a moment")
        async with self._places, self._turn:
            _, matchmakers = await self.people.gallery(org, self.model)
            faces = sorted(matchmakers[-MOST_FACES:], key=lambda it: it.person)
            count = len({it.person for it in faces})
            if count < 2:
                return [], len(faces)
            different = await self.register.different(org)
            cosine = self.calibration.similarity(least, count)
            pairs = await asyncio.to_thread(_most_alike, faces, cosine, limit, different)
        people = {faces[at].person for _, *places in pairs for at in places}
        names = await self.register.names(org, people)
        return [self._likeness(faces, names, count, pair) for pair in pairs], len(faces)

    async def findings(self, org: OrgId) -> tuple[list[Finding], int]:
        """What is wrong with the gallery, and how many faces were looked at: the newest."""
        async with self._turn:
            _, matchmakers = await self.people.gallery(org, self.model)
            faces = matchmakers[-MOST_FACES:]
            notes = await self.people.notes(org)
            people = len({it.person for it in faces})
            alike = self.calibration.similarity(0.7, people)
            return await asyncio.to_thread(examine, faces, notes, alike), len(faces)

    async def additions(
        self, org: OrgId, since: datetime, limit: int
    ) -> tuple[list[Addition], int]:
        """At most *limit* sightings worth adding, and how many were compared; a thousand at most.

        Raises:
            Busy: so many wait already.
        """
        if self._places.locked():
            raise Busy(f"{_AT_ONCE} such questions wait already", "try again in a moment")
        async with self._places, self._turn:
            sightings = await self.register.teachers(
                org, self.model, Sure(), since, _MOST_SIGHTINGS
            )
            _, matchmakers = await self.people.gallery(org, self.model)
            faces = matchmakers[-MOST_FACES:]
            concerned = {it.person for it in sightings}
            theirs = {it.face for it in faces if it.person in concerned}
            views = await self.register.views(org, theirs)
            alike = self.calibration.similarity(0.7, len({it.person for it in faces}))
            judge = partial(worth_adding, sightings, faces, views, alike, self.gate)
            asked: dict[str, None] = {}
            await asyncio.to_thread(judge, lambda view: asked.setdefault(view.crop_key))
            lights = await self._lights([key for key in asked if key][:_MOST_CROPS])
            found = await asyncio.to_thread(judge, lambda view: lights.get(view.crop_key))
        return found[:limit], len(sightings)

    async def _lights(self, crop_keys: Sequence[str]) -> dict[str, Light]:
        """From where the light falls in each crop that is still there."""
        lights: dict[str, Light] = {}
        for start in range(0, len(crop_keys), _CROPS_AT_ONCE):
            some = crop_keys[start : start + _CROPS_AT_ONCE]
            crops = await asyncio.gather(*map(self.crops.get, some))
            lights |= {
                key: light_of(crop)
                for key, crop in zip(some, crops, strict=True)
                if crop is not None
            }
        return lights

    def _likeness(
        self,
        faces: Sequence[Matchmaker],
        names: dict[PersonId, str | None],
        count: int,
        pair: Pair,
    ) -> Likeness:
        similarity, one, other = pair
        people = faces[one].person, faces[other].person
        return Likeness(
            people=people,
            names=(names.get(people[0]), names.get(people[1])),
            faces=(faces[one].face, faces[other].face),
            similarity=similarity,
            confidence=self.calibration.confidence(similarity, count),
        )


def _most_alike(
    faces: Sequence[Matchmaker],
    least: float,
    limit: int,
    different: Collection[frozenset[PersonId]],
) -> list[Pair]:
    """The best pair of faces of each pair of persons, best first; *faces* are sorted by person."""
    templates = np.stack([it.template for it in faces])
    starts = [0, *(n for n, (a, b) in enumerate(pairwise(faces), 1) if a.person != b.person)]
    numbers = {faces[start].person: number for number, start in enumerate(starts)}
    two = [sorted(numbers[it] for it in pair) for pair in different if pair <= numbers.keys()]
    best: list[Pair] = []
    for first, alike in _blocks(templates, starts):
        for one, other in two:
            if first <= one < first + len(alike):
                alike[one - first, other - first] = -2.0
        best = sorted(best + _best(alike, first, least, limit), reverse=True)[:limit]
    ends = [*starts[1:], len(faces)]
    return [_faces_of(templates, starts, ends, one, other) for _, one, other in best]


def _blocks(
    templates: NDArray[np.float32], starts: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(number of the first person, how alike some from them on are to everybody from them on).

    A person is compared with those behind them only; the others are -2.
    """
    ends = [*starts[1:], len(templates)]
    first = 0
    while first < len(starts):
        last = first + 1
        while last < len(starts) and ends[last] - starts[first] <= _BLOCK_FACES:
            last += 1
        start = starts[first]
        cosines = templates[start:] @ templates[start : ends[last - 1]].T
        # along the first axis both times: that way it runs eight at once
        people = np.maximum.reduceat(cosines, [it - start for it in starts[first:]], axis=0)
        alike = np.maximum.reduceat(
            np.ascontiguousarray(people.T), [it - start for it in starts[first:last]], axis=0
        )
        alike[np.tril_indices(len(alike), m=alike.shape[1])] = -2.0
        yield first, alike
        first = last


def _best(alike: NDArray[np.float32], first: int, least: float, limit: int) -> list[Pair]:
    """Similarity and numbers of the *limit* most alike persons of a block."""
    flat = alike.ravel()
    places = np.flatnonzero(flat >= least)
    if len(places) > limit:
        places = places[np.argpartition(flat[places], -limit)[-limit:]]
    return [
        (float(flat[at]), first + int(at) // alike.shape[1], first + int(at) % alike.shape[1])
        for at in places
    ]


def _faces_of(
    templates: NDArray[np.float32], starts: Sequence[int], ends: Sequence[int], one: int, other: int
) -> Pair:
    ours, theirs = templates[starts[one] : ends[one]], templates[starts[other] : ends[other]]
    alike = ours @ theirs.T
    row, column = np.unravel_index(int(np.argmax(alike)), alike.shape)
    return float(alike[row, column]), starts[one] + int(row), starts[other] + int(column)
