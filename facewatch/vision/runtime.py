"""What runs models: ONNX Runtime's providers, with threads and precision."""

import contextlib
import io
import json
import logging
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import onnxruntime as ort
from onnx import TensorProto, helper
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail, Fail, RuntimeException

from facewatch.errors import InvalidSettings, ModelCorrupt, ProviderMissing
from facewatch.vision.cards import ModelCard, Precision

log = logging.getLogger(__name__)

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}

_ACCELERATORS = ("cuda", "tensorrt")
_HALF_PRECISION = ("openvino", "cuda", "tensorrt")

_ERROR = 3  # ONNX Runtime's severity; its warnings say nothing that an operator could act on

_CHECK = "check its driver and libraries, or take it out of models.providers"

RunFailed = (Fail, RuntimeException, EPFail, MemoryError)
"""What a run raises: ONNX Runtime's errors share no base."""

_NO_MEMORY = (
    "out of memory",
    "outofmemory",
    "failed to allocate",
    "smaller than requested bytes",
    "alloc_failed",
    "bad_alloc",
)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Where and how models run.

    Attributes:
        providers: ``cpu``, ``openvino``, ``cuda``, ``tensorrt``, the preferred one first. Each of
            them is demanded.
        threads: How many cores one run may use.
        folder: What was measured and compiled is kept there; None: nowhere.
        halved: Told the model whose batches had to become smaller for want of memory.
    """

    providers: tuple[str, ...] = ("cpu",)
    threads: int = 1
    folder: Path | None = None
    halved: Callable[[str], None] = lambda _: None

    @property
    def first(self) -> str:
        return self.providers[0]

    @property
    def accelerated(self) -> bool:
        return self.first in _ACCELERATORS

    def can(self, precision: Precision) -> bool:
        """Whether it calculates with *precision*, if the model's card allows it."""
        match precision:
            case Precision.FP16:
                return self.first in _HALF_PRECISION
            case Precision.INT8:
                return self.first == "cpu"
        return True

    def inside(self, precision: Precision) -> Precision:
        """With which numbers the graph itself calculates: some providers turn it round themselves.

        >>> Runtime(("openvino",)).inside(Precision.FP16).value
        'fp32'
        """
        by_itself = precision is Precision.FP16 and self.first in ("openvino", "tensorrt")
        return Precision.FP32 if by_itself else precision


def best_provider() -> str:
    """The fastest that this build of ONNX Runtime has and that starts here.

    One that is built in and does not start is said once: nobody has demanded it.
    """
    built_in = ort.get_available_providers()
    better = (name for name in ("cuda", "openvino") if _PROVIDERS[name] in built_in)
    return next((name for name in better if _starts(name)), "cpu")


@cache
def _starts(name: str) -> bool:
    pixels = helper.make_tensor_value_info("in", TensorProto.FLOAT, ["n"])
    same = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([helper.make_node("Relu", ["in"], ["out"])], name, [pixels], [same])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    try:
        started("to try with", "", model.SerializeToString(), Runtime((name,)))
    except ProviderMissing as missing:
        log.warning(
            "models.providers is empty, and the best that is installed cannot be used: %s. "
            "The CPU runs the models until that is put right",
            missing.what,
        )
        return False
    return True


def refuse(card: ModelCard, runtime: Runtime, precision: Precision) -> None:
    """
    Raises:
        InvalidSettings: a provider is none; or model or provider are not run with *precision*.
        ProviderMissing: a provider is not in this build.
    """
    _refuse_absent(runtime)
    if precision not in card.precisions:
        why = card.refused.get(precision, "nobody has measured what it costs")
        raise InvalidSettings(
            f"model {card.name!r} is not run with {precision}: {why}",
            f"set models.{card.kind}_precision to one of: {', '.join(card.precisions)}",
        )
    if not runtime.can(precision):
        able = [name for name in _PROVIDERS if replace(runtime, providers=(name,)).can(precision)]
        raise InvalidSettings(
            f"{runtime.first} does not calculate with {precision}",
            f"set models.{card.kind}_precision to fp32, or name {' or '.join(able)} in"
            " models.providers",
        )


def started(
    name: str,
    digest: str,
    model: Path | bytes,
    runtime: Runtime,
    precision: Precision = Precision.FP32,
) -> ort.InferenceSession:
    """A session for whichever graph is called *name*; *digest* is that of its file.

    Raises:
        InvalidSettings: a provider is none.
        ProviderMissing: a provider is not in this build, or does not start on this machine.
        ModelCorrupt: ONNX Runtime does not take the model.
    """
    _refuse_absent(runtime)
    demanded = [_PROVIDERS[each] for each in runtime.providers]
    others = [_PROVIDERS[each] for each in runtime.providers if each != "cpu"]
    on_gpu = not set(_ACCELERATORS).isdisjoint(runtime.providers)
    lacking = _missing_libraries() if on_gpu else ""
    tag = f"{name}.{digest[:16]}"
    try:
        session = ort.InferenceSession(
            model,
            _options(runtime.threads),
            providers=[
                (_PROVIDERS[each], _provider_options(each, tag, runtime, precision))
                for each in _with_helpers(runtime.providers)
            ],
            enable_fallback=0,  # else a provider that fails is left out, with a line on stdout
        )
    except Exception as error:
        if others and _loads_on_cpu(model):
            raise ProviderMissing(
                f"{' or '.join(others)} does not start on this machine: {lacking or error}",
                _CHECK,
            ) from error
        raise ModelCorrupt(
            f"model {name!r} does not load on {runtime.first}: {error}",
            "delete the folder .prepared beside the model and try again; if that does not help,"
            f" take {runtime.first} out of models.providers",
        ) from error
    for provider in demanded:
        if provider not in session.get_providers():
            raise ProviderMissing(
                f"{provider} does not start on this machine: "
                + (lacking or f"there is only {', '.join(session.get_providers())}"),
                _CHECK,
            )
    return session


@cache
def _missing_libraries() -> str:
    """Load those of CUDA from where pip puts them; which are missing, as ONNX Runtime says it."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ort.preload_dlls()
    return "; ".join(it for it in said.getvalue().splitlines() if it.startswith("Failed"))


def _loads_on_cpu(model: Path | bytes) -> bool:
    try:
        ort.InferenceSession(model, _options(1), providers=[_PROVIDERS["cpu"]])
    except Exception:  # noqa: BLE001  whatever it is, it is the model's fault
        return False
    return True


def is_out_of_memory(error: Exception) -> bool:
    """Whether a run failed because its memory did not suffice: a smaller batch may go through."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in _NO_MEMORY)


def machine(runtime: Runtime) -> str:
    """What a measurement holds for beside the model: processor, cores, ONNX Runtime, GPU driver."""
    parts = [
        _processor(),
        f"{os.cpu_count()} cores",
        f"onnxruntime {ort.__version__}",
        f"{runtime.threads} threads",
    ]
    driver = Path("/proc/driver/nvidia")
    if runtime.accelerated and driver.exists():
        parts += [it.read_text() for it in sorted(driver.glob("gpus/*/information"))]
        parts += [it.read_text() for it in driver.glob("version")]
    return ", ".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = dict.fromkeys(
        line.partition(":")[2].strip()
        for line in lines
        if line.startswith(("model name", "cpu family", "model\t", "stepping"))
    )
    return " ".join(told) or platform.processor() or platform.machine()


def _refuse_absent(runtime: Runtime) -> None:
    built_in = ort.get_available_providers()
    for name in runtime.providers:
        if name not in _PROVIDERS:
            raise InvalidSettings(
                f"models.providers: there is no provider {name!r}",
                f"choose from {', '.join(_PROVIDERS)}",
            )
        if _PROVIDERS[name] not in built_in:
            raise ProviderMissing(
                f"this ONNX Runtime has no {_PROVIDERS[name]}, only {', '.join(built_in)}",
                "install facewatch with the extra that has it (cpu, gpu, openvino; only one of "
                "them), or take it out of models.providers",
            )


def _with_helpers(providers: tuple[str, ...]) -> list[str]:
    """TensorRT leaves CUDA what it cannot do itself, instead of the CPU."""
    names = list(dict.fromkeys(providers))
    if "tensorrt" in names and "cuda" not in names:
        names.insert(names.index("tensorrt") + 1, "cuda")
    return names


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERROR
    # Threads that spin for work burn the cores that decode the next frame.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _provider_options(
    name: str, tag: str, runtime: Runtime, precision: Precision
) -> dict[str, str]:
    half = precision is Precision.FP16
    match name:
        case "openvino":
            properties = {
                "INFERENCE_PRECISION_HINT": "f16" if half else "f32",
                "INFERENCE_NUM_THREADS": str(runtime.threads),
                "ENABLE_CPU_PINNING": "NO",  # pinned threads wait for a core that a reader has
            }
            return {"device_type": "CPU", "load_config": json.dumps({"CPU": properties})}
        case "cuda":
            # Exhaustive search runs again for each new canvas; growth by doubling never shrinks.
            return {
                "cudnn_conv_algo_search": "HEURISTIC",
                "arena_extend_strategy": "kSameAsRequested",
            }
        case "tensorrt":
            return {"trt_fp16_enable": str(half)} | _engine_cache(tag, runtime)
    return {}


def _engine_cache(tag: str, runtime: Runtime) -> dict[str, str]:
    """TensorRT builds an engine for minutes: it is kept."""
    if runtime.folder is None:
        return {}
    kept = runtime.folder / "tensorrt"
    try:
        kept.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=kept):
            pass  # TensorRT itself says nothing when it cannot write there
    except OSError as trouble:
        log.warning(
            "%s cannot be written, TensorRT builds its engines at each start: %s", kept, trouble
        )
        return {}
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(kept),
        "trt_engine_cache_prefix": tag,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(kept),
    }
