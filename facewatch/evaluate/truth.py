"""What people saw in videos: who is in them, where, and when.

The format is that of a JSON file such as::

    {"videos": [{"file": "door.mp4",
                 "people": [{"id": "P1", "recognizable": "yes", "enrolled_as": "Ada",
                             "visible_s": [[0, 4.2]],
                             "boxes": [[0.0, 675, 558, 742, 637], [0.2, 676, 559, 743, 638]]}],
                 "others": [{"kind": "not_a_face", "note": "coat of arms", "boxes": []}]}]}

Times are presentation seconds, boxes are time, left, top, right, bottom, about 0.2 s apart.
Whatever else stands in it is passed over.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from facewatch.domain.geometry import Box
from facewatch.errors import UnusableLabels

_MOST_BYTES = 256 << 20

_NEAR_S = 0.15
"""A label this close in time speaks of a moment: labels are about 0.2 s apart."""

_LEAST_OVERLAP = 0.2
"""Intersection over union from which a box hits a label: detectors draw faces differently."""


class Kind(StrEnum):
    """What was labelled."""

    CLEAR = "clear"
    """Somebody clearly recognisable: their visits count."""
    WEAK = "weak"
    """Somebody hardly recognisable, or not at all: finding them is neither right nor wrong."""
    BACKGROUND = "background"
    """A real face of nobody in particular: as weak."""
    THING = "thing"
    """Not a face: an event on it is false."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, seconds."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        return max(0.0, self.end_s - self.start_s)

    def common(self, other: "Span") -> "Span":
        """What both cover; its length is 0 where that is nothing."""
        return Span(max(self.start_s, other.start_s), min(self.end_s, other.end_s))

    def distance_s(self, t_s: float) -> float:
        """How far *t_s* lies outside; 0 inside."""
        return max(self.start_s - t_s, t_s - self.end_s, 0.0)


@dataclass(frozen=True, slots=True)
class Sight:
    """A box at a moment."""

    t_s: float
    box: Box


@dataclass(frozen=True, slots=True)
class Subject:
    """A face, or what is taken for one, through a whole video.

    Attributes:
        called: The label's id, or its note where it has none.
        enrolled_as: Whom they are enrolled as, if they are.
        visible: When the face can be seen, ascending.
    """

    called: str
    kind: Kind
    enrolled_as: str | None
    visible: tuple[Span, ...]
    sights: tuple[Sight, ...]

    def visits(self, gap_s: float) -> list[Span]:
        """Their visits: stretches that are no more than *gap_s* apart are one."""
        joined: list[Span] = []
        for span in self.visible:
            if joined and span.start_s - joined[-1].end_s <= gap_s:
                joined[-1] = Span(joined[-1].start_s, max(joined[-1].end_s, span.end_s))
            else:
                joined.append(span)
        return joined

    def overlap(self, sight: Sight) -> float:
        """With the labels around that moment, 0..1."""
        return max(
            (sight.box.overlap(it.box) for it in self.sights if abs(it.t_s - sight.t_s) <= _NEAR_S),
            default=0.0,
        )


@dataclass(frozen=True, slots=True)
class VideoTruth:
    """One video's labels; *sha256* of the file that was labelled, if it was noted."""

    file: str
    sha256: str | None
    subjects: tuple[Subject, ...]

    def hit(self, sight: Sight) -> Subject | None:
        """Whose label *sight* overlaps most; None when it hits none."""
        best = max(self.subjects, key=lambda it: it.overlap(sight), default=None)
        return best if best and best.overlap(sight) >= _LEAST_OVERLAP else None


def _ordered(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("a range ends before it starts")
    return ends


def _spread(box: tuple[float, ...]) -> tuple[float, ...]:
    _, left, top, right, bottom = box
    if left >= right or top >= bottom:
        raise ValueError("a box is [t, left, top, right, bottom], with left < right, top < bottom")
    return box


_Number = Annotated[float, Field(allow_inf_nan=False)]
_Range = Annotated[tuple[_Number, _Number], AfterValidator(_ordered)]
_LabelledBox = Annotated[
    tuple[_Number, _Number, _Number, _Number, _Number], AfterValidator(_spread)
]


class _Person(BaseModel):
    id: str
    recognizable: Literal["yes", "weak", "no"]
    enrolled_as: str | None = None
    visible_s: list[_Range]
    boxes: list[_LabelledBox]

    def subject(self) -> Subject:
        return Subject(
            self.id,
            Kind.CLEAR if self.recognizable == "yes" else Kind.WEAK,
            self.enrolled_as,
            tuple(Span(*ends) for ends in sorted(self.visible_s)),
            _sights(self.boxes),
        )


class _Other(BaseModel):
    kind: Literal["person", "not_a_face"]
    note: str = ""
    boxes: list[_LabelledBox]

    def subject(self) -> Subject:
        sights = _sights(self.boxes)
        return Subject(
            self.note,
            Kind.BACKGROUND if self.kind == "person" else Kind.THING,
            None,
            tuple(Span(it.t_s, it.t_s) for it in sights),
            sights,
        )


class _Video(BaseModel):
    file: str
    sha256: str | None = None
    people: list[_Person]
    others: list[_Other] = []

    def truth(self) -> VideoTruth:
        labels: list[_Person | _Other] = [*self.people, *self.others]
        return VideoTruth(self.file, self.sha256, tuple(it.subject() for it in labels))


class _File(BaseModel):
    videos: list[_Video]


def _sights(boxes: Sequence[tuple[float, float, float, float, float]]) -> tuple[Sight, ...]:
    return tuple(Sight(t_s, Box(*edges)) for t_s, *edges in sorted(boxes))


def load_truth(path: Path) -> dict[str, VideoTruth]:
    """The labels of each video, by its file name.

    Raises:
        UnusableLabels: *path* cannot be read, or is of another format; says where.
    """
    remedy = "see docs/accuracy.md for the format"
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UnusableLabels(f"{path} has over {_MOST_BYTES >> 20} MiB", "split it by videos")
        read = _File.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        raise UnusableLabels(f"{path} cannot be read: {error.strerror}", "check --truth") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise UnusableLabels(f"{path}: {where}: {first['msg']}{more}", remedy) from None
    except (ValueError, RecursionError) as error:
        raise UnusableLabels(f"{path} is no JSON: {error}", remedy) from None
    for video in read.videos:
        _refuse_twins(path, [it.id for it in video.people], f"{video.file}: person")
    _refuse_twins(path, [it.file for it in read.videos], "video")
    return {it.file: it.truth() for it in read.videos}


def _refuse_twins(path: Path, names: list[str], what: str) -> None:
    twins = [name for name, same in groupby(sorted(names)) if len(list(same)) > 1]
    if twins:
        raise UnusableLabels(f"{path}: {what} {twins[0]!r} is there twice", "keep one of them")


def truth_of(video: Path, truths: dict[str, VideoTruth], source: Path) -> VideoTruth:
    """The labels of *video* out of *source*. Reads the whole file where its digest was noted.

    Raises:
        UnusableLabels: *source* does not speak of it, or of another file of this name.
    """
    truth = truths.get(video.name)
    if truth is None:
        known = ", ".join(sorted(truths)) or "none"
        raise UnusableLabels(f"{source} has no video {video.name!r}", f"it has: {known}")
    if truth.sha256 and video.is_file():
        with video.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != truth.sha256.lower():
            raise UnusableLabels(
                f"{video} is not the file that {source} was made for: its sha256 differs",
                "evaluate the file that was labelled, or label this one",
            )
    return truth
