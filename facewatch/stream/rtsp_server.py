"""A small RTSP server: video files become cameras, for the demo and for tests.

Each path plays its video round and round while somebody watches, in real time, with timestamps
that keep rising and sender reports that carry this machine's clock. Whoever comes later joins at
the next key picture; whoever is too slow loses pictures up to a key picture, and costs no memory.

    python -m facewatch.stream.rtsp_server --port 8554 lobby=lobby.mp4 door=door.mp4
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import signal
import ssl
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self
from urllib.parse import unquote, urlsplit

from facewatch.stream.rtp import (
    CLOCK_HZ,
    AccessUnit,
    CodedVideo,
    VideoCodec,
    payloads,
    sender_report,
)
from facewatch.stream.rtp import packet as rtp_packet

_REALM: Final = "facewatch"
_BACKLOG_BYTES: Final = 1 << 20
"""What may wait for a slow client before it loses pictures."""
_HEADER_BYTES: Final = 16 << 10
_METHODS: Final = "OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN"


class Authentication(StrEnum):
    """How a path asks for user and password."""

    BASIC = "Basic"
    """In the clear, as base64."""
    DIGEST = "Digest"
    """MD5 over a nonce (RFC 2069), as cameras do it."""


@dataclass(frozen=True, slots=True)
class Mount:
    """What is served at one path; *credentials* are user and password, None lets everybody in."""

    video: CodedVideo
    credentials: tuple[str, str] | None = None
    authentication: Authentication = Authentication.DIGEST


class RtspServer:
    """Serves *mounts* by name while it is entered.

    Args:
        port: 0 picks one.
        tls: Makes it rtsps.
        report_every_s: Between two sender reports; cameras take about 5 s.
    """

    def __init__(
        self,
        mounts: Mapping[str, Mount],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        report_every_s: float = 2.0,
    ) -> None:
        self._report_every_s = report_every_s
        self._channels = {name: _Channel(mount) for name, mount in mounts.items()}
        self._host, self._port, self._tls = host, port, tls
        self._connections: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())
            server = await asyncio.start_server(
                self._attend, self._host, self._port, ssl=self._tls, limit=_HEADER_BYTES
            )
            stack.push_async_callback(self._close, server)
            self._port = server.sockets[0].getsockname()[1]
            for channel in self._channels.values():
                player = group.create_task(self._play(channel))
                stack.callback(player.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def port(self) -> int:
        return self._port

    def url(self, name: str) -> str:
        scheme = "rtsps" if self._tls else "rtsp"
        return f"{scheme}://{self._host}:{self._port}/{name}"

    def hang_up(self) -> None:
        """Drop every connection at once; new ones are welcome."""
        for writer in self._connections.values():
            writer.transport.abort()

    def wall_s(self) -> float:
        """The clock that sender reports carry, seconds since 1970."""
        return time.time()

    def send(self, mount: Mount, unit: AccessUnit, viewers: Sequence["Viewer"]) -> None:
        """Hand the picture that is due now to those who watch."""
        stamp = round(unit.shown_s * CLOCK_HZ)
        parts = payloads(unit, mount.video.codec)
        for viewer in viewers:
            viewer.feed(parts, stamp, key=unit.key)

    async def _play(self, channel: "_Channel") -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await channel.watched.wait()
            begin, report_due = clock(), 0.0
            for unit in channel.pictures():
                await asyncio.sleep(begin + unit.sent_s - clock())
                if not channel.viewers:
                    break
                if (now := clock()) >= report_due:
                    report_due = now + self._report_every_s
                    channel.report(self.wall_s(), now - begin)
                self.send(channel.mount, unit, [*channel.viewers])

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[asyncio.current_task()] = writer
        try:
            async with AsyncExitStack() as stack:
                conversation = _Conversation(self._channels, writer, stack)
                while request := await _read_request(reader):
                    writer.write(bytes(await conversation.answer(request)))
                    await writer.drain()
                    if request.method == "TEARDOWN":
                        break
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the client went away, or does not speak RTSP
        finally:
            writer.close()
            del self._connections[asyncio.current_task()]

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        self.hang_up()
        await asyncio.gather(*(task for task in self._connections if task))


class _Channel:
    """A mount with those who watch it."""

    def __init__(self, mount: Mount) -> None:
        self.mount = mount
        self.viewers: set[Viewer] = set()
        self.watched = asyncio.Event()

    def join(self, viewer: "Viewer") -> None:
        self.viewers.add(viewer)
        self.watched.set()

    def leave(self, viewer: "Viewer") -> None:
        self.viewers.discard(viewer)
        if not self.viewers:
            self.watched.clear()

    def pictures(self) -> Iterator[AccessUnit]:
        """The video round and round, with rising times."""
        video = self.mount.video
        for past in count():
            for unit in video.units:
                yield unit.later(past * video.length_s)

    def report(self, wall_s: float, shown_s: float) -> None:
        for viewer in self.viewers:
            viewer.report(wall_s, round(shown_s * CLOCK_HZ))


class _Link(Protocol):
    """The way of packets to one client; sending never waits."""

    def has_room(self) -> bool: ...

    def send(self, packet: bytes, *, control: bool) -> None: ...


@dataclass(slots=True)
class _Interleaved:
    """In the RTSP connection itself (RFC 2326, 10.12)."""

    writer: asyncio.StreamWriter
    channel: int

    def has_room(self) -> bool:
        return self.writer.transport.get_write_buffer_size() < _BACKLOG_BYTES

    def send(self, packet: bytes, *, control: bool) -> None:
        head = bytes([0x24, self.channel + control]) + len(packet).to_bytes(2, "big")
        self.writer.write(head + packet)


@dataclass(slots=True)
class _Datagrams:
    """A pair of UDP ports; what the socket cannot take is lost."""

    rtp: asyncio.DatagramTransport
    rtcp: asyncio.DatagramTransport
    client: str
    ports: tuple[int, int]

    def has_room(self) -> bool:
        waiting: int = self.rtp.get_write_buffer_size()  # type: ignore[attr-defined]  # typeshed lacks it
        return waiting < _BACKLOG_BYTES

    def send(self, packet: bytes, *, control: bool) -> None:
        way = self.rtcp if control else self.rtp
        way.sendto(packet, (self.client, self.ports[control]))


class Viewer:
    """One client's RTP stream: its own numbers, and its wait for a key picture."""

    def __init__(self, link: _Link) -> None:
        self._link = link
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._offset = secrets.randbits(32)
        self._packets = self._octets = 0
        self._waits_for_key = True

    def feed(self, parts: Sequence[bytes], stamp: int, *, key: bool) -> None:
        """Send one picture, unless the client is behind or has not seen a key picture yet."""
        if not self._link.has_room():
            self._waits_for_key = True
        elif key:
            self._waits_for_key = False
        if self._waits_for_key:
            return
        for number, part in enumerate(parts, 1):
            packet = rtp_packet(
                part,
                last=number == len(parts),
                sequence=self._sequence,
                stamp=self._stamp(stamp),
                ssrc=self._ssrc,
            )
            self._link.send(packet, control=False)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._octets += len(part)
        self._packets += len(parts)

    def report(self, wall_s: float, stamp: int) -> None:
        report = sender_report(
            ssrc=self._ssrc,
            wall_s=wall_s,
            stamp=self._stamp(stamp),
            packets=self._packets,
            octets=self._octets,
            name=_REALM,
        )
        self._link.send(report, control=True)

    def _stamp(self, stamp: int) -> int:
        return (stamp + self._offset) & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Response:
    status: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    sequence: str = ""

    def __bytes__(self) -> bytes:
        headers = {"CSeq": self.sequence, **self.headers}
        if self.body:
            headers["Content-Length"] = str(len(self.body.encode()))
        lines = [f"RTSP/1.0 {self.status}", *(f"{k}: {v}" for k, v in headers.items())]
        return "\r\n".join([*lines, "", self.body]).encode()


async def _read_request(reader: asyncio.StreamReader) -> _Request | None:
    """The next request, past the RTCP that clients send in between; None when they hang up.

    Raises:
        ValueError: not RTSP.
    """
    while (first := await reader.read(1)) == b"$":
        head = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(head[1:], "big"))
    if not first:
        return None
    text = (first + await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = text.strip().split("\r\n")
    method, url, _ = line.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)
    }
    body_bytes = int(headers.get("content-length", 0))
    if not 0 <= body_bytes <= _HEADER_BYTES:
        raise ValueError("body too large")
    await reader.readexactly(body_bytes)
    return _Request(method, url, headers)


class _Conversation:
    """One client's requests in turn, and the one stream that they set up."""

    def __init__(
        self,
        channels: Mapping[str, _Channel],
        writer: asyncio.StreamWriter,
        stack: AsyncExitStack,
    ) -> None:
        self._channels = channels
        self._writer = writer
        self._stack = stack
        self._nonce = secrets.token_hex(16)
        self._session = secrets.token_hex(8)
        self._viewer: Viewer | None = None

    async def answer(self, request: _Request) -> _Response:
        response = await self._answered(request)
        sequence = request.headers.get("cseq", "0")
        return _Response(response.status, response.headers, response.body, sequence)

    async def _answered(self, request: _Request) -> _Response:
        if request.method == "OPTIONS":
            return _Response("200 OK", {"Public": _METHODS})
        name = unquote(urlsplit(request.url).path).strip("/").removesuffix("/trackID=0")
        channel = self._channels.get(name)
        if channel is None:
            return _Response("404 Not Found")
        if not self._may_enter(channel.mount, request):
            return self._challenge(channel.mount)
        session = {"Session": f"{self._session};timeout=60"}
        match request.method:
            case "DESCRIBE":
                headers = {"Content-Type": "application/sdp", "Content-Base": f"{request.url}/"}
                return _Response("200 OK", headers, _description(name, channel.mount))
            case "SETUP":
                return await self._set_up(request.headers.get("transport", ""), session)
            case "PLAY" if self._viewer:
                channel.join(self._viewer)
                self._stack.callback(channel.leave, self._viewer)
                return _Response("200 OK", {**session, "Range": "npt=now-"})
            case "PLAY":
                return _Response("455 Method Not Valid in This State")
            case "TEARDOWN" | "GET_PARAMETER":
                return _Response("200 OK", session)
            case _:
                return _Response("501 Not Implemented", {"Public": _METHODS})

    async def _set_up(self, transport: str, session: Mapping[str, str]) -> _Response:
        if found := re.search(r"interleaved=(\d+)", transport):
            self._viewer = Viewer(_Interleaved(self._writer, int(found[1])))
            return _Response("200 OK", {**session, "Transport": transport})
        if found := re.search(r"client_port=(\d+)-(\d+)", transport):
            link = await self._datagrams(int(found[1]), int(found[2]))
            self._viewer = Viewer(link)
            own = "-".join(str(way.get_extra_info("sockname")[1]) for way in (link.rtp, link.rtcp))
            return _Response("200 OK", {**session, "Transport": f"{transport};server_port={own}"})
        return _Response("461 Unsupported Transport")

    async def _datagrams(self, *ports: int) -> _Datagrams:
        loop = asyncio.get_running_loop()
        host = self._writer.get_extra_info("sockname")[0]
        client = self._writer.get_extra_info("peername")[0]
        ways = []
        for _ in ports:
            way, _protocol = await loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=(host, 0)
            )
            self._stack.callback(way.close)
            ways.append(way)
        return _Datagrams(ways[0], ways[1], client, (ports[0], ports[1]))

    def _challenge(self, mount: Mount) -> _Response:
        ask = f'{mount.authentication} realm="{_REALM}"'
        if mount.authentication is Authentication.DIGEST:
            ask += f', nonce="{self._nonce}"'
        return _Response("401 Unauthorized", {"WWW-Authenticate": ask})

    def _may_enter(self, mount: Mount, request: _Request) -> bool:
        if mount.credentials is None:
            return True
        user, password = mount.credentials
        given = request.headers.get("authorization", "")
        if mount.authentication is Authentication.BASIC:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            return hmac.compare_digest(given.encode(), f"Basic {token}".encode())
        fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
        own = _md5(
            _md5(user, _REALM, password),
            self._nonce,
            _md5(request.method, fields.get("uri", "")),
        )
        return fields.get("username") == user and hmac.compare_digest(
            fields.get("response", "").encode(), own.encode()
        )


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def _description(name: str, mount: Mount) -> str:
    """SDP (RFC 4566)."""
    video = mount.video
    sets = [base64.b64encode(nal).decode() for nal in video.parameter_sets]
    if video.codec is VideoCodec.H264:
        profile = video.parameter_sets[0][1:4].hex()
        encoding = "H264"
        details = (
            f"packetization-mode=1;profile-level-id={profile};sprop-parameter-sets={','.join(sets)}"
        )
    else:
        encoding = "H265"
        names = ("sprop-vps", "sprop-sps", "sprop-pps")
        details = ";".join(f"{n}={s}" for n, s in zip(names, sets, strict=True))
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 0.0.0.0",
        f"s={name}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "a=range:npt=now-",
        "m=video 0 RTP/AVP 96",
        f"a=rtpmap:96 {encoding}/{CLOCK_HZ}",
        f"a=fmtp:96 {details}",
        f"a=framerate:{len(video.units) / video.length_s:.3f}",
        "a=control:trackID=0",
    ]
    return "\r\n".join([*lines, ""])


async def _serve(mounts: Mapping[str, Mount], host: str, port: int, *, attached: bool) -> None:
    stopped = asyncio.Event()
    if attached:
        asyncio.get_running_loop().add_reader(sys.stdin, stopped.set)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with RtspServer(mounts, host=host, port=port) as server:
        sys.stdout.write(f"ready {server.port}\n")
        sys.stdout.flush()
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m facewatch.stream.rtsp_server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks one; see 'ready PORT'")
    parser.add_argument("--attached", action="store_true", help="stop when the pipe stdin ends")
    parser.add_argument("videos", nargs="+", metavar="NAME=VIDEO")
    arguments = parser.parse_args()
    mounts = {}
    for text in arguments.videos:
        name, _, path = text.partition("=")
        try:
            mounts[name] = Mount(CodedVideo.read(Path(path)))
        except (OSError, ValueError) as error:
            parser.error(f"{text}: {error}")
    asyncio.run(_serve(mounts, arguments.host, arguments.port, attached=arguments.attached))


if __name__ == "__main__":
    main()
