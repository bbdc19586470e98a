"""Coded pictures become RTP packets (RFC 3550, 6184 for H.264, 7798 for HEVC)."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

CLOCK_HZ: Final = 90_000
_PAYLOAD: Final = 1400
"""Bytes of a NAL unit per packet: fits every usual network with its headers."""
_NTP_EPOCH_S: Final = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""
_TYPE: Final = 96
"""RTP's payload type: the first of those that SDP explains."""


class VideoCodec(StrEnum):
    """What RTP can carry here."""

    H264 = "h264"
    """AVC; its NAL header has one byte."""
    HEVC = "hevc"
    """H.265; its NAL header has two."""

    def kind(self, nal: bytes) -> int:
        """The type in a NAL unit's header."""
        return nal[0] & 0x1F if self is VideoCodec.H264 else (nal[0] >> 1) & 0x3F

    @property
    def parameter_kinds(self) -> tuple[int, ...]:
        """NAL types of the parameter sets: SPS, PPS; for HEVC VPS before them."""
        return (7, 8) if self is VideoCodec.H264 else (32, 33, 34)


@dataclass(frozen=True, slots=True)
class AccessUnit:
    """One coded picture.

    Attributes:
        shown_s: When it is shown, from the beginning of its video.
        sent_s: When a live encoder would send it: in decoding order, never before it is shown.
        key: Decoding can begin here.
        nals: Its NAL units without start codes.
    """

    shown_s: float
    sent_s: float
    key: bool
    nals: tuple[bytes, ...]

    def later(self, seconds: float) -> "AccessUnit":
        return replace(self, shown_s=self.shown_s + seconds, sent_s=self.sent_s + seconds)


@dataclass(frozen=True, slots=True)
class CodedVideo:
    """A video as it is coded, in memory, ready to be sent again and again.

    Attributes:
        parameter_sets: As the video begins; its key pictures carry their own as well.
        units: In decoding order; the first is a key picture.
        length_s: From the first picture of one round to the first of the next.
    """

    codec: VideoCodec
    parameter_sets: tuple[bytes, ...]
    units: tuple[AccessUnit, ...]
    length_s: float

    @classmethod
    def read(cls, path: Path) -> "CodedVideo":
        """
        Raises:
            ValueError: there is no H.264 or HEVC video in it, or no key picture.
            av.FFmpegError: it cannot be read.
        """
        with av.open(f"file:{path}", "r") as container:
            if not container.streams.video:
                raise ValueError(f"{path}: there is no video in it")
            stream = container.streams.video[0]
            codec = VideoCodec(stream.codec_context.name)
            return cls._of(codec, list(_coded(container, stream, codec)), path)

    @classmethod
    def _of(cls, codec: VideoCodec, units: list[AccessUnit], path: Path) -> "CodedVideo":
        while units and not units[0].key:
            units.pop(0)
        if not units:
            raise ValueError(f"{path}: there is no key picture in it")
        sets = tuple(n for n in units[0].nals if codec.kind(n) in codec.parameter_kinds)
        # The n-th picture to be sent is due at the n-th time of showing, and late by as much as
        # reordering wants: containers keep no decoding times, or wrong ones.
        times = sorted(unit.shown_s for unit in units)
        delay = max(unit.shown_s - time for unit, time in zip(units, times, strict=True))
        ready = tuple(
            replace(unit, shown_s=unit.shown_s - times[0], sent_s=time + delay - times[0])
            for unit, time in zip(units, times, strict=True)
        )
        span = times[-1] - times[0]
        frame_s = span / (len(ready) - 1) if len(ready) > 1 else 1.0
        return cls(codec, sets, ready, span + frame_s)


def _coded(
    container: av.container.InputContainer, stream: VideoStream, codec: VideoCodec
) -> Iterator[AccessUnit]:
    to_annex_b = BitStreamFilterContext(f"{codec}_mp4toannexb", stream)
    sets: dict[int, bytes] = {}
    for packet in container.demux(stream):
        key, shown, base = packet.is_keyframe, packet.pts, stream.time_base
        for filtered in to_annex_b.filter(packet):
            if shown is None or base is None:
                continue  # the filter's last word carries no picture
            nals = tuple(_nals(bytes(filtered)))
            own = {codec.kind(n): n for n in nals if codec.kind(n) in codec.parameter_kinds}
            sets.update(own)
            if key and not own:
                nals = (*(sets[kind] for kind in codec.parameter_kinds), *nals)
            yield AccessUnit(float(shown * base), 0.0, key, nals)


def _nals(annex_b: bytes) -> Iterator[bytes]:
    """The NAL units between start codes; one never ends in a zero byte.

    >>> list(_nals(bytes([0, 0, 0, 1, 9, 16, 0, 0, 1, 101, 7])))
    [b'\\t\\x10', b'e\\x07']
    """
    return (nal for part in re.split(b"\0\0\1", annex_b) if (nal := part.rstrip(b"\0")))


def payloads(unit: AccessUnit, codec: VideoCodec) -> list[bytes]:
    """What the packets of a picture carry: NAL units, the large ones in fragments."""
    return [part for nal in unit.nals for part in _fragments(nal, codec)]


def _fragments(nal: bytes, codec: VideoCodec) -> Iterator[bytes]:
    if len(nal) <= _PAYLOAD:
        yield nal
        return
    if codec is VideoCodec.H264:  # FU-A, type 28
        indicator, rest = bytes([nal[0] & 0xE0 | 28]), nal[1:]
    else:  # FU, type 49
        indicator, rest = bytes([nal[0] & 0x81 | 49 << 1, nal[1]]), nal[2:]
    for start in range(0, len(rest), _PAYLOAD):
        first, last = start == 0, start + _PAYLOAD >= len(rest)
        header = bytes([first << 7 | last << 6 | codec.kind(nal)])
        yield indicator + header + rest[start : start + _PAYLOAD]


def packet(payload: bytes, *, last: bool, sequence: int, stamp: int, ssrc: int) -> bytes:
    """One RTP packet; *last* marks the end of a picture."""
    return struct.pack("!BBHII", 0x80, last << 7 | _TYPE, sequence, stamp, ssrc) + payload


def sender_report(
    *, ssrc: int, wall_s: float, stamp: int, packets: int, octets: int, name: str
) -> bytes:
    """RTCP: the RTP time *stamp* was *wall_s* (seconds since 1970) on the sender's clock."""
    seconds, fraction = divmod(wall_s + _NTP_EPOCH_S, 1)
    report = struct.pack(
        "!BBHIIIIII",
        *(0x80, 200, 6, ssrc),
        *(int(seconds) & 0xFFFFFFFF, int(fraction * 2**32), stamp),
        *(packets & 0xFFFFFFFF, octets & 0xFFFFFFFF),
    )
    item = struct.pack("!IBB", ssrc, 1, len(name)) + name.encode()
    item += bytes(4 - len(item) % 4)
    return report + struct.pack("!BBH", 0x81, 202, len(item) // 4) + item
