"""Which batches pay is measured and remembered; what cannot be batched goes one by one."""

import hashlib
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facewatch.domain.faces import Pixels
from facewatch.errors import InvalidSettings, ProviderMissing
from facewatch.ports.streams import Halve
from facewatch.vision import graph, registry, runtime
from facewatch.vision.batching import Buckets, paying
from facewatch.vision.cards import Colour, Family, Input, ModelCard, Precision
from facewatch.vision.detect.detector import Detector
from facewatch.vision.engine import open_engine
from facewatch.vision.fetch import verify
from facewatch.vision.int8 import ranges_of
from facewatch.vision.pictures import ArrayPicture, decode
from facewatch.vision.runtime import Runtime, best_provider
from facewatch.vision.session import Session
from facewatch.vision.trial import tried

YUNET, SFACE = registry.card("yunet"), registry.card("sface")


def noise(count: int, side: int) -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (count, side, side, 3), np.uint8)


# --- choosing ---------------------------------------------------------------------------------


def test_only_batches_in_which_a_picture_costs_less_are_kept() -> None:
    on_a_cpu = {1: 6.8, 2: 14.4, 4: 31.7}
    on_a_gpu = {1: 1.0, 2: 1.1, 4: 1.3, 8: 2.0, 16: 3.9, 32: 8.0}

    assert paying(on_a_cpu).sizes == (1,)
    assert paying(on_a_gpu).sizes == (1, 2, 4, 8), "16 saves a fortieth"


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 7, 31, 64, 1000])
def test_no_other_cover_of_the_same_pictures_is_cheaper(count: int) -> None:
    buckets = Buckets({1: 1.0, 2: 1.2, 4: 1.5, 8: 2.9})
    plan = buckets.plan(count)

    assert sum(pictures for pictures, _ in plan) == count
    cost = sum(buckets.cost_s[size] for _, size in plan)
    most_with_fours = -(-count // 4) * 1.5
    assert cost <= min(count * 1.0, most_with_fours, -(-count // 8) * 2.9) + 1e-9


def test_a_measurement_is_made_once_and_read_again(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime = Runtime(folder=tmp_path / "engine")
    first = Session(YUNET, models, runtime)
    first.warm_up(64, 64)
    (file,) = (tmp_path / "engine").iterdir()
    told = json.loads(file.read_text())
    assert told["chosen"] == list(first.buckets.sizes)
    assert told["circumstances"]["digest"] == YUNET.sha256

    told["batch_s"] = {"1": 1.0, "2": 1.1, "4": 1.2}
    file.write_text(json.dumps(told))
    again = Session(YUNET, models, runtime)
    again.warm_up(64, 64)
    assert again.buckets.sizes == (1, 2, 4), "what is written down counts"
    assert json.loads(file.read_text()) == told

    Session(YUNET, models, replace(runtime, threads=2)).warm_up(64, 64)
    Session(YUNET, models, runtime).warm_up(96, 64)
    assert len(list((tmp_path / "engine").iterdir())) == 3, "other circumstances, other figures"
    assert not caplog.records


@pytest.mark.parametrize("ruin", [b"", b"{}", b'{"batch_s": {"0": 1}}', b"\xff", b"[1]"])
def test_a_ruined_measurement_is_said_and_made_again(
    models: Path, tmp_path: Path, ruin: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    Session(YUNET, models, Runtime(folder=tmp_path)).warm_up(32, 32)
    (file,) = tmp_path.iterdir()
    sound = json.loads(file.read_text())
    file.write_bytes(ruin)

    Session(YUNET, models, Runtime(folder=tmp_path)).warm_up(32, 32)

    assert json.loads(file.read_text())["circumstances"] == sound["circumstances"]
    assert [it for it in caplog.messages if "measured again" in it]


def test_a_home_that_cannot_be_written_costs_a_measurement_a_start(
    models: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    session = Session(YUNET, models, Runtime(folder=tmp_path / "file" / "engine"))

    session.warm_up(32, 32)

    assert session.measured is not None
    assert "cannot be written, batches are measured at each start" in caplog.text


# --- what is run ------------------------------------------------------------------------------


def test_a_batch_of_zero_is_answered_without_the_model(models: Path) -> None:
    detector = Session(YUNET, models)
    nothing = np.empty((0, 64, 64, 1), np.uint8)  # which YuNet would not take
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        detector.run(np.zeros((1, 64, 64, 1), np.uint8))

    assert [len(it) for it in detector.run(nothing)] == [0] * 12
    (raw,) = Session(SFACE, models).run(np.empty((0, 112, 112, 3), np.uint8))
    assert raw.shape == (0, 128)


def test_memory_stays_flat_however_many_pictures_come(models: Path) -> None:
    session = Session(YUNET, models, buckets=Buckets({1: 1.0, 4: 2.0, 8: 3.0}))
    session.warm_up(320, 320)
    pictures = noise(40, 320)
    session.run(pictures)
    before = _resident_mib()

    for count in np.random.default_rng(3).permutation(40):
        session.run(pictures[:count])

    assert _resident_mib() - before < 16


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


_HUNGRY = """
import logging, resource, sys
from pathlib import Path
import numpy as np
from facewatch.errors import ModelOutOfMemory
from facewatch.vision import graph, registry, runtime
from facewatch.vision.batching import Buckets
from facewatch.app.recognition import runtime
from facewatch.flow.metrics import Metrics
from facewatch.settings import Settings
from facewatch.vision.session import Session

logging.basicConfig(format="%(message)s")
metrics = Metrics.on()
session = Session(
    registry.card("sface"), Path(sys.argv[1]), runtime(Settings(home=sys.argv[3]), metrics),
    buckets=Buckets({1: 1.0, 16: 1.1, 64: 1.2}),
)
faces = np.random.default_rng(1).integers(0, 256, (64, 112, 112, 3), np.uint8)
detector = Session(registry.card("yunet"), Path(sys.argv[1]), buckets=Buckets({1: 1.0}))
unmeasured = Session(registry.card("yunet"), Path(sys.argv[1]))
large = np.zeros((1, 4096, 4096, 3), np.uint8)
alone = np.concatenate([session.run(faces[n : n + 1])[0] for n in range(20)])
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (int(sys.argv[2]) << 20),) * 2)
together = session.run(faces)[0][:20]
assert np.allclose(together, alone, rtol=1e-4, atol=1e-5)
counted = {"model": "sface"}
print(
    session.buckets.sizes,
    session.halvings,
    metrics.registry.get_sample_value("model_batches_halved_total", counted),
)
for what in (lambda: detector.run(large), lambda: unmeasured.warm_up(4096, 4096)):
    try:
        what()
    except ModelOutOfMemory as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_a_batch_for_which_memory_does_not_suffice_is_halved_and_counted(
    models: Path, tmp_path: Path
) -> None:
    """Real memory that really runs out, in the allocator that CUDA has as well."""
    ran = subprocess.run(
        [sys.executable, "-c", _HUNGRY, str(models), "70", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
    )

    assert ran.returncode == 0, ran.stderr
    counted, *refused = ran.stdout.strip().splitlines()
    assert counted in ("(1, 16) 1 1.0", "(1,) 2 2.0")
    assert len(refused) == 2, "running it, and before anything was measured"
    for said in refused:
        assert re.match(
            r"model 'yunet': the memory of cpu does not suffice for a batch of 1; fr", said
        )
    assert (
        "the memory of cpu does not suffice for 64 pictures at once, from now on 16" in ran.stderr
    )


# --- models with a batch of one inside --------------------------------------------------------


def one_by_one(folder: Path, shape: list[int]) -> ModelCard:
    """An embedder that looks as if it took batches, and forces what it sees into *shape*."""
    weights = np.random.default_rng(1).normal(0, 0.01, (3, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["in"], ["pooled"]),
            helper.make_node("Reshape", ["pooled", "shape"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weights"], ["out"]),
        ],
        "one",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, [1, 3, 112, 112])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 4])],
        [
            numpy_helper.from_array(np.array(shape, np.int64), "shape"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    file = folder / "one.onnx"
    onnx.save(model, file)
    return replace(
        SFACE,
        name="one",
        family=Family.SFACE,
        file=file.name,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        input=Input(Colour.BGR, mean=0.0, scale=1.0, side=112),
        dimensions=4,
    )


@pytest.mark.parametrize("shape", [[1, 3], [1, -1]], ids=["fails", "mixes pictures up"])
def test_a_model_with_a_batch_of_one_inside_is_found_out_and_runs_one_by_one(
    tmp_path: Path, shape: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    card = one_by_one(tmp_path, shape)
    runtime = Runtime(folder=tmp_path / "engine")
    for _ in range(2):  # measured, then read again
        session = Session(card, tmp_path, runtime)
        session.warm_up(112, 112)
        assert session.buckets.sizes == (1,)
    assert caplog.text.count("model one answers otherwise in a batch than alone") == 1

    pictures = noise(3, 112)
    (together,) = session.run(pictures)
    alone = [session.run(pictures[n : n + 1])[0][0] for n in range(3)]
    assert np.array_equal(together, np.stack(alone))


def test_a_batch_that_is_too_large_for_the_memory_ends_the_trial() -> None:
    def run(batch: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if len(batch) > 2:
            raise MemoryError("Failed to allocate memory")
        return [batch[:, 0, 0].astype(np.float32)]

    assert set(tried(run, (1, 2, 4, 8), 8, 8).cost_s) <= {1, 2}


# --- providers and precision ------------------------------------------------------------------


def test_a_provider_that_does_not_exist_is_named(models: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"no provider 'gpu'.*cuda"):
        open_engine(models, runtime=Runtime(("gpu",)))


def test_a_demanded_provider_is_never_replaced(models: Path) -> None:
    with pytest.raises(ProviderMissing, match=r"TensorrtExecutionProvider"):
        Session(YUNET, models, Runtime(("cpu", "tensorrt")))


@pytest.mark.filterwarnings("error")
def test_a_provider_that_is_named_twice_is_asked_once(models: Path) -> None:
    assert len(Session(YUNET, models, Runtime(("cpu", "cpu"))).run(noise(1, 64))) == 12


def test_without_a_demand_what_starts_here_runs_the_models(models: Path) -> None:
    picture = noise(1, 64)

    best = best_provider()

    assert len(Session(YUNET, models, Runtime((best,))).run(picture)) == 12


@pytest.mark.skipif(
    best_provider() == "cuda" or "CUDAExecutionProvider" not in ort.get_available_providers(),
    reason="for a GPU's build of ONNX Runtime where there is no GPU",
)
def test_a_gpu_that_is_gone_is_said_and_a_demanded_one_ends_the_start(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runtime._starts.cache_clear()

    assert best_provider() == "cpu"
    assert "CUDAExecutionProvider does not start on this machine: " in caplog.text
    assert "The CPU runs the models" in caplog.text
    with pytest.raises(ProviderMissing, match="CUDAExecutionProvider does not start"):
        Session(YUNET, models, Runtime(("cuda",)))


@pytest.mark.parametrize("way", ["a file in its place", "may not be written"])
def test_engines_of_tensorrt_that_cannot_be_kept_are_said(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        home = Path(name)
        home.chmod(0o755)
        if way == "may not be written":
            (home / "tensorrt").mkdir(mode=0o555)
        else:
            (home / "tensorrt").write_text("")
        root = os.geteuid() == 0
        if root:
            os.seteuid(65_534)  # whom modes hold for
        try:
            options = runtime._engine_cache("yunet", Runtime(("tensorrt",), folder=home))
        finally:
            if root:
                os.seteuid(0)

    assert options == {}
    assert "tensorrt cannot be written, TensorRT builds its engines at each start" in caplog.text


@pytest.mark.parametrize("card", registry.CARDS.values(), ids=lambda card: card.name)
def test_a_precision_that_a_card_does_not_allow_is_refused_with_the_reason(
    models: Path, card: ModelCard
) -> None:
    for precision in set(Precision) - set(card.precisions):
        if not (models / card.file).exists():
            continue
        with pytest.raises(InvalidSettings, match=f"not run with {precision}: .+ to one of: fp32"):
            Session(card, models, precision=precision)


def test_a_processor_alone_does_not_calculate_with_half_precision(models: Path) -> None:
    with pytest.raises(
        InvalidSettings,
        match=r"cpu does not calculate with fp16; set models\.embedder_precision to fp32",
    ):
        Session(SFACE, models, precision=Precision.FP16)


def test_a_detector_in_whole_numbers_finds_the_same_faces(models: Path, photos: Path) -> None:
    pictures = [decode(path.read_bytes(), path.name) for path in sorted(photos.iterdir())]
    card = registry.card("scrfd-2.5g")

    usual, whole = (
        Detector(Session(card, models, precision=it), long_side=640, threshold=0.5).detect(pictures)
        for it in (Precision.FP32, Precision.INT8)
    )

    assert [len(it) for it in whole] == [len(it) for it in usual]
    for some, others in zip(whole, usual, strict=True):
        for one, other in zip(some, others, strict=True):
            assert one.box.overlap(other.box) > 0.95
    assert not np.array_equal(whole[0][0].landmarks, usual[0][0].landmarks), "it is another graph"


@pytest.mark.parametrize(
    "card",
    [it for it in registry.CARDS.values() if Precision.INT8 in it.precisions],
    ids=lambda card: card.name,
)
def test_ranges_are_those_of_the_cards_own_file(card: ModelCard) -> None:
    ranges = ranges_of(card)
    assert ranges
    assert all(low < high for low, high in ranges.values())


@pytest.mark.parametrize("name", ["yunet", "sface", "scrfd-2.5g"])
def test_the_graph_for_cuda_at_half_precision_answers_nearly_the_same(
    models: Path, photos: Path, name: str
) -> None:
    """A processor runs it too, through casts; what a GPU's kernels do is not tested here."""
    card = registry.card(name)
    side = card.input.side or 320
    picture = decode((photos / "obama.jpg").read_bytes()).fit(side, side)[None]
    half = ort.InferenceSession(
        graph.prepared(card, verify(card, models), Runtime(("cuda",)).inside(Precision.FP16)),
        providers=["CPUExecutionProvider"],
    )

    usual = Session(card, models).run(picture)
    answers = half.run(None, {half.get_inputs()[0].name: picture})

    assert {it.type for it in half.get_outputs()} == {"tensor(float)"}
    for a, b in zip(answers, usual, strict=True):
        assert np.allclose(a, b, rtol=0.02, atol=0.02)
    assert any(not np.array_equal(a, b) for a, b in zip(answers, usual, strict=True))


@pytest.mark.skipif(
    "OpenVINOExecutionProvider" not in ort.get_available_providers(),
    reason="this ONNX Runtime has no OpenVINO",
)
@pytest.mark.parametrize(
    ("precision", "least"), [(Precision.FP32, 0.99999), (Precision.FP16, 0.999)]
)
def test_openvino_answers_as_the_processor_does(
    models: Path, tmp_path: Path, precision: Precision, least: float
) -> None:
    faces = noise(6, 112)
    (usual,) = Session(SFACE, models).run(faces)

    session = Session(SFACE, models, Runtime(("openvino",), 1, tmp_path), precision=precision)
    session.warm_up(112, 112)
    (raw,) = session.run(faces)

    cosines = (raw * usual).sum(1) / np.linalg.norm(raw, axis=1) / np.linalg.norm(usual, axis=1)
    assert cosines.min() > least
    assert session.measured is not None
    assert session.measured.batches


# --- ahead ------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 4])
def test_painting_ahead_finds_what_painting_in_turns_finds(
    models: Path, photos: Path, most: int
) -> None:
    sizes = Buckets({size: 1.0 for size in (1, 2, 4) if size <= most})
    mixed = [decode(path.read_bytes(), path.name) for path in sorted(photos.iterdir())] * 3
    in_turns = Detector(Session(YUNET, models), long_side=320, threshold=0.5).watch(mixed)

    with ThreadPoolExecutor(3) as painters:
        session = Session(YUNET, models, buckets=sizes)
        ahead = Detector(session, long_side=320, threshold=0.5, painters=painters).watch(mixed)
        assert Detector(session, long_side=320, threshold=0.5, painters=painters).watch([]) == []

    for a, b in zip(ahead, in_turns, strict=True):
        assert len(a.faces) == len(b.faces) > 0
        assert np.allclose(a.scene, b.scene)
        for mine, other in zip(a.faces, b.faces, strict=True):
            assert np.allclose(mine.landmarks, other.landmarks, atol=0.01)


def test_a_picture_that_cannot_be_painted_is_an_error_with_painters_too(models: Path) -> None:
    class Broken(ArrayPicture):
        def fit(self, width: int, height: int, halve: Halve | None = None) -> Pixels:
            raise OSError("the frame is gone")

    grey = ArrayPicture(np.full((64, 64, 3), 90, np.uint8))
    broken = Broken(np.full((64, 64, 3), 90, np.uint8))
    with ThreadPoolExecutor(2) as painters:
        detector = Detector(Session(YUNET, models), long_side=64, threshold=0.5, painters=painters)
        with pytest.raises(OSError, match="the frame is gone"):
            detector.watch([grey, broken, grey])
        assert detector.detect([grey]) == [[]]
