"""Is facewatch installed as it should be? Imports nothing that could be what is broken."""

import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

_ONE_FOLDER = {
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}
"""Distributions that unpack into the same folder: the last one installed overwrites the others."""

_COMPILED = ("cv2", "onnxruntime", "av", "faiss", "asyncpg")
"""Modules that need more of the machine than Python does."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; *remedy* says what to do when it is not well."""

    check: str
    well: bool
    detail: str
    remedy: str = ""


def look_over() -> Iterator[Finding]:
    """Python, the packages that overwrite each other, and whether what is compiled loads."""
    yield Finding("python", True, f"{sys.version.split()[0]} at {sys.executable}")
    here = {(it.metadata["Name"] or "").lower() for it in importlib.metadata.distributions()}
    here = {name.replace("_", "-") for name in here}
    for module, rivals in _ONE_FOLDER.items():
        yield _builds(module, sorted(here & set(rivals)), rivals)
    for module in _COMPILED:
        yield _loads(module)


def _builds(module: str, here: list[str], rivals: tuple[str, ...]) -> Finding:
    if len(here) == 1:
        detail = f"{here[0]} {importlib.metadata.version(here[0])}"
        return Finding(f"{module} builds", True, detail)
    return Finding(
        f"{module} builds",
        False,
        f"{module} comes from {len(here)} packages: {', '.join(here) or 'none'}",
        f"keep exactly one of {', '.join(rivals)}: uninstall all of them, then install that one",
    )


def _loads(module: str) -> Finding:
    """In a process of its own: a library that is missing may end it."""
    run = subprocess.run(
        [sys.executable, "-c", f"import {module}; print(getattr({module}, '__version__', ''))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode == 0:
        return Finding(module, True, f"loads, {run.stdout.strip()}")
    said = (run.stderr.strip().splitlines() or [f"exit status {run.returncode}"])[-1]
    remedy = "install facewatch anew: make clean install"
    if "libGL" in said:
        remedy = (
            "install opencv-python-headless in place of opencv-python, or the system's libGL "
            "(Debian: apt-get install libgl1)"
        )
    return Finding(module, False, f"{module} does not load: {said}", remedy)
