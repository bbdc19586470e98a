"""How many cameras a machine carries, drawn."""

from collections.abc import Sequence
from pathlib import Path

from facewatch.errors import PlotsUnavailable
from facewatch.evaluate.capacity import Capacity, Step, Wanted

try:
    from matplotlib.figure import Figure
except ImportError:
    raise PlotsUnavailable(
        "matplotlib, which draws the plot, is not installed",
        "run: pip install 'facewatch[plots]' (from a clone: .venv/bin/pip install matplotlib), "
        "or leave --plot out",
    ) from None


def draw(path: Path, steps: Sequence[Step], found: Capacity, wanted: Wanted) -> None:
    """Write looks, processor and engine over the number of cameras to *path*; blocks."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.add_subplot()
    ordered = sorted(steps, key=lambda it: it.cameras)
    numbers = [it.cameras for it in ordered]
    shares = {
        "looks that they get": [
            it.looks_per_s / (it.cameras * wanted.looks_per_s) for it in ordered
        ],
        f"processor (of {wanted.cores} cores)": [it.cpu_cores / wanted.cores for it in ordered],
        "decoding alone": [it.decoding_cores / wanted.cores for it in ordered],
        "engine's thread": [it.engine for it in ordered],
    }
    for label, values in shares.items():
        axes.plot(numbers, values, "o-", label=label)
    if found.cameras:
        axes.axvline(found.cameras, color="#888888", linestyle=":")
        axes.annotate(f" {found.cameras} carried", (found.cameras, 0.02), fontsize=9)
    axes.set_ylim(0, 1.1)
    axes.set_xlim(left=0)
    axes.set_xlabel(
        f"cameras at {wanted.width}x{wanted.height}, {wanted.fps:g} frames/s, "
        f"{wanted.looks_per_s:g} looks/s each"
    )
    axes.set_ylabel("share")
    axes.grid(color="#eeeeee")
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path)
