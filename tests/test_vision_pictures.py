"""Photos as people have them: every format, turned, broken, enormous."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from facewatch.domain.faces import Pixels
from facewatch.domain.geometry import Box
from facewatch.errors import NotAPicture
from facewatch.vision.pictures import ArrayPicture, JpegPngEncoder, decode


@pytest.fixture
def quarters() -> Pixels:
    """60 high, 80 wide: blue, green / red, white."""
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:30, :40], pixels[:30, 40:] = (255, 0, 0), (0, 255, 0)
    pixels[30:, :40], pixels[30:, 40:] = (0, 0, 255), (255, 255, 255)
    return pixels


def encoded(pixels: Pixels, suffix: str, *options: int) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".gif"])
def test_every_format_is_read_as_bgr(quarters: Pixels, suffix: str) -> None:
    picture = decode(encoded(quarters, suffix))
    assert (picture.width, picture.height) == (80, 60)
    middle = picture.full()[15, 20].astype(int)
    assert np.abs(middle - (255, 0, 0)).max() < 12


def test_transparent_and_grey_pictures_have_three_channels(quarters: Pixels) -> None:
    transparent = cv2.cvtColor(quarters, cv2.COLOR_BGR2BGRA)
    transparent[:10, :, 3] = 0
    for photo in (
        encoded(transparent, ".png"),
        encoded(transparent, ".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
        encoded(transparent, ".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
        encoded(cv2.cvtColor(quarters, cv2.COLOR_BGR2GRAY), ".png"),
        encoded(quarters.astype(np.uint16) * 257, ".png"),
    ):
        full = decode(photo).full()
        assert full.shape == (60, 80, 3)
        assert full.dtype == np.uint8


def test_a_photo_is_turned_as_its_exif_says(quarters: Pixels) -> None:
    orientation = struct.pack("<HHII", 0x0112, 3, 1, 6)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + orientation + bytes(4)
    photo = encoded(quarters, ".jpg")
    turned = photo[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + photo[2:]

    picture = decode(turned)

    assert (picture.width, picture.height) == (60, 80)
    assert picture.full()[20, 15, 2] > 240  # red, which was at the left bottom
    assert picture.full()[20, 45, 0] > 240  # blue, which was at the left top


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_a_photo_cut_short_is_refused(suffix: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    photo = encoded(noise, suffix)
    with pytest.raises(NotAPicture, match=r"passport\.jpg"):
        decode(photo[: len(photo) // 2], "passport.jpg")


@pytest.mark.parametrize(
    ("photo", "what"),
    [
        (b"", "is empty"),
        (b"hello", "holds no JPEG, PNG"),
        (b"\x89PNG", "is broken"),
        (b"\xff\xd8\xff", "holds no JPEG, PNG"),
        (b"%PDF-1.7 and so on", "holds no JPEG, PNG"),
    ],
)
def test_what_is_no_picture_is_refused(photo: bytes, what: str) -> None:
    with pytest.raises(NotAPicture, match=what):
        decode(photo)


def bombs() -> list[bytes]:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    png += struct.pack(">I", zlib.crc32(b"IHDR" + header))
    frame = struct.pack(">BHHB", 8, 60_000, 60_000, 3) + bytes(9)
    jpeg = b"\xff\xd8\xff\xc2" + struct.pack(">H", len(frame) + 2) + frame
    webp = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\0" * 2
    gif = b"GIF89a" + struct.pack("<HH", 60_000, 60_000) + bytes(3)
    bmp = b"BM" + bytes(16) + struct.pack("<ii", 60_000, -60_000)
    return [png, jpeg, webp, gif, bmp]


@pytest.mark.parametrize("photo", bombs(), ids=["png", "jpeg", "webp", "gif", "bmp"])
def test_an_enormous_picture_is_refused_before_it_is_decoded(photo: bytes) -> None:
    with pytest.raises(NotAPicture, match="more than 50 million"):
        decode(photo)


def test_a_cut_stays_inside_the_picture(quarters: Pixels) -> None:
    picture = ArrayPicture(quarters)
    pixels, place = picture.cut(Box(-5.5, 20.5, 10.2, 100))
    assert place == (0, 20)
    assert np.array_equal(pixels, quarters[20:60, 0:11])
    nothing, _ = picture.cut(Box(100, 100, 120, 120))
    assert nothing.size == 0
    before, _ = picture.cut(Box(-20, -20, -10, -10))
    assert before.size == 0


def test_what_was_encoded_can_be_decoded(quarters: Pixels) -> None:
    encoder = JpegPngEncoder()
    assert np.array_equal(decode(encoder.png(quarters)).full(), quarters)
    small, large = encoder.jpeg(quarters, 10), encoder.jpeg(quarters, 95)
    assert len(small) < len(large)
    assert np.abs(decode(large).full().astype(int) - quarters).mean() < 5
