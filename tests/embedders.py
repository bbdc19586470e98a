"""Embedders that tests make themselves."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from facewatch.domain.calibration import Calibration
from facewatch.vision import registry
from facewatch.vision.cards import Colour, Input, ModelCard


@contextmanager
def known(card: ModelCard) -> Iterator[ModelCard]:
    """*card* in the registry for as long as the block runs."""
    registry.CARDS[card.name] = card
    try:
        yield card
    finally:
        del registry.CARDS[card.name]


def beside(models: Path, folder: Path) -> Path:
    """A model directory in *folder* with the real files of *models*."""
    folder.mkdir()
    for file in models.iterdir():
        if file.is_file():
            os.symlink(file, folder / file.name)
    return folder


def turned_sface(models: Path) -> ModelCard:
    """SFace with its templates turned: it knows whom SFace knows, and is like it in no template."""
    sface = registry.card("sface")
    model = onnx.load(models / sface.file)
    drawn = np.random.default_rng(7).standard_normal((128, 128))
    turn = np.linalg.qr(drawn)[0].astype(np.float32)
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(turn, "turn"))
    graph.node.append(helper.make_node("MatMul", [graph.output[0].name, "turn"], ["turned"]))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("turned", TensorProto.FLOAT, [1, 128]))
    return _kept(models, "turned", model, sface)


def squinting(models: Path) -> ModelCard:
    """A fixed random projection of a crop of 7 x 7 places: everybody looks alike to it."""
    weights = np.random.default_rng(8).standard_normal((3 * 49, 64)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["in"], ["small"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["small"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "squinting",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    strict = Calibration("squinting-1", ((0.9, -1.0), (0.9999, -2.0)))
    like = replace(registry.card("sface"), dimensions=64, calibration=strict, telling=None)
    return _kept(models, "squinting", model, replace(like, input=Input(Colour.BGR, 0.0, 1.0, 112)))


def _kept(models: Path, name: str, model: onnx.ModelProto, like: ModelCard) -> ModelCard:
    body = model.SerializeToString()
    file = models / f"{name}.onnx"
    file.write_bytes(body)
    digest = hashlib.sha256(body).hexdigest()
    return replace(like, name=name, file=file.name, sha256=digest, size=len(body), sources=())
