"""What batches of a model cost on this machine, tried out."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from facewatch.vision.batching import PAYS
from facewatch.vision.measured import Measured
from facewatch.vision.runtime import RunFailed, is_out_of_memory

Outputs: TypeAlias = list[NDArray[np.float32]]
Run: TypeAlias = Callable[[NDArray[np.uint8]], Outputs]

_HOPELESS = 2
"""Sizes in a row that do not pay, after which no larger one is tried."""

_LEAST_RUNS, _MOST_RUNS, _LONG_ENOUGH_S = 2, 20, 0.08


def tried(
    run: Run,
    sizes: Sequence[int],
    width: int,
    height: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """How long batches of *sizes* (rising, from 1) take, as far as they pay and fit into memory.

    By *clock*: where one core does all the work, `time.process_time` hears nothing of others that
    use the machine. A model with a batch of one inside is found out: it fails in a batch, or
    answers otherwise than alone.
    """
    noise = np.random.default_rng(1).integers(0, 256, (sizes[-1], height, width, 3), np.uint8)
    alone = [run(noise[place : place + 1]) for place in (0, 1)]
    cost_s = {1: _least_s(partial(run, noise[:1]), clock)}
    best_s, in_vain = cost_s[1], 0
    for size in sizes[1:]:
        try:
            outputs = run(noise[:size])
        except (*RunFailed, InvalidArgument) as error:
            if is_out_of_memory(error):
                break
            return Measured(cost_s, batches=False)
        if not _agree(outputs, alone, size):
            return Measured(cost_s, batches=False)
        cost_s[size] = _least_s(partial(run, noise[:size]), clock)
        in_vain = 0 if cost_s[size] / size <= PAYS * best_s else in_vain + 1
        best_s = min(best_s, cost_s[size] / size)
        if in_vain == _HOPELESS:
            break
    return Measured(cost_s)


def _least_s(run: Callable[[], object], clock: Callable[[], float]) -> float:
    """Of a few runs the quickest."""
    took: list[float] = []
    while len(took) < _LEAST_RUNS or (len(took) < _MOST_RUNS and sum(took) < _LONG_ENOUGH_S):
        start = clock()
        run()
        took.append(max(clock() - start, 1e-6))
    return min(took)


def _agree(outputs: Outputs, alone: Sequence[Outputs], size: int) -> bool:
    """Whether the first two pictures of a batch were answered as they were *alone*.

    Loosely: rounding differs with the batch, the more so at half precision. A model that mixes
    its pictures up is far off.
    """
    for place, singles in enumerate(alone):
        for output, single in zip(outputs, singles, strict=True):
            if len(output) != size:
                return False
            near = 1e-3 + 0.02 * float(np.abs(single).max(initial=0.0))
            if not np.allclose(output[place], single[0], rtol=0.05, atol=near):
                return False
    return True
