"""No more is decoded than it takes to see every picture that is due."""

import logging
import math
import threading
import time
from itertools import pairwise
from pathlib import Path

import av
import pytest
from videos import coded_as, counting_pictures, number_in

from facewatch.domain.ids import CameraId, new_id
from facewatch.errors import UnreadableStream
from facewatch.ports.streams import Demand, Frame
from facewatch.stream.decode import VideoReader
from facewatch.stream.encode import encode_video
from facewatch.stream.files import FileSource

_PATTERN = {"bf": "3", "b_strategy": "0", "b-pyramid": "none", "g": "100", "sc_threshold": "0"}


def seen(
    path: Path, looks_per_s: float, demand: Demand | None = None
) -> tuple[list[tuple[int, float]], VideoReader]:
    """Number and time of the pictures that are looked at, and who decoded them."""
    looks = []
    with av.open(str(path)) as container:
        reader = VideoReader(container, "a clip", looks_per_s, demand=demand)
        for packet in reader.packets(threading.Event()):
            for frame, t_s in reader.due(packet):
                looks.append((number_in(frame.to_ndarray(format="bgr24")), t_s))
    return looks, reader


def right(looks: list[tuple[int, float]], fps: float) -> bool:
    return all(number == round(t_s * fps) % 256 for number, t_s in looks)


def test_pictures_that_no_other_refers_to_are_left_out(tmp_path: Path) -> None:
    path = coded_as(tmp_path / "b.mp4", counting_pictures(200), "yuv420p", _PATTERN)

    looks, reader = seen(path, looks_per_s=5)

    assert reader.received == 200
    assert reader.decoded < 90  # 50 that others refer to, and a few before that was known
    assert right(looks, 25)
    assert len(looks) == 40
    assert max(b - a for (_, a), (_, b) in pairwise(looks)) <= 0.37


def test_where_looks_are_denser_than_references_everything_is_decoded(tmp_path: Path) -> None:
    path = coded_as(tmp_path / "b.mp4", counting_pictures(100), "yuv420p", _PATTERN)

    looks, reader = seen(path, looks_per_s=12.5)

    assert reader.decoded == 100
    assert [number for number, _ in looks] == list(range(0, 100, 2))


_X265 = "log-level=none:scenecut=0:keyint=25:min-keyint=25"
KEYS = [
    ("libx264", {"g": "25", "bf": "0", "sc_threshold": "0"}),
    ("libx264", {"g": "25", "bf": "2", "sc_threshold": "0"}),
    ("libx265", {"x265-params": f"{_X265}:open-gop=0"}),
    ("libx265", {"x265-params": f"{_X265}:open-gop=1"}),
]


@pytest.mark.parametrize(("encoder", "options"), KEYS)
def test_key_pictures_alone_where_they_are_enough(
    tmp_path: Path, encoder: str, options: dict[str, str]
) -> None:
    pictures = counting_pictures(250, 160, 120)
    path = coded_as(tmp_path / "keys.mp4", pictures, "yuv420p", options, encoder=encoder)

    looks, reader = seen(path, looks_per_s=1)

    assert [number for number, _ in looks] == list(range(0, 250, 25))
    assert right(looks, 25)
    assert reader.decoded <= 160  # an open group of pictures takes longer to be known


@pytest.mark.parametrize(("encoder", "options"), KEYS)
def test_a_look_at_the_nearest_key_picture_will_do(
    tmp_path: Path, encoder: str, options: dict[str, str]
) -> None:
    pictures = counting_pictures(250, 160, 120)
    path = coded_as(tmp_path / "keys.mp4", pictures, "yuv420p", options, encoder=encoder)

    looks, _ = seen(path, looks_per_s=0.7)

    assert right(looks, 25)
    assert len(looks) == pytest.approx(7, abs=1)
    assert max(b - a for (_, a), (_, b) in pairwise(looks)) <= 2.05


@pytest.mark.parametrize(("encoder", "options"), KEYS[:3])
def test_key_pictures_alone_while_there_is_no_time_for_more(
    tmp_path: Path, encoder: str, options: dict[str, str]
) -> None:
    pictures = counting_pictures(400, 160, 120)
    path = coded_as(tmp_path / "keys.mp4", pictures, "yuv420p", options, encoder=encoder)
    asked = iter(range(400))

    looks, reader = seen(
        path,
        5,
        Demand(lambda: 1.4 if 100 <= next(asked) < 275 else math.inf),  # a packet each
    )

    in_need = [number for number, t_s in looks if 6 <= t_s <= 10.5]
    assert in_need == [number for number in in_need if number % 25 == 0]
    assert len(in_need) >= 4
    assert right(looks, 25)
    assert [number for number, t_s in looks if t_s >= 13] == [n % 256 for n in range(325, 400, 5)]
    assert reader.decoded < 300


class Asking:
    """Has time for so many looks a second, and wants one more at each of some packets."""

    def __init__(self, time_for: float, wanted: set[int]) -> None:
        self._time_for = time_for
        self._wanted = wanted
        self._packets = 0
        self._wanted_from = math.inf

    @property
    def demand(self) -> Demand:
        return Demand(self._count, lambda: self._wanted_from)

    def _count(self) -> float:
        if self._packets in self._wanted:
            self._wanted_from = time.monotonic()
        self._packets += 1
        return self._time_for


@pytest.mark.parametrize(("encoder", "options"), KEYS[:3])
def test_a_look_that_is_wanted_between_key_pictures_is_made_up_for(
    tmp_path: Path, encoder: str, options: dict[str, str]
) -> None:
    pictures = counting_pictures(250, 160, 120)
    path = coded_as(tmp_path / "keys.mp4", pictures, "yuv420p", options, encoder=encoder)
    asking = Asking(1.0, {160, 168, 210})

    looks, reader = seen(path, 5, asking.demand)

    near = [(150, 150), (155, 161), (163, 169), (175, 175), (200, 200), (205, 211), (225, 225)]
    late = [number for number, t_s in looks if t_s >= 6]
    assert len(late) == len(near)
    for number, (least, most) in zip(late, near, strict=True):
        assert least <= number <= most
    assert right(looks, 25)
    assert reader.decoded < 160


def test_what_lies_too_far_behind_a_key_picture_is_not_made_up_for(tmp_path: Path) -> None:
    options = {"g": "80", "bf": "0", "sc_threshold": "0"}
    path = coded_as(tmp_path / "long.mp4", counting_pictures(480, 160, 120), "yuv420p", options)

    looks, _ = seen(path, 5, Asking(0.4, {470}).demand)

    assert [number for number, t_s in looks if t_s >= 12.5] == [320 % 256, 400 % 256]


def test_key_pictures_that_are_too_seldom_do_not_make_do(tmp_path: Path) -> None:
    options = {"g": "50", "bf": "0", "sc_threshold": "0"}
    path = coded_as(tmp_path / "seldom.mp4", counting_pictures(250), "yuv420p", options)

    looks, reader = seen(path, 5, Demand(lambda: 1.0))

    assert reader.decoded == 250
    assert len(looks) == 50


def test_of_many_key_pictures_only_those_that_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "intra.mp4"
    encode_video(path, counting_pictures(200, 160, 120), fps=25, gop=1)

    looks, reader = seen(path, looks_per_s=2.5)

    assert [number for number, _ in looks] == list(range(0, 200, 10))
    assert reader.decoded < 60


def test_key_pictures_that_become_seldom_cost_one_gap(tmp_path: Path) -> None:
    often, seldom = tmp_path / "often.ts", tmp_path / "seldom.ts"
    encode_video(often, counting_pictures(100, 160, 120), fps=25, gop=10)
    encode_video(seldom, counting_pictures(100, 160, 120, first=100), fps=25, gop=50)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(often.read_bytes() + seldom.read_bytes())

    looks, _ = seen(joined, looks_per_s=2)

    numbers = [number for number, _ in looks]
    assert numbers == sorted(numbers)
    gaps = [b - a for a, b in pairwise(numbers)]
    assert sorted(gaps)[-2] <= 20  # a look a half second, or the nearest key picture
    assert max(gaps) <= 60
    assert numbers[-1] > 180


def test_a_rate_that_doubles_is_counted_and_gives_no_more_looks(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow, fast = tmp_path / "slow.ts", tmp_path / "fast.ts"
    encode_video(slow, counting_pictures(125, 160, 120), fps=25, gop=200)
    encode_video(fast, counting_pictures(250, 160, 120), fps=50, gop=500)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(slow.read_bytes() + fast.read_bytes())

    looks, reader = seen(joined, looks_per_s=5)

    assert len(looks) == pytest.approx(50, abs=1)
    assert max(b - a for (_, a), (_, b) in pairwise(looks)) < 0.25
    assert reader.changes == 1
    assert "it sent 25.0 pictures a second, and sends 50.0 now" in caplog.text


@pytest.mark.parametrize("left", [1, 4])
def test_a_configuration_record_that_is_cut_off_is_damage_as_any_other(
    tmp_path: Path, left: int
) -> None:
    encode_video(tmp_path / "sound.mp4", counting_pictures(10, 160, 120), fps=25)
    coded = bytearray((tmp_path / "sound.mp4").read_bytes())
    record = coded.index(b"avcC") + 4
    rest = int.from_bytes(coded[record - 8 : record - 4], "big") - 8 - left
    coded[record - 8 : record - 4] = (8 + left).to_bytes(4, "big")
    coded[record + left : record + left + 8] = rest.to_bytes(4, "big") + b"free"
    (path := tmp_path / "cut.mp4").write_bytes(coded)

    with pytest.raises(UnreadableStream, match="nothing in it can be decoded"):
        list(FileSource(CameraId(new_id()), path, looks_per_s=5).frames(threading.Event()))


def test_a_size_that_changes_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    small, large = tmp_path / "small.ts", tmp_path / "large.ts"
    encode_video(small, counting_pictures(50, 160, 120), fps=25)
    encode_video(large, counting_pictures(50, 320, 240, first=50), fps=25)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(small.read_bytes() + large.read_bytes())

    source = FileSource(CameraId(new_id()), joined, looks_per_s=5)
    frames: list[Frame] = list(source.frames(threading.Event()))

    assert [frame.picture.full().shape[1] for frame in frames] == [160] * 10 + [320] * 10
    assert source.changes == 1
    assert "its pictures are 320 x 240 now, not 160 x 120" in caplog.text
