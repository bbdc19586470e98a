"""Data that lies beside the repository, on machines that have it."""

import json
import sys
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"


def needed(path: Path) -> Path:
    """*path*, if it is there; else says that the benchmark is skipped, and ends it."""
    if path.exists():
        return path
    print(json.dumps({"benchmark": Path(sys.argv[0]).stem, "skipped": f"{path} is not here"}))
    sys.exit(0)
