"""One loaded model that takes any number of pictures and sees only a few batch sizes."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from facewatch.errors import ModelOutOfMemory
from facewatch.vision import graph, measured
from facewatch.vision.batching import Buckets
from facewatch.vision.cards import Kind, ModelCard, Precision
from facewatch.vision.fetch import verify
from facewatch.vision.measured import Circumstances, Measured
from facewatch.vision.runtime import RunFailed, Runtime, is_out_of_memory, machine, refuse, started
from facewatch.vision.trial import Outputs, tried

log = logging.getLogger(__name__)

_ACCELERATOR_SIZES = (1, 2, 4, 8, 16, 32, 64)
_CPU_SIZES = (1, 2, 4, 8)

_USUAL = {Kind.DETECTOR: Buckets({1: 1.0}), Kind.EMBEDDER: Buckets({1: 1.0, 2: 2.0, 4: 4.0})}
_USUAL_ACCELERATOR = Buckets({size: 16.0 + size for size in (1, 2, 4, 8, 16)})


class Session:
    """One loaded model. Blocks; one thread at a time.

    Until `warm_up` has measured, batches are of sizes that are usual for the provider; with
    *buckets* of just these. A batch for which the memory does not suffice is halved, and later
    ones too.

    Raises:
        ModelMissing, ModelCorrupt, LicenceNotAccepted: see `fetch.verify`.
        InvalidSettings, ProviderMissing: see `runtime.refuse`, `runtime.started`.
    """

    def __init__(
        self,
        card: ModelCard,
        directory: Path,
        runtime: Runtime | None = None,
        *,
        precision: Precision = Precision.FP32,
        buckets: Buckets | None = None,
    ) -> None:
        self.card = card
        self.precision = precision
        self.halvings = 0
        self.measured: Measured | None = None
        self._runtime = runtime = runtime or Runtime()
        refuse(card, runtime, precision)
        model = graph.prepared(
            card,
            verify(card, directory),
            runtime.inside(precision),
            on_cpu=runtime.first == "cpu",
        )
        self._session = started(card.name, card.sha256, model, runtime, precision)
        self._input = self._session.get_inputs()[0].name
        self._settled = buckets is not None
        usual = _USUAL_ACCELERATOR if runtime.accelerated else _USUAL[card.kind]
        self._buckets = buckets or usual

    @property
    def onnx(self) -> ort.InferenceSession:
        """ONNX Runtime's own, for whoever measures it bare."""
        return self._session

    @property
    def buckets(self) -> Buckets:
        """The batch sizes in use."""
        return self._buckets

    def run(self, pictures: NDArray[np.uint8]) -> Outputs:
        """The outputs for *pictures*, n x height x width x 3, BGR; the first axis of each is n.

        Of no pictures there are no answers, and the model is not asked.

        Raises:
            ModelOutOfMemory: not even the smallest batch can be run.
        """
        if not len(pictures):
            return self._nothing()
        parts: list[Outputs] = []
        start = 0
        while start < len(pictures):
            count, size = self._buckets.plan(len(pictures) - start)[0]
            try:
                outputs = self._run(_filled(pictures[start : start + count], size))
            except RunFailed as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(size, error)
                continue
            parts.append([output[:count] for output in outputs])
            start += count
        if len(parts) == 1:
            return parts[0]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def warm_up(self, width: int, height: int) -> None:
        """Choose batch sizes and run each once, so that the first real picture is not slow.

        What was measured before in these circumstances counts; else it is measured now, which
        takes up to a second, and is written down. Called again it only runs.
        """
        if not self._settled:
            self.measured = self._measured(width, height)
            self._buckets = self.measured.buckets
            self._settled = True
        for size in self._buckets.sizes:
            self.run(np.zeros((size, height, width, 3), np.uint8))

    def _measured(self, width: int, height: int) -> Measured:
        about = Circumstances(
            model=self.card.name,
            digest=self.card.sha256,
            graph=graph.VERSION,
            provider=self._runtime.first,
            precision=self.precision,
            canvas=f"{width}x{height}",
            machine=machine(self._runtime),
        )
        found = measured.kept(self._runtime.folder, about)
        if found is None:
            sizes = _ACCELERATOR_SIZES if self._runtime.accelerated else _CPU_SIZES
            try:
                found = tried(self._run, sizes, width, height, self._clock())
            except RunFailed as error:
                if is_out_of_memory(error):
                    raise self._too_large(1) from error
                raise
            found = measured.keep(self._runtime.folder, about, found)
            if not found.batches:
                log.warning(
                    "model %s answers otherwise in a batch than alone: pictures are run one by one",
                    self.card.name,
                )
        return found

    def _clock(self) -> Callable[[], float]:
        alone = self._runtime.threads == 1 and not self._runtime.accelerated
        return time.process_time if alone else time.perf_counter

    def _run(self, batch: NDArray[np.uint8]) -> Outputs:
        outputs: Outputs = self._session.run(None, {self._input: batch})
        return outputs

    def _halve(self, size: int, error: Exception) -> None:
        self.halvings += 1
        self._runtime.halved(self.card.name)
        smaller = self._buckets.below(size)
        if smaller is None:
            raise self._too_large(size) from error
        self._buckets = smaller
        log.warning(
            "model %s: the memory of %s does not suffice for %d pictures at once, from now on %d",
            *(self.card.name, self._runtime.first, size, smaller.most),
        )

    def _too_large(self, size: int) -> ModelOutOfMemory:
        return ModelOutOfMemory(
            f"model {self.card.name!r}: the memory of {self._runtime.first} does not suffice"
            f" for a batch of {size}",
            "free memory there, or choose a smaller recognition.long_side_px or another of"
            " models.providers",
        )

    def _nothing(self) -> Outputs:
        shapes = [each.shape[1:] for each in self._session.get_outputs()]
        return [
            np.empty((0, *(side if isinstance(side, int) else 0 for side in shape)), np.float32)
            for shape in shapes
        ]


def _filled(pictures: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Up to *size* with black."""
    missing = size - len(pictures)
    if not missing:
        return pictures
    return np.concatenate([pictures, np.zeros((missing, *pictures.shape[1:]), np.uint8)])
