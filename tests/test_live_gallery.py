"""A gallery that follows a table answers as one that is made of the whole, and is kept on disk."""

from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from factories import ORG, a_template, turned

from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, PersonId, new_id
from facewatch.domain.people import GalleryChange, Matchmaker, Refusal
from facewatch.gallery.exact import ExactGallery
from facewatch.gallery.live import LiveGallery, Sizes
from facewatch.people.decide import Decider, Rule
from facewatch.vision.registry import card

LINEAGE = uuid4()
SMALL = Sizes(kept=50, exact=0, share=4)
"""Everything that is kept is searched by four bits a dimension first."""


def a_face(person: PersonId, template: Template) -> Matchmaker:
    return Matchmaker(FaceId(new_id()), person, ORG, template)


def changed(came: Sequence[Matchmaker], went: Sequence[FaceId] = ()) -> GalleryChange:
    return GalleryChange(
        np.array([it.face.bytes for it in came], "S16"),
        np.array([it.person.bytes for it in came], "S16"),
        np.stack([it.template for it in came]) if came else np.zeros((0, 0), np.float32),
        np.array([it.bytes for it in went], "S16"),
    )


def change(
    gallery: LiveGallery,
    came: Sequence[Matchmaker],
    went: Sequence[FaceId] = (),
    refusals: Sequence[Refusal] = (),
) -> None:
    draft = gallery.draft(ORG)
    draft.take(changed(came, went))
    draft.publish(gallery.revision(ORG) + 1, refusals)


def keep(gallery: LiveGallery, went: Sequence[FaceId] = ()) -> None:
    gallery.keep(ORG, LINEAGE, lambda _since: went)()


def restarted(folder: Path, sizes: Sizes = SMALL) -> LiveGallery:
    gallery = LiveGallery(128, "sface", folder, sizes)
    assert gallery.taken_up(ORG, LINEAGE, 1_000)
    return gallery


class Table:
    """What is enrolled, as random hands change it."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.people = [PersonId(new_id()) for _ in range(60)]
        self.looks = {it: a_template(n) for n, it in enumerate(self.people)}
        self.rows: dict[FaceId, Matchmaker] = {}

    def person(self) -> PersonId:
        return self.people[int(self.rng.integers(len(self.people)))]

    def look(self, person: PersonId) -> Template:
        seed = int(self.rng.integers(1 << 30))
        return turned(self.looks[person], float(self.rng.uniform(0.3, 0.9)), seed)

    def step(self) -> tuple[list[Matchmaker], list[FaceId]]:
        """Some come, some go, some are somebody else's from now on, some are told again."""
        faces = list(self.rows)
        self.rng.shuffle(faces)  # type: ignore[arg-type]
        came = [a_face(it, self.look(it)) for it in (self.person() for _ in range(30))]
        came += [self._moved(it) for it in faces[:3]] + [self.rows[it] for it in faces[3:6]]
        went = faces[6 : 6 + int(self.rng.integers(0, 20))]
        for it in came:
            self.rows[it.face] = it
        for gone in went:
            del self.rows[gone]
        return came, went

    def _moved(self, face: FaceId) -> Matchmaker:
        return Matchmaker(face, self.person(), ORG, self.rows[face].template)

    def refusals(self) -> list[Refusal]:
        return [Refusal(it, None, self.look(it)) for it in (self.person() for _ in range(3))]


@pytest.mark.parametrize("seed", range(6))
def test_it_answers_as_the_exact_one_whatever_came_and_went(seed: int, tmp_path: Path) -> None:
    table, calibration = Table(seed), card("sface").calibration
    gallery = LiveGallery(128, "sface", tmp_path, SMALL)
    assert calibration is not None
    for step in range(12):
        came, went = table.step()
        refusals = table.refusals()
        change(gallery, came, went, refusals)
        if gallery.outgrown():
            keep(gallery)
        if step % 4 == 3:
            gallery = restarted(tmp_path)
            change(gallery, list(table.rows.values()), went, refusals)
        exact = ExactGallery(128)
        exact.replace(ORG, gallery.revision(ORG), list(table.rows.values()), refusals)

        assert gallery.people(ORG) == exact.people(ORG)
        assert gallery.matchmakers(ORG) == len(table.rows)
        probes = np.stack([table.look(table.person()) for _ in range(8)] + [a_template(999)])
        for probe, limit in zip(probes, [1, 2, 5, 5, 5, 20, 60, 300, 5], strict=True):
            same_hits(gallery, exact, probe, limit)
        for ours, theirs in zip(
            gallery.resembling(ORG, probes, 5), exact.resembling(ORG, probes, 5), strict=True
        ):
            assert [(it.person, it.face, it.matchmakers) for it in ours] == [
                (it.person, it.face, it.matchmakers) for it in theirs
            ]
            assert [it.similarity for it in ours] == pytest.approx(
                [it.similarity for it in theirs], abs=1e-6
            )
        ours_says, exact_says = (
            Decider(it, calibration, "digest", Rule(threshold=0.2, margin=0.01))
            for it in (gallery, exact)
        )
        for probe in probes:
            mine = ours_says.decide(ORG, probe, 0.9)
            their = exact_says.decide(ORG, probe, 0.9)
            assert (mine.person, mine.reason) == (their.person, their.reason)
            assert [it.person for it in mine.denied] == [it.person for it in their.denied]


def same_hits(gallery: LiveGallery, exact: ExactGallery, probe: Template, limit: int) -> None:
    ours, theirs = gallery.search(ORG, probe, limit), exact.search(ORG, probe, limit)
    assert [(it.face, it.person) for it in ours] == [(it.face, it.person) for it in theirs]
    assert [it.similarity for it in ours] == pytest.approx(
        [it.similarity for it in theirs], abs=1e-6
    )
