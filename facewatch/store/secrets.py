"""Camera passwords at rest."""

import json
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from facewatch.errors import HomeUnusable, StoreTrouble


class Vault:
    """Seals with the key in `secret.key` of *home* (Fernet: AES-128-CBC and HMAC-SHA256).

    The key is made, readable by its owner only, when there is none; another file can be named.

    Raises:
        HomeUnusable: the file can be neither read nor made.
        StoreTrouble: it holds no key.
    """

    def __init__(self, home: Path, file: Path | None = None) -> None:
        self._file = file or home / "secret.key"
        try:
            if not self._file.exists():
                _write_once(self._file, Fernet.generate_key())
            key = self._file.read_bytes().strip()
        except OSError as error:
            raise HomeUnusable(
                f"the key file {self._file} cannot be used: {error.strerror or error}",
                "make it readable for the user that runs facewatch",
            ) from error
        try:
            self._fernet = Fernet(key)
        except ValueError:
            raise StoreTrouble(
                f"{self._file} holds no Fernet key (32 bytes, base64url)",
                "restore it from a backup; without it cameras' passwords have to be set again",
            ) from None

    def sealed(self, credentials: tuple[str, str] | None) -> bytes | None:
        """User and password as they are stored."""
        if credentials is None:
            return None
        return self._fernet.encrypt(json.dumps(credentials).encode())

    def opened(self, sealed: bytes | None) -> tuple[str, str] | None:
        """The reverse of `sealed`.

        Raises:
            StoreTrouble: another key sealed it.
        """
        if sealed is None:
            return None
        try:
            user, password = json.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            raise StoreTrouble(
                f"a camera's password was encrypted with another key than that in {self._file}",
                "restore the key file from a backup, or remove and add the camera again",
            ) from None
        return user, password


def _write_once(file: Path, key: bytes) -> None:
    """Whole or not at all; of two processes that try together the first wins."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
