"""Pictures of people walking through rooms.

A person is a cut-out of a photograph: real pixels of a real face, which is what a detector and an
embedder need. The room, the light, the walk and the camera's noise are ours.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facewatch.demo.cast import Figure
from facewatch.domain.faces import Pixels
from facewatch.stream.encode import Codec
from facewatch.vision.pictures import warp

EDITION = 1
"""Counts the changes of this module that change the pictures."""

WIDTH, HEIGHT = 1280, 720
_COUNTER_Y = 570
"""Where the counter begins that hides everybody's legs."""
_EXPOSURE_S = 1 / 40
_STEPS_HZ = 1.9

Floats = NDArray[np.float32]


class CutOut:
    """A person without the background: BGR times alpha, and alpha, at ever half the size.

    Attributes:
        face: Centre x, y and width of the face at full size, px.
    """

    def __init__(self, photo: Pixels, figure: Figure) -> None:
        xs, ys = zip(*figure.outline, strict=True)
        left, top = max(min(xs) - 4, 0), max(min(ys) - 4, 0)
        right, bottom = min(max(xs) + 4, photo.shape[1]), max(ys)
        part = photo[top:bottom, left:right].astype(np.float32)
        alpha = _soft(_inside(figure.outline, left, top, part.shape[:2]), figure.face.width / 60)
        cut = np.concatenate([part * alpha[..., None], alpha[..., None] * 255], axis=2)
        self.face = (
            (figure.face.left + figure.face.right) / 2 - left,
            (figure.face.top + figure.face.bottom) / 2 - top,
            figure.face.width,
        )
        self.levels = [_longer(cut, int(self.face[1] + 5 * figure.face.height)).astype(np.uint8)]
        while min(self.levels[-1].shape[:2]) > 100:
            self.levels.append(_half(self.levels[-1]))


def _inside(
    outline: Sequence[tuple[int, int]], left: int, top: int, size: tuple[int, ...]
) -> Floats:
    """1 inside the outline, by the even-odd rule, row by row."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    odd = np.zeros(size, dtype=bool)
    for (xa, ya), (xb, yb) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if ya != yb:
            crosses = (y + top < ya) != (y + top < yb)
            odd ^= crosses & (x + left < xa + (y + top - ya) * (xb - xa) / (yb - ya))
    return odd.astype(np.float32)


def _soft(alpha: Floats, radius: float) -> Floats:
    """The mask with an edge that falls off over about *radius* px."""
    reach = max(round(radius), 1)
    for axis in (0, 1, 0, 1):
        padded = np.pad(alpha, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], "edge")
        total = np.cumsum(padded, axis=axis, dtype=np.float64)
        ends = np.take(total, range(2 * reach, total.shape[axis]), axis=axis)
        starts = np.take(total, range(total.shape[axis] - 2 * reach), axis=axis)
        alpha = ((ends - starts) / (2 * reach)).astype(np.float32)
    return np.clip(alpha * 2 - 1, 0, 1)  # inwards only: no rim of the old background


def _longer(cut: Floats, height: int) -> Floats:
    """Clothes go on downwards, getting darker, where the photograph ends."""
    more = max(height - len(cut), 1)
    shade = np.linspace(1.0, 0.6, more, dtype=np.float32)[:, None, None]
    rest = np.repeat(cut[-6:-5], more, axis=0)
    rest[..., :3] *= shade
    return np.concatenate([cut[:-5], rest])


def _half(image: Pixels) -> Pixels:
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    blocks = image[:height, :width].reshape(height // 2, 2, width // 2, 2, -1)
    half: Pixels = blocks.mean(axis=(1, 3)).astype(np.uint8)
    return half


@dataclass(frozen=True, slots=True)
class Stand:
    """Where somebody is at one moment of a walk.

    Attributes:
        t_s: When, in the video's time.
        x: Of the face's centre, px.
        face_px: Width of the face, px: how near they are.
        turn: Which way they look, -1 left to 1 right of the camera.
        light: 1 in the room's light, 0 in the dark behind the door.
    """

    t_s: float
    x: float
    face_px: float
    turn: float = 0.0
    light: float = 1.0


@dataclass(frozen=True, slots=True)
class Walk:
    """One person's way through the picture, from the first stand to the last."""

    who: str
    stands: tuple[Stand, ...]

    def at(self, t_s: float) -> Stand | None:
        """Where they are; None before and after."""
        times = [stand.t_s for stand in self.stands]
        if not times[0] <= t_s <= times[-1]:
            return None
        near = t_s + np.linspace(-0.25, 0.25, 7)  # nobody changes direction at once
        x, face_px, turn, light = (
            float(np.interp(near, times, [getattr(stand, name) for stand in self.stands]).mean())
            for name in ("x", "face_px", "turn", "light")
        )
        return Stand(t_s, x, face_px, turn, light)


@dataclass(frozen=True, slots=True)
class Room:
    """What a camera sees.

    Attributes:
        seed: Of the walls, the furniture and the noise.
        wall: Colour, BGR.
        door: Left and right edge of the doorway, px.
        horizon_y: Height of a far-away face, px.
    """

    name: str
    seed: int
    wall: tuple[int, int, int]
    door: tuple[int, int]
    horizon_y: int
    seconds: float
    fps: int
    codec: Codec
    walks: tuple[Walk, ...]


def _empty(room: Room) -> list[Pixels]:
    """The empty room, seen a few times: the sensor's noise and the flicker of the light."""
    rng = np.random.default_rng(room.seed)
    still = _furnish(room, rng)
    noises = (rng.normal(0.0, 2.0, still.shape).astype(np.float32) for _ in range(6))
    return [
        np.clip(still * (1 + 0.012 * np.sin(2.1 * k)) + noise, 0, 255).astype(np.uint8)
        for k, noise in enumerate(noises)
    ]


def _furnish(room: Room, rng: np.random.Generator) -> Floats:
    """Wall, ceiling, floor, doorway, frames on the wall, counter."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    picture = np.empty((HEIGHT, WIDTH, 3), np.float32)
    picture[:] = room.wall
    picture[:70] = np.array(room.wall) * 1.12
    picture[500:] = np.array(room.wall) * 0.55
    picture[488:500] = np.array(room.wall) * 0.4
    for left in range(60, WIDTH - 160, 250):
        if left + 150 < room.door[0] - 30 or left > room.door[1] + 30:
            picture[130:250, left : left + 150] = 60
            picture[138:242, left + 8 : left + 142] = rng.uniform(90, 200, 3)
            picture[190:242, left + 8 : left + 142] *= 0.7
    picture[95:488, room.door[0] - 14 : room.door[1] + 14] = np.array(room.wall) * 0.7
    picture[110:500, room.door[0] : room.door[1]] = 22
    lamp = np.exp(-(((x - 0.4 * WIDTH) / 520) ** 2) - ((y - 40) / 330) ** 2)
    picture *= (0.72 + 0.36 * lamp)[..., None]
    picture[_COUNTER_Y:] = (58, 84, 120)
    picture[_COUNTER_Y : _COUNTER_Y + 26] = (120, 150, 180)
    picture[_COUNTER_Y + 26 :: 90] *= 0.7
    picture[_COUNTER_Y:] *= (1.0 - 0.35 * (y[_COUNTER_Y:] - _COUNTER_Y) / HEIGHT)[..., None]
    return picture


def frames(room: Room, people: Mapping[str, CutOut]) -> Iterator[Pixels]:
    """Every frame of *room*'s video, in order."""
    empty = _empty(room)
    rng = np.random.default_rng(room.seed + 1)
    for index in range(round(room.seconds * room.fps)):
        t_s = index / room.fps
        picture = empty[int(rng.integers(len(empty)))].copy()
        present = [(stand, walk) for walk in room.walks if (stand := walk.at(t_s))]
        for stand, walk in sorted(present, key=lambda each: each[0].face_px):
            before = walk.at(t_s - _EXPOSURE_S) or stand
            _paint(picture, people[walk.who], [before, stand], room.horizon_y)
        yield picture


def _paint(picture: Pixels, who: CutOut, stands: Sequence[Stand], horizon_y: int) -> None:
    """Put *who* into *picture*, blurred over the *stands* of one exposure."""
    level = min(int(np.log2(max(who.face[2] / stands[-1].face_px, 1))), len(who.levels) - 1)
    image = who.levels[level]
    matrices = [_pose(who, 2**level, stand, horizon_y) for stand in stands]
    left, top, right, bottom = _reach(matrices, image.shape[1], image.shape[0])
    if right <= left or bottom <= top:
        return
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], np.float64)
    layers = [warp(image, shift @ matrix, (right - left, bottom - top)) for matrix in matrices]
    layer: Floats = np.asarray(np.mean(layers, axis=0, dtype=np.float32))
    behind = picture[top:bottom, left:right]
    behind[:] = layer[..., :3] * stands[-1].light + behind * (1 - layer[..., 3:] / 255)


def _pose(who: CutOut, shrunk: int, stand: Stand, horizon_y: int) -> NDArray[np.float64]:
    """From the cut-out's pixels to the picture's: size, step, sway, and a turn of the head."""
    x, y, width = (each / shrunk for each in who.face)
    scale = stand.face_px / width
    step = 2 * np.pi * _STEPS_HZ * stand.t_s
    roll = np.radians(2.0 * np.sin(step / 2) + 1.5 * stand.turn)
    yaw = np.radians(20 * stand.turn + 4 * np.sin(step / 5))
    to_face = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    narrow = np.array([[np.cos(yaw), 0, 0], [0, 1, 0], [0.12 * np.sin(yaw) / width, 0, 1]])
    roll_scale = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    place = np.eye(3)
    place[:2, :2] = roll_scale
    place[0, 2] = stand.x + 0.03 * stand.face_px * np.sin(step / 2)
    place[1, 2] = horizon_y + 0.4 * stand.face_px + 0.03 * stand.face_px * np.sin(step)
    pose: NDArray[np.float64] = place @ narrow @ to_face
    return pose


def _reach(
    matrices: Sequence[NDArray[np.float64]], width: int, height: int
) -> tuple[int, int, int, int]:
    """The part of the picture that the cut-out may touch: left, top, right, bottom."""
    corners = np.array([[0, width, 0, width], [0, 0, height, height], [1, 1, 1, 1]], np.float64)
    spots = np.concatenate([matrix @ corners for matrix in matrices], axis=1)
    xs, ys = spots[0] / spots[2], spots[1] / spots[2]
    return (
        max(int(xs.min()), 0),
        max(int(ys.min()), 0),
        min(int(xs.max()) + 1, WIDTH),
        min(int(ys.max()) + 1, _COUNTER_Y),
    )
