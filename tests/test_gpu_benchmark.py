"""`benchmarks/gpu.py`, as far as a machine without a GPU can go."""

import json
import os
import subprocess
import sys
from pathlib import Path

import onnxruntime as ort
import pytest

from facewatch.demo.material import DemoMaterial

ROOT = Path(__file__).parent.parent


def ran(models: Path, home: Path, *words: str) -> list[dict[str, object]]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--quick", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "FACEWATCH_HOME": str(home),
            "FACEWATCH_MODELS_DIRECTORY": str(models),
        },
    )
    return [json.loads(it) for it in done.stdout.splitlines() if it.startswith("{")]


def test_every_figure_is_measured_on_a_processor_too(
    models: Path, material: DemoMaterial, tmp_path: Path
) -> None:
    video = next(iter(material.cameras.values()))
    words = ["--provider", "cpu", "--video", str(video), "--decode-on", "cuda"]  # if there is one
    kernels, whole, machine = ran(models, tmp_path, *words)

    for figure in ("bare_pictures_per_s", "bare_faces_per_s", "pictures_per_s", "faces_per_s"):
        assert float(str(kernels[figure])) > 0
    assert 0.2 < float(str(kernels["ratio"])) < 2
    assert whole["streams"] == 2
    assert whole["frames"] == 20, "two seconds of two streams, five looks each"
    assert float(str(whole["streams_at_5_looks_per_s"])) > 0
    assert machine["machine"]


def test_without_a_gpu_it_says_so(models: Path, tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in ort.get_available_providers():
        pytest.skip("this ONNX Runtime was built for GPUs")

    (said,) = ran(models, tmp_path)

    assert str(said["skipped"]).startswith("no cuda here: this ONNX Runtime has no CUDA")
