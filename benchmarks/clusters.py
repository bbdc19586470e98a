"""How well unknown visitors are told apart and put together, whoever comes first.

Each photo of LFW View 1 is a visit of somebody unknown; they come in a random order, and each is
compared with those before it by the rule of `serve`. Somebody seen once is alone.

    .venv/bin/python benchmarks/clusters.py [--quick] [--images FOLDER] [--orders N]

FOLDER holds a folder for each person. Prints a JSON line an order: precision and recall by pairs
and BCubed (the mean over photos), and how many of the pairs that are together in it or in the first
order are so in both.
"""

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shared import SHARED, needed

from facewatch.app.recognition import warm_engine
from facewatch.domain.clusters import Group, Sureness, Visitor
from facewatch.domain.faces import Template
from facewatch.domain.ids import EventId, PersonId, new_id
from facewatch.evaluate.photos import Whose
from facewatch.settings import Settings
from facewatch.vision.pictures import decode

_ROOT = Path(__file__).parent.parent
_FACES_EACH = 32


def seen(
    images: Path, sureness: Sureness, settings: Settings, one_in: int
) -> list[tuple[str, Template]]:
    """Whose and which face, of every photo of one in so many people that is good enough."""
    engine, found = warm_engine(settings), []
    people = sorted(it for it in images.iterdir() if it.is_dir())[::one_in]
    for photo in sorted(it for person in people for it in person.glob("*.jpg")):
        picture = decode(photo.read_bytes(), photo.name)
        if not (detections := engine.detect([picture])[0]):
            continue
        detection = Whose.CENTRE.of(detections, picture)
        crop = engine.align(picture, detection.landmarks)
        templates, telling = engine.embed_telling([crop])
        quality = replace(engine.quality(detection, crop), telling=float(telling[0]))
        if sureness.fit(quality):
            found.append((photo.parent.name, templates[0]))
    return found


def clustered(faces: NDArray[np.float32], order: list[int], sureness: Sureness) -> NDArray[np.int_]:
    """A number for each face: those of one number were taken for one human."""
    events = [EventId(new_id()) for _ in faces]
    at = {event: n for n, event in enumerate(events)}
    whose: dict[int, PersonId | None] = {}
    members: dict[PersonId, list[int]] = defaultdict(list)
    for now in order:
        bar = sureness.bar(len(whose))
        near = [n for n in whose if faces[n] @ faces[now] >= bar.agree]
        loose = [Visitor(events[n], faces[n]) for n in near if whose[n] is None]
        people = {person for n in near if (person := whose[n])}
        groups = {it: Group([faces[n] for n in members[it][-_FACES_EACH:]]) for it in people}
        company = bar.company(faces[now], loose, groups)
        whose[now] = None
        if company:
            person = company.person or PersonId(new_id())
            for n in (now, *(at[event] for event in company.events)):
                whose[n] = person
                members[person].append(n)
    numbers = {person: n for n, person in enumerate(members)}
    return np.array([-1 - n if (p := whose[n]) is None else numbers[p] for n in range(len(faces))])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--images", type=Path, default=SHARED / "lfw-view1" / "images")
    options.add_argument("--orders", type=int, default=5)
    options.add_argument("--quick", action="store_true", help="a tenth of the people, two orders")
    asked = options.parse_args()
    needed(asked.images)
    one_in, orders = (10, 2) if asked.quick else (1, asked.orders)
    settings = Settings.model_validate({"home": str(_ROOT / ".home")})
    sureness = Sureness(warm_engine(settings).calibration)
    visits = seen(asked.images, sureness, settings, one_in)
    names = np.unique([name for name, _ in visits], return_inverse=True)[1]
    faces = np.stack([face for _, face in visits])
    same = names[:, None] == names[None]
    upper = np.triu(np.ones_like(same), 1).astype(bool)
    first = None
    for seed in range(orders):
        order = np.random.default_rng(seed).permutation(len(faces)).tolist()
        numbers = clustered(faces, order, sureness)
        together = numbers[:, None] == numbers[None]
        first = together if first is None else first
        both, pairs = together & same, int((together & same & upper).sum())
        print(
            json.dumps(
                {
                    "order": seed,
                    "photos": len(faces),
                    "people": int(names.max()) + 1,
                    "precision": round(pairs / int((together & upper).sum()), 4),
                    "recall": round(pairs / int((same & upper).sum()), 4),
                    "bcubed_precision": round(float((both.sum(1) / together.sum(1)).mean()), 4),
                    "bcubed_recall": round(float((both.sum(1) / same.sum(1)).mean()), 4),
                    "as_in_the_first": round(
                        int((together & first & upper).sum())
                        / int(((together | first) & upper).sum()),
                        4,
                    ),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
