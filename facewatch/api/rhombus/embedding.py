"""A template as it goes out to a caller and comes back for a search."""

import base64
import binascii
from enum import StrEnum

import numpy as np

from facewatch.api.rhombus.wire import Message, share
from facewatch.domain.faces import Template
from facewatch.errors import UnusableValue

_LONGEST_CHARACTERS = 65_536
_REMEDY = "use the embedding that processFaceEventSearchImage gave, unchanged"


class Encoding(StrEnum):
    """How the numbers of an embedding are spelled: base64 of big-endian 32-bit words."""

    IEEE_754 = "IEEE_754"
    """Single-precision floats."""
    Q_8_24 = "Q_8_24"
    """Signed fixed point: 8 bits before the point, 24 behind it."""


_WORDS = {Encoding.IEEE_754: ">f4", Encoding.Q_8_24: ">i4"}
_ONE = {Encoding.IEEE_754: 1.0, Encoding.Q_8_24: float(1 << 24)}


class Embedding(Message):
    """One face as numbers, in the shape of Rhombus' internal document.

    Attributes:
        embedding_comparison_type: How it is compared, and whose it is: ``COSINE:sface``.
        embedding_confidence: Quality of the face that it was made of, 0..1.
    """

    encoded_embedding: str | None = None
    embedding_encoding_type: str | None = None
    embedding_comparison_type: str | None = None
    embedding_confidence: float | None = None

    @classmethod
    def of(
        cls,
        template: Template,
        model: str,
        confidence: float,
        encoding: Encoding = Encoding.IEEE_754,
    ) -> "Embedding":
        """*template*, which *model* made of a face of quality *confidence*.

        >>> Embedding.of(np.array([0.6, -0.8], np.float32), "sface", 0.9).encoded_embedding
        'PxmZmr9MzM0='
        """
        words = np.multiply(template, _ONE[encoding], dtype=np.float64)
        if encoding is Encoding.Q_8_24:
            words = np.rint(words)
        return cls(
            encoded_embedding=base64.b64encode(words.astype(_WORDS[encoding]).tobytes()).decode(),
            embedding_encoding_type=encoding.value,
            embedding_comparison_type=_comparison(model),
            embedding_confidence=share(confidence),
        )

    def template(self, model: str, dimensions: int) -> Template:
        """The template, of unit length, to be compared with those of *model*.

        Raises:
            UnusableValue: another model made it, or it is no embedding of *dimensions* numbers.
        """
        if self.embedding_comparison_type != _comparison(model):
            raise UnusableValue(
                f"embeddingComparisonType is not {_comparison(model)}: templates of different "
                "models cannot be compared",
                "make the embedding again with processFaceEventSearchImage",
            )
        try:
            encoding = Encoding(self.embedding_encoding_type or "")
        except ValueError:
            raise UnusableValue(
                f"embeddingEncodingType must be one of {', '.join(Encoding)}", _REMEDY
            ) from None
        words = np.frombuffer(self._bytes(4 * dimensions), _WORDS[encoding])
        found = words.astype(np.float64) / _ONE[encoding]
        length = float(np.linalg.norm(found))
        if not 0.5 < length < 2.0:  # not a number is refused too
            raise UnusableValue("encodedEmbedding is not of unit length", _REMEDY)
        return np.asarray(found / length, np.float32)

    def _bytes(self, count: int) -> bytes:
        text = self.encoded_embedding or ""
        try:
            sent = base64.b64decode(text[:_LONGEST_CHARACTERS], validate=True)
        except (binascii.Error, ValueError):
            raise UnusableValue("encodedEmbedding is not base64", _REMEDY) from None
        if len(sent) != count:
            raise UnusableValue(f"encodedEmbedding holds {len(sent)} bytes, not {count}", _REMEDY)
        return sent


def _comparison(model: str) -> str:
    return f"COSINE:{model}"
