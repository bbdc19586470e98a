"""Models that compare pictures with words: what there is to know before they are loaded.

Their weights lie where the machine that this was written on could not reach, so no card names a
digest: an operator looks at the files and pins them (`vision.pins`, docs/decisions/0084).
"""

from dataclasses import dataclass
from enum import StrEnum

from facewatch.errors import NotFound
from facewatch.vision.cards import Licence

_HUB = "https://huggingface.co"


class Fit(StrEnum):
    """How a picture becomes square; bilinear, each pixel of the result made of all it covers."""

    CROPPED = "cropped"
    """The shorter side becomes *side*, and the middle is cut out."""
    SQUASHED = "squashed"
    """Both sides become *side*."""


@dataclass(frozen=True, slots=True)
class ClipFile:
    """One of a model's files: its name in the folder of its model, and where it can be had."""

    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """How words become numbers: *begin*, at most *most* in all, *end*, and *pad* up to *most*.

    Attributes:
        begin: None where a text begins with its first word.
    """

    most: int
    begin: int | None
    end: int
    pad: int


@dataclass(frozen=True, slots=True)
class ClipCard:
    """A picture tower and a word tower that were taught together.

    Attributes:
        pictures: An ONNX graph that takes n x 3 x *side* x *side*, RGB, ``(pixel / 255 - mean) /
            std``, and gives n x *dimensions*.
        words: One that takes n x *tokens.most* numbers of tokens.
        tokenizer: A `tokenizer.json` as the library `tokenizers` reads it.
        same: The cosine of a text and a picture that are as near as they come: distance 0.
        grounds: Where *same* is taken from.
    """

    name: str
    pictures: ClipFile
    words: ClipFile
    tokenizer: ClipFile
    licence: Licence
    dimensions: int
    side: int
    fit: Fit
    mean: float
    std: float
    tokens: Tokens
    same: float
    grounds: str

    @property
    def files(self) -> tuple[ClipFile, ...]:
        return self.pictures, self.words, self.tokenizer

    def distance(self, cosine: float) -> float:
        """0 the same, 1 unrelated: ``1 - cosine / same``, within these bounds.

        >>> card("siglip2-base").distance(0.0), card("siglip2-base").distance(0.3)
        (1.0, 0.0)
        """
        return min(max(1.0 - cosine / self.same, 0.0), 1.0)

    def least_cosine(self, distance: float) -> float:
        """Of whatever is no farther than *distance*; everything is within 1."""
        return self.same * (1.0 - distance) if distance < 1 else -1.0


_APPLE = Licence(
    "Apple Machine Learning Research Model, research only",
    "https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS",
    commercial=False,
)
_CLIP_SCORE = (
    "CLIPScore (Hessel et al., EMNLP 2021) stretches cosines by 2.5, as pairs that belong together"
    " reach about 0.4; not measured with this model"
)


def _mobileclip2(size: str) -> ClipCard:
    """As open_clip defines and feeds it (`model_configs/MobileCLIP2-*.json`, `_mccfg`)."""
    onnx = f"{_HUB}/plhery/mobileclip2-onnx/resolve/main/onnx/{size}"
    return ClipCard(
        name=f"mobileclip2-{size}",
        pictures=ClipFile("vision_model.onnx", f"{onnx}/vision_model.onnx"),
        words=ClipFile("text_model.onnx", f"{onnx}/text_model.onnx"),
        tokenizer=ClipFile(
            "tokenizer.json", f"{_HUB}/openai/clip-vit-base-patch32/resolve/main/tokenizer.json"
        ),
        licence=_APPLE,
        dimensions=512,
        side=256,
        fit=Fit.CROPPED,
        mean=0.0,
        std=1.0,
        tokens=Tokens(77, begin=49406, end=49407, pad=0),
        same=0.4,
        grounds=_CLIP_SCORE,
    )


_SIGLIP2 = f"{_HUB}/onnx-community/siglip2-base-patch16-224-ONNX/resolve/main"

_CARDS = (
    _mobileclip2("s0"),
    _mobileclip2("s2"),
    ClipCard(
        name="siglip2-base",
        pictures=ClipFile("vision_model.onnx", f"{_SIGLIP2}/onnx/vision_model.onnx"),
        words=ClipFile("text_model.onnx", f"{_SIGLIP2}/onnx/text_model.onnx"),
        tokenizer=ClipFile("tokenizer.json", f"{_SIGLIP2}/tokenizer.json"),
        licence=Licence(
            "Apache-2.0", "https://huggingface.co/google/siglip2-base-patch16-224", True
        ),
        dimensions=768,
        side=224,
        fit=Fit.SQUASHED,
        mean=0.5,
        std=0.5,
        tokens=Tokens(64, begin=None, end=1, pad=0),
        same=0.149,
        grounds="where its own sigmoid(112.67 cosine - 16.77) says that a pair is as likely as not",
    ),
)

CLIP_CARDS = {card.name: card for card in _CARDS}


def card(name: str) -> ClipCard:
    """The card called *name*.

    Raises:
        NotFound: there is none.
    """
    try:
        return CLIP_CARDS[name]
    except KeyError:
        raise NotFound(
            f"no model to search by words with is called {name!r}",
            f"there are: {', '.join(CLIP_CARDS)}",
        ) from None
