"""What readers are told while more is decoded than can be looked at."""

import math
from itertools import pairwise

import pytest

from facewatch.domain.ids import CameraId, new_id
from facewatch.pipeline.shedding import Shedding

CAMERAS = [CameraId(new_id()) for _ in range(4)]


class Machine:
    """Offers every camera's frame five times a second and looks at a share of them."""

    def __init__(self) -> None:
        self.now = self.due = 0.0
        self.shedding = Shedding(lambda: self.now)

    def runs(self, seconds: int, share: float) -> None:
        for _ in range(seconds * 5):
            self.now += 0.2
            for camera in CAMERAS:
                self.due += share
                if self.due >= 1:
                    self.due -= 1
                    self.shedding.looked(camera)
                else:
                    self.shedding.replaced()


def test_nothing_is_shed_while_most_frames_are_looked_at() -> None:
    machine = Machine()
    machine.runs(60, share=0.6)
    assert machine.shedding.time_for() == math.inf


def test_what_there_is_time_for_is_what_each_camera_got() -> None:
    machine = Machine()
    machine.runs(25, share=0.2)
    assert 0.8 <= machine.shedding.time_for() <= 1.3  # 0.2 of five, as the windows fall


def test_while_most_are_replaced_all_the_same_there_is_less_time_than_was_thought() -> None:
    machine = Machine()
    machine.runs(7, share=0.4)
    thought = machine.shedding.time_for()
    machine.runs(7, share=0.1)
    assert machine.shedding.time_for() < 0.6 * thought < math.inf

    machine.runs(7, share=0.3)
    assert machine.shedding.time_for() < 0.6 * thought  # corrected downwards only


def test_everything_is_tried_again_and_each_time_later_if_in_vain() -> None:
    machine, tries = Machine(), []
    for second in range(1000):
        before = machine.shedding.time_for()
        machine.runs(1, share=0.2)
        if before < math.inf == machine.shedding.time_for():
            tries.append(second)
    apart = [after - before for before, after in pairwise(tries)]
    assert len(tries) >= 3
    assert apart[1] > 1.5 * apart[0] > 200


def test_when_there_is_time_again_nothing_is_shed_any_more() -> None:
    machine = Machine()
    machine.runs(20, share=0.2)
    machine.runs(150, share=1.0)
    assert machine.shedding.time_for() == math.inf


class Readers:
    """Cameras that give a key picture a second, and the looks that are wanted besides."""

    def __init__(self) -> None:
        self.machine = Machine()
        self.machine.runs(20, share=0.2)
        self.looks = dict.fromkeys(CAMERAS, 0)

    def run(self, seconds: int, always_wanted: set[CameraId]) -> None:
        machine, shedding = self.machine, self.machine.shedding
        for tick in range(seconds * 5):
            machine.now += 0.2
            for camera in CAMERAS:
                wanted = shedding.demand(camera).wanted_from() <= machine.now
                if wanted or tick % 5 == 0:
                    shedding.looked(camera)
                    self.looks[camera] += 1
                    shedding.hurry(camera, 0.0 if camera in always_wanted else None)


def test_one_look_more_is_wanted_until_it_is_given() -> None:
    machine, camera = Machine(), CAMERAS[0]
    machine.runs(20, share=0.2)
    demand = machine.shedding.demand(camera)
    machine.shedding.looked(camera)
    machine.now += 0.1  # so long the look takes
    machine.shedding.hurry(camera, 0.5)
    assert demand.wanted_from() == pytest.approx(machine.now + 0.4)
    assert machine.shedding.demand(CAMERAS[1]).wanted_from() == math.inf

    machine.now += 0.6
    machine.shedding.looked(camera)
    assert demand.wanted_from() == math.inf


def test_a_camera_where_looks_are_always_wanted_has_no_more_than_half_as_much_again() -> None:
    readers = Readers()
    readers.run(60, {CAMERAS[0]})
    busy, *quiet = readers.looks.values()
    assert 1.3 <= busy / max(quiet) <= 1.5
    assert max(quiet) == min(quiet)


def test_after_a_quiet_while_looks_that_are_wanted_follow_each_other() -> None:
    readers = Readers()
    readers.run(60, set())
    readers.run(1, {CAMERAS[0]})
    assert readers.looks[CAMERAS[0]] - readers.looks[CAMERAS[1]] == 4


def test_while_there_is_time_for_everything_nothing_is_saved_or_spent() -> None:
    machine, camera = Machine(), CAMERAS[0]
    for _ in range(100):
        machine.shedding.hurry(camera, 0.0)
        machine.shedding.looked(camera)
    assert machine.shedding.time_for() == math.inf
    machine.shedding.hurry(camera, 0.0)
    assert machine.shedding.demand(camera).wanted_from() == machine.now


def test_a_camera_that_is_no_longer_watched_begins_anew_if_it_comes_back() -> None:
    readers, camera = Readers(), CAMERAS[0]
    readers.run(60, {camera})
    shedding = readers.machine.shedding
    while shedding.wanted_from(camera) < math.inf:
        shedding.looked(camera)
        shedding.hurry(camera, 0.0)
    shedding.forget(camera)
    assert shedding.wanted_from(camera) == math.inf
    shedding.hurry(camera, 0.0)
    assert shedding.wanted_from(camera) <= readers.machine.now
