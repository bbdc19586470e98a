"""Split a folder of people for `facewatch eval identification`: python open_set.py LFW TO [N]

Of whoever has two or more pictures, the first N (1) are linked into TO/gallery, the last always
into TO/probes with whatever else is left; everybody else into TO/strangers.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

from facewatch.people.folder import photos_in


def split(people: Path, to: Path, most: int = 1) -> dict[str, int]:
    """How many pictures each of the three folders got."""
    photos: dict[str, list[Path]] = defaultdict(list)
    for name, photo in photos_in(people):
        photos[name].append(photo)
    counts = dict.fromkeys(("gallery", "probes", "strangers"), 0)
    for name, theirs in photos.items():
        for number, photo in enumerate(theirs):
            enrolled = number < min(most, len(theirs) - 1)
            part = "strangers" if len(theirs) == 1 else "gallery" if enrolled else "probes"
            folder = to / part / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / photo.name).symlink_to(photo.resolve())
            counts[part] += 1
    return counts


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    print(json.dumps(split(Path(sys.argv[1]), Path(sys.argv[2]), *map(int, sys.argv[3:]))))
