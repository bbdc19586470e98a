"""How long the calling thread took, and how much of that it worked."""

import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds by the clock, and of a processor: the thread's own, not those of the model's pool."""

    wall_s: float = 0.0
    cpu_s: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)


class Stopwatch:
    """Runs from its making on. One thread only, the one that is measured."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.thread_time()

    def lap(self) -> Spent:
        """What was spent since the lap before."""
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        spent = Spent(wall_s - self._wall_s, cpu_s - self._cpu_s)
        self._wall_s, self._cpu_s = wall_s, cpu_s
        return spent
