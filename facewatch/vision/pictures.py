"""Bytes to pictures and back."""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from facewatch.domain.faces import Pixels
from facewatch.domain.geometry import Box
from facewatch.errors import NotAPicture
from facewatch.ports.streams import Halve
from facewatch.ports.vision import PhotoHeader
from facewatch.vision.opencv import cv2

_MOST_PIXELS = 50_000_000

_MIMES = {
    b"\xff\xd8": "image/jpeg",
    b"\x89P": "image/png",
    b"GI": "image/gif",
    b"RI": "image/webp",
    b"BM": "image/bmp",
}
_MODERN = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
"""What phones write; the brand behind `ftyp` tells."""

_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_START_OF_SCAN = 0xDA


class ArrayPicture:
    """A picture that is decoded already.

    Args:
        pixels: Not copied; do not change them afterwards.
    """

    def __init__(self, pixels: Pixels) -> None:
        self._pixels = pixels

    @property
    def width(self) -> int:
        return int(self._pixels.shape[1])

    @property
    def height(self) -> int:
        return int(self._pixels.shape[0])

    def glance(self) -> None:
        return None

    def fit(self, width: int, height: int, halve: Halve | None = None) -> Pixels:
        """The whole picture scaled to exactly *width* x *height*, in one pass."""
        if (width, height) == (self.width, self.height):
            return self._pixels
        much_smaller = self.width > 2 * width or self.height > 2 * height
        how = cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(self._pixels, (width, height), interpolation=how), np.uint8)

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        """A view of the part inside *box*, whole pixels, and its left and top."""
        left, top = max(0, int(np.floor(box.left))), max(0, int(np.floor(box.top)))
        right, bottom = max(left, int(np.ceil(box.right))), max(top, int(np.ceil(box.bottom)))
        return self._pixels[top:bottom, left:right], (left, top)

    def full(self) -> Pixels:
        return self._pixels


def is_picture(head: bytes) -> bool:
    r"""Whether a file that begins so, with 12 bytes at least, is a picture of any kind we know of.

    >>> is_picture(b"RIFF\x24\0\0\0AVI LIST"), is_picture(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1")
    (False, True)
    """
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"
    if head[4:8] == b"ftyp":
        return head[8:12] in _MODERN
    return head[:3] == b"\xff\xd8\xff" or head[:4] in (b"\x89PNG", b"GIF8") or head[:2] == b"BM"


def header(photo: bytes, name: str = "the photo") -> PhotoHeader:
    """What the first bytes say, before anything is decoded; *name* is what errors call it.

    Raises:
        NotAPicture: it is no JPEG, PNG, WebP, BMP or GIF, or has over 50 million pixels.
    """
    found = _size(photo)
    if found is None:
        what = "is empty" if not photo else "holds no JPEG, PNG, WebP, BMP or GIF picture"
        if modern := _MODERN.get(photo[8:12] if photo[4:8] == b"ftyp" else b""):
            what = f"is a picture in {modern}, which cannot be read here"
        raise NotAPicture(f"{name} {what}", "send a JPEG or PNG instead")
    width, height = found
    if width * height > _MOST_PIXELS:
        raise NotAPicture(
            f"{name} has {width} x {height} pixels, more than {_MOST_PIXELS // 1_000_000} million",
            "scale it down first",
        )
    return PhotoHeader(_MIMES[photo[:2]], width, height)


def decode(photo: bytes, name: str = "the photo") -> ArrayPicture:
    """A JPEG, PNG, WebP, BMP or the first frame of a GIF, turned upright as its EXIF says.

    Raises:
        NotAPicture: see `header`; or it is broken or cut short.
    """
    header(photo, name)
    pixels = None
    if not _is_cut_short(photo):
        try:
            pixels = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR_BGR)
        except cv2.error:  # told as any other broken picture
            pixels = None
    if pixels is None:
        raise NotAPicture(f"{name} is broken or cut short", "use an undamaged copy")
    return ArrayPicture(np.asarray(pixels, np.uint8))


def decode_grey(photo: bytes, name: str = "the photo") -> ArrayPicture:
    """As `decode`, without its colour: how bright it is, three times.

    That is no infrared picture, in which skin, hair and clothes reflect otherwise.
    """
    grey = cv2.cvtColor(decode(photo, name).full(), cv2.COLOR_BGR2GRAY)
    return ArrayPicture(np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8))


class JpegPngEncoder:
    """Pictures to bytes."""

    def jpeg(self, pixels: Pixels, quality: int) -> bytes:
        """*quality* is 1..100."""
        return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()

    def png(self, pixels: Pixels) -> bytes:
        return cv2.imencode(".png", pixels)[1].tobytes()


def warp(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """*pixels*, of any number of channels, as they look through *matrix*; 0 where there are none.

    Args:
        matrix: 3 x 3, from places in *pixels* to places in the result.
        size: Width and height of the result.
    """
    return cv2.warpPerspective(pixels, matrix, size, flags=cv2.INTER_LINEAR).astype(
        np.uint8, copy=False
    )


def _size(photo: bytes) -> tuple[int, int] | None:
    """Width and height as the header says, before anything is decoded; None for other formats.

    >>> _size(b"GIF89a" + bytes([2, 0, 1, 0]))
    (2, 1)
    """
    try:
        match photo[:4]:
            case b"\x89PNG":
                is_sound = photo[12:16] == b"IHDR"
                return struct.unpack_from(">II", photo, 16) if is_sound else (0, 0)
            case b"GIF8":
                return struct.unpack_from("<HH", photo, 6)
            case b"RIFF" if photo[8:12] == b"WEBP":
                return _webp_size(photo)
        if photo[:2] == b"BM":
            width, height = struct.unpack_from("<ii", photo, 18)
            return abs(width), abs(height)
        if photo[:3] == b"\xff\xd8\xff":
            return _jpeg_size(photo)
    except struct.error:
        return None
    return None


def _webp_size(photo: bytes) -> tuple[int, int] | None:
    match photo[12:16]:
        case b"VP8X":
            low = struct.unpack_from("<HBHB", photo, 24)
            return low[0] + (low[1] << 16) + 1, low[2] + (low[3] << 16) + 1
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", photo, 21)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", photo, 26)
            return width & 0x3FFF, height & 0x3FFF
    return None


def _jpeg_size(photo: bytes) -> tuple[int, int] | None:
    for marker, place in _jpeg_segments(photo):
        if marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", photo, place + 5)
            return width, height
    return None


def _is_cut_short(photo: bytes) -> bool:
    """Whether a JPEG's end is missing: decoders fill the rest with grey and say nothing."""
    if photo[:3] != b"\xff\xd8\xff":
        return False
    scans = (place for marker, place in _jpeg_segments(photo) if marker == _START_OF_SCAN)
    return photo.find(b"\xff\xd9", next(scans, len(photo))) < 0


def _jpeg_segments(photo: bytes) -> Iterator[tuple[int, int]]:
    """Marker and place of each segment, up to the first scan."""
    place = 2
    while place + 4 <= len(photo) and photo[place] == 0xFF:
        marker = photo[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        yield marker, place
        if marker == _START_OF_SCAN:
            return
        place += 2 + int.from_bytes(photo[place + 2 : place + 4])
