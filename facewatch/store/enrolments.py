"""New matchmakers as rows: asset, face, template and revision, many at once."""

from collections.abc import Sequence

import numpy as np

from facewatch.domain.ids import OrgId, PersonId, new_id
from facewatch.ports.people import Enrolment, PhotoKeys
from facewatch.store.database import Database, Work
from facewatch.store.events import quality_parts, spelled
from facewatch.store.revision import next_revision

Added = tuple[OrgId, PersonId, Enrolment, PhotoKeys]
"""Whose, and what is kept of it."""


async def model_id(database: Database, name: str, dimensions: int) -> int:
    """Of the model of this name, whose partition is made when it is first seen."""
    row = await database.row("register_model", name=name, dimensions=dimensions)
    assert row is not None
    number: int = row["model"]
    return number


async def put_matchmakers(work: Work, model: int, added: Sequence[Added]) -> None:
    """Add them at one new gallery revision an org; their persons are locked already."""
    await _put_photos(work, added)
    orgs = [org for org, *_ in added]
    faces = [enrolment.face for _, _, enrolment, _ in added]
    await work.fetch(
        "templates_add",
        model=model,
        faces=faces,
        orgs=orgs,
        embeddings=[spelled(enrolment.template) for _, _, enrolment, _ in added],
    )
    revisions = {org: await next_revision(work, org) for org in sorted(set(orgs))}
    await work.fetch(
        "matchmakers_add",
        faces=faces,
        orgs=orgs,
        persons=[person for _, person, _, _ in added],
        origin_faces=[it.origin and it.origin.face for _, _, it, _ in added],
        revisions=[revisions[org] for org in orgs],
    )


async def _put_photos(work: Work, added: Sequence[Added]) -> None:
    assets = [new_id() for _ in added]
    orgs = [org for org, *_ in added]
    enrolments = [enrolment for _, _, enrolment, _ in added]
    keys = [kept for *_, kept in added]
    await work.fetch(
        "photos_add",
        ids=assets,
        orgs=orgs,
        captured_at=[it.origin and it.origin.at for it in enrolments],
        widths=[it.width for it in enrolments],
        heights=[it.height for it in enrolments],
        sizes=[len(it.photo) for it in enrolments],
        digests=[it.digest for it in enrolments],
        mimes=[it.content_type for it in enrolments],
        file_names=[it.file_name for it in enrolments],
        keys=[it.photo for it in keys],
    )
    boxes = [it.detection.box.rounded() for it in enrolments]
    await work.fetch(
        "enrolled_faces_add",
        ids=[it.face for it in enrolments],
        orgs=orgs,
        assets=assets,
        lefts=[box[0] for box in boxes],
        tops=[box[1] for box in boxes],
        rights=[box[2] for box in boxes],
        bottoms=[box[3] for box in boxes],
        landmarks=[_spelled(np.ravel(it.detection.landmarks).tolist()) for it in enrolments],
        qualities=[_spelled(quality_parts(it.quality)) for it in enrolments],
        persons=[person for _, person, _, _ in added],
        thumbnail_keys=[it.thumbnail for it in keys],
        crop_keys=[it.crop for it in keys],
    )


def _spelled(numbers: Sequence[float]) -> str:
    return f"{{{','.join(map(repr, numbers))}}}"
