"""What looks at pictures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Detection, Landmarks, Pixels, Quality, Seen
from facewatch.ports.streams import Picture


class Engine(Protocol):
    """Finds and embeds faces. Blocks; one thread at a time."""

    @property
    def model(self) -> str:
        """Name of the embedder's card: templates of different models never meet."""
        ...

    @property
    def model_digest(self) -> str:
        """sha256 of the embedder's file, hex."""
        ...

    @property
    def dimensions(self) -> int: ...

    @property
    def calibration(self) -> Calibration: ...

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        """Every face of each picture, boxes and landmarks in that picture's own pixels."""
        ...

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        """As `detect`, with the scene of each picture."""
        ...

    def promise(self, detection: Detection) -> float:
        """The best overall quality that a closer look at this face could find."""
        ...

    def align(self, picture: Picture, landmarks: Landmarks) -> Pixels:
        """The 112 x 112 crop that the embedder wants, cut from the full-size picture."""
        ...

    def quality(self, detection: Detection, crop: Pixels) -> Quality:
        """How much this look is worth comparing."""
        ...

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        """(n, d), rows of unit length, in the order of *crops*."""
        ...

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `embed`, and (n,) how much each template tells about who it is, 0..1."""
        ...


class Embedder(Protocol):
    """Embeds aligned faces. Blocks; one thread at a time."""

    @property
    def model(self) -> str:
        """Name of its card."""
        ...

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Engine.embed_telling`."""
        ...


class Seer(Protocol):
    """Says of pictures and of words what can be compared. Blocks.

    One thread at a time may look, and another one read.
    """

    @property
    def model(self) -> str:
        """Name of its card."""
        ...

    @property
    def digest(self) -> str:
        """Of its files together, hex: vectors of other files never meet these."""
        ...

    @property
    def dimensions(self) -> int: ...

    def look(self, picture: Picture) -> NDArray[np.float32]:
        """(d,), of unit length."""
        ...

    def words(self, text: str) -> NDArray[np.float32]:
        """(d,), of unit length; of a long text the beginning counts."""
        ...

    def distance(self, cosine: float) -> float:
        """What a cosine of words and picture means: 0 the same, 1 unrelated."""
        ...

    def least_cosine(self, distance: float) -> float:
        """Of whatever is no farther than *distance*."""
        ...


class Encoder(Protocol):
    """Pictures to bytes. Blocks; any thread."""

    def jpeg(self, pixels: Pixels, quality: int) -> bytes: ...

    def png(self, pixels: Pixels) -> bytes: ...


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """What the first bytes of a photo say; width and height as it lies there, not yet turned."""

    mime: str
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height
