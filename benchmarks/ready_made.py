"""Events with ready-made pictures, as `writing.py` writes them: nothing is encoded."""

import hashlib
import random
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from factories import ORG, a_decision, a_face, a_record, a_template

from facewatch.domain.events import EventRecord
from facewatch.domain.ids import AssetId, CameraId, EventId, new_id
from facewatch.domain.keys import event_prefix

FRAME, FACE = random.Random(1).randbytes(60_000), random.Random(2).randbytes(8_000)
_DIGEST = hashlib.sha256(FRAME).digest()
_TEMPLATES = [a_template(seed) for seed in range(64)]


def an_event(camera: CameraId, number: int) -> tuple[EventRecord, dict[str, bytes]]:
    """A visit of somebody unknown that closes now, and its two pictures."""
    at = datetime.now(UTC)
    event = EventId(new_id(at))
    prefix = f"{event_prefix(ORG, event, at)}/1"
    face = a_face(event)
    base = _base(camera)
    record = replace(
        base,
        id=event,
        first_seen=at,
        last_seen=at,
        best_at=at,
        face=face.id,
        snapshot=replace(base.snapshot, id=AssetId(new_id(at)), captured_at=at, faces=(face,)),
        template=_TEMPLATES[number % len(_TEMPLATES)],
        frame_key=f"{prefix}/frame.jpg",
        thumbnail_key=f"{prefix}/face.jpg",
    )
    return record, {record.frame_key: FRAME, record.thumbnail_key: FACE}


_BASES: dict[CameraId, EventRecord] = {}


def _base(camera: CameraId) -> EventRecord:
    if camera not in _BASES:
        made = a_record(camera, closed=True, look_keys=(), decision=a_decision())
        snapshot = replace(made.snapshot, size_bytes=len(FRAME), sha256=_DIGEST)
        _BASES[camera] = replace(made, snapshot=snapshot)
    return _BASES[camera]
