"""Models of pictures and words that tests make themselves: they know colours.

A picture is its mean colour, without its grey: the stronger the colour, the nearer it is to its
name. A word that they do not know is like nothing.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

from facewatch.vision.clip_cards import ClipCard

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}
_GREY = 2.0
"""How much of every picture is nothing in particular."""


def a_pair(card: ClipCard, folder: Path) -> list[Path]:
    """Its three files, in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(5).standard_normal((card.dimensions, 5))
    places = np.linalg.qr(drawn)[0].T.astype(np.float32)  # colour, nothing, unknown words
    files = [folder / file.name for file in card.files]
    onnx.save(_pictures(card, places[:4]), files[0])
    onnx.save(_words(card, places), files[1])
    vocabulary = {"[UNK]": 10, **{name: 20 + place for place, name in enumerate(COLOURS)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(files[2]))
    return files


def _pictures(card: ClipCard, places: NDArray[np.float32]) -> onnx.ModelProto:
    level = np.eye(3, 4, dtype=np.float32)
    level[:, :3] -= np.float32(1 / 3)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["colour"]),
        helper.make_node("MatMul", ["colour", "level"], ["without_grey"]),
        helper.make_node("Add", ["without_grey", "grey"], ["seen"]),
        helper.make_node("MatMul", ["seen", "places"], ["image_embeds"]),
    ]
    grey = np.array([[0, 0, 0, _GREY]], np.float32)
    return _model(
        nodes,
        helper.make_tensor_value_info(
            "pixel_values", TensorProto.FLOAT, ["n", 3, card.side, card.side]
        ),
        helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", card.dimensions]),
        {"level": level, "grey": grey, "places": places},
    )


def _words(card: ClipCard, places: NDArray[np.float32]) -> onnx.ModelProto:
    table = np.zeros((49_408, 5), np.float32)
    table[10, 4] = 0.1
    for place, colour in enumerate(COLOURS.values()):
        table[20 + place, :3] = np.array(colour) - 1 / 3
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["tokens"]),
        helper.make_node("ReduceSum", ["tokens", "axes"], ["said"], keepdims=0),
        helper.make_node("MatMul", ["said", "places"], ["text_embeds"]),
    ]
    return _model(
        nodes,
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", card.tokens.most]),
        helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", card.dimensions]),
        {"table": table, "axes": np.array([1], np.int64), "places": places},
    )


def _model(
    nodes: list[onnx.NodeProto],
    takes: onnx.ValueInfoProto,
    gives: onnx.ValueInfoProto,
    weights: dict[str, NDArray[np.generic]],
) -> onnx.ModelProto:
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "colours", [takes], [gives], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model


def coloured(
    red: int, green: int, blue: int, width: int = 640, height: int = 360
) -> NDArray[np.uint8]:
    """BGR, all of one colour."""
    return np.full((height, width, 3), (blue, green, red), np.uint8)
