"""An org's gallery at one revision, and how the next one is made of it."""

from bisect import insort
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, PersonId
from facewatch.domain.people import GalleryChange, Hit, Refusal, Resemblance, id_of
from facewatch.gallery.alike import WIDTH, Floats, Refusals, alike, fused
from facewatch.gallery.rows import Fresh, Keys, Places, Rows, Shelved

_LEAST = np.float32(-2)
"""Less than any cosine."""

_FUSED_AT_ONCE = 8192


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

    def has(self, person: bytes) -> bool:
        """Whether a matchmaker of theirs counts."""
        return any(len(part.singles(person)[0]) for _, part in self.parts)

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


class Draft:
    """The shelf after *shelf*; what they share only grows, and who searches sees none of it."""

    def __init__(self, shelf: Shelf, put: Callable[[Shelf], None], dimensions: int) -> None:
        self._put, self._dimensions = put, dimensions
        self._shelf = shelf = _without_remains(shelf, dimensions)
        assert isinstance(shelf.fresh.rows, Fresh)
        self._fresh = shelf.fresh.rows
        self._gone = [part.gone.copy() for _, part in shelf.parts]
        self._had: dict[bytes, bool] = {}
        self._matchmakers = shelf.matchmakers

    def take(self, change: GalleryChange) -> None:
        self._drop(change.went)
        if not len(change.faces):
            return
        held, theirs = self._held(change.faces)
        same = held & (theirs == change.persons)
        same[same] = (self._templates(change.faces[same]) == change.templates[same]).all(axis=1)
        came = ~same
        self._drop(change.faces[came])
        for person in change.persons[came].tolist():
            self._note(person)
        self._add(change.faces[came], change.persons[came], change.templates[came])
        self._matchmakers += int(came.sum())

    def publish(self, revision: int, refusals: Sequence[Refusal]) -> None:
        people = self._shelf.people
        several: list[tuple[bytes, Template]] = []
        for person, had in self._had.items():
            singles = self._unfused(person)
            count = sum(len(places) for _, places in singles)
            people += (count > 0) - had
            if count > 1:
                templates = np.concatenate([rows.templates(places) for rows, places in singles])
                several.append((person, fused(templates)))
            if len(several) == _FUSED_AT_ONCE:
                self._add_fused(several)
                several = []
        self._add_fused(several)
        *kept, fresh = (
            Part.of(part.rows, gone)
            for (_, part), gone in zip(self._shelf.parts, self._gone, strict=True)
        )
        self._put(
            Shelf(
                revision,
                kept[0] if kept else None,
                fresh,
                people,
                self._matchmakers,
                Refusals(refusals, self._dimensions),
            )
        )

    def _add_fused(self, several: Sequence[tuple[bytes, Template]]) -> None:
        if several:
            persons = np.array([it for it, _ in several], "S16")
            self._add(np.zeros(len(several), "S16"), persons, np.stack([it for _, it in several]))

    def _add(self, faces: Keys, persons: Keys, templates: Floats) -> None:
        self._fresh.add(faces, persons, templates)
        grown = np.zeros(self._fresh.count, np.bool_)
        grown[: len(self._gone[-1])] = self._gone[-1]
        self._gone[-1] = grown

    def _parts(self) -> list[tuple[Rows, NDArray[np.bool_]]]:
        rows = [part.rows for _, part in self._shelf.parts]
        return list(zip(rows, self._gone, strict=True))

    def _held(self, faces: Keys) -> tuple[NDArray[np.bool_], Keys]:
        """Which of them count, and whose they are."""
        held, persons = np.zeros(len(faces), np.bool_), np.zeros(len(faces), "S16")
        for rows, gone in self._parts():
            places = rows.of_faces(faces)
            alive = (places >= 0) & (places < len(gone))
            alive[alive] = ~gone[places[alive]]
            persons[alive] = rows.keys(places[alive])[1]
            held |= alive
        return held, persons

    def _templates(self, faces: Keys) -> Floats:
        """Of those that count."""
        found = np.zeros((len(faces), self._dimensions), np.float32)
        for rows, gone in self._parts():
            places = rows.of_faces(faces)
            alive = (places >= 0) & (places < len(gone))
            alive[alive] = ~gone[places[alive]]
            found[alive] = rows.templates(places[alive])
        return found

    def _drop(self, faces: Keys) -> None:
        """Also of what was erased in the file the others of that person are fused anew."""
        for rows, gone in self._parts():
            places = rows.of_faces(faces)
            places = places[(places >= 0) & (places < len(gone))]
            for person in rows.keys(places)[1].tolist():
                self._note(person)
            self._matchmakers -= int((~gone[places]).sum())
            gone[places] = True

    def _note(self, person: bytes) -> None:
        if person not in self._had:
            self._had[person] = self._shelf.has(person)

    def _unfused(self, person: bytes) -> list[tuple[Rows, Places]]:
        """Where their matchmakers are; what is fused of them counts no more."""
        singles = []
        for rows, gone in self._parts():
            places = rows.of_person(person)
            places = places[~gone[places]]
            faces, _ = rows.keys(places)
            gone[places[faces == b""]] = True
            singles.append((rows, places[faces != b""]))
        return singles


def _without_remains(shelf: Shelf, dimensions: int) -> Shelf:
    """Without the rows of a draft that was never published."""
    rows, count = shelf.fresh.rows, len(shelf.fresh.gone)
    assert isinstance(rows, Fresh)
    if rows.count == count:
        return shelf
    fresh, places = Fresh(dimensions), np.arange(count)
    fresh.add(*rows.keys(places), rows.templates(places))
    return replace(shelf, fresh=replace(shelf.fresh, rows=fresh))


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
