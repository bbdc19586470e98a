"""What becomes of visits where there is time to look at key pictures only, and at few besides.

An overloaded machine decodes key pictures alone (docs/decisions/0102), and one picture more where
that may let a visit be told of (0108). Labelled videos run through detector, tracker and visits
with the looks that would be left of five a second: all of them; a key picture every one or two
seconds; and those with the looks that are hurried, 0.3 s after they are wanted, as far as
`Shedding` allows. Nothing depends on how quick the machine is. JSON lines: a way each, with
`told_*_s`, from a person's first look until the look at which the visit is told of, by the video's
clock; then a table.

    .venv/bin/python benchmarks/seldom.py [--quick] [VIDEO...]

Without VIDEO: those of ../shared/data/dev, with --quick two small ones of them, which says little.
"""

import argparse
import asyncio
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from shared import SHARED, needed

from facewatch.app.evaluate import Bench, open_bench
from facewatch.app.recognition import standstill_of, visiting_of
from facewatch.cli.output import table
from facewatch.domain.ids import CameraId, EventId, OrgId, new_id
from facewatch.evaluate.score import Cost, Seen, Tally
from facewatch.evaluate.truth import Sight, Span, VideoTruth, load_truth, truth_of
from facewatch.evaluate.visits import judge
from facewatch.flow.metrics import Metrics
from facewatch.pipeline.recognise import Recogniser
from facewatch.pipeline.record import decided
from facewatch.pipeline.shedding import Shedding
from facewatch.pipeline.visit import Visit, Visitors
from facewatch.settings import Settings
from facewatch.stream.files import FileSource

CAMERA, ORG = CameraId(UUID(int=1)), OrgId(UUID(int=1))
START = datetime(2000, 1, 1, tzinfo=UTC)
AFTER_S = 0.3
"""From when a look is wanted until the capture of its picture."""
WAYS = (
    ("all", 0.0, False),
    ("key", 1.0, False),
    ("key, hurried", 1.0, True),
    ("key", 2.0, False),
    ("key, hurried", 2.0, True),
)
"""What it is called, seconds between key pictures, and whether looks are hurried."""


@dataclass
class Told:
    """What was said of the visits of one video.

    Attributes:
        after_s: Of each, from its first look until it was told of.
        names: Of each, by version.
    """

    after_s: dict[EventId, float] = field(default_factory=dict)
    names: dict[EventId, list[str | None]] = field(default_factory=dict)
    closed: list[Seen] = field(default_factory=list)
    looks: int = 0
    embeddings: int = 0

    def hear(self, visit: Visit, at_s: float, bench: Bench) -> None:
        self.after_s.setdefault(visit.event, at_s - visit.first_seen_s)
        decision = decided(visit, bench.decider, ORG)
        name = bench.names[decision.person] if decision and decision.person else None
        self.names.setdefault(visit.event, []).append(name)
        if visit.closed:
            best = visit.best.look
            self.closed.append(
                Seen(
                    span=Span(visit.first_seen_s, visit.last_seen_s),
                    best=Sight(best.t_s, best.box),
                    looks=tuple(Sight(it.t_s, it.box) for it in visit.best_looks),
                    names=tuple(self.names[visit.event]),
                )
            )


def watched(bench: Bench, video: Path, key_s: float, *, hurried: bool) -> Told:
    """*video* with a look every *key_s*, and those that are hurried besides; 0: with all."""
    told, metrics, clock_s = Told(), Metrics.on(), 0.0
    shedding = Shedding(lambda: clock_s)
    for _ in range(8):  # most are replaced: from now on there is too little time
        clock_s += 0.5
        shedding.replaced()
        shedding.replaced()
        shedding.looked(CAMERA)
    began_s, key_at_s = clock_s, clock_s
    recogniser = Recogniser(
        bench.engine,
        lambda camera: Visitors(
            camera,
            lambda at, _number: EventId(new_id(at)),
            visiting=visiting_of(bench.settings),
            standstill=standstill_of(bench.settings),
        ),
        metrics,
        hurry=shedding.hurry if hurried else lambda _camera, _in_s: None,
    )
    source = FileSource(CAMERA, video, looks_per_s=5.0, start=START)
    last_s = 0.0
    for frame in source.frames(threading.Event()):
        last_s = frame.t_s
        clock_s = began_s + frame.t_s
        wanted = shedding.demand(CAMERA).wanted_from() + AFTER_S <= clock_s
        if not (wanted or clock_s + 1e-3 >= key_at_s):
            continue
        key_at_s += key_s if clock_s + 1e-3 >= key_at_s else 0.0
        shedding.looked(CAMERA)
        told.looks += 1
        for visit in recogniser.see([frame]):
            told.hear(visit, frame.t_s, bench)
    for visit in recogniser.close_all():
        told.hear(visit, last_s, bench)
    told.embeddings = int(metrics.registry.get_sample_value("embeddings_total") or 0)
    return told


def line(
    bench: Bench, videos: Sequence[tuple[Path, VideoTruth]], way: tuple[str, float, bool]
) -> dict[str, Any]:
    """All *videos*, looked at in this *way*."""
    name, key_s, hurried = way
    tally, cost, after_s, looks = Tally(), Cost(), list[float](), 0
    for video, truth in videos:
        told = watched(bench, video, key_s, hurried=hurried)
        score = judge(
            truth,
            sorted(told.closed, key=lambda it: it.span.start_s),
            embeddings=told.embeddings,
            gap_s=bench.settings.recognition.visit_gap_s,
            enrolled=bench.names.values(),
        )
        tally, cost, looks = tally + score.tally, cost + score.cost, looks + told.looks
        after_s += told.after_s.values()
    return {
        **{"benchmark": "seldom", "looks_at": name, "key_s": key_s, "looks": looks},
        **tally.json(),
        "embeddings": cost.embeddings,
        **{
            f"told_p{share}_s": round(float(np.percentile(after_s, share)), 2) for share in (50, 95)
        },
    }


async def measure(videos: Sequence[Path], quick: bool) -> list[dict[str, Any]]:
    dev = needed(SHARED / "dev")
    truths = load_truth(dev / "ground_truth.json")
    labelled = [(it, truth_of(it, truths, dev / "ground_truth.json")) for it in videos]
    settings = Settings.model_validate({"home": str(Path(__file__).parents[1] / ".home")})
    lines = []
    async with open_bench(settings, dev / "enrol", lambda _n, _who: None) as bench:
        for way in WAYS[1:3] if quick else WAYS:
            lines.append(await asyncio.to_thread(line, bench, labelled, way))
            print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", nargs="*", type=Path, metavar="VIDEO")
    parser.add_argument("--quick", action="store_true", help="two small videos, two ways")
    given = parser.parse_args()
    every = sorted(needed(SHARED / "dev" / "videos").iterdir())
    videos = given.videos or (
        [it for it in every if it.name[:3] in ("d06", "d08")] if given.quick else every
    )
    lines = asyncio.run(measure(videos, given.quick))
    columns = [
        *("looks_at", "key_s", "looks", "visits", "once", "split", "swallowed", "missed"),
        *("false", "right", "wrong", "withheld", "embeddings", "told_p50_s", "told_p95_s"),
    ]
    table(columns, [[it[column] for column in columns] for it in lines])


if __name__ == "__main__":
    main()
