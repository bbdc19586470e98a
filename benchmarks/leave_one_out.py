"""Tracking with parameters fitted to the other videos: leave_one_out.py [--quick] [VIDEO...]

Each video is decoded, detected and aligned once and kept in memory (about 40 kB a face and look);
then the tracker runs over that with one choice of parameters after the other. A coordinate search
over wide lists looks for the fewest mistakes on all videos but one, and takes the middle of the
plateau of what is equally good, between two values of the list if need be: at its edge a value is
barely good, which is no better than barely bad. The defaults play no part. JSON lines: a video
each, then the sums, with the defaults and with what was fitted. Without VIDEO: those of
../shared/data/dev, with --quick two small ones of them, which says little.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from shared import SHARED, needed

from facewatch.app.recognition import rule_of
from facewatch.domain.calibration import Calibration
from facewatch.domain.faces import Detection, Landmarks, Pixels, Quality, Seen
from facewatch.domain.geometry import Box
from facewatch.domain.ids import CameraId, EventId, FaceId, OrgId, PersonId, new_id
from facewatch.domain.people import Matchmaker
from facewatch.evaluate.score import Cost, Tally, VideoScore
from facewatch.evaluate.score import Seen as SeenEvent
from facewatch.evaluate.truth import Sight, Span, VideoTruth, load_truth, truth_of
from facewatch.evaluate.visits import judge
from facewatch.flow.metrics import Metrics
from facewatch.gallery.exact import ExactGallery
from facewatch.people.decide import Decider
from facewatch.people.enrol import Gate, fit_face
from facewatch.people.folder import photos_in
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.record import decided
from facewatch.pipeline.track import Following
from facewatch.pipeline.visit import Visit, Visiting, Visitors
from facewatch.ports.streams import Frame, Picture
from facewatch.settings import Settings
from facewatch.stream.files import FileSource
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import decode
from facewatch.vision.runtime import Runtime

CAMERA, ORG = CameraId(UUID(int=1)), OrgId(UUID(int=1))

Parameters = tuple[float, ...]

CHOICES: dict[str, tuple[float, ...]] = {
    "same": (0.2, 0.3, 0.4, 0.5, 0.6),
    "unlike_clear": (0.1, 0.18, 0.26, 0.34, 0.42),
    "unlike_telling": (0.05, 0.12, 0.19, 0.26, 0.33),
    "telling": (0.2, 0.35, 0.5, 0.65, 0.8),
    "usual": (1.0, 1.75, 2.5, 3.25, 4.0),
    "face": (0.7, 0.75, 0.8, 0.85, 0.9),
    "near_s": (0.2, 0.7, 1.2, 1.7, 2.2),
    "wait_s": (0.2, 0.6, 1.0, 1.4, 1.8),
}
"""What is fitted; `face`, `near_s` and `wait_s` are of `Visiting`, the others of `Following`."""

_SWEEPS = 4
_OF_VISITS = ("face", "near_s", "wait_s")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A picture of which only its size is left."""

    width: int
    height: int

    def glance(self) -> None:
        return None

    def fit(self, width: int, height: int, halve: object = None) -> Pixels:
        raise NotImplementedError("its pixels are gone")

    def cut(self, box: Box) -> tuple[Pixels, tuple[int, int]]:
        raise NotImplementedError("its pixels are gone")

    def full(self) -> Pixels:
        raise NotImplementedError("its pixels are gone")


class RememberingEngine:
    """Implements `ports.vision.Engine`: what a real one said of each picture, said again."""

    def __init__(self, engine: FaceEngine) -> None:
        self._engine = engine
        self._seen: dict[int, Seen] = {}
        self._crops: dict[int, tuple[Pixels, Quality]] = {}
        self._said: dict[int, tuple[NDArray[np.float32], float]] = {}
        self.embedded = 0

    def remember(self, frame: Frame) -> Frame:
        """Look at *frame*; the same without its pixels."""
        (seen,) = self._engine.watch([frame.picture])
        left = Remembered(frame.picture.width, frame.picture.height)
        self._seen[id(left)] = seen
        for it in seen.faces:
            crop = self._engine.align(frame.picture, it.landmarks)
            self._crops[id(it.landmarks)] = crop, self._engine.quality(it, crop)
        return replace(frame, picture=left)

    @property
    def model(self) -> str:
        return self._engine.model

    @property
    def model_digest(self) -> str:
        return self._engine.model_digest

    @property
    def dimensions(self) -> int:
        return self._engine.dimensions

    @property
    def calibration(self) -> Calibration:
        return self._engine.calibration

    def detect(self, pictures: Sequence[Picture]) -> list[list[Detection]]:
        return [it.faces for it in self.watch(pictures)]

    def watch(self, pictures: Sequence[Picture]) -> list[Seen]:
        return [self._seen[id(it)] for it in pictures]

    def promise(self, detection: Detection) -> float:
        return self._engine.promise(detection)

    def align(self, picture: Picture, landmarks: Landmarks) -> Pixels:
        return self._crops[id(landmarks)][0]

    def quality(self, detection: Detection, crop: Pixels) -> Quality:
        return self._crops[id(detection.landmarks)][1]

    def embed(self, crops: Sequence[Pixels]) -> NDArray[np.float32]:
        return self.embed_telling(crops)[0]

    def embed_telling(
        self, crops: Sequence[Pixels]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.embedded += len(crops)
        new = [it for it in crops if id(it) not in self._said]
        for crop, template, telling in zip(new, *self._engine.embed_telling(new), strict=True):
            self._said[id(crop)] = template, float(telling)
        said = [self._said[id(it)] for it in crops]
        return np.stack([it for it, _ in said]), np.array([it for _, it in said], np.float32)


@dataclass(frozen=True, slots=True)
class Bench:
    """Every video as the engine saw it, and who is enrolled."""

    engine: RememberingEngine
    decider: Decider
    names: Mapping[PersonId, str]
    films: Mapping[str, tuple[VideoTruth, list[Frame]]]

    def score(self, film: str, parameters: Parameters) -> VideoScore:
        truth, frames = self.films[film]
        following, visiting = rules(parameters)
        recogniser = Recogniser(
            self.engine,
            lambda camera: Visitors(
                camera, lambda at, _number: EventId(new_id(at)), following, visiting
            ),
            Metrics.on(),
        )
        before = self.engine.embedded
        visits = [visit for frame in frames for visit in recogniser.see([frame])]
        visits += recogniser.close_all()
        return judge(
            truth,
            self._events(visits),
            embeddings=self.engine.embedded - before,
            gap_s=visiting.gap_s,
            enrolled=set(self.names.values()),
        )

    def _events(self, visits: Iterable[Visit]) -> list[SeenEvent]:
        said: dict[EventId, list[str | None]] = {}
        events = []
        for visit in visits:
            decision = decided(visit, self.decider, ORG)
            name = self.names[decision.person] if decision and decision.person else None
            said.setdefault(visit.event, []).append(name)
            if visit.closed:
                events.append(_seen(visit, tuple(said[visit.event])))
        return events


def _seen(visit: Visit, names: tuple[str | None, ...]) -> SeenEvent:
    best = visit.best.look
    return SeenEvent(
        Span(visit.first_seen_s, visit.last_seen_s),
        Sight(best.t_s, best.box),
        tuple(Sight(it.t_s, it.box) for it in visit.best_looks),
        names,
    )


def rules(parameters: Parameters) -> tuple[Following, Visiting]:
    values: dict[str, Any] = dict(zip(CHOICES, parameters, strict=True))
    of_visits = {name: values.pop(name) for name in _OF_VISITS}
    return replace(Following(), **values), replace(Visiting(), **of_visits)


def defaults() -> Parameters:
    rule = {**_fields(Following()), **_fields(Visiting())}
    return tuple(rule[name] for name in CHOICES)


def _fields(rule: Following | Visiting) -> dict[str, float]:
    return {name: getattr(rule, name) for name in CHOICES if hasattr(rule, name)}


class Scores:
    """The score of each video with each choice of parameters, worked out once."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._known: dict[tuple[str, Parameters], VideoScore] = {}

    def of(self, film: str, parameters: Parameters) -> VideoScore:
        key = film, parameters
        if key not in self._known:
            self._known[key] = self._bench.score(film, parameters)
        return self._known[key]

    def mistakes(self, films: Iterable[str], parameters: Parameters) -> int:
        """What is wrong with visits and names; a wrong name counts five times."""
        tally = sum((self.of(it, parameters).tally for it in films), Tally())
        visits = tally.visits - tally.once + tally.split + tally.false + tally.beyond
        return visits + 5 * tally.wrong + tally.withheld

    def fitted(self, films: Sequence[str]) -> Parameters:
        """The fewest mistakes; of values that are equally good the middle of their plateau."""
        best = tuple(values[len(values) // 2] for values in CHOICES.values())
        for _ in range(_SWEEPS):
            before = best
            for place, values in enumerate(CHOICES.values()):
                tried = [(*best[:place], value, *best[place + 1 :]) for value in values]
                mistakes = [self.mistakes(films, it) for it in tried]
                best = self._middle(films, tried, mistakes, place)
            if best == before:
                break
        return best

    def _middle(
        self,
        films: Sequence[str],
        tried: Sequence[Parameters],
        mistakes: Sequence[int],
        place: int,
    ) -> Parameters:
        """Halfway between the ends of the longest run of neighbours that are equally good.

        That is as far from both edges as one can be. Where what lies halfway is worse it is no
        plateau: then the lower end.
        """
        runs: list[list[Parameters]] = [[]]
        for it, made in zip(tried, mistakes, strict=True):
            if made == min(mistakes):
                runs[-1].append(it)
            else:
                runs.append([])
        longest = max(runs, key=len)
        low, high = longest[0], longest[-1]
        halfway = (low[place] + high[place]) / 2
        middle = (*low[:place], round(halfway, 6), *low[place + 1 :])
        return middle if self.mistakes(films, middle) <= min(mistakes) else low


def open_bench(models: Path, truth: Path, videos: Sequence[Path]) -> Bench:
    engine = open_engine(models, runtime=Runtime(threads=2))
    remembering, films = RememberingEngine(engine), {}
    truths = load_truth(truth)
    for video in videos:
        source = FileSource(CAMERA, video, looks_per_s=5, start=datetime(2000, 1, 1, tzinfo=UTC))
        frames = [remembering.remember(it) for it in source.frames(threading.Event())]
        films[video.name] = truth_of(video, truths, truth), frames
        print(f"{video.name}: {len(frames)} looks", file=sys.stderr)
    names: dict[PersonId, str] = {}
    matchmakers = []
    for name, photo in photos_in(truth.parent / "enrol"):
        person = next((it for it, known in names.items() if known == name), PersonId(new_id()))
        names[person] = name
        _, crop, _ = fit_face(engine, Gate(), decode(photo.read_bytes(), photo.name), photo.name)
        matchmakers.append(Matchmaker(FaceId(new_id()), person, ORG, engine.embed([crop])[0]))
    gallery = ExactGallery(engine.dimensions)
    gallery.replace(ORG, 1, matchmakers)
    decider = Decider(gallery, engine.calibration, engine.model_digest, rule_of(Settings()))
    return Bench(remembering, decider, names, films)


def _said(scores: Sequence[VideoScore]) -> dict[str, float]:
    tally = sum((it.tally for it in scores), Tally())
    cost = sum((it.cost for it in scores), Cost())
    return {**tally.json(), **cost.json()}


def main(models: Path, truth: Path, videos: Sequence[Path]) -> None:
    bench = open_bench(models, truth, videos)
    scores, films = Scores(bench), sorted(bench.films)
    left_out: list[VideoScore] = []
    for film in films:
        found = scores.fitted([it for it in films if it != film])
        left_out.append(scores.of(film, found))
        line = {
            "left_out": film,
            "fitted": dict(zip(CHOICES, found, strict=True)),
            "as_fitted": _said([left_out[-1]]),
            "by_default": _said([scores.of(film, defaults())]),
        }
        print(json.dumps(line), flush=True)
    by_default = [scores.of(it, defaults()) for it in films]
    sums = {"as_fitted": _said(left_out), "by_default": _said(by_default)}
    print(json.dumps({"videos": len(films), "defaults": defaults(), **sums}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path)
    parser.add_argument("--truth", type=Path, default=SHARED / "dev" / "ground_truth.json")
    parser.add_argument("--models", type=Path, default=Path(__file__).parents[1] / ".home/models")
    parser.add_argument("--quick", action="store_true", help="two small videos")
    given = parser.parse_args()
    found = given.videos or sorted((needed(given.truth).parent / "videos").iterdir())
    if given.quick:
        found = [it for it in found if it.name.startswith(("d02", "d09"))]
    main(given.models, given.truth, found)
