"""A gallery that follows a table answers as one that is made of the whole, and is kept on disk."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from factories import ORG, a_template, turned

from facewatch.domain.faces import Template
from facewatch.domain.ids import FaceId, OrgId, PersonId, new_id
from facewatch.domain.people import GalleryChange, Matchmaker, Refusal
from facewatch.errors import HomeUnusable
from facewatch.gallery.exact import ExactGallery
from facewatch.gallery.file import GalleryFile
from facewatch.gallery.live import HomeGalleries, LiveGallery, Sizes, place
from facewatch.people.decide import Asked, Decider, Rule
from facewatch.vision.registry import card

LINEAGE = UUID(int=7)
SMALL = Sizes(kept=50, exact=16, share=4)
"""What is kept is searched by four bits a dimension first: sixteen teach them."""


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


@pytest.mark.parametrize("seed", range(3))
def test_it_answers_as_the_exact_one_whatever_came_and_went(seed: int, tmp_path: Path) -> None:
    table, calibration = Table(seed), card("sface").calibration
    gallery = LiveGallery(128, "sface", tmp_path, SMALL)
    assert calibration is not None
    for step in range(8):
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
        each = ours_says.decide_each(ORG, [Asked(it, 0.9) for it in probes])
        assert each == [ours_says.decide(ORG, it, 0.9) for it in probes]
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


def test_what_is_kept_is_found_by_the_next_start(tmp_path: Path) -> None:
    table = Table(1)
    gallery = LiveGallery(128, "sface", tmp_path, Sizes(kept=20))
    change(gallery, table.step()[0])
    assert gallery.outgrown() == [ORG]
    keep(gallery)
    assert gallery.outgrown() == []

    again = restarted(tmp_path, Sizes(kept=20))

    assert (again.revision(ORG), again.people(ORG)) == (1, gallery.people(ORG))
    for face in table.rows.values():
        assert again.search(ORG, face.template, 1)[0].face == face.face
    assert again.outgrown() == []
    assert os.stat(place(tmp_path, ORG, "sface")).st_mode & 0o077 == 0


def test_what_comes_while_it_is_written_is_not_lost(tmp_path: Path) -> None:
    first, second, third = (a_face(PersonId(new_id()), a_template(n)) for n in range(3))
    gallery = LiveGallery(128, "sface", tmp_path, SMALL)
    change(gallery, [first, second])
    read_from_there = gallery.keep(ORG, LINEAGE, lambda _since: [])
    change(gallery, [third], [second.face])
    read_from_there()

    assert gallery.people(ORG) == 2
    assert {it.face for it in gallery.search(ORG, a_template(2), 9)} == {first.face, third.face}
    change(gallery, [], [first.face])
    assert gallery.people(ORG) == 1


def test_a_draft_that_came_to_nothing_leaves_nothing() -> None:
    ann, bob = a_face(PersonId(new_id()), a_template(1)), a_face(PersonId(new_id()), a_template(2))
    gallery = LiveGallery(128, "sface")
    change(gallery, [ann])
    gallery.draft(ORG).take(changed([bob, Matchmaker(ann.face, bob.person, ORG, ann.template)]))
    assert [it.person for it in gallery.search(ORG, a_template(2), 9)] == [ann.person]

    change(gallery, [a_face(bob.person, a_template(3))])

    assert {it.person for it in gallery.search(ORG, a_template(1), 9)} == {ann.person, bob.person}
    assert gallery.matchmakers(ORG) == 2
    assert gallery.search(ORG, a_template(1), 1)[0].person == ann.person


def a_kept_gallery(folder: Path, people: int = 40) -> list[Matchmaker]:
    """With two faces each."""
    faces = [
        a_face(person, turned(a_template(n), 0.8, look))
        for n, person in enumerate(PersonId(new_id()) for _ in range(people))
        for look in range(2)
    ]
    gallery = LiveGallery(128, "sface", folder, SMALL)
    change(gallery, faces)
    keep(gallery)
    return faces


def test_what_is_erased_is_in_no_file_and_its_person_is_fused_anew(tmp_path: Path) -> None:
    faces = a_kept_gallery(tmp_path)
    path = place(tmp_path, ORG, "sface")
    gone, left = faces[0], faces[1]
    both = gone.template + left.template
    traces = [gone.template.tobytes(), (both / np.linalg.norm(both)).astype("<f4").tobytes()]
    assert all(it[:256] in path.read_bytes() for it in traces)

    HomeGalleries(tmp_path).erase(ORG, "sface", [gone.face])

    assert not any(it[:256] in path.read_bytes() for it in traces)
    assert left.template.tobytes() in path.read_bytes()
    gallery = restarted(tmp_path)
    assert gallery.people(ORG) == 40
    assert gallery.search(ORG, gone.template, 1)[0].face == left.face
    change(gallery, [], [gone.face])
    change(gallery, [a_face(left.person, a_template(500))])
    best = gallery.resembling(ORG, a_template(500).reshape(1, -1), 1)[0][0]
    assert (best.person, best.matchmakers) == (left.person, 2)


def test_who_goes_while_a_file_is_written_is_not_in_it(tmp_path: Path) -> None:
    ann, bob = a_face(PersonId(new_id()), a_template(1)), a_face(PersonId(new_id()), a_template(2))
    gallery = LiveGallery(128, "sface", tmp_path, SMALL)
    change(gallery, [ann, bob])
    keep(gallery, [ann.face])
    path = place(tmp_path, ORG, "sface")

    assert ann.template.tobytes() not in path.read_bytes()
    assert bob.template.tobytes() in path.read_bytes()
    change(gallery, [], [ann.face])
    assert [it.face for it in gallery.search(ORG, a_template(1), 9)] == [bob.face]
    assert gallery.matchmakers(ORG) == gallery.people(ORG) == 1


def test_what_a_killed_writer_left_goes_with_the_next_erasure(tmp_path: Path) -> None:
    a_kept_gallery(tmp_path)
    remains = place(tmp_path, ORG, "sface").with_suffix(".new")
    remains.write_bytes(a_template(3).tobytes())

    assert HomeGalleries(tmp_path).revisions(ORG) == {"sface": 1}

    assert not remains.exists()
    assert HomeGalleries(tmp_path / "nothing").revisions(ORG) == {}
    assert not (tmp_path / "nothing").exists()


def test_everybody_goes_and_somebody_comes(tmp_path: Path) -> None:
    faces = a_kept_gallery(tmp_path)
    gallery = restarted(tmp_path)
    change(gallery, [], [it.face for it in faces])
    assert (gallery.people(ORG), gallery.matchmakers(ORG)) == (0, 0)
    assert gallery.search(ORG, faces[0].template, 5) == []
    assert gallery.outgrown() == [ORG]
    keep(gallery)

    for empty in (gallery, restarted(tmp_path)):  # its file holds nobody
        assert empty.resembling(ORG, faces[0].template.reshape(1, -1), 5) == [[]]
        change(empty, faces[:5])
        assert empty.people(ORG) == 3
        assert empty.search(ORG, faces[3].template, 1)[0].face == faces[3].face
        change(empty, [], [faces[3].face])
        assert empty.matchmakers(ORG) == 4


def test_a_folder_where_the_file_should_be_is_said_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = place(tmp_path, ORG, "sface")
    path.mkdir()

    assert not LiveGallery(128, "sface", tmp_path, SMALL).taken_up(ORG, LINEAGE, 1)

    (said,) = caplog.messages
    assert str(path) in said
    with pytest.raises(HomeUnusable, match="directory"):
        HomeGalleries(tmp_path).revisions(ORG)


def damaged(kept: bytes, header_rows: int) -> list[bytes]:
    flipped = bytearray(kept)
    flipped[4096 + 32 * header_rows + 3000] ^= 1
    ids = bytearray(kept)
    ids[5000] ^= 1
    newer = json.dumps(json.loads(kept[:4096].partition(b"\n")[2]) | {"format": 2}).encode()
    return [
        b"",
        b"no gallery",
        kept[:-1],
        kept + b"more",
        kept[:4000],
        bytes(flipped),
        bytes(ids),
        b"0" * 64 + b"\n" + newer.ljust(4031) + kept[4096:],
        sha256(newer).hexdigest().encode() + b"\n" + newer.ljust(4031) + kept[4096:],
    ]


def test_a_damaged_file_is_said_in_one_line_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    a_kept_gallery(tmp_path)
    path = place(tmp_path, ORG, "sface")
    kept = path.read_bytes()
    for broken in damaged(kept, GalleryFile(path).header.rows):
        path.write_bytes(broken)
        caplog.clear()
        gallery = LiveGallery(128, "sface", tmp_path, SMALL)

        assert not gallery.taken_up(ORG, LINEAGE, 1_000)

        (said,) = caplog.messages
        assert str(path) in said
        assert gallery.revision(ORG) == 0
        change(gallery, [a_face(PersonId(new_id()), a_template(n)) for n in range(60)])
        keep(gallery)
        assert restarted(tmp_path).people(ORG) == 60


def test_a_file_of_another_database_model_or_later_state_is_left_out(tmp_path: Path) -> None:
    a_kept_gallery(tmp_path)
    path, shop = place(tmp_path, ORG, "sface"), OrgId(new_id())
    os.link(path, place(tmp_path, shop, "sface"))
    os.link(path, place(tmp_path, ORG, "arcface"))

    def taken(org: OrgId = ORG, model: str = "sface", size: int = 128, **given: object) -> bool:
        gallery = LiveGallery(size, model, tmp_path, SMALL)
        asked = {"lineage": LINEAGE, "newest": 1} | given
        return gallery.taken_up(org, **asked)  # type: ignore[arg-type]

    assert taken()
    assert not taken(shop)
    assert not taken(model="arcface")
    assert not taken(size=512)
    assert not taken(lineage=uuid4())
    assert not taken(newest=0)
    assert not taken(OrgId(new_id()))


def test_a_home_that_cannot_be_written_keeps_the_gallery_in_memory(tmp_path: Path) -> None:
    (tmp_path / "gallery").write_text("a file where the folder should be")
    gallery = LiveGallery(128, "sface", tmp_path / "gallery", SMALL)
    faces = [a_face(PersonId(new_id()), a_template(n)) for n in range(60)]
    change(gallery, faces)
    with pytest.raises(HomeUnusable, match="gallery cannot be used"):
        keep(gallery)

    assert gallery.outgrown() == []
    assert gallery.search(ORG, a_template(7), 1)[0].face == faces[7].face


WRITER = """
import sys
from pathlib import Path
from test_live_gallery import *

gallery = LiveGallery(128, "sface", Path(sys.argv[1]), SMALL)
change(gallery, [a_face(PersonId(new_id()), a_template(n)) for n in range(20_000)])
while True:
    keep(gallery)
    print("kept", flush=True)
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=Path(__file__).parent,
        stdout=subprocess.PIPE,
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"kept\n"
        remains = place(tmp_path, ORG, "sface").with_suffix(".new")
        while not remains.exists():  # then it is in the middle of the next
            assert writer.poll() is None
        os.kill(writer.pid, signal.SIGKILL)
    assert restarted(tmp_path).matchmakers(ORG) == 20_000
    assert HomeGalleries(tmp_path).revisions(ORG) == {"sface": 1}
    assert not remains.exists()


def test_two_processes_read_their_own_state_of_one_home(tmp_path: Path) -> None:
    faces = a_kept_gallery(tmp_path)
    one, two = restarted(tmp_path), restarted(tmp_path)
    change(one, [a_face(PersonId(new_id()), a_template(700 + n)) for n in range(30)])
    keep(one)
    change(two, [], [faces[0].face])

    assert one.people(ORG) == 70
    assert two.people(ORG) == 40
    assert two.search(ORG, faces[3].template, 1)[0].face == faces[3].face
    HomeGalleries(tmp_path).erase(ORG, "sface", [faces[0].face])
    change(one, [], [faces[0].face])
    assert one.search(ORG, faces[0].template, 1)[0].face == faces[1].face
