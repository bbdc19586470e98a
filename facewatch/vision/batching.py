"""Into which batches pictures are put, and what a measurement says about it.

A varying batch size makes ONNX Runtime's memory grow without end, so pictures are run in batches
of few fixed sizes. Which of them pay differs: on a CPU YuNet costs half as much again in a batch
of sixteen as alone, on an accelerator a small part of it: docs/decisions/0094-batches-that-pay.md.
"""

from collections.abc import Mapping

PAYS = 0.95
"""A larger batch is kept if a picture in it costs at most this share of the best so far."""


class Buckets:
    """The batch sizes that are run, and how pictures are spread over them.

    Args:
        cost_s: Seconds that one batch of each size takes; only their ratios count. Never empty.
    """

    def __init__(self, cost_s: Mapping[int, float]) -> None:
        self.cost_s = dict(sorted(cost_s.items()))
        self._plans: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rising."""
        return tuple(self.cost_s)

    @property
    def most(self) -> int:
        return self.sizes[-1]

    def plan(self, count: int) -> list[tuple[int, int]]:
        """(pictures, batch size) of each batch for *count* pictures: the cheapest cover.

        A batch of more pictures than there are left is filled up with black.

        >>> Buckets({1: 1.0, 2: 2.0, 4: 4.0}).plan(7)
        [(4, 4), (2, 2), (1, 1)]
        >>> Buckets({1: 1.0, 2: 1.1, 4: 1.2}).plan(7)
        [(4, 4), (3, 4)]
        """
        whole = max(0, count - self.most) // self.most  # what is over is planned, once a count
        sizes = [self.most] * whole + list(self._cheapest(count - whole * self.most)[1])
        batches = []
        for size in sizes:
            batches.append((min(size, count), size))
            count -= size
        return batches

    def _cheapest(self, count: int) -> tuple[float, tuple[int, ...]]:
        """Seconds and sizes, the largest first; of two as cheap the one with fewer batches."""
        for n in range(len(self._plans), count + 1):
            ways = []
            for size, cost in self.cost_s.items():
                rest_s, rest = self._plans[max(0, n - size)]
                ways.append((rest_s + cost, tuple(sorted((*rest, size), reverse=True))))
            self._plans[n] = min(ways, key=lambda way: (round(way[0], 9), len(way[1])))
        return self._plans[count]

    def below(self, size: int) -> "Buckets | None":
        """Those of at most half of *size*; None if there are none."""
        smaller = {each: cost for each, cost in self.cost_s.items() if each <= size // 2}
        return Buckets(smaller) if smaller else None


def paying(measured_s: Mapping[int, float]) -> Buckets:
    """Of measured batches those that pay.

    >>> paying({1: 7.0, 2: 14.4, 4: 32.0}).sizes
    (1,)
    >>> paying({1: 34.0, 2: 65.0, 4: 120.0, 8: 264.0}).sizes
    (1, 4)
    """
    kept: dict[int, float] = {}
    best = float("inf")
    for size, cost in sorted(measured_s.items()):
        if cost / size <= PAYS * best:
            kept[size] = cost
            best = cost / size
    return Buckets(kept)
