"""Aligned faces to templates."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Pixels
from facewatch.vision.align import SIDE
from facewatch.vision.cards import ModelCard
from facewatch.vision.session import Session


class Embedder:
    """SFace or an ArcFace. One thread at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def session(self) -> Session:
        return self._session

    @property
    def card(self) -> ModelCard:
        return self._session.card

    @property
    def model(self) -> str:
        return self.card.name

    @property
    def calibration(self) -> Calibration:
        calibration = self.card.calibration
        assert calibration is not None, "every embedder's card has one"
        return calibration

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        """(n, d), rows of unit length, in the order of *crops* (112 x 112, BGR)."""
        return self.embed_telling(crops)[0]

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `embed`, and (n,) how much each template tells about who it is, 0..1.

        Before it is scaled to unit length, the vector of a face half hidden, blurred or turned
        away is shorter; MagFace (Meng et al., CVPR 2021) makes a principle of it, and SFace shows
        it untaught: docs/decisions/0013-what-a-template-tells.md.
        """
        if not crops:
            return np.empty((0, self.card.dimensions), np.float32), np.empty(0, np.float32)
        (raw,) = self._session.run(np.stack(crops))
        lengths: NDArray[np.float32] = np.linalg.norm(raw, axis=1, keepdims=True)
        nothing, everything = self.card.telling or (0.0, 1e-6)
        telling = np.clip((lengths[:, 0] - nothing) / (everything - nothing), 0, 1)
        return raw / lengths, telling.astype(np.float32)

    def warm_up(self) -> None:
        """See `Session.warm_up`."""
        self._session.warm_up(SIDE, SIDE)
