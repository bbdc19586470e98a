"""The vision engine: one detector and one embedder behind `ports.vision.Engine`."""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Detection, Landmarks, Pixels, Quality, Seen
from facewatch.errors import InvalidSettings
from facewatch.ports.streams import Picture
from facewatch.vision import registry
from facewatch.vision.align import align
from facewatch.vision.cards import Kind, ModelCard, Precision
from facewatch.vision.detect.detector import Detector
from facewatch.vision.embed import Embedder
from facewatch.vision.quality import promise, quality
from facewatch.vision.runtime import Runtime
from facewatch.vision.session import Session


class FaceEngine:
    """Finds and embeds faces. Blocks; one thread at a time."""

    def __init__(
        self, detector: Detector, embedder: Embedder, calibration: Calibration | None = None
    ) -> None:
        self._detector = detector
        self._embedder = embedder
        self._calibration = calibration or embedder.calibration

    @property
    def model(self) -> str:
        return self._embedder.card.name

    @property
    def model_digest(self) -> str:
        return self._embedder.card.sha256

    @property
    def dimensions(self) -> int:
        return self._embedder.card.dimensions

    @property
    def calibration(self) -> Calibration:
        return self._calibration

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Every face of each picture, best first; boxes may reach over its edges."""
        return self._detector.detect(pictures)

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        """As `detect`, with the scene of each picture."""
        return self._detector.watch(pictures)

    def promise(self, detection: Detection) -> float:
        return promise(detection)

    def align(self, picture: Picture, landmarks: Landmarks) -> Pixels:
        return align(picture, landmarks)

    def quality(self, detection: Detection, crop: Pixels) -> Quality:
        return quality(detection, crop)

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        return self._embedder.embed(crops)

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `embed`, and (n,) how much each template tells about who it is, 0..1."""
        return self._embedder.embed_telling(crops)

    @property
    def sessions(self) -> tuple[Session, Session]:
        """The detector's and the embedder's."""
        return self._detector.session, self._embedder.session

    def warm_up(self, width: int = 1280, height: int = 720) -> None:
        """Choose batch sizes for pictures of this size, and run everything once.

        The first time takes a second or two more: see `Session.warm_up`.
        """
        self._detector.warm_up(width, height)
        self._embedder.warm_up()


def open_engine(
    directory: Path,
    detector: str = "yunet",
    embedder: str = "sface",
    *,
    runtime: Runtime | None = None,
    detector_precision: Precision = Precision.FP32,
    embedder_precision: Precision = Precision.FP32,
    long_side: int = 640,
    score_threshold: float = 0.7,
    calibration: Calibration | None = None,
) -> FaceEngine:
    """The engine with the models of these names, whose files lie in *directory*.

    Args:
        runtime: What runs them; None: one core.
        long_side: Pictures are scaled down to this before detection, pixels; never up.
        score_threshold: Faces with a smaller score, 0..1, are none.
        calibration: What a cosine means; None: as the embedder's card says.

    Raises:
        NotFound: no model has this name.
        InvalidSettings: a model of this name is there, but not for this purpose, or not with
            this precision.
        ModelMissing, ModelCorrupt, LicenceNotAccepted: a file is not usable.
        ProviderMissing: a provider is not there.
    """
    finds = _card(detector, Kind.DETECTOR)
    return FaceEngine(
        Detector(
            Session(finds, directory, runtime, precision=detector_precision),
            long_side=long_side,
            threshold=score_threshold,
            painters=_painters(runtime),
        ),
        open_embedder(directory, embedder, runtime, embedder_precision),
        calibration,
    )


def open_embedder(
    directory: Path,
    name: str,
    runtime: Runtime | None = None,
    precision: Precision = Precision.FP32,
) -> Embedder:
    """The embedder alone, for faces that are aligned already; as `open_engine`."""
    card = _card(name, Kind.EMBEDDER)
    return Embedder(Session(card, directory, runtime, precision=precision))


def _painters(runtime: Runtime | None) -> Executor | None:
    """While an accelerator calculates the processor is free for the next batch; else it is not.

    On two cores that calculate and decode as well, painting ahead was no quicker: 0094.
    """
    if runtime is None or not runtime.accelerated:
        return None
    return ThreadPoolExecutor(runtime.threads, "painter")


def _card(name: str, kind: Kind) -> ModelCard:
    card = registry.card(name)
    if card.kind is not kind:
        allowed = ", ".join(each.name for each in registry.CARDS.values() if each.kind is kind)
        raise InvalidSettings(f"model {name!r} is no {kind.value}", f"choose one of: {allowed}")
    return card
