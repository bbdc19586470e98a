"""What readers are told while more is decoded than can be looked at."""

import math
from itertools import pairwise

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


def test_everything_is_tried_again_and_each_time_later_if_in_vain() -> None:
    machine, tries = Machine(), []
    for second in range(700):
        before = machine.shedding.time_for()
        machine.runs(1, share=0.2)
        if before < math.inf == machine.shedding.time_for():
            tries.append(second)
    apart = [after - before for before, after in pairwise(tries)]
    assert len(tries) >= 3
    assert apart[1] > 1.5 * apart[0] > 100


def test_when_there_is_time_again_nothing_is_shed_any_more() -> None:
    machine = Machine()
    machine.runs(20, share=0.2)
    machine.runs(90, share=1.0)
    assert machine.shedding.time_for() == math.inf
