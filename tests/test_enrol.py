"""Photos become matchmakers, or are refused with the reason."""

import hashlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from facewatch.demo.cast import HOPPER, OBAMA_2010, OBAMA_2012
from facewatch.domain.ids import OrgId
from facewatch.errors import NoFace, NotAPicture, NotFound, PoorFace, SeveralFaces, UnusablePhoto
from facewatch.gallery.exact import ExactGallery
from facewatch.people.enrol import Enroller
from facewatch.people.folder import Outcome, enrol_folder, photos_in
from facewatch.people.likeness import Likeness
from facewatch.people.look import Looker
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.store.people import PostgresPeople
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode, header


@pytest.fixture(scope="module")
def engine(models: Path) -> FaceEngine:
    return open_engine(models)


@pytest.fixture
async def org(database: Database) -> OrgId:
    return await database.default_org()


@pytest.fixture
async def enroller(
    engine: FaceEngine, database: Database, tmp_path: Path
) -> AsyncIterator[Enroller]:
    people, gallery = PostgresPeople(database), ExactGallery(engine.dimensions)
    with ThreadPoolExecutor(1) as thread:
        yield Enroller(
            looker=Looker(engine, JpegPngEncoder(), header, decode, thread, thread),
            likeness=Likeness(gallery, engine.calibration, people, 0.7, {}),
            people=people,
            blobs=LocalBlobs(tmp_path / "objects"),
        )


def jpeg(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", pixels)[1].tobytes()


async def test_an_enrolled_person_is_in_the_gallery_with_a_new_revision(
    enroller: Enroller, org: OrgId, photos: Path, engine: FaceEngine
) -> None:
    before, _ = await enroller.people.gallery(org, engine.model)
    photo = (photos / HOPPER.file).read_bytes()
    added = await enroller.enrol(org, "Grace Hopper", "hopper.jpg", photo)
    revision, faces = await enroller.people.gallery(org, engine.model)

    assert added is not None
    assert revision > before
    (face,) = faces
    assert face.face == added.matchmaker.face
    assert np.allclose(np.linalg.norm(face.template), 1, atol=1e-3)


async def test_the_same_photo_again_changes_nothing(
    enroller: Enroller, org: OrgId, photos: Path
) -> None:
    photo = (photos / HOPPER.file).read_bytes()
    await enroller.enrol(org, "Grace Hopper", "hopper.jpg", photo)

    assert await enroller.enrol(org, "Grace Hopper", "again.jpg", photo) is None
    (person,) = await enroller.people.all(org)
    assert person.matchmakers == 1


async def test_a_name_is_one_person_however_it_is_spelled(
    enroller: Enroller, org: OrgId, photos: Path
) -> None:
    for name, photo in (("José ", OBAMA_2010), (" Jose\u0301", OBAMA_2012)):
        await enroller.enrol(org, name, photo.file, (photos / photo.file).read_bytes())

    (person,) = await enroller.people.all(org)
    assert (person.name, person.matchmakers) == ("José", 2)


@pytest.mark.parametrize("name", [" ", "M\udcfcller"])
async def test_what_is_no_name_is_refused(
    enroller: Enroller, org: OrgId, photos: Path, name: str
) -> None:
    with pytest.raises(UnusablePhoto, match="rename"):
        await enroller.enrol(org, name, "hopper.jpg", (photos / HOPPER.file).read_bytes())
    assert await enroller.people.all(org) == []


async def test_a_file_may_be_named_as_it_likes(
    enroller: Enroller, org: OrgId, photos: Path
) -> None:
    photo = (photos / HOPPER.file).read_bytes()
    assert await enroller.enrol(org, "Grace Hopper", "M\udcfcller.jpg", photo) is not None


async def test_the_photos_own_bytes_are_kept(
    enroller: Enroller, org: OrgId, photos: Path, tmp_path: Path
) -> None:
    photo = (photos / HOPPER.file).read_bytes()
    await enroller.enrol(org, "Grace Hopper", "a/../odd näme.JPG", photo)

    kept = [it for it in (tmp_path / "objects").rglob("photo*") if it.is_file()]
    assert [hashlib.sha256(it.read_bytes()).digest() for it in kept] == [
        hashlib.sha256(photo).digest()
    ]


async def test_a_photo_that_is_not_fit_is_refused_and_creates_nobody(
    enroller: Enroller, org: OrgId, photos: Path
) -> None:
    hopper = decode((photos / HOPPER.file).read_bytes()).full()
    tiny = cv2.resize(hopper, None, fx=0.15, fy=0.15, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(hopper, (0, 0), 9)
    refusals: list[tuple[bytes, type[UnusablePhoto], str]] = [
        (b"", NotAPicture, "x.jpg"),
        (b"no picture at all", NotAPicture, "x.jpg"),
        (jpeg(hopper)[:-2000], NotAPicture, "x.jpg"),
        (jpeg(np.full((300, 300, 3), 90, np.uint8)), NoFace, "no face"),
        (jpeg(np.hstack([hopper, hopper])), SeveralFaces, "2 faces"),
        (jpeg(tiny), PoorFace, "px wide"),
        (jpeg(blurred), PoorFace, "blurred"),
    ]
    for photo, kind, says in refusals:
        with pytest.raises(kind, match=says) as caught:
            await enroller.enrol(org, "Somebody", "x.jpg", photo)
        assert caught.value.remedy

    assert await enroller.people.all(org) == []


async def test_a_folder_per_person_or_files_named_for_the_person(
    enroller: Enroller, org: OrgId, photos: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    (folder / "Barack Obama").mkdir(parents=True)
    for photo in (OBAMA_2010, OBAMA_2012):
        target = folder / "Barack Obama" / photo.file
        target.write_bytes((photos / photo.file).read_bytes())
    (folder / "Grace Hopper.jpg").write_bytes((photos / HOPPER.file).read_bytes())
    (folder / "broken.jpg").write_bytes(b"broken")
    (folder / "notes.txt").write_text("not a photo")

    results = [it async for it in enrol_folder(folder, org, enroller)]

    assert [(it.person, it.outcome) for it in results] == [
        ("Barack Obama", Outcome.ENROLLED),
        ("Barack Obama", Outcome.ENROLLED),
        ("Grace Hopper", Outcome.ENROLLED),
        ("broken", Outcome.REFUSED),
    ]
    people = {it.name: it.matchmakers for it in await enroller.people.all(org)}
    assert people == {"Barack Obama": 2, "Grace Hopper": 1}


def test_a_folder_without_photos_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no photos"):
        photos_in(tmp_path)
    with pytest.raises(NotFound, match="is no folder"):
        photos_in(tmp_path / "absent")
