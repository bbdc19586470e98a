"""ONNX Runtime sessions that take any number of pictures and see only a few batch sizes.

A varying batch size makes ONNX Runtime's memory grow without end, so pictures are run in batches
of fixed sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facewatch.errors import ModelCorrupt, ProviderMissing
from facewatch.vision import graph
from facewatch.vision.cards import Kind, ModelCard
from facewatch.vision.fetch import verify

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}

_ERROR = 3  # ONNX Runtime's severity; its warnings say nothing that an operator could act on


@dataclass(frozen=True, slots=True)
class Batching:
    """Into which batches pictures are put.

    Attributes:
        sizes: Allowed batch sizes, rising, from 1.
        padded: Fill up to the next size with black; else split so that no work is wasted.
    """

    sizes: tuple[int, ...]
    padded: bool

    def plan(self, count: int) -> list[tuple[int, int]]:
        """(pictures, batch size) of each batch for *count* pictures, in their order.

        >>> Batching((1, 2, 4), padded=False).plan(7)
        [(4, 4), (2, 2), (1, 1)]
        >>> Batching((1, 2, 4), padded=True).plan(7)
        [(4, 4), (3, 4)]
        """
        batches = []
        while count > 0:
            if self.padded:
                size = next((size for size in self.sizes if size >= count), self.sizes[-1])
            else:
                size = max(size for size in self.sizes if size <= count)
            batches.append((min(size, count), size))
            count -= size
        return batches


ACCELERATOR = Batching((1, 2, 4, 8, 16), padded=True)
CPU = {
    Kind.DETECTOR: Batching((1,), padded=False),  # four at once cost a tenth more than one by one
    Kind.EMBEDDER: Batching((1, 2, 4), padded=False),  # beyond four, two cores gain nothing
}


def best_provider() -> str:
    """The fastest that this build of ONNX Runtime has; whether it starts, `Session` finds out."""
    built_in = ort.get_available_providers()
    return next(name for name in ("cuda", "openvino", "cpu") if _PROVIDERS[name] in built_in)


class Session:
    """One loaded model. Blocks; one thread at a time.

    Args:
        providers: ``cpu``, ``cuda``, ``tensorrt``, ``openvino`` or ONNX Runtime's own names, the
            preferred one first. Each of them is demanded.
        threads: How many cores one run may use.
        batching: What suits the first provider, if None.

    Raises:
        ModelMissing, ModelCorrupt, LicenceNotAccepted: see `fetch.verify`.
        ProviderMissing: a provider is not in this build, or does not start on this machine.
    """

    def __init__(
        self,
        card: ModelCard,
        directory: Path,
        *,
        providers: Sequence[str] = ("cpu",),
        threads: int = 1,
        batching: Batching | None = None,
    ) -> None:
        self.card = card
        wanted = [_PROVIDERS.get(name, name) for name in providers]
        self._batching = batching or (
            CPU[card.kind] if wanted[0] == _PROVIDERS["cpu"] else ACCELERATOR
        )
        self._session = _open(card, directory, wanted, threads)
        self._input = self._session.get_inputs()[0].name

    def run(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """The outputs for *pictures*, n x height x width x 3, BGR; the first axis of each is n."""
        parts, start = [], 0
        for count, size in self._batching.plan(len(pictures)):
            batch = pictures[start : start + count]
            if count < size:
                batch = np.concatenate(
                    [batch, np.zeros((size - count, *batch.shape[1:]), np.uint8)]
                )
            outputs = self._session.run(None, {self._input: batch})
            parts.append([output[:count] for output in outputs])
            start += count
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def warm_up(self, width: int, height: int) -> None:
        """Run each batch size once, so that the first real picture is not the slow one."""
        for size in self._batching.sizes:
            self.run(np.zeros((size, height, width, 3), np.uint8))


def _open(
    card: ModelCard, directory: Path, providers: Sequence[str], threads: int
) -> ort.InferenceSession:
    built_in = ort.get_available_providers()
    for provider in providers:
        if provider not in built_in:
            raise ProviderMissing(
                f"this ONNX Runtime has no {provider}, only {', '.join(built_in)}",
                "install facewatch with the extra that has it (cpu, gpu, openvino; only one of "
                "them), or take it out of the setting",
            )
    model = graph.prepared(card, verify(card, directory))
    try:
        session = ort.InferenceSession(
            model, _options(threads), providers=[_with_options(each, threads) for each in providers]
        )
    except Exception as error:
        raise ModelCorrupt(
            f"model {card.name!r} does not load on {providers[0]}: {error}",
            f"if it ever did, delete {directory / '.prepared'} and try again",
        ) from error
    for provider in providers:
        if provider not in session.get_providers():
            raise ProviderMissing(
                f"{provider} does not start on this machine; ONNX Runtime fell back to "
                f"{', '.join(session.get_providers())}",
                "check its driver and libraries, or take it out of the setting",
            )
    return session


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR
    # Threads that spin for work burn the cores that decode the next frame.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _with_options(provider: str, threads: int) -> str | tuple[str, dict[str, str]]:
    match provider:
        case "OpenVINOExecutionProvider":
            return provider, {"device_type": "CPU", "num_of_threads": str(threads)}
        case "CUDAExecutionProvider":
            # Exhaustive search runs again for each new canvas; growth by doubling never shrinks.
            return provider, {
                "cudnn_conv_algo_search": "HEURISTIC",
                "arena_extend_strategy": "kSameAsRequested",
            }
    return provider
