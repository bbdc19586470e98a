"""What was measured of a model on this machine: written down, and found again at the next start."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from facewatch.vision.batching import Buckets, paying

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a measurement holds for: with anything else it is done again.

    Attributes:
        model: Name of the card; *digest* is of its file, sha256, hex.
        graph: `graph.VERSION`: how the file is changed before it runs.
        canvas: Width x height of the pictures.
        machine: Processor, cores, threads, version of ONNX Runtime.
    """

    model: str
    digest: str
    graph: int
    provider: str
    precision: str
    canvas: str
    machine: str

    def file_in(self, folder: Path) -> Path:
        key = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]
        return folder / f"{self.model}.{self.provider}.{key}.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """How long batches take.

    Attributes:
        cost_s: Seconds of a batch by its size, the least of several runs.
        batches: Whether a picture in a batch is answered as it is alone; else only 1 is used.
    """

    cost_s: Mapping[int, float]
    batches: bool = True
    at: str = ""

    @property
    def buckets(self) -> Buckets:
        return paying(self.cost_s if self.batches else {1: self.cost_s[1]})


def kept(folder: Path | None, about: Circumstances) -> Measured | None:
    """What was written down for just these circumstances; None if nothing, or nothing readable."""
    if folder is None:
        return None
    file = about.file_in(folder)
    try:
        told = json.loads(file.read_text("utf-8"))
        if told["circumstances"] != asdict(about):
            return None
        cost_s = {int(size): float(cost) for size, cost in told["batch_s"].items()}
        if not cost_s or min(cost_s) < 1 or not all(0 < it < 3600 for it in cost_s.values()):
            raise ValueError("no batch takes so long")
        return Measured(cost_s, bool(told["batches"]), str(told["at"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as trouble:
        log.warning("%s cannot be read, measured again: %r", file, trouble)
        return None


def keep(folder: Path | None, about: Circumstances, measured: Measured) -> Measured:
    """Write down; where that cannot be done it is said, and measured again at the next start."""
    measured = Measured(
        measured.cost_s, measured.batches, datetime.now(UTC).isoformat(timespec="seconds")
    )
    if folder is None:
        return measured
    told = {
        "circumstances": asdict(about),
        "at": measured.at,
        "batches": measured.batches,
        "batch_s": {size: round(cost, 6) for size, cost in measured.cost_s.items()},
        "chosen": measured.buckets.sizes,
    }
    file = about.file_in(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, encoding="utf-8", delete=False) as new:
            json.dump(told, new, indent=1)
        os.chmod(new.name, 0o644)
        os.replace(new.name, file)
    except OSError as trouble:
        log.warning("%s cannot be written, batches are measured at each start: %s", file, trouble)
    return measured
