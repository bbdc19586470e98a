"""Embeddings as callers hold them."""

import base64

import numpy as np
import pytest
from factories import a_template

from facewatch.api.rhombus.embedding import Embedding, Encoding
from facewatch.errors import UnusableValue


@pytest.mark.parametrize("encoding", Encoding)
def test_what_goes_out_comes_back(encoding: Encoding) -> None:
    template = a_template(7)
    sent = Embedding.of(template, "sface", 0.91, encoding).model_dump_json(by_alias=True)
    back = Embedding.model_validate_json(sent).template("sface", 128)

    assert np.allclose(back, template, atol=1e-6)
    assert back.dtype == np.float32


def test_an_embedding_of_another_model_is_refused_by_name() -> None:
    sent = Embedding.of(a_template(), "arcface-r50", 0.9)

    with pytest.raises(UnusableValue, match="COSINE:sface") as caught:
        sent.template("sface", 128)
    assert "processFaceEventSearchImage" in caught.value.remedy


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"encoded_embedding": None}, "0 bytes"),
        ({"encoded_embedding": "!!!!"}, "not base64"),
        ({"encoded_embedding": "é" * 8}, "not base64"),
        ({"encoded_embedding": "AAA"}, "not base64"),
        ({"encoded_embedding": "A" * 10_000_000}, "bytes, not 512"),
        ({"encoded_embedding": base64.b64encode(b"\0" * 512).decode()}, "unit length"),
        (
            {"encoded_embedding": base64.b64encode(b"\x7f\xc0\0\0" * 128).decode()},
            "unit length",
        ),
        ({"embedding_encoding_type": "Q_8_25"}, "IEEE_754, Q_8_24"),
        ({"embedding_encoding_type": None}, "IEEE_754, Q_8_24"),
        ({"embedding_comparison_type": None}, "COSINE:sface"),
    ],
)
def test_what_is_no_embedding_is_refused_in_words(change: dict[str, str], says: str) -> None:
    sent = Embedding.of(a_template(), "sface", 0.9).model_copy(update=change)

    with pytest.raises(UnusableValue, match=says):
        sent.template("sface", 128)
