"""An org's gallery at one revision."""

from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, PersonId
from facewatch.domain.people import Hit, Resemblance, id_of
from facewatch.gallery.alike import WIDTH, Floats, Refusals, alike
from facewatch.gallery.index import Keys, Places
from facewatch.gallery.rows import Fresh, Rows, Shelved

_LEAST = np.float32(-2)
"""Less than any cosine."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The first rows of *rows*, as many as *gone* has; those that are *gone* count no more."""

    rows: Rows
    gone: NDArray[np.bool_]
    alive: int

    @classmethod
    def of(cls, rows: Rows, gone: NDArray[np.bool_]) -> "Part":
        return cls(rows, gone, len(gone) - int(gone.sum()))

    def near(self, probes: Floats, width: int) -> tuple[Floats, Places]:
        """Of each probe the *width* nearest that count, best first; -1 where there are no more."""
        count = len(self.gone)
        wanted = min(width, self.alive)
        fetched = width
        while True:
            fetched = min(fetched, count)
            cosines, places = self.rows.near(probes, fetched, count)
            lost = (places < 0) | self.gone[places]
            if fetched == count or int((~lost).sum(axis=1).min()) >= wanted:
                break
            fetched *= 4
        cosines = np.where(lost, _LEAST, cosines)
        order = np.argsort(-cosines, axis=1)[:, :width]
        places = np.where(lost, -1, places)
        return np.take_along_axis(cosines, order, 1), np.take_along_axis(places, order, 1)

    def singles(self, person: bytes) -> tuple[Places, Keys]:
        """Rows and faces of their matchmakers that count."""
        places = self.rows.of_person(person)
        places = places[places < len(self.gone)]
        places = places[~self.gone[places]]
        faces, _ = self.rows.keys(places)
        return places[faces != b""], faces[faces != b""]

    def has(self, persons: Keys) -> NDArray[np.bool_]:
        """Of which of *persons* a matchmaker counts."""
        which, places = self.rows.of_persons(persons)
        count = places < len(self.gone)
        count[count] = ~self.gone[places[count]]
        faces, _ = self.rows.keys(places[count])
        has = np.zeros(len(persons), np.bool_)
        has[which[count][faces != b""]] = True
        return has


@dataclass(frozen=True, slots=True, eq=False)
class Shelf:
    """Never changed: whoever searches it sees one revision from beginning to end.

    Rows of *kept* are numbered from 0, those of *fresh* behind them.

    Attributes:
        kept: What was read from a file; None where there is none.
        fresh: What came since.
        people, matchmakers: How many.
    """

    revision: int
    kept: Part | None
    fresh: Part
    people: int
    matchmakers: int
    refusals: Refusals

    @property
    def parts(self) -> list[tuple[int, Part]]:
        """With the number of its first row."""
        if self.kept is None:
            return [(0, self.fresh)]
        return [(0, self.kept), (len(self.kept.gone), self.fresh)]

    def near(self, probes: Floats, width: int) -> tuple[Floats, Places]:
        """Matchmakers and fused templates alike, best first; -1 where there are no more."""
        found = [
            (cosines, np.where(places < 0, -1, places + first))
            for first, part in self.parts
            if part.alive
            for cosines, places in [part.near(probes, width)]
        ]
        cosines = np.concatenate([it for it, _ in found], axis=1)
        places = np.concatenate([it for _, it in found], axis=1)
        order = np.argsort(-cosines, axis=1)[:, :width]
        return np.take_along_axis(cosines, order, 1), np.take_along_axis(places, order, 1)

    def keys(self, places: Places) -> tuple[Keys, Keys]:
        """Faces, b"" for a template fused from several; and persons."""
        faces, persons = np.zeros(len(places), "S16"), np.zeros(len(places), "S16")
        for first, part in self.parts:
            here = (places >= first) & (places < first + len(part.gone))
            faces[here], persons[here] = part.rows.keys(places[here] - first)
        return faces, persons

    def of_person(self, person: bytes) -> tuple[Keys, Floats]:
        """Faces and templates of their matchmakers."""
        singles = [part.singles(person) for _, part in self.parts]
        return (
            np.concatenate([faces for _, faces in singles]),
            np.concatenate(
                [
                    part.rows.templates(places)
                    for (_, part), (places, _) in zip(self.parts, singles, strict=True)
                ]
            ),
        )

    def has(self, persons: Keys) -> NDArray[np.bool_]:
        """Of which of *persons* a matchmaker counts."""
        has: NDArray[np.bool_] = np.any([it.has(persons) for _, it in self.parts], axis=0)
        return has

    def search(self, probe: Template, limit: int) -> list[Hit]:
        limit = min(limit, self.matchmakers)
        width = limit
        while limit:
            cosines, places = (it[0] for it in self.near(probe.reshape(1, -1), width))
            cosines, places = cosines[places >= 0], places[places >= 0]
            faces, persons = self.keys(places)
            single = np.flatnonzero(faces != b"")[:limit]
            if len(single) == limit or len(places) < width:
                return [
                    Hit(
                        FaceId(id_of(faces[at])),
                        PersonId(id_of(persons[at])),
                        float(np.clip(cosines[at], -1, 1)),
                    )
                    for at in single
                ]
            width *= 2
        return []

    def resembling(self, probes: Floats, limit: int) -> list[list[Resemblance]]:
        if not self.matchmakers:
            return [[] for _ in probes]
        cosines, places = self.near(probes, WIDTH * limit)
        return [
            self._resembling(probe, limit, cosines[row], places[row])
            for row, probe in enumerate(probes)
        ]

    def _resembling(
        self, probe: Template, limit: int, cosines: NDArray[np.float32], places: Places
    ) -> list[Resemblance]:
        """Nobody is more like the probe than the first of their rows, be it a fused one."""
        width = WIDTH * limit
        while True:
            _, persons = self.keys(places[places >= 0])
            found: list[Resemblance] = []
            for person, first in _firsts(persons.tolist(), cosines.tolist()):
                if len(found) >= limit and found[limit - 1].similarity >= first:
                    return found[:limit]
                insort(found, self._resemblance(probe, person), key=lambda it: -it.similarity)
            sure = len(found) >= limit and found[limit - 1].similarity >= cosines[-1]
            if sure or len(places) < width or places[-1] < 0:
                return found[:limit]
            width *= WIDTH
            cosines, places = (it[0] for it in self.near(probe.reshape(1, -1), width))

    def _resemblance(self, probe: Template, person: bytes) -> Resemblance:
        faces, templates = self.of_person(person)
        similarity, highest, best = alike(templates, probe)
        face = FaceId(id_of(faces[best]))
        return Resemblance(PersonId(id_of(person)), face, similarity, highest, len(faces))


def _firsts(persons: Sequence[bytes], cosines: Sequence[float]) -> Iterator[tuple[bytes, float]]:
    """Everybody once, with the first of their cosines."""
    seen = set()
    for person, cosine in zip(persons, cosines, strict=False):
        if person not in seen:
            seen.add(person)
            yield person, cosine


def empty(dimensions: int) -> Shelf:
    fresh = Part.of(Fresh(dimensions), np.zeros(0, np.bool_))
    return Shelf(0, None, fresh, 0, 0, Refusals((), dimensions))


def of_file(rows: Shelved, revision: int, refusals: Refusals) -> Shelf:
    """As it was when it was kept, but for what was erased since."""
    part = Part.of(rows, rows.erased)
    faces, persons = rows.keys(np.flatnonzero(~rows.erased))
    single = persons[faces != b""]
    fresh = Part.of(Fresh(rows.dimensions), np.zeros(0, np.bool_))
    return Shelf(revision, part, fresh, len(np.unique(single)), len(single), refusals)


def moved(was: Shelf, now: Shelf, rows: Shelved) -> Shelf:
    """*now*, with what *was* in force when *rows* was written read from there.

    As it is where the gallery began anew meanwhile.
    """
    if [it.rows for _, it in was.parts] != [it.rows for _, it in now.parts]:
        return now
    written = [
        after.gone[: len(before.gone)][~before.gone]
        for (_, before), (_, after) in zip(was.parts, now.parts, strict=True)
    ]
    fresh = Fresh(rows.dimensions)
    since = np.arange(len(was.fresh.gone), len(now.fresh.gone))
    fresh.add(*now.fresh.rows.keys(since), now.fresh.rows.templates(since))
    return replace(
        now,
        kept=Part.of(rows, np.concatenate(written)),
        fresh=Part.of(fresh, now.fresh.gone[since]),
    )
