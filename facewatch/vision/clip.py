"""Pictures and words as vectors that can be compared: a tower for each, taught together."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer

from facewatch.domain.faces import Pixels
from facewatch.errors import ModelCorrupt, ModelOutOfMemory
from facewatch.ports.streams import Picture
from facewatch.vision.clip_cards import ClipCard, Fit, Tokens
from facewatch.vision.pins import Installed, pin_command
from facewatch.vision.runtime import Runtime, is_out_of_memory, started

Vector = NDArray[np.float32]


class Clip:
    """`ports.vision.Seer` with ONNX Runtime. Pictures on one thread, words on another.

    Args:
        runtime: Its threads are for words; pictures have one, as nobody waits for them.

    Raises:
        ModelCorrupt: the files are not what the card says.
        InvalidSettings, ProviderMissing: see `runtime.started`.
    """

    def __init__(
        self,
        card: ClipCard,
        files: Installed,
        runtime: Runtime | None = None,
    ) -> None:
        self.card = card
        self._digest = files.digest
        runtime = runtime or Runtime()
        alone = replace(runtime, threads=1)
        self._pictures = _Tower(card, files.pictures, files.digest, alone)
        self._words = _Tower(card, files.words, files.digest, runtime)
        self._tokenizer = _tokenizer(card, files.tokenizer)
        self.words("a picture")
        self.picture(np.zeros((card.side, card.side, 3), np.uint8))

    @property
    def model(self) -> str:
        return self.card.name

    @property
    def digest(self) -> str:
        return self._digest

    @property
    def dimensions(self) -> int:
        return self.card.dimensions

    def look(self, picture: Picture) -> Vector:
        return self.picture(picture.full())

    def picture(self, pixels: Pixels) -> Vector:
        """(d,), of unit length, of a picture in BGR."""
        return self._pictures.run(prepared(self.card, pixels)[None])

    def words(self, text: str) -> Vector:
        """(d,), of unit length; what is beyond the model's context is not read."""
        return self._words.run(np.array([self.tokens(text)]))

    def tokens(self, text: str) -> list[int]:
        """As many as the model takes; these models were all taught in small letters."""
        said = self._tokenizer.encode(text.lower(), add_special_tokens=False).ids
        return framed(self.card.tokens, said)

    def distance(self, cosine: float) -> float:
        return self.card.distance(cosine)

    def least_cosine(self, distance: float) -> float:
        return self.card.least_cosine(distance)


def prepared(card: ClipCard, pixels: Pixels) -> NDArray[np.float32]:
    """(3, side, side): as the model was taught to see it, from BGR."""
    height, width = pixels.shape[:2]
    side = card.side
    if card.fit is Fit.SQUASHED:
        square = _scaled(_scaled(pixels, side, 0, side), side, 0, side)
    else:
        rows, columns = _shorter_side(height, width, side)
        top, left = round((rows - side) / 2), round((columns - side) / 2)
        square = _scaled(_scaled(pixels, rows, top, side), columns, left, side)
    planes = square[:, :, ::-1].transpose(2, 0, 1).astype(np.float32)
    return (planes / np.float32(255) - np.float32(card.mean)) / np.float32(card.std)


def framed(tokens: Tokens, said: Sequence[int]) -> list[int]:
    """*said* between the tokens that the model wants around it, exactly as long as it wants."""
    begin = [] if tokens.begin is None else [tokens.begin]
    whole = [*begin, *said[: tokens.most - len(begin) - 1], tokens.end]
    return whole + [tokens.pad] * (tokens.most - len(whole))


def _shorter_side(height: int, width: int, side: int) -> tuple[int, int]:
    """Rows and columns of a picture whose shorter side is *side*."""
    if height <= width:
        return side, int(side * width / height)
    return int(side * height / width), side


def _scaled(pixels: Pixels, size: int, start: int, count: int) -> Pixels:
    """Rows scaled to *size*, of them *count* from *start* on; rows become columns.

    Bilinear where a picture grows; where it shrinks the triangle is as wide as what a pixel
    covers, as in Pillow, which these models were taught with. Whole levels, as there.
    """
    there = pixels.shape[0]
    scale = there / size
    reach = max(scale, 1.0)
    scaled = np.empty((pixels.shape[1], count, 3), np.uint8)
    for place in range(count):  # one by one: all at once, a large photo would fill the memory
        centre = (start + place + 0.5) * scale
        first = max(int(centre - reach + 0.5), 0)
        last = min(int(centre + reach + 0.5), there)
        far = np.abs(np.arange(first, last) + 0.5 - centre) / reach
        weights = (1 - far).astype(np.float32)
        mixed = np.einsum(
            "t,twc->wc", weights / weights.sum(), pixels[first:last], dtype=np.float32
        )
        scaled[:, place] = np.clip(mixed + 0.5, 0, 255)
    return scaled


class _Tower:
    """One graph that takes one thing and gives one vector."""

    def __init__(self, card: ClipCard, file: Path, digest: str, runtime: Runtime) -> None:
        self._card, self._file = card, file
        try:
            self._session = started(f"{card.name}.{file.stem}", digest, file, runtime)
        except ModelCorrupt as error:
            raise ModelCorrupt(error.what, _remedy(card)) from error
        self._input = self._fed()
        self._output = self._told()

    def run(self, batch: NDArray[np.float32] | NDArray[np.int64]) -> Vector:
        """Of the only one in *batch*."""
        fed = batch.astype(_INTEGERS.get(self._input.type, batch.dtype))
        try:
            (vectors,) = self._session.run([self._output], {self._input.name: fed})
        except Exception as error:
            if is_out_of_memory(error):
                raise ModelOutOfMemory(
                    f"model {self._card.name!r}: the memory does not suffice for one run of it",
                    "free memory where models.providers runs it, or choose another models.search",
                ) from error
            raise self._other(f"does not take what the card says: {error}") from error
        if vectors.shape != (1, self._card.dimensions):
            raise self._other(f"gives {vectors.shape}, not 1 x {self._card.dimensions}")
        vector = np.asarray(vectors[0], np.float32)
        return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-6))

    def _fed(self) -> ort.NodeArg:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise self._other(f"takes {len(inputs)} things, not one")
        return inputs[0]

    def _told(self) -> str:
        """Exports give what lies before the vector as well, which has more axes."""
        for output in self._session.get_outputs():
            if len(output.shape) == 2:
                name: str = output.name
                return name
        raise self._other("gives no vectors")

    def _other(self, why: str) -> ModelCorrupt:
        return ModelCorrupt(
            f"model {self._card.name!r}: {self._file} is not the graph of its card: it {why}",
            _remedy(self._card),
        )


_INTEGERS = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}


def _tokenizer(card: ClipCard, file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_str(file.read_text("utf-8"))
    except Exception as error:
        raise ModelCorrupt(
            f"model {card.name!r}: {file} is no tokenizer: {error}", _remedy(card)
        ) from error


def _remedy(card: ClipCard) -> str:
    return f"fetch its files again, then run: {pin_command(card, ' FILE...')}"
