"""The object store: a local directory, or S3 and what speaks its protocol."""

import asyncio
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.exceptions
from botocore.config import Config

from facewatch.domain.urls import redact
from facewatch.errors import InvalidSettings, NotFound, ObjectStoreUnavailable
from facewatch.ports.keeping import Blobs
from facewatch.store.disk import begin_writing, can_sync_all, sync_all

Answer = TypeVar("Answer")

_SEGMENT = re.compile(r"[A-Za-z0-9_=-][A-Za-z0-9._=-]*")
_LONGEST_KEY = 512
_AT_ONCE = 16
_DELETE_AT_ONCE = 1000
_LEAST_FREE_BYTES = 100 << 20
_WRITERS = 2
_FEW = 16
"""Up to so many files are brought to the disk by themselves; more share one flush of it all."""
_COPIED_BYTES = 1 << 20


def open_blobs(url: str, endpoint: str = "", region: str = "") -> Blobs:
    """The store at *url*: ``s3://bucket/prefix``, or a directory.

    Raises:
        InvalidSettings: *url* is neither.
    """
    if "://" not in url:
        return LocalBlobs(Path(url))
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc:
        raise InvalidSettings(
            f"objects.url {redact(url)!r} is no object store",
            "use s3://bucket/prefix or a directory",
        )
    return S3Blobs(parts.netloc, parts.path.strip("/"), endpoint=endpoint, region=region)


class LocalBlobs:
    """Objects as files below *root*; a reader never sees half of one."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="objects")

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Durable when it returns; the same key again replaces."""
        await self.put_all([(key, body, content_type)])

    async def put_all(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        """`put` for many at once, which share the cost of reaching the disk.

        Raises:
            ObjectStoreUnavailable: the directory cannot be written.
        """
        with _disk(self._root):
            if len(objects) > _FEW and can_sync_all():
                await self._put_together(objects)
            else:
                shares = [objects[n : n + _FEW] for n in range(0, len(objects), _FEW)]
                await self._each(self._put_few, [(share,) for share in shares])

    async def _put_together(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        """One flush for files, names and folders, in place of one for each (decision 0099)."""
        await asyncio.to_thread(self._root.mkdir, mode=0o700, parents=True, exist_ok=True)
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # opened before the first write: only of what follows does it tell failures
            shares = [objects[n::_WRITERS] for n in range(_WRITERS)]
            await self._each(self._put_unsettled, [(share,) for share in shares])
            await self._each(sync_all, [(root,)])
        finally:
            os.close(root)

    def _put_unsettled(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        for key, body, _ in objects:
            file = self._file(key)
            while True:
                with suppress(FileNotFoundError):  # there is no folder, or `delete` removed it
                    _replace(file, body)
                    break
                file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _put_few(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        """On the disk when it returns: all are sent on their way before the first is waited for."""
        folders: set[Path] = set()
        drafts: dict[Path, int] = {}
        try:
            for file, body in {self._file(key): body for key, body, _ in objects}.items():
                while True:
                    with suppress(FileNotFoundError):  # there is no folder, or `delete` removed it
                        drafts[file] = _drafted(file, body)
                        break
                    folders |= _made(file.parent)
                begin_writing(drafts[file])
            for file, descriptor in drafts.items():
                os.fsync(descriptor)
                os.replace(_draft(file), file)
        except BaseException:
            for file in drafts:
                with suppress(FileNotFoundError):  # it has its name already
                    os.unlink(_draft(file))
            raise
        finally:
            for descriptor in drafts.values():
                os.close(descriptor)
        for folder in folders | {file.parent for file in drafts}:
            _sync(folder)

    async def _each(
        self, work: Callable[..., Answer], arguments: Sequence[tuple[Any, ...]]
    ) -> list[Answer]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(
            *(loop.run_in_executor(self._threads, work, *given) for given in arguments)
        )

    def _put_large(self, key: str, source: Path) -> None:
        file = self._file(key)
        while True:
            folders = _made(file.parent)
            with suppress(FileNotFoundError):  # `delete` removed the folder while it was empty
                _copy(source, file)
                break
        for folder in folders:
            _sync(folder)

    async def put_file(self, key: str, file: Path, content_type: str) -> None:
        """`put` of a file that may be larger than memory; it stays where it is.

        Raises:
            ObjectStoreUnavailable: the directory cannot be written.
        """
        with _disk(self._root):
            await self._each(self._put_large, [(key, file)])

    async def get(self, key: str) -> bytes:
        """
        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: the directory cannot be read.
        """
        return await self._read(key, Path.read_bytes)

    async def part(self, key: str, start: int, most: int) -> bytes:
        """At most so many bytes from *start* on; fewer only at the end, nothing behind it.

        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: the directory cannot be read.
        """

        def read(file: Path) -> bytes:
            with file.open("rb") as opened:
                opened.seek(start)
                return opened.read(most)

        return await self._read(key, read)

    async def _read(self, key: str, read: Callable[[Path], bytes]) -> bytes:
        try:
            file = self._file(key)
        except ValueError:
            raise NotFound("there is no object with this key") from None
        with _disk(self._root):
            try:
                return await asyncio.to_thread(read, file)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                raise NotFound(f"there is no object {key}") from None

    async def delete(self, keys: Sequence[str]) -> None:
        """Gone when it returns; a key that is not there is no error."""
        with _disk(self._root):
            await asyncio.to_thread(self._delete, keys)

    def _delete(self, keys: Sequence[str]) -> None:
        for file in map(self._file, keys):
            with suppress(FileNotFoundError, NotADirectoryError):
                file.unlink()
            for folder in file.parents:
                if folder == self._root:
                    break
                try:
                    folder.rmdir()
                except OSError:  # not empty, or gone
                    break

    async def ready(self) -> str:
        """
        Raises:
            ObjectStoreUnavailable: the directory cannot be written, or the disk is nearly full.
        """
        with _disk(self._root):
            free = await asyncio.to_thread(self._free_bytes)
        if free < _LEAST_FREE_BYTES:
            raise ObjectStoreUnavailable(
                f"the disk of {self._root} has {free >> 20} MiB left", "make room on it"
            )
        return f"{self._root}, {free >> 30} GiB free"

    def _free_bytes(self) -> int:
        self._root.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=self._root):
            return shutil.disk_usage(self._root).free

    def _file(self, key: str) -> Path:
        """
        Raises:
            ValueError: *key* is none of ours, or leads out of the root.
        """
        parts = key.split("/")
        if len(key) > _LONGEST_KEY or not all(_SEGMENT.fullmatch(part) for part in parts):
            raise ValueError(f"not an object key: {key[:80]!r}")
        return self._root.joinpath(*parts)


@contextmanager
def _disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ObjectStoreUnavailable(
            f"the object directory {root} cannot be used: {error.strerror or error}",
            "make it writable and its disk not full, or set objects.url",
        ) from error


def _copy(source: Path, file: Path) -> None:
    """Whole, and on the disk but for its name."""
    with NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as draft:
        try:
            with source.open("rb") as opened:
                shutil.copyfileobj(opened, draft, _COPIED_BYTES)
            draft.flush()
            os.fsync(draft.fileno())
            os.replace(draft.name, file)
        except BaseException:
            os.unlink(draft.name)
            raise


def _made(folder: Path) -> set[Path]:
    """Makes *folder*; the folders whose entries are to be brought to the disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return {folder, *(path.parent for path in missing)}


def _draft(file: Path) -> str:
    """Where this thread writes what is to be *file*."""
    return f"{file.parent}/.{file.name}-{threading.get_ident()}"


def _drafted(file: Path, body: bytes) -> int:
    """Its draft, still open, and on the disk some time.

    Raises:
        FileNotFoundError: it has no folder.
    """
    draft = _draft(file)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except BaseException:
        os.close(descriptor)
        os.unlink(draft)
        raise
    return descriptor


def _replace(file: Path, body: bytes) -> None:
    """Whole for whoever reads it, and on the disk some time.

    Raises:
        FileNotFoundError: it has no folder.
    """
    descriptor = _drafted(file, body)
    try:
        os.replace(_draft(file), file)
    except BaseException:
        os.unlink(_draft(file))
        raise
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return  # deleted since
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class S3Blobs:
    """Objects in a bucket, below *prefix*.

    Credentials come from boto3's own chain (environment, ~/.aws, instance role) unless given.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint: str = "",
        region: str = "",
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._where = f"s3://{bucket}/{prefix}" + (f" at {redact(endpoint)}" if endpoint else "")
        access_key, secret_key = credentials or (None, None)
        self._client = boto3.session.Session().client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or None,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                connect_timeout=5,
                read_timeout=20,
                retries={"mode": "standard", "max_attempts": 3},
                max_pool_connections=_AT_ONCE,
                # servers that are not Amazon's know neither virtual hosts nor the new checksums
                s3={"addressing_style": "path" if endpoint else "auto"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Durable when it returns; the same key again replaces.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        await self._call(
            self._client.put_object, Key=self._prefix + key, Body=body, ContentType=content_type
        )

    async def put_file(self, key: str, file: Path, content_type: str) -> None:
        """`put` of a file that may be larger than memory (5 GB at most); it stays where it is.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """

        def put(**where: str) -> None:
            with file.open("rb") as body:
                self._client.put_object(Body=body, ContentType=content_type, **where)

        await self._call(put, Key=self._prefix + key)

    async def put_all(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
        """`put` for many at once, side by side.

        Raises:
            ObjectStoreUnavailable: it does not answer or refuses us.
        """
        await asyncio.gather(*(self.put(*each) for each in objects))

    async def get(self, key: str) -> bytes:
        """
        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """

        def read(**where: str) -> bytes:
            body: bytes = self._client.get_object(**where)["Body"].read()
            return body

        return await self._call(read, Key=self._prefix + key)

    async def part(self, key: str, start: int, most: int) -> bytes:
        """At most so many bytes from *start* on; fewer only at the end, nothing behind it.

        Raises:
            NotFound: no object has this key.
            ObjectStoreUnavailable: it does not answer or refuses us.
        """

        def read(**where: str) -> bytes:
            try:
                answer = self._client.get_object(Range=f"bytes={start}-{start + most - 1}", **where)
            except botocore.exceptions.ClientError as error:
                if error.response.get("Error", {}).get("Code") == "InvalidRange":
                    return b""
                raise
            body: bytes = answer["Body"].read()
            return body

        return await self._call(read, Key=self._prefix + key)

    async def delete(self, keys: Sequence[str]) -> None:
        """Gone when it returns; a key that is not there is no error.

        Raises:
            ObjectStoreUnavailable: it does not answer, refuses us, or kept some.
        """
        for start in range(0, len(keys), _DELETE_AT_ONCE):
            objects = [{"Key": self._prefix + k} for k in keys[start : start + _DELETE_AT_ONCE]]
            answer = await self._call(
                self._client.delete_objects, Delete={"Objects": objects, "Quiet": True}
            )
            if kept := answer.get("Errors"):
                raise ObjectStoreUnavailable(
                    f"{self._where} did not delete {len(kept)} objects: {kept[0].get('Code')}",
                    "let the key delete objects",
                )

    async def ready(self) -> str:
        """
        Raises:
            ObjectStoreUnavailable: no answer, no such bucket, or we may not use it.
        """
        await self._call(self._client.head_bucket)
        return self._where

    async def _call(self, method: Callable[..., Answer], **values: Any) -> Answer:
        try:
            async with self._free:
                return await _aside(lambda: method(Bucket=self._bucket, **values))
        except botocore.exceptions.ClientError as error:
            raise self._refusal(error) from error
        except botocore.exceptions.NoCredentialsError as error:
            raise ObjectStoreUnavailable(
                f"there are no credentials for {self._where}",
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile",
            ) from error
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            raise ObjectStoreUnavailable(
                f"the object store {self._where} does not answer: {redact(str(error))}",
                "check objects.endpoint and that the server runs",
            ) from error

    def _refusal(self, error: botocore.exceptions.ClientError) -> NotFound | ObjectStoreUnavailable:
        code = error.response.get("Error", {}).get("Code", "")
        if code == "NoSuchKey":
            return NotFound("there is no object with this key")
        remedy = {
            "NoSuchBucket": "make the bucket, or correct objects.url",
            "404": "make the bucket, or correct objects.url",
            "InvalidAccessKeyId": "check AWS_ACCESS_KEY_ID",
            "SignatureDoesNotMatch": "check AWS_SECRET_ACCESS_KEY",
            "AccessDenied": "let the key get, put and delete objects, and see the bucket",
            "403": "check the key, and let it get, put and delete objects, and see the bucket",
        }.get(code, "look at the object store's own log")
        return ObjectStoreUnavailable(f"the object store {self._where} refused: {code}", remedy)


async def _aside(call: Callable[[], Answer]) -> Answer:
    """What *call* gives, in a thread that ends with the process.

    A pool's threads are waited for at exit, and a server that hangs holds each for a minute.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def tell(say: Callable[[Any], None], what: Any) -> None:
        def said() -> None:
            if not answer.done():
                say(what)

        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(said)

    def work() -> None:
        try:
            found = call()
        except Exception as error:  # noqa: BLE001 - handed to whoever asked
            tell(answer.set_exception, error)
        else:
            tell(answer.set_result, found)

    threading.Thread(target=work, name="s3", daemon=True).start()
    return await answer
