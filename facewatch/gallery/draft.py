"""How a gallery's next revision is made of the one in force."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.people import GalleryChange, Refusal
from facewatch.gallery.alike import Floats, Refusals, fused_each
from facewatch.gallery.index import Keys, Places
from facewatch.gallery.rows import Fresh, Rows
from facewatch.gallery.shelf import Part, Shelf

_AT_ONCE = 8192


class Draft:
    """The shelf after *shelf*; what they share only grows, and who searches sees none of it."""

    def __init__(self, shelf: Shelf, put: Callable[[Shelf], None], dimensions: int) -> None:
        self._put, self._dimensions = put, dimensions
        self._shelf = shelf = _without_remains(shelf, dimensions)
        assert isinstance(shelf.fresh.rows, Fresh)
        self._fresh = shelf.fresh.rows
        self._gone = [part.gone.copy() for _, part in shelf.parts]
        self._noted = [np.zeros(0, "S16")]
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
        self._noted.append(change.persons[came])
        self._add(change.faces[came], change.persons[came], change.templates[came])
        self._matchmakers += int(came.sum())

    def publish(self, revision: int, refusals: Sequence[Refusal]) -> None:
        noted, people = np.unique(np.concatenate(self._noted)), self._shelf.people
        for start in range(0, len(noted), _AT_ONCE):
            people += self._fuse(noted[start : start + _AT_ONCE])
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

    def _fuse(self, persons: Keys) -> int:
        """One template anew of each who has several; what was fused before counts no more.

        Returns:
            How many there are more that have any.
        """
        whose, templates = self._singles(persons)
        counts = np.bincount(whose, minlength=len(persons))
        several = counts[whose] > 1
        if several.any():
            whose, templates = whose[several], templates[several]
            firsts = np.flatnonzero(np.diff(whose, prepend=-1))
            together = fused_each(templates, firsts)
            self._add(np.zeros(len(firsts), "S16"), persons[whose[firsts]], together)
        return int((counts > 0).sum()) - int(self._shelf.has(persons).sum())

    def _singles(self, persons: Keys) -> tuple[Places, Floats]:
        """Templates of their matchmakers, by whose; what is fused of them counts no more."""
        found: list[tuple[Places, Floats]] = []
        for rows, gone in self._parts():
            which, places = rows.of_persons(persons)
            alive = ~gone[places]
            which, places = which[alive], places[alive]
            single = rows.keys(places)[0] != b""
            gone[places[~single]] = True
            found.append((which[single], rows.templates(places[single])))
        whose = np.concatenate([it for it, _ in found])
        order = np.argsort(whose, kind="stable")
        return whose[order], np.concatenate([it for _, it in found])[order]

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
            self._noted.append(rows.keys(places)[1])
            self._matchmakers -= int((~gone[places]).sum())
            gone[places] = True


def _without_remains(shelf: Shelf, dimensions: int) -> Shelf:
    """Without the rows of a draft that was never published."""
    rows, count = shelf.fresh.rows, len(shelf.fresh.gone)
    assert isinstance(rows, Fresh)
    if rows.count == count:
        return shelf
    fresh, places = Fresh(dimensions), np.arange(count)
    fresh.add(*rows.keys(places), rows.templates(places))
    return replace(shelf, fresh=replace(shelf.fresh, rows=fresh))
