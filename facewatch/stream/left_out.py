"""Packets that were not decoded, kept while a decoder can still be brought up to date."""

from typing import Final

import av
from av.video.stream import VideoStream

_MOST: Final = 60
_MOST_BYTES: Final = 8 << 20


class LeftOut:
    """What leads from the picture that a decoder had last, or from a key picture, to the newest.

    Where that is over 60 packets or 8 MiB it is given up, up to the next key picture. One thread.
    """

    def __init__(self) -> None:
        self._packets: list[av.Packet[VideoStream]] = []
        self._bytes = 0
        self._whole = False

    @property
    def whole(self) -> bool:
        """Whether nothing is missing in between."""
        return self._whole

    def begin(self) -> None:
        """What comes next is a key picture, or the decoder has everything before it."""
        self._packets, self._bytes, self._whole = [], 0, True

    def lose(self) -> None:
        """What comes now is not kept."""
        self._packets, self._whole = [], False

    def add(self, packet: "av.Packet[VideoStream]") -> None:
        """Leave out one more that others refer to."""
        if not self._whole:
            return
        self._packets.append(packet)
        self._bytes += packet.size
        if len(self._packets) > _MOST or self._bytes > _MOST_BYTES:
            self.lose()

    def take(self) -> "list[av.Packet[VideoStream]]":
        """All of them, to be decoded; then the decoder has everything."""
        packets = self._packets
        self.begin()
        return packets
