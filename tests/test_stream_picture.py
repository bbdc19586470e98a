"""Decoded pictures: what is converted, and that it is the same however it is asked for."""

from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from videos import coded_as

from facewatch.domain.faces import Pixels
from facewatch.domain.geometry import Box
from facewatch.stream.encode import encode_video
from facewatch.stream.picture import Converter, DecodedPicture


def noise(width: int, height: int) -> Pixels:
    """Soft coloured blots: neighbouring pixels differ, as in a camera's picture."""
    rng = np.random.default_rng(7)
    small = rng.integers(0, 255, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def frame_of(pixels: Pixels, pixel_format: str) -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(pixels, format="bgr24").reformat(format=pixel_format)


def only_frame(path: Path) -> av.VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize(
    ("pixel_format", "size"),
    list(
        product(
            [
                "yuv420p",
                "yuvj420p",
                "nv12",
                "yuv422p",
                "yuvj422p",
                "yuv444p",
                "gray",
                "yuv420p10le",
            ],
            [(322, 242), (321, 243), (1280, 720)],
        )
    ),
)
def test_a_cut_equals_the_same_part_of_the_full_picture(
    pixel_format: str, size: tuple[int, int]
) -> None:
    picture = DecodedPicture(frame_of(noise(*size), pixel_format), Converter())
    full = picture.full()

    for box in (Box(13.4, 7.9, 111.2, 95.1), Box(-20, -9, 40, 33), Box(200.5, 150, 4000, 4000)):
        pixels, (left, top) = picture.cut(box)
        inside = box.clipped(Box(0, 0, *size))
        assert 0 <= inside.left - left <= 2
        assert 0 <= inside.top - top <= 2
        assert left + pixels.shape[1] >= inside.right
        assert top + pixels.shape[0] >= inside.bottom
        same = full[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        assert np.abs(same.astype(int) - pixels).max() <= 1


def test_a_cut_outside_of_the_picture_is_empty() -> None:
    picture = DecodedPicture(frame_of(noise(320, 240), "yuv420p"), Converter())

    pixels, _ = picture.cut(Box(400, 300, 500, 400))

    assert pixels.size == 0


@pytest.mark.parametrize("size", [(640, 360), (360, 288), (97, 61)])
def test_fit_gives_exactly_the_size_asked_for_without_padding(size: tuple[int, int]) -> None:
    pixels = noise(800, 450)
    picture = DecodedPicture(frame_of(pixels, "yuv420p"), Converter())

    small = picture.fit(*size)

    assert small.shape == (size[1], size[0], 3)
    assert small.flags.c_contiguous
    expected = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 12


@pytest.mark.parametrize("fmt", ["yuv420p", "yuvj420p", "yuv422p"])
@pytest.mark.parametrize("size", [(640, 360), (648, 364), (1280, 720)])
def test_halved_by_somebody_else_it_looks_as_halved_by_swscale(
    fmt: str, size: tuple[int, int]
) -> None:
    pixels = cv2.GaussianBlur(noise(*size), (0, 0), 4)
    picture = DecodedPicture(frame_of(pixels, fmt), Converter())
    half = size[0] // 2, size[1] // 2
    planes: list[tuple[int, ...]] = []

    def halve(plane: Pixels, onto: Pixels) -> None:
        cv2.resize(plane, onto.shape[::-1], dst=onto, interpolation=cv2.INTER_AREA)
        planes.append(onto.shape)

    halved, scaled = picture.fit(*half, halve), picture.fit(*half)

    assert len(planes) == 3
    assert planes[0] == half[::-1]
    assert np.abs(halved.astype(int) - scaled).mean() < 2
    assert np.abs(halved.astype(int) - scaled).max() < 20


@pytest.mark.parametrize("size", [(319, 180), (320, 182), (640, 360), (200, 100)])
def test_what_is_not_just_half_as_large_is_not_halved(size: tuple[int, int]) -> None:
    picture = DecodedPicture(frame_of(noise(640, 360), "yuv420p"), Converter())

    def halve(_plane: Pixels, _onto: Pixels) -> None:
        raise AssertionError("asked to halve")

    assert np.array_equal(picture.fit(*size, halve), picture.fit(*size))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_phones_picture_is_upright(tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "phone.mp4"
    encode_video(path, [noise(320, 240)] * 2, fps=25, crf=5, rotation=degrees)
    capture = cv2.VideoCapture(str(path))  # turns pictures by itself
    _, expected = capture.read()

    picture = DecodedPicture(only_frame(path), Converter())

    assert (picture.width, picture.height) == (expected.shape[1], expected.shape[0])
    assert np.abs(picture.full().astype(int) - expected).mean() < 8
    fitted = picture.fit(picture.width // 2, picture.height // 2)
    assert fitted.shape == (picture.height // 2, picture.width // 2, 3)
    full = picture.full()
    for box in (Box(13.4, 7.9, 111.2, 95.1), Box(150.5, 120, 4000, 4000)):
        pixels, (left, top) = picture.cut(box)
        same = full[top : top + pixels.shape[0], left : left + pixels.shape[1]]
        assert np.array_equal(same, pixels)


@pytest.mark.parametrize("size", [(320, 240), (1280, 720)])
@pytest.mark.parametrize("matrix", [1, 2, 5, 6])  # BT.709, unspecified, BT.601 (PAL, NTSC)
@pytest.mark.parametrize("range_", [1, 2])  # limited, full
def test_colours_survive_every_matrix_and_range(
    size: tuple[int, int], matrix: int, range_: int
) -> None:
    orange = np.full((size[1], size[0], 3), (20, 120, 230), np.uint8)
    unspecified = 1 if size[1] >= 720 else 5  # what players assume
    frame = av.VideoFrame.from_ndarray(orange, format="bgr24").reformat(
        format="yuv420p",
        dst_colorspace=unspecified if matrix == 2 else {6: 5}.get(matrix, matrix),
        dst_color_range=range_,
    )
    frame.colorspace, frame.color_range = matrix, range_
    picture = DecodedPicture(frame, Converter())

    for pixels in (picture.full(), picture.fit(64, 64), picture.cut(Box(10, 10, 60, 60))[0]):
        assert np.abs(pixels.astype(int) - (20, 120, 230)).max() <= 6


def test_interlaced_pictures_can_be_looked_at(tmp_path: Path) -> None:
    path = coded_as(
        tmp_path / "tv.mkv", iter([noise(320, 240)] * 3), "yuv420p", {"x264-params": "tff=1"}
    )
    frame = only_frame(path)
    assert frame.interlaced_frame
    picture = DecodedPicture(frame, Converter())

    full = picture.full()
    pixels, (left, top) = picture.cut(Box(31, 21, 131, 121))

    assert np.abs(full.astype(int) - noise(320, 240)).mean() < 12
    assert np.array_equal(pixels, full[top : top + pixels.shape[0], left : left + pixels.shape[1]])
    assert picture.fit(160, 120).shape == (120, 160, 3)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj422p", "nv12", "gray"])
def test_a_glance_is_the_pictures_own_brightness(pixel_format: str) -> None:
    frame = frame_of(noise(1280, 720), pixel_format)

    glance = DecodedPicture(frame, Converter()).glance()

    assert glance is not None
    assert glance.shape == (180, 320)
    plane = np.frombuffer(frame.planes[0], np.uint8).reshape(720, -1)  # type: ignore[call-overload]
    assert np.array_equal(glance, plane[::4, :1280:4])


def test_where_brightness_does_not_lie_ready_there_is_no_glance() -> None:
    assert DecodedPicture(frame_of(noise(320, 240), "yuv420p10le"), Converter()).glance() is None
