"""One visit is one event: who continues, who is another, who was only a glimpse."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest

from facewatch.domain.events import TimeSource
from facewatch.domain.faces import Detection, Glimpse, Look, Pixels, Quality, Template, Tiny
from facewatch.domain.faces import Scene as Scenery
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, EventId, derived_id
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.ports.streams import Frame

CAMERA = CameraId(UUID(int=7))
EPOCH = datetime(2026, 11, 21, 12, tzinfo=UTC)


class NoPicture:
    """A frame whose pixels nobody asks for."""

    width, height = 640, 360

    def glance(self) -> None:
        return None

    def fit(self, width: int, height: int, halve: object = None) -> Pixels:
        raise AssertionError("not needed")

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        raise AssertionError("not needed")

    def full(self) -> Pixels:
        raise AssertionError("not needed")


@dataclass(frozen=True)
class Somebody:
    """A person whose face always looks the same to the embedder: crop and template by *seed*.

    With *looks_like* the tiny picture is that of another; *telling* is what the template tells.
    """

    seed: int
    looks_like: int | None = None
    telling: float = 1.0

    @property
    def crop(self) -> Pixels:
        noise = np.random.default_rng(self.seed).integers(0, 255, (14, 14), dtype=np.uint8)
        return np.repeat(np.repeat(noise, 8, 0), 8, 1)[:, :, None].repeat(3, 2)

    @property
    def tiny(self) -> Tiny:
        seed = self.seed if self.looks_like is None else self.looks_like
        grid = np.random.default_rng(seed).normal(size=196).astype(np.float32)
        return np.asarray(grid / np.linalg.norm(grid), dtype=np.float32)

    @property
    def template(self) -> Template:
        vector = np.random.default_rng(self.seed).normal(size=128).astype(np.float32)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


ANN, BEN = Somebody(1), Somebody(2)
FINE = Quality(size=1, sharpness=1, pose=1, exposure=1, score=0.95)
POOR = Quality(size=0.2, sharpness=0.05, pose=0.3, exposure=0.5, score=0.85)

Scene = Callable[[float], Iterable[tuple[Somebody, float, Quality]]]


def look(t_s: float, who: Somebody, x: float, quality: Quality) -> Look:
    box = Box(x, 100, x + 80, 200)
    found = Detection(box, np.zeros((5, 2), np.float32), quality.score, who.tiny)
    return Look(EPOCH + timedelta(seconds=t_s), t_s, found, quality, who.crop)


class Camera:
    """Drives `Visitors` with scenes and embeds what they ask for; counts the embeddings."""

    def __init__(self) -> None:
        self.visitors = Visitors(CAMERA, lambda at, n: EventId(derived_id(at, "test", n)))
        self.embedded = 0
        self.said: list[Visit] = []
        self._faces = {ANN.crop.tobytes(): ANN, BEN.crop.tobytes(): BEN}

    def knows(self, who: Somebody) -> None:
        self._faces[who.crop.tobytes()] = who

    def watch(self, start_s: float, end_s: float, scene: Scene) -> None:
        for n in range(round(start_s * 5), round(end_s * 5)):
            self.show(n / 5, [look(n / 5, *it) for it in scene(n / 5)])

    def show(self, t_s: float, looks: Sequence[Look], scene: Scenery | None = None) -> None:
        at = EPOCH + timedelta(seconds=t_s)
        frame = Frame(CAMERA, 0, at, t_s, TimeSource.ARRIVAL, NoPicture())
        closely = {id(it.detection): it for it in looks}
        glimpses = [Glimpse(at, t_s, it.detection, it.quality.overall) for it in looks]
        step = self.visitors.see(frame, glimpses, lambda it: closely[id(it.detection)], scene)
        crops = next(step)
        self.embedded += len(crops)
        faces = [self._faces[crop.tobytes()] for crop in crops]
        with pytest.raises(StopIteration) as end:
            step.send([(face.template, face.telling) for face in faces])
        self.said += end.value.value

    def events(self) -> list[Visit]:
        """What was said of each visit at its end."""
        self.said += self.visitors.close()
        assert len({it.event for it in self.said}) == sum(it.closed for it in self.said)
        return [it for it in self.said if it.closed]


def nobody(_: float) -> list[tuple[Somebody, float, Quality]]:
    return []


def test_somebody_who_stays_is_one_event() -> None:
    camera = Camera()
    camera.watch(0, 10, lambda t: [(ANN, 100 + 20 * t, FINE)])

    (event,) = camera.events()
    assert (event.first_seen_s, event.last_seen_s, event.looks) == (0, 9.8, 50)


def test_a_visit_is_told_of_within_a_second() -> None:
    camera = Camera()
    camera.watch(0, 1, lambda t: [(ANN, 100, FINE)])

    assert len(camera.said) == 1
    assert not camera.said[0].closed
    assert camera.said[0].template is not None


def test_staying_costs_few_embeddings() -> None:
    camera = Camera()
    camera.watch(0, 60, lambda t: [(ANN, 100, FINE)])

    assert camera.embedded <= 2 + 0.2 * 60


def test_another_person_at_the_same_place_is_another_event() -> None:
    camera = Camera()
    camera.watch(0, 3, lambda t: [(ANN, 100, FINE)])
    camera.watch(3, 6, lambda t: [(BEN, 100, FINE)])

    ann, ben = camera.events()
    assert ann.last_seen_s == pytest.approx(2.8)
    assert ben.first_seen_s == pytest.approx(3.0)
    assert ann.template is not None
    assert float(ann.template @ ANN.template) == pytest.approx(1, abs=1e-5)


def test_somebody_who_takes_a_place_unnoticed_is_found_out() -> None:
    camera = Camera()
    double = Somebody(3, looks_like=ANN.seed)
    camera.knows(double)
    camera.watch(0, 4, lambda t: [(ANN, 100, FINE)])
    camera.watch(4, 30, lambda t: [(double, 100, FINE)])

    ann, other = camera.events()
    for event, who in ((ann, ANN), (other, double)):
        assert event.template is not None
        assert float(event.template @ who.template) == pytest.approx(1, abs=1e-5)
    assert ann.last_seen_s <= 4
    assert other.first_seen_s <= 4 + 5.2


def test_two_people_crossing_do_not_swap() -> None:
    camera = Camera()
    camera.watch(0, 4, lambda t: [(ANN, 100 + 100 * t, FINE), (BEN, 500 - 100 * t, FINE)])

    templates = [event.template for event in camera.events()]
    assert len(templates) == 2
    for template, who in zip(templates, (ANN, BEN), strict=True):
        assert template is not None
        assert float(template @ who.template) == pytest.approx(1, abs=1e-5)


def test_an_occlusion_of_two_seconds_does_not_split_a_visit() -> None:
    camera = Camera()
    camera.watch(0, 3, lambda t: [(ANN, 100, FINE)])
    camera.watch(3, 5, nobody)
    camera.watch(5, 8, lambda t: [(ANN, 400, FINE)])

    (event,) = camera.events()
    assert (event.first_seen_s, event.last_seen_s, event.tracks) == (0, 7.8, 2)


def test_who_leaves_for_longer_than_the_gap_comes_back_as_a_new_event() -> None:
    camera = Camera()
    camera.watch(0, 3, lambda t: [(ANN, 100, FINE)])
    camera.watch(3, 7, nobody)
    camera.watch(7, 9, lambda t: [(ANN, 100, FINE)])

    assert [event.first_seen_s for event in camera.events()] == [0, 7]


def test_a_cut_away_and_back_to_the_same_person_is_one_visit() -> None:
    camera = Camera()
    camera.watch(0, 3, lambda t: [(ANN, 100, FINE)])
    camera.watch(3, 5, lambda t: [(BEN, 100, FINE)])
    camera.watch(5, 8, lambda t: [(ANN, 100, FINE)])

    ann, ben = sorted(camera.events(), key=lambda it: it.first_seen_s)
    assert (ann.first_seen_s, ann.last_seen_s) == (0, 7.8)
    assert (ben.first_seen_s, ben.last_seen_s) == (3, 4.8)


def test_a_single_poor_glimpse_is_no_event() -> None:
    camera = Camera()
    camera.show(0, [look(0, ANN, 100, POOR)])
    camera.watch(0.2, 5, nobody)

    assert camera.events() == []


def test_a_poor_look_is_never_embedded() -> None:
    camera = Camera()
    camera.watch(0, 3, lambda t: [(ANN, 100, POOR)])

    (event,) = camera.events()
    assert event.template is None
    assert camera.embedded == 0


def test_a_camera_that_falls_silent_ends_its_visits() -> None:
    camera = Camera()
    camera.watch(0, 2, lambda t: [(ANN, 100, FINE)])
    camera.said += camera.visitors.idle(4.0)

    assert [it.closed for it in camera.said][-1]


def test_silence_is_not_counted_twice_when_frames_come_again() -> None:
    camera = Camera()
    camera.watch(0, 2, lambda t: [(ANN, 100, FINE)])
    camera.said += camera.visitors.idle(2.0)
    camera.watch(4, 6, lambda t: [(ANN, 100, FINE)])

    assert len(camera.events()) == 1


def test_the_best_shot_shows_whoever_else_was_there() -> None:
    camera = Camera()
    camera.watch(0, 2, lambda t: [(ANN, 100, FINE), (BEN, 400, FINE)])

    events = camera.events()
    ids = {event.event for event in events}
    assert all(len(event.faces) == 2 for event in events)
    assert {it.event for it in events[0].faces} <= ids | {None}


def test_a_face_half_hidden_for_a_while_does_not_split_a_visit() -> None:
    camera = Camera()
    hidden = Somebody(4, telling=0.2)
    camera.knows(hidden)
    camera.watch(0, 2, lambda t: [(ANN, 100, FINE)])
    camera.watch(2, 3, lambda t: [(hidden, 100, FINE)])
    camera.watch(3, 5, lambda t: [(ANN, 100, FINE)])

    (event,) = camera.events()
    assert (event.first_seen_s, event.last_seen_s) == (0, 4.8)
    assert event.template is not None
    assert float(event.template @ ANN.template) > 0.95
    assert event.best.look.quality.telling == 1


def test_a_template_that_tells_nothing_names_nobody() -> None:
    camera = Camera()
    camera.knows(Somebody(5, telling=0.1))
    camera.watch(0, 3, lambda t: [(Somebody(5, telling=0.1), 100, FINE)])

    (event,) = camera.events()
    compared = [it for it in event.best_looks if it.template is not None]
    assert compared
    assert all(it.quality.overall < 0.3 for it in compared)


def test_after_a_cut_faces_that_tell_nothing_are_others() -> None:
    camera = Camera()
    here, there = (np.eye(576, dtype=np.float32)[n] for n in (0, 1))
    for n in range(20):
        t_s = n / 5
        camera.show(t_s, [look(t_s, ANN, 100, POOR)], here if n < 10 else there)

    assert [event.first_seen_s for event in camera.events()] == [0, 2]


def test_a_dark_picture_is_no_cut() -> None:
    camera = Camera()
    dark = np.zeros(576, np.float32)
    for n in range(20):
        t_s = n / 5
        camera.show(t_s, [look(t_s, ANN, 100, POOR)], dark)

    assert len(camera.events()) == 1


def test_what_never_scores_as_a_face_is_no_event() -> None:
    camera = Camera()
    chair = Quality(size=1, sharpness=1, pose=1, exposure=1, score=0.78)
    camera.watch(0, 20, lambda t: [(ANN, 100, chair)])

    assert camera.events() == []


def test_who_is_gone_before_it_is_clear_who_it_was_is_an_event_all_the_same() -> None:
    camera = Camera()
    stranger = Somebody(6, telling=0.3)
    camera.knows(stranger)
    camera.watch(0, 2, lambda t: [(ANN, 100, FINE)])
    camera.watch(2, 3, nobody)
    camera.watch(3, 3.6, lambda t: [(stranger, 400, FINE)])
    camera.watch(3.6, 9, nobody)

    assert [event.first_seen_s for event in camera.events()] == [0, 3]


def test_a_look_is_wanted_soon_until_the_visit_is_told_of() -> None:
    camera = Camera()
    camera.watch(0, 0.2, nobody)
    assert camera.visitors.next_look_in_s is None

    camera.watch(0.2, 0.4, lambda t: [(ANN, 100, FINE)])
    assert not camera.said
    assert camera.visitors.next_look_in_s == 0

    camera.watch(0.4, 0.6, lambda t: [(ANN, 100, FINE)])
    assert camera.said
    assert camera.visitors.next_look_in_s is None


def test_who_is_out_of_view_is_not_waited_for() -> None:
    camera = Camera()
    camera.watch(0, 0.2, lambda t: [(ANN, 100, FINE)])
    camera.watch(0.2, 0.4, nobody)
    assert camera.visitors.next_look_in_s is None


def test_what_was_looked_at_six_times_and_is_no_visit_is_not_waited_for() -> None:
    doubtful = Quality(size=0.5, sharpness=0.5, pose=0.5, exposure=0.5, score=0.7)
    camera = Camera()
    camera.watch(0, 1.0, lambda t: [(ANN, 100, doubtful)])
    assert camera.visitors.next_look_in_s == 0

    camera.watch(1.0, 1.2, lambda t: [(ANN, 100, doubtful)])
    assert not camera.said
    assert camera.visitors.next_look_in_s is None


def test_who_may_be_somebody_who_left_is_looked_at_again_when_a_template_may_tell() -> None:
    unclear = Somebody(2, telling=0.2)
    camera = Camera()
    camera.knows(unclear)
    camera.watch(0, 1, lambda t: [(ANN, 100, FINE)])
    camera.watch(1, 2, nobody)
    camera.watch(2, 2.2, lambda t: [(unclear, 400, FINE)])
    assert camera.visitors.next_look_in_s == pytest.approx(0.55)

    camera.watch(2.2, 2.6, lambda t: [(unclear, 400, FINE)])
    assert camera.visitors.next_look_in_s == pytest.approx(0.15)
    assert len({it.event for it in camera.said}) == 1

    camera.watch(2.6, 2.8, lambda t: [(unclear, 400, FINE)])  # as unclear: it is another
    assert len({it.event for it in camera.said}) == 2
    assert camera.visitors.next_look_in_s is None
