"""Cameras that misbehave at the wire: the real server, with one thing wrong."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from facewatch.stream.rtp import AccessUnit, CodedVideo
from facewatch.stream.rtsp_server import Mount, RtspServer, Viewer


class FaultyServer(RtspServer):
    """Serves well until told otherwise.

    Args:
        clock_off_s: How wrong the cameras' clocks are.
        hang_up_after: Pictures after which every connection is cut.
        freeze_after: Pictures after which nothing is sent any more; connections stay.
        damage_every: Each so many pictures one arrives broken.
    """

    def __init__(
        self,
        mounts: Mapping[str, Mount],
        *,
        clock_off_s: float = 0.0,
        hang_up_after: int | None = None,
        freeze_after: int | None = None,
        damage_every: int | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(mounts, tls=tls, report_every_s=0.5)
        self._clock_off_s = clock_off_s
        self._hang_up_after = hang_up_after
        self._freeze_after = freeze_after
        self._damage_every = damage_every
        self._sent = 0
        self.frozen = asyncio.Event()

    def wall_s(self) -> float:
        return time.time() + self._clock_off_s

    def waiting_bytes(self) -> int:
        """What waits for the slowest client."""
        return max(w.transport.get_write_buffer_size() for w in self._connections.values())

    def send(self, mount: Mount, unit: AccessUnit, viewers: Sequence[Viewer]) -> None:
        self._sent += 1
        if self._sent == self._hang_up_after:
            self.hang_up()
        elif self._freeze_after is not None and self._sent > self._freeze_after:
            self.frozen.set()
        elif self._damage_every and self._sent % self._damage_every == 0:
            super().send(mount, damaged(unit), viewers)
        else:
            super().send(mount, unit, viewers)


def damaged(unit: AccessUnit) -> AccessUnit:
    """*unit* with the second half of each NAL unit overwritten."""
    return replace(unit, nals=tuple(nal[: len(nal) // 2] + b"\x55" * 40 for nal in unit.nals))


def wiped(video: CodedVideo) -> CodedVideo:
    """*video* without parameter sets but their first two bytes: no decoder can begin."""
    sets = tuple(nal[:2] for nal in video.parameter_sets)
    kinds = video.codec.parameter_kinds
    units = tuple(
        replace(u, nals=tuple(n for n in u.nals if video.codec.kind(n) not in kinds))
        for u in video.units
    )
    return replace(video, parameter_sets=sets, units=units)


def joined(first: CodedVideo, second: CodedVideo) -> CodedVideo:
    """One video after the other, each with its own parameter sets in band."""
    later = tuple(unit.later(first.length_s) for unit in second.units)
    return replace(first, units=first.units + later, length_s=first.length_s + second.length_s)


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[int]:
    """A port that takes connections and says *answer* to everything, or nothing at all."""

    async def attend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(4096):
                if answer is not None:
                    writer.write(answer)
        except OSError:
            pass  # the client went away
        finally:
            writer.close()

    server = await asyncio.start_server(attend, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def self_signed(folder: Path) -> ssl.SSLContext:
    """A certificate for 127.0.0.1 that nobody vouches for, as cameras have."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "camera")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "camera.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context
