"""How the number of cameras is found that a machine carries, and what is said to be the limit."""

from dataclasses import replace
from pathlib import Path

import pytest

from facewatch.evaluate.capacity import Limit, Step, Wanted, capacity, next_number
from facewatch.evaluate.plot_capacity import draw

WANTED = Wanted(width=1280, height=720, fps=15, looks_per_s=5, cores=4, most=500)
IDLE = Step(
    cameras=1,
    seconds=7,
    looks_per_s=5,
    least_per_s=5,
    most_per_s=5,
    frames_per_s=15,
    cpu_cores=0.1,
    decoding_cores=0.04,
    cameras_cores=0.01,
    machine_cores=0.2,
    engine=0.05,
    loop=0.01,
    stores=0.01,
    reader=0.04,
    backlog=0,
    event_after_s=0.4,
    memory_mib=400,
)


def seen(cameras: int, carries: float) -> Step:
    """A machine whose engine has time for *carries* cameras."""
    share = min(1.0, carries / cameras)
    return replace(
        IDLE,
        cameras=cameras,
        looks_per_s=5 * cameras * share,
        least_per_s=5 * share,
        engine=min(1.0, cameras / carries),
    )


def found_by(carries: float, wanted: Wanted = WANTED) -> list[Step]:
    steps: list[Step] = []
    while (cameras := next_number(steps, wanted)) is not None:
        steps.append(seen(cameras, carries))
        assert len(steps) < 20, [it.cameras for it in steps]
    return steps


@pytest.mark.parametrize("carries", [1, 2, 3, 7, 16, 33, 100, 311])
def test_the_number_is_found_in_a_few_tries(carries: int) -> None:
    steps = found_by(carries)
    found = capacity(steps, WANTED)

    assert len(steps) <= 7
    assert 0.95 * carries <= found.cameras <= carries / 0.95
    assert found.settled
    assert found.limit is Limit.ENGINE


def test_a_machine_that_cannot_carry_one_camera_is_told_so() -> None:
    found = capacity(found_by(0.5), WANTED)

    assert (found.cameras, found.settled) == (0, True)


def test_what_carries_all_that_are_tried_has_no_limit() -> None:
    found = capacity(found_by(100, replace(WANTED, most=20)), WANTED)

    assert (found.cameras, found.limit) == (20, Limit.NONE)


def test_a_lucky_moment_above_the_number_does_not_count() -> None:
    found = capacity([seen(8, 9), seen(12, 9), seen(14, 20)], WANTED)

    assert found.cameras == 8
    assert not found.settled


def test_one_neglected_camera_is_too_many() -> None:
    neglected = replace(seen(20, 40), least_per_s=3.0)

    assert seen(20, 40).carried(WANTED)
    assert not neglected.carried(WANTED)


@pytest.mark.parametrize(
    ("changes", "limit"),
    [
        ({"machine_cores": 3.9}, Limit.CPU),
        ({"machine_cores": None, "cpu_cores": 3.9}, Limit.CPU),
        ({"engine": 0.97}, Limit.ENGINE),
        ({"machine_cores": 3.9, "engine": 0.97}, Limit.CPU),  # it waits for a core as well
        ({"reader": 0.97}, Limit.DECODER),
        ({"loop": 0.97}, Limit.LOOP),
        ({"stores": 0.97}, Limit.STORES),
        ({}, Limit.UNKNOWN),
    ],
)
def test_what_is_busy_is_the_limit(changes: dict[str, float], limit: Limit) -> None:
    assert replace(IDLE, **changes).limit(WANTED) is limit


def test_it_can_be_drawn(tmp_path: Path) -> None:
    steps = found_by(7)
    draw(tmp_path / "seven.svg", steps, capacity(steps, WANTED), WANTED)

    drawn = (tmp_path / "seven.svg").read_text()
    assert drawn.startswith("<?xml")
    assert len(drawn) < 100_000
