"""How many cameras a machine carries: what is seen at a number of them, and what that means."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_ENOUGH = 0.95
"""Share of the looks that were asked for from which a number of cameras is carried."""
_LEAST = 0.8
"""The same for the camera that gets fewest."""
_BUSY = 0.92
"""Share of its time from which something that could do no more is the limit."""
_STEP = 4
"""Cameras are at most so many times more than at the number before."""
_NEAR = 0.05
"""A number that is carried, and a larger by this share that is not, are an answer."""


class Limit(StrEnum):
    """What there is not enough of for one more camera."""

    CPU = "cpu"
    """Every core is busy."""
    ENGINE = "engine"
    """The engine's thread, or the accelerator that it waits for, is busy all the time."""
    DECODER = "decoder"
    """To decode one camera takes a whole core: a stream is read by one thread."""
    LOOP = "event loop"
    """The thread that hands everything on is busy all the time."""
    STORES = "stores"
    """Disk or database take events slower than they come."""
    UNKNOWN = "unknown"
    """Looks are missing and nothing is busy: perhaps the network, or other programs."""
    NONE = "none"
    """Every number that was tried is carried."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What each camera gives and gets, and on which machine.

    Attributes:
        most: Cameras to try.
    """

    width: int
    height: int
    fps: float
    looks_per_s: float
    cores: int
    most: int


@dataclass(frozen=True, slots=True)
class Step:
    """What was seen with so many cameras. Shares are 0 to 1 of one core's time.

    Attributes:
        looks_per_s: Of all cameras together; *least_per_s* and *most_per_s* of one.
        frames_per_s: Received, of all together.
        cpu_cores: In use by facewatch and its database; *decoding_cores* in its readers.
        cameras_cores: In use by the process of the made-up cameras.
        machine_cores: In use by everything on this machine; None where it does not say.
        engine: Share of the time that the engine's thread had something in hand.
        loop, stores, reader: The same of the event loop, of delivery, of the busiest reader.
        backlog: Event versions that wait to be delivered.
        event_after_s: Mean time from capture until an event is in the database; None: no event.
        memory_mib: Resident, of facewatch alone.
    """

    cameras: int
    seconds: float
    looks_per_s: float
    least_per_s: float
    most_per_s: float
    frames_per_s: float
    cpu_cores: float
    decoding_cores: float
    cameras_cores: float
    machine_cores: float | None
    engine: float
    loop: float
    stores: float
    reader: float
    backlog: int
    event_after_s: float | None
    memory_mib: float

    def carried(self, wanted: Wanted) -> bool:
        """Whether the cameras got what was asked for."""
        return (
            self.looks_per_s >= _ENOUGH * self.cameras * wanted.looks_per_s
            and self.least_per_s >= _LEAST * wanted.looks_per_s
        )

    def limit(self, wanted: Wanted) -> Limit:
        """What kept the cameras from getting it, or is the first to do so."""
        busy = self.cpu_cores if self.machine_cores is None else self.machine_cores
        found = {
            Limit.DECODER: self.reader,
            Limit.CPU: busy / wanted.cores,
            Limit.ENGINE: self.engine,
            Limit.LOOP: self.loop,
            Limit.STORES: self.stores,
        }
        return next((limit for limit, share in found.items() if share >= _BUSY), Limit.UNKNOWN)

    @property
    def strangers_cores(self) -> float:
        """In use by programs that have nothing to do with us, as far as the machine says."""
        known = self.cpu_cores + self.cameras_cores
        return max(0.0, (self.machine_cores or 0.0) - known)

    def could_be(self, wanted: Wanted) -> int:
        """How many cameras this would be at if cost grew evenly."""
        busy = self.cpu_cores if self.machine_cores is None else self.machine_cores
        fullest = max(busy / wanted.cores, self.engine, self.loop, self.stores, 1e-3)
        return int(self.cameras / fullest)


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many cameras are carried, and what the next one lacks.

    Attributes:
        settled: Whether the number was found; else there was no time for it.
        at: The step that shows the limit.
    """

    cameras: int
    limit: Limit
    settled: bool
    at: Step


def capacity(steps: Sequence[Step], wanted: Wanted) -> Capacity:
    """What *steps*, at least one, say."""
    carried, failed = _between(steps, wanted)
    settled = next_number(steps, wanted) is None
    if failed:
        return Capacity(carried, failed.limit(wanted), settled, failed)
    return Capacity(carried, Limit.NONE, settled, max(steps, key=_cameras))


def next_number(steps: Sequence[Step], wanted: Wanted) -> int | None:
    """How many cameras to try after *steps*; None when the answer is found."""
    if not steps:
        return min(2, wanted.most)
    carried, failed = _between(steps, wanted)
    if failed is None:
        if carried >= wanted.most:
            return None
        more = max(carried + 1, int((1 + _NEAR) * carried))
        could_be = max(steps, key=_cameras).could_be(wanted)
        return min(max(could_be, more), _STEP * carried, wanted.most)
    if failed.cameras - carried <= max(1, _NEAR * failed.cameras):
        return None
    guess = int(failed.looks_per_s / wanted.looks_per_s)
    if any(it is not failed and not it.carried(wanted) for it in steps):
        guess = (carried + failed.cameras) // 2
    return min(max(guess, carried + 1), failed.cameras - 1)


def _between(steps: Sequence[Step], wanted: Wanted) -> tuple[int, Step | None]:
    """The fewest that are too many, and the most below that are carried."""
    failed = min((it for it in steps if not it.carried(wanted)), key=_cameras, default=None)
    below = (it.cameras for it in steps if failed is None or it.cameras < failed.cameras)
    return max(below, default=0), failed


def _cameras(step: Step) -> int:
    return step.cameras
