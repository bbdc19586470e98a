"""Model files as we run them: a real batch dimension, and our own pixels as input.

The published files have a batch of one baked in; freeing the input's dimension alone runs
without an error and gives wrong results for every picture but the first. What is changed:

- weights that are listed as inputs are no inputs (SFace), so that ONNX Runtime can fold them;
- ``Reshape`` to ``[1, -1, k]`` or ``[-1, k]`` keeps its batch (YuNet, SCRFD);
- ``Resize`` to constant sizes becomes "twice as large" (SCRFD), which also frees the canvas;
- the input is uint8, n x height x width x 3, BGR: transposing bytes and casting inside the graph
  costs nothing measurable, outside a tenth of a detection. For models that were taught RGB, the
  first convolution's weights are turned round instead of every picture;
- for the CPU provider ``PRelu`` becomes two convolutions and a sum (SFace, ArcFace): ONNX Runtime's
  own takes half of SFace's time, and turns every layer's memory round and back.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from facewatch.vision import int8
from facewatch.vision.cards import Colour, Family, Input, ModelCard, Precision

VERSION = 2
_PIXELS = "facewatch_pixels"


def prepared(
    card: ModelCard, path: Path, precision: Precision, *, on_cpu: bool = False
) -> Path | bytes:
    """The changed graph of the verified file at *path*: a file beside it, made on first use.

    Safe beside another process that does the same. Where nothing can be written, the graph itself.
    """
    kind = "" if precision is Precision.FP32 else f".{precision}"
    kind += ".cpu" if on_cpu else ""
    cache = path.parent / ".prepared" / f"{path.stem}.{card.sha256[:16]}.{VERSION}{kind}.onnx"
    if cache.exists():
        return cache
    model = changed(onnx.load(path), card)
    if on_cpu:
        _spread_prelus(model.graph)
    graph: bytes = _with(precision, model, card).SerializeToString()
    try:
        cache.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache.parent, delete=False) as file:
            file.write(graph)
        os.chmod(file.name, 0o644)
        os.replace(file.name, cache)
    except OSError:
        return graph
    return cache


def _with(precision: Precision, model: onnx.ModelProto, card: ModelCard) -> onnx.ModelProto:
    if precision is Precision.FP16:
        # Rarely needed, and slow to import.
        from onnxruntime.transformers.float16 import convert_float_to_float16

        halved: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
        return halved
    if precision is Precision.INT8:
        return int8.quantised(model, int8.ranges_of(card))
    return model


def changed(model: onnx.ModelProto, card: ModelCard) -> onnx.ModelProto:
    """A published model with a real batch, which takes pixels."""
    graph = model.graph
    _drop_weights_from_inputs(graph)
    if card.family in (Family.YUNET, Family.SCRFD):
        _free_reshapes(graph)
        _free_resizes(graph)
    if card.input.colour is Colour.RGB:
        _turn_round_first_convolution(graph)
    _take_pixels(graph, card.input)
    for output in graph.output:
        for place, dimension in enumerate(output.type.tensor_type.shape.dim):
            if place == 0 or card.family in (Family.YUNET, Family.SCRFD):
                dimension.Clear()
    del graph.value_info[:]
    _drop_unused_weights(graph)
    return model


def _drop_weights_from_inputs(graph: onnx.GraphProto) -> None:
    weights = {weight.name for weight in graph.initializer}
    real = [each for each in graph.input if each.name not in weights]
    del graph.input[:]
    graph.input.extend(real)


def _free_reshapes(graph: onnx.GraphProto) -> None:
    """0 keeps the batch; what was [-1, k] becomes n x anchors x k as well."""
    for node in graph.node:
        if node.op_type == "Reshape" and (shape := _weight(graph, node.input[1])) is not None:
            columns = int(numpy_helper.to_array(shape)[-1])
            node.input[1] = _constant(
                graph, f"facewatch_keep_{columns}", np.array([0, -1, columns], np.int64)
            )


def _free_resizes(graph: onnx.GraphProto) -> None:
    """Feature pyramids only ever double; sizes are the fourth input, scales the third."""
    for node in graph.node:
        if node.op_type == "Resize" and len(node.input) == 4 and _weight(graph, node.input[3]):
            del node.input[3]
            node.input[2] = _constant(graph, "facewatch_twice", np.array([1, 1, 2, 2], np.float32))


def _turn_round_first_convolution(graph: onnx.GraphProto) -> None:
    """Right as long as only scalars come before it, which do not know one channel from another."""
    first = next(node for node in graph.node if node.op_type == "Conv")
    weight = _weight(graph, first.input[1])
    assert weight is not None
    values = numpy_helper.to_array(weight)
    weight.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values[:, ::-1]), weight.name))


def _spread_prelus(graph: onnx.GraphProto) -> None:
    """``slope * x + (1 - slope) * relu(x)``, a slope a channel, in what the CPU is quick at.

    ONNX Runtime keeps convolutions, their sums and Relu in blocks of channels; it leaves these for
    a PRelu, whose kernel (1.31) takes six times as long as it did (1.24).
    """
    spread: list[onnx.NodeProto] = []
    for node in graph.node:
        slope = _weight(graph, node.input[1]) if node.op_type == "PRelu" else None
        if slope is None or len(slope.dims) != 3 or slope.dims[0] == 1:
            spread.append(node)
            continue
        x, y = node.input[0], node.output[0]
        kept = numpy_helper.to_array(slope).reshape(-1, 1, 1, 1)
        by_channel: dict[str, Any] = {"kernel_shape": [1, 1], "group": len(kept)}
        weights = [
            _constant(graph, f"{y}_facewatch_{part}_slope", value)
            for part, value in (("below", kept), ("above", 1 - kept))
        ]
        below, above, positive = (f"{y}_facewatch_{part}" for part in ("below", "above", "relu"))
        spread += [
            helper.make_node("Relu", [x], [positive]),
            helper.make_node("Conv", [x, weights[0]], [below], **by_channel),
            helper.make_node("Conv", [positive, weights[1]], [above], **by_channel),
            helper.make_node("Add", [above, below], [y]),
        ]
    del graph.node[:]
    graph.node.extend(spread)
    _drop_unused_weights(graph)


def _take_pixels(graph: onnx.GraphProto, wants: Input) -> None:
    old = graph.input[0].name
    del graph.input[:]
    shape = ["n", wants.side or "height", wants.side or "width", 3]
    graph.input.append(helper.make_tensor_value_info(_PIXELS, TensorProto.UINT8, shape))
    mean = _constant(graph, "facewatch_mean", np.float32(wants.mean))
    scale = _constant(graph, "facewatch_scale", np.float32(wants.scale))
    steps = [
        helper.make_node("Transpose", [_PIXELS], ["facewatch_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["facewatch_planes"], ["facewatch_float"], to=TensorProto.FLOAT),
    ]
    if wants.mean or wants.scale != 1:
        steps.append(helper.make_node("Sub", ["facewatch_float", mean], ["facewatch_centred"]))
        steps.append(helper.make_node("Div", ["facewatch_centred", scale], ["facewatch_scaled"]))
    steps[-1].output[0] = old
    for place, step in enumerate(steps):
        graph.node.insert(place, step)


def _drop_unused_weights(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [weight for weight in graph.initializer if weight.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _weight(graph: onnx.GraphProto, name: str) -> onnx.TensorProto | None:
    return next((weight for weight in graph.initializer if weight.name == name), None)


def _constant(graph: onnx.GraphProto, name: str, value: ArrayLike) -> str:
    """The name of a constant of this value, which every node may share."""
    if _weight(graph, name) is None:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name
