"""The demo's cameras: its videos, served over RTSP by a process of their own."""

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from facewatch.errors import DemoUnavailable

_READY_S = 20
_STOP_S = 5


@asynccontextmanager
async def demo_cameras(videos: Mapping[str, Path]) -> AsyncIterator[dict[str, str]]:
    """RTSP URLs by camera, on this machine only, while it is entered.

    The server does not hear a Ctrl-C meant for us, and ends when we do, however that happens.

    Raises:
        DemoUnavailable: the server did not start; or it ended while the body ran, which cancels
            the body.
    """
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "facewatch.stream.rtsp_server", "--attached", "--port", "0"),
        *(f"{name}={video}" for name, video in videos.items()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        port = await _port(server)
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(_watch(server))
                yield {name: f"rtsp://127.0.0.1:{port}/{name}" for name in videos}
                watcher.cancel()
        except BaseExceptionGroup as failures:
            if len(failures.exceptions) > 1:
                raise
            raise failures.exceptions[0] from None
    finally:
        await _stop(server)


async def _port(server: Process) -> int:
    assert server.stdout is not None
    try:
        async with asyncio.timeout(_READY_S):
            word, _, port = (await server.stdout.readline()).decode().partition(" ")
            if word == "ready":
                return int(port)
            await _watch(server)
    except TimeoutError:
        raise DemoUnavailable(
            f"the demo's RTSP server did not start within {_READY_S} s",
            "try again when this machine is less busy",
        ) from None


async def _watch(server: Process) -> NoReturn:
    """Wait for the server's end, which nobody asked for."""
    assert server.stderr is not None
    last_words = ""
    async for line in server.stderr:
        last_words = line.decode(errors="replace").strip() or last_words
    status = await server.wait()
    raise DemoUnavailable(
        f"the demo's RTSP server ended with status {status}: {last_words or 'without a word'}",
        "start the demo again",
    )


async def _stop(server: Process) -> None:
    if server.returncode is not None:
        return
    assert server.stdin is not None
    server.stdin.close()
    try:
        async with asyncio.timeout(_STOP_S):
            await server.wait()
    except TimeoutError:
        server.kill()
        await server.wait()
