"""Homes for tests."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def a_home() -> Iterator[Path]:
    """A folder for a home, which every user can enter: root's Postgres runs as another one.

    Not below pytest's own: another session of pytest would close that to others.
    """
    with tempfile.TemporaryDirectory(prefix="fw-test-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)
