"""A gallery's rows in memory, when they are many: found by face, by person and by likeness."""

import numpy as np
import pytest
from numpy.typing import NDArray

from facewatch.gallery.alike import Floats
from facewatch.gallery.index import Keys
from facewatch.gallery.rows import Fresh

ROWS, DIMENSIONS = 140_000, 8
"""More than two blocks."""


class Drawn:
    """Rows as they are added: each seventh is fused of a person's, some faces come twice."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.faces = ids(rng.permutation(ROWS) // 2)
        self.faces[::7] = b""
        self.persons = ids(rng.integers(0, ROWS // 3, ROWS))
        looks = rng.normal(size=(ROWS, DIMENSIONS)).astype(np.float32)
        self.templates: Floats = looks / np.linalg.norm(looks, axis=1, keepdims=True)
        self.rows = Fresh(DIMENSIONS)
        for some in np.array_split(np.arange(ROWS), 11):
            self.rows.add(self.faces[some], self.persons[some], self.templates[some])


def ids(numbers: NDArray[np.int64]) -> Keys:
    """Of 16 bytes, as those of UUIDs; some end in zeros."""
    both = ((int(it), int(it) << 40) for it in numbers + 1)
    return np.array([a.to_bytes(8, "little") + b.to_bytes(8, "big") for a, b in both], "S16")


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return Drawn()


def test_a_face_is_found_where_it_was_added_last(drawn: Drawn) -> None:
    last = {face: row for row, face in enumerate(drawn.faces.tolist()) if face}
    asked = np.array([*list(last)[::50], b"\xff" * 16], "S16")

    assert drawn.rows.of_faces(asked).tolist() == [*list(last.values())[::50], -1]


def test_every_row_of_each_person_is_found(drawn: Drawn) -> None:
    asked = np.unique(drawn.persons)[:3000]
    which, rows = drawn.rows.of_persons(np.append(asked, b"\xff" * 16))

    theirs = np.flatnonzero(np.isin(drawn.persons, asked))
    assert sorted(rows.tolist()) == theirs.tolist()
    assert (asked[which] == drawn.persons[rows]).all()
    for person in range(100):
        mine = rows[which == person]
        assert mine.tolist() == drawn.rows.of_person(asked.tolist()[person]).tolist()
        assert mine.tolist() == sorted(mine.tolist())


def test_what_is_read_is_what_was_added(drawn: Drawn) -> None:
    places = np.random.default_rng(1).integers(0, ROWS, 500)

    faces, persons = drawn.rows.keys(places)
    assert (faces == drawn.faces[places]).all()
    assert (persons == drawn.persons[places]).all()
    assert (drawn.rows.templates(places) == drawn.templates[places]).all()
    assert len(drawn.rows.templates(places[:0])) == 0


@pytest.mark.parametrize("count", [3, 65_536, 65_537, ROWS])
def test_the_nearest_are_those_of_all_blocks(drawn: Drawn, count: int) -> None:
    probes = drawn.templates[[1, 70_000]]
    width = min(5, count)
    cosines, places = drawn.rows.near(probes, width, count)

    exact = probes @ drawn.templates[:count].T
    best = np.argsort(-exact, axis=1)[:, :width]
    assert np.sort(places, axis=1).tolist() == np.sort(best, axis=1).tolist()
    assert np.sort(cosines)[:, ::-1] == pytest.approx(np.take_along_axis(exact, best, 1), abs=1e-6)
