"""Does everything work that facewatch needs? What is installed, `installation` has looked at."""

import asyncio
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

from facewatch.app import calibration
from facewatch.app.recognition import model_threads, providers, warm_engine
from facewatch.app.stores import Stores, open_stores
from facewatch.app.words import pins_of
from facewatch.domain.cameras import CameraState
from facewatch.errors import FacewatchError, HomeUnusable
from facewatch.installation import Finding
from facewatch.settings import Settings
from facewatch.vision import clip_cards, registry
from facewatch.vision.fetch import verify
from facewatch.vision.session import Session

_LEAST_FREE_GIB = 2.0


Check: TypeAlias = Callable[[Settings], Awaitable[str]]


class _Ill(FacewatchError):
    """A check found something that has to be put right."""


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Every check in turn; one that fails does not stop the others."""
    for name, check in _CHECKS.items():
        try:
            yield Finding(name, True, await check(settings))
        except FacewatchError as error:
            yield Finding(name, False, error.what, error.remedy)
    async with AsyncExitStack() as stack:
        try:
            stores = await stack.enter_async_context(open_stores(settings))
        except FacewatchError as error:
            yield Finding("database", False, error.what, error.remedy)
            return
        for name, look in _STORE_CHECKS.items():
            try:
                yield Finding(name, True, await look(settings, stores))
            except FacewatchError as error:
                yield Finding(name, False, error.what, error.remedy)


async def _home(settings: Settings) -> str:
    home = settings.home_path
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            free_gib = shutil.disk_usage(home).free / 2**30
    except OSError as error:
        raise HomeUnusable(
            f"{home} cannot be written: {error.strerror}",
            "choose another with --home or FACEWATCH_HOME, or change its owner",
        ) from None
    if free_gib < _LEAST_FREE_GIB:
        raise _Ill(f"{home} has {free_gib:.1f} GiB free", f"free {_LEAST_FREE_GIB:.0f} GiB there")
    return f"{home}, {free_gib:.0f} GiB free"


async def _models(settings: Settings) -> str:
    names = (settings.models.detector, settings.models.embedder)
    for name in names:
        await asyncio.to_thread(verify, registry.card(name), settings.model_directory)
    return f"{' and '.join(names)} verified in {settings.model_directory}"


async def _engine(settings: Settings) -> str:
    start = time.perf_counter()
    engine = await asyncio.to_thread(warm_engine, settings)
    took = time.perf_counter() - start
    on = f"{', '.join(providers(settings))}, threads: {model_threads(settings)}"
    told = "; ".join(_batches(it) for it in engine.sessions)
    return f"runs on {on}, {engine.dimensions}-d, warm in {took:.1f} s; {told}"


def _batches(session: Session) -> str:
    """Which batch sizes a model is run in, and what a picture costs in each."""
    sizes = [str(it) for it in session.buckets.sizes]
    if session.measured:
        cost = session.measured.cost_s
        sizes = [f"{it} ({1e3 * cost[it] / it:.1f} ms each)" for it in session.buckets.sizes]
    measured = f", measured {session.measured.at}" if session.measured else ""
    return f"{session.card.name} {session.precision} in batches of {' or '.join(sizes)}{measured}"


async def _calibration(settings: Settings) -> str:
    colour, grey = calibration.shown(settings, registry.card(settings.models.embedder))
    rule = settings.recognition
    asked = f"none measured, {max(rule.threshold, rule.grey_threshold):g} is asked for"
    return f"{colour}; without colour: {grey or asked}"


async def _search(settings: Settings) -> str:
    name = settings.models.search
    if not name:
        return "off: no model finds pictures by words (models.search)"
    await asyncio.to_thread(pins_of(settings).installed, clip_cards.card(name))
    return f"{name} verified in {settings.model_directory}"


async def _port(settings: Settings) -> str:
    host, port = settings.http.host, settings.http.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if await asyncio.to_thread(_is_ours, host, port):
                return f"{host}:{port} is answered by a running facewatch"
            raise _Ill(
                f"{host}:{port} cannot be listened on: {os.strerror(error.errno or 0)}",
                "stop what listens there, or choose another http.port",
            ) from None
    return f"{host}:{port} is free"


def _is_ours(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2) as talk:
            talk.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            return b'"alive"' in talk.recv(4096)
    except OSError:
        return False


async def _database(settings: Settings, stores: Stores) -> str:
    kind = "given by database_url" if settings.database_url.get_secret_value() else "embedded"
    return f"{kind}, migration {await stores.database.schema_version()}"


async def _objects(settings: Settings, stores: Stores) -> str:
    key, body = f"doctor/{os.getpid()}", os.urandom(64)
    await stores.blobs.put(key, body, "application/octet-stream")
    try:
        if await stores.blobs.get(key) != body:
            raise _Ill("the object store gave back other bytes", "check what stands behind it")
    finally:
        await stores.blobs.delete([key])
    return f"wrote, read and deleted at {settings.objects.url or settings.home_path / 'objects'}"


async def _spool(settings: Settings, _: Stores) -> str:
    path = settings.home_path / "spool"
    return f"{await asyncio.to_thread(_size, path) / 2**20:.1f} MiB in {path}"


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


async def _cameras(_: Settings, stores: Stores) -> str:
    cameras = {it.id: it for it in await stores.cameras.all(stores.org) if it.url}
    statuses = [it for it in await stores.statuses.all(stores.org) if it.camera in cameras]
    ill = [it for it in statuses if it.state in (CameraState.REFUSED, CameraState.GONE)]
    if ill:
        said = "; ".join(f"{cameras[it.camera].name} is {it.state}: {it.reason}" for it in ill)
        raise _Ill(said, "try `facewatch camera probe NAME`")
    return f"{len(cameras)} configured, {len(statuses)} reported on"


_CHECKS: dict[str, Check] = {
    "home": _home,
    "models": _models,
    "engine": _engine,
    "calibration": _calibration,
    "search by words": _search,
    "http port": _port,
}
_STORE_CHECKS: dict[str, Callable[[Settings, Stores], Awaitable[str]]] = {
    "database": _database,
    "object store": _objects,
    "spool": _spool,
    "cameras": _cameras,
}
