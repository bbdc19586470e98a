"""Graphs that calculate with whole numbers, by ranges that were measured beforehand.

The ranges of a card lie in `ranges/NAME.json`, measured by `benchmarks/precision.py --write`: so no
picture is needed where a model is used, and everybody's graph is the same.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

from facewatch.vision.cards import ModelCard

_OPSET = 13
"""From here on quantisation knows channels; nothing that our models do has changed since 11."""

Ranges = Mapping[str, tuple[float, float]]


def ranges_file(card: ModelCard) -> Path:
    return Path(__file__).parent / "ranges" / f"{card.name}.json"


def ranges_of(card: ModelCard) -> Ranges:
    """Least and greatest value of each tensor, of exactly the file that *card* names."""
    told = json.loads(ranges_file(card).read_text("utf-8"))
    if told["sha256"] != card.sha256:
        raise RuntimeError(f"{ranges_file(card)} is about another file than the card")
    return {name: (low, high) for name, (low, high) in told["ranges"].items()}


def quantised(model: onnx.ModelProto, ranges: Ranges) -> onnx.ModelProto:
    """*model* with its convolutions in whole numbers; those of single channels gain nothing.

    Activations are unsigned and weights signed: the other way costs as much as not to do it.
    """
    # Rarely needed, and slow to import.
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model.opset_import[0].version = _OPSET
    limits = {name: (np.float32(low), np.float32(high)) for name, (low, high) in ranges.items()}
    quantiser = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, limits),
        nodes_to_quantize=[node.name for node in whole_numbers(model)],
        nodes_to_exclude=[],
        op_types_to_quantize=["Conv"],
        extra_options={},
    )
    quantiser.quantize_model()
    done: onnx.ModelProto = quantiser.model.model
    return done


def whole_numbers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The nodes that are worth it."""
    return [
        node
        for node in model.graph.node
        if node.op_type == "Conv"
        and not any(each.name == "group" and each.i > 1 for each in node.attribute)
    ]
