"""Files that an operator vouches for, where no card could name their digest.

What was accepted stands in one file of the home: the sha256 of each of a model's files. Any other
file in their place is refused from then on.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from facewatch.errors import (
    HomeUnusable,
    InvalidRequest,
    LicenceNotAccepted,
    ModelCorrupt,
    ModelMissing,
    ModelNotPinned,
    NotFetched,
)
from facewatch.vision.clip_cards import ClipCard
from facewatch.vision.fetch import Progress, digest_of, download


@dataclass(frozen=True, slots=True)
class Installed:
    """The files of a model, after all of them were read.

    Attributes:
        digest: Of all of them together, hex: another file makes another model.
    """

    pictures: Path
    words: Path
    tokenizer: Path
    digest: str


class Pins:
    """Which files are vouched for, of models that compare pictures with words. Blocks.

    Args:
        directory: Of all models; each has a folder of its own in it.
        register: The file that remembers what was accepted.
    """

    def __init__(self, directory: Path, register: Path) -> None:
        self._directory = directory
        self._register = register

    def folder(self, card: ClipCard) -> Path:
        return self._directory / card.name

    def installed(self, card: ClipCard) -> Installed:
        """
        Raises:
            ModelMissing: a file is not there.
            ModelNotPinned: nobody vouched for it.
            ModelCorrupt: it is not the one that was accepted.
        """
        found = self._looked_at(card)
        accepted = self._read().get(card.name, {})
        for name, digest in found.items():
            if name not in accepted:
                raise ModelNotPinned(
                    f"model {card.name!r}: nobody vouched for {self.folder(card) / name}",
                    f"look where it came from, then run: {pin_command(card)}",
                )
            if digest != accepted[name]:
                raise ModelCorrupt(
                    f"model {card.name!r}: {self.folder(card) / name} has sha256 {digest}; when it"
                    f" was pinned it had {accepted[name]}",
                    f"put that file back, or accept this one: {pin_command(card)}",
                )
        return self._installed(card, found)

    def pin(
        self,
        card: ClipCard,
        files: Sequence[Path],
        tried: Callable[[Installed], object],
        *,
        accept_licence: bool = False,
    ) -> dict[str, str]:
        """These are the files of *card* from now on; gives the sha256 of each.

        *files* are copied into its folder; those that lie there already need not be named.
        *tried* is handed the model before it is accepted.

        Raises:
            InvalidRequest: one of *files* has a name that the card does not know.
            ModelMissing: not all are there.
            LicenceNotAccepted: it may not earn money, and *accept_licence* is not given.
            HomeUnusable: nothing can be written.
        """
        _ask_for_licence(card, accept_licence)
        names = [file.name for file in card.files]
        for file in files:
            if file.name not in names:
                raise InvalidRequest(
                    f"model {card.name!r} has no file called {file.name!r}",
                    f"its files are {', '.join(names)}",
                )
        with _writing(self.folder(card)) as scratch:
            for file in files:
                self._take(card, file, scratch)
            found = self._looked_at(card)
            tried(self._installed(card, found))
        known = self._read() | {card.name: found}
        with _writing(self._register.parent) as scratch:
            (scratch / "pins").write_text(json.dumps(known, indent=2) + "\n")
            os.replace(scratch / "pins", self._register)
        return found

    def fetch(
        self, card: ClipCard, progress: Callable[[Progress], None], *, accept_licence: bool = False
    ) -> list[Path]:
        """Put what is missing of *card* into its folder: nobody has vouched for it then.

        Raises:
            LicenceNotAccepted: as `pin`.
            ModelMissing: a file could not be had.
            HomeUnusable: nothing can be written.
        """
        _ask_for_licence(card, accept_licence)
        folder = self.folder(card)
        with _writing(folder) as scratch:
            for file in card.files:
                if (folder / file.name).exists():
                    continue
                phase = f"{card.name}: fetching {file.url}"
                try:
                    got = download(file.url, scratch / file.name, phase, progress)
                except NotFetched as refusal:
                    raise ModelMissing(
                        f"model {card.name!r} could not be fetched from {file.url}: {refusal.what}",
                        f"fetch it elsewhere, then run: {pin_command(card, ' FILE...')}",
                    ) from None
                os.replace(got, folder / file.name)
        return [folder / file.name for file in card.files]

    def _take(self, card: ClipCard, file: Path, scratch: Path) -> None:
        there = self.folder(card) / file.name
        if there.exists() and file.exists() and there.samefile(file):
            return
        try:
            shutil.copyfile(file, scratch / file.name)
        except OSError as error:
            raise ModelMissing(
                f"{file} cannot be read: {error.strerror}", "name the file that you fetched"
            ) from None
        os.replace(scratch / file.name, there)

    def _looked_at(self, card: ClipCard) -> dict[str, str]:
        found = {}
        for file in card.files:
            path = self.folder(card) / file.name
            try:
                found[file.name] = digest_of(path)
            except OSError as error:
                raise ModelMissing(
                    f"model {card.name!r}: {path} cannot be read: {error.strerror}",
                    f"run: {fetch_command(card)} && {pin_command(card)}",
                ) from None
        return found

    def _installed(self, card: ClipCard, found: dict[str, str]) -> Installed:
        pictures, words, tokenizer = (self.folder(card) / file.name for file in card.files)
        digest = sha256("".join(found.values()).encode()).hexdigest()
        return Installed(pictures, words, tokenizer, digest)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            read: dict[str, dict[str, str]] = json.loads(self._register.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise HomeUnusable(
                f"{self._register} cannot be read: {error}", "remove it, and pin your models again"
            ) from None
        return read


def fetch_command(card: ClipCard) -> str:
    return f"facewatch models fetch {card.name}{_agreed(card)}"


def pin_command(card: ClipCard, files: str = "") -> str:
    return f"facewatch models pin {card.name}{files}{_agreed(card)}"


def _agreed(card: ClipCard) -> str:
    return "" if card.licence.commercial else " --accept-licence"


def _ask_for_licence(card: ClipCard, accepted: bool) -> None:
    if not card.licence.commercial and not accepted:
        raise LicenceNotAccepted(
            f"model {card.name!r} comes under: {card.licence.name} ({card.licence.url})",
            "if you agree, say so with --accept-licence",
        )


@contextmanager
def _writing(folder: Path) -> Iterator[Path]:
    """A scratch folder in *folder*, which is made.

    Raises:
        HomeUnusable: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise HomeUnusable(
            f"cannot write into {folder}: {error.strerror or error}",
            "choose another model directory, or make room there and allow writing",
        ) from error
