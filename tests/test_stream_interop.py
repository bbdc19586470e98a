"""Against an RTSP server that we did not write; skipped where Debian's is not installed."""

import asyncio
import subprocess
import threading
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from facewatch.domain.cameras import Camera, Transport
from facewatch.domain.ids import CameraId, LocationId, OrgId, new_id
from facewatch.errors import CameraRefused
from facewatch.ports.streams import Frame
from facewatch.stream.rtsp import RtspSource

PYTHON = "/usr/bin/python3"
NEEDED = "import gi; gi.require_version('GstRtspServer', '1.0')"
HAS_GST = (
    Path(PYTHON).exists()
    and not subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, check=False).returncode
)


def read(url: str, password: str, transport: Transport) -> list[Frame]:
    ids = CameraId(new_id()), OrgId(new_id()), LocationId(new_id())
    camera = Camera(*ids, "gst", url, ("admin", password), transport)
    stop, frames = threading.Event(), list[Frame]()
    for frame in RtspSource(camera, looks_per_s=1000).frames(stop):
        frames.append(frame)
        if len(frames) == 40:
            stop.set()
    return frames


@pytest.mark.skipif(not HAS_GST, reason="needs Debian's gir1.2-gst-rtsp-server-1.0")
@pytest.mark.parametrize(
    ("method", "path", "transport"),
    [("basic", "h264", Transport.TCP), ("digest", "hevc", Transport.UDP)],
)
async def test_a_camera_that_is_not_ours(method: str, path: str, transport: Transport) -> None:
    script = str(Path(__file__).with_name("gst_camera.py"))
    server = await asyncio.create_subprocess_exec(PYTHON, script, method, stdout=PIPE)
    try:
        async with asyncio.timeout(20):
            assert server.stdout is not None
            url = f"rtsp://127.0.0.1:{int(await server.stdout.readline())}/{path}"
            frames = await asyncio.to_thread(read, url, "right p@ss", transport)
            with pytest.raises(CameraRefused):
                await asyncio.to_thread(read, url, "wrong", transport)
    finally:
        server.kill()
        await server.wait()

    assert len(frames) >= 40
    assert (frames[0].picture.width, frames[0].picture.height) == (640, 360)
