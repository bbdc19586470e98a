"""How alike strangers are who sat in a studio: studio_tail.py [../shared/data/dev]

Portraits of the London and Canada sets (one light, one distance, one look at the camera), one
photo a person. A thousand pairs show a rate of 1 in 1,000; beyond it each of the three kinds of
pair (two women, two men, one of each) goes on as a normal distribution, which is what the LFW
pairs do down to 1 in a million. Prints the card's points (docs/decisions/0063).
"""

import argparse
import asyncio
import json
from itertools import combinations
from pathlib import Path
from statistics import NormalDist, fmean, stdev

from shared import SHARED, needed

from facewatch.app.evaluate import open_album
from facewatch.evaluate.photos import Face, Whose
from facewatch.settings import load_for_process

LONDON_WOMEN = {"001", "002", "025", "027", "038", "081", "100", "124"}
RATES = (-2.0, -3.0, -4.0, -5.0, -6.0)


def is_woman(photo: Path) -> bool:
    """Canada's files end in f or m; London's were looked at."""
    if photo.stem.startswith("canada"):
        return photo.stem.endswith("f")
    return photo.parent.name.removeprefix("london_") in LONDON_WOMEN


def kinds(faces: dict[Path, Face]) -> dict[int, list[float]]:
    """Cosines of all pairs, by how many of the two are women."""
    found: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for (a, one), (b, other) in combinations(faces.items(), 2):
        found[is_woman(a) + is_woman(b)].append(float(one.template @ other.template))
    return found


def rate(cosines: dict[int, list[float]], cosine: float) -> float:
    """The share of all pairs that reach *cosine*, each kind a normal distribution."""
    pairs = sum(map(len, cosines.values()))
    return (
        sum(
            len(each) * NormalDist(fmean(each), stdev(each)).cdf(2 * fmean(each) - cosine)
            for each in cosines.values()
        )
        / pairs
    )


def cosine_at(cosines: dict[int, list[float]], log_rate: float) -> float:
    """Where `rate` falls to 10 ** *log_rate*, by halving."""
    low, high = 0.0, 1.0
    while high - low > 1e-5:
        middle = (low + high) / 2
        low, high = (middle, high) if rate(cosines, middle) > 10**log_rate else (low, middle)
    return high


async def measure(photos: list[Path]) -> None:
    album = await open_album(load_for_process(None, {}), photos, Whose.LARGEST, lambda *_: None)
    faces = {photo: it for photo, it in album.faces.items() if isinstance(it, Face)}
    cosines = kinds(faces)
    everything = sorted((it for each in cosines.values() for it in each), reverse=True)
    said = {
        "photos": len(faces),
        "pairs": len(everything),
        "highest": [round(it, 3) for it in everything[:5]],
        "by_women": {
            number: {"pairs": len(it), "mean": round(fmean(it), 3), "sd": round(stdev(it), 3)}
            for number, it in cosines.items()
        },
        "points": [(round(cosine_at(cosines, it), 3), it) for it in RATES],
    }
    print(json.dumps(said))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dev", nargs="?", type=Path, default=SHARED / "dev")
    parser.add_argument("--quick", action="store_true", help="the same: 46 portraits are few")
    dev = needed(parser.parse_args().dev)
    portraits = [*dev.glob("enrol/london_*/*"), *dev.glob("distractors/canada_*")]
    asyncio.run(measure(sorted(portraits)))
