"""Photos that are sent to the Rhombus family, over a real socket, with a real engine."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from factories import ORG, some_deps, some_remains

from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.server import application, serving
from facewatch.demo.cast import COLLINS, HOPPER, OBAMA_2010, OBAMA_2012
from facewatch.domain.audit import AuditFilter, Outcome
from facewatch.domain.ids import FaceId, OrgId, new_id, to_prefixed, to_ruuid
from facewatch.domain.uploads import Upload
from facewatch.errors import DatabaseUnavailable, ObjectStoreUnavailable
from facewatch.gallery.exact import ExactGallery
from facewatch.people.forget import forget
from facewatch.people.inbox import Bounds, Inbox, Sent
from facewatch.people.likeness import Likeness
from facewatch.people.look import Looker
from facewatch.people.upload import UploadEnroller
from facewatch.store.blobs import LocalBlobs
from facewatch.store.database import Database
from facewatch.store.keys import PostgresKeys
from facewatch.store.people import PostgresPeople
from facewatch.store.uploads import PostgresUploads
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode, header

CONTRACT = Path(__file__).parents[2] / "shared/spec/rhombus-openapi.json"
UPLOAD = "matchmaker/uploadFaceMatchmakers"
METADATA = "matchmaker/findFaceUploadMetadataByTransaction"
VALIDATE = "matchmaker/validateFaceMatchmakerImage"
PROCESS = "faceEvent/processFaceEventSearchImage"


@pytest.fixture(scope="module")
def engine(models: Path) -> FaceEngine:
    return open_engine(models)


@dataclass
class House:
    """A running service, and what enrols in it when a test says so."""

    client: aiohttp.ClientSession
    database: Database
    people: PostgresPeople
    uploads: PostgresUploads
    blobs: LocalBlobs
    objects: Path
    enroller: UploadEnroller
    photos: Path

    def photo(self, photo: Any) -> bytes:
        return (self.photos / photo.file).read_bytes()

    async def send(
        self, operation: str, *files: tuple[str, bytes], **query: str
    ) -> tuple[int, dict[str, Any]]:
        form = aiohttp.FormData()
        form.add_field("comment", "no file")
        for name, body in files:
            form.add_field("any", body, filename=name, content_type="image/jpeg")
        path = f"/api/faceRecognition/{operation}"
        async with self.client.post(path, data=form, params=query) as answer:
            return answer.status, await answer.json()

    async def upload(self, *files: tuple[str, bytes], **query: str) -> dict[str, Any]:
        query.setdefault("createPersonIfNotFound", "true")
        status, answer = await self.send(UPLOAD, *files, **query)
        assert status == 200, answer
        follows(UPLOAD, answer)
        return answer

    async def ask(self, operation: str, **message: object) -> dict[str, Any]:
        path = f"/api/faceRecognition/{operation}"
        async with self.client.post(path, json=message) as answer:
            assert answer.status == 200
            found: dict[str, Any] = await answer.json()
            return found

    async def became(self, transaction: str) -> list[dict[str, Any]]:
        """What became of a transaction once all that waits is settled."""
        while await self.enroller.step():
            pass
        return await self.metadata(transaction)

    async def metadata(self, transaction: str) -> list[dict[str, Any]]:
        answer = await self.ask(METADATA, transactionId=transaction)
        follows(METADATA, answer)
        found: list[dict[str, Any]] = answer["faceUploadMetadata"]
        return found

    async def enrolled(self) -> dict[str, int]:
        return {it.name or "": it.matchmakers for it in await self.people.all(ORG)}

    def kept(self) -> set[str]:
        return {path.name for path in self.objects.rglob("*") if path.is_file()}


def follows(operation: str, answer: dict[str, Any]) -> None:
    """*answer* is what the published document promises of *operation*."""
    if not CONTRACT.exists():
        return
    validators = pytest.importorskip("openapi_schema_validator")
    document = json.loads(CONTRACT.read_text())
    described = document["paths"][f"/api/faceRecognition/{operation}"]["post"]["responses"]["200"]
    schema = described["content"]["application/json"]["schema"]
    validators.OAS30Validator({"allOf": [schema], "components": document["components"]}).validate(
        answer
    )


@pytest.fixture
async def house(
    engine: FaceEngine, database: Database, tmp_path: Path, photos: Path
) -> AsyncIterator[House]:
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    deps = some_deps(database, tmp_path)
    gallery = ExactGallery(engine.dimensions)
    with ThreadPoolExecutor(1) as engine_thread, ThreadPoolExecutor(1) as workers:
        looker = Looker(engine, JpegPngEncoder(), header, decode, engine_thread, workers)
        uploads = PostgresUploads(database)
        people = PostgresPeople(database)
        blobs = LocalBlobs(tmp_path / "blobs")
        likeness = Likeness(gallery, engine.calibration, people, 0.7, {})
        enroller = UploadEnroller(uploads, people, blobs, looker, likeness, "here")
        headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
        async with (
            serving(application(replace(deps, looker=looker)), "127.0.0.1", 0) as url,
            aiohttp.ClientSession(url, headers=headers) as client,
        ):
            yield House(
                *(client, database, people, uploads, blobs, tmp_path / "blobs", enroller, photos)
            )


def jpeg(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def small(photo: bytes, side: int = 320) -> np.ndarray:
    """A photo at a size that is quick to look at."""
    pixels = decode(photo).full()
    scale = side / max(pixels.shape)
    return cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


class Down(LocalBlobs):
    """An object store that does not answer."""

    async def get(self, key: str) -> bytes:
        raise ObjectStoreUnavailable("nobody answers", "start it")


# --- upload and what becomes of it ------------------------------------------------------------


async def test_an_upload_waits_and_then_is_a_matchmaker(house: House) -> None:
    photo = house.photo(HOPPER)
    answer = await house.upload(("Grace Hopper.jpg", photo))

    (result,) = answer["fileUploadResults"]
    assert result == {"fileName": "Grace Hopper.jpg", "message": None, "success": True}
    transaction = answer["transactionId"]
    (waiting,) = await house.metadata(transaction)
    assert (waiting["success"], waiting["faceId"], waiting["errorMsg"]) == (None, None, None)
    (done,) = await house.became(transaction)
    (person,) = await house.people.all(ORG)
    (face,) = await house.people.matchmakers(ORG)
    assert done == {
        "createdAtMillis": waiting["createdAtMillis"],
        "errorMsg": None,
        "faceId": to_prefixed("face", face.face),
        "orgUuid": to_ruuid(ORG),
        "origS3Key": waiting["origS3Key"],
        "personUuid": to_ruuid(person.id),
        "success": True,
        "transactionId": transaction,
    }
    assert (person.name, face.uploaded) == ("Grace Hopper", True)
    assert await house.blobs.get(done["origS3Key"]) == photo
    async with house.client.get(f"/media/faces?s3ObjectKey={done['origS3Key']}") as media:
        assert media.status == 200
        assert await media.read() == photo


async def test_twenty_files_have_twenty_results_in_their_order(house: House) -> None:
    photos = [jpeg(small(house.photo(it))) for it in (HOPPER, OBAMA_2012)]
    files = [(f"Person {n}.jpg", photos[n % 2]) for n in range(18)]
    files.insert(3, ("notes.txt", b"not a photo"))
    files.insert(7, ("Too large.jpg", b"\xff\xd8\xff" + bytes(5_000_000)))

    answer = await house.upload(*files, transaction="mine")

    results = answer["fileUploadResults"]
    assert [it["fileName"] for it in results] == [name for name, _ in files]
    assert [n for n, it in enumerate(results) if not it["success"]] == [3, 7]
    assert "no JPEG, PNG" in results[3]["message"]
    assert "larger than 5 MB" in results[7]["message"]
    became = await house.became("mine")
    assert len(became) == 18
    assert [it["errorMsg"] for it in became] == [None] * 18
    assert len(await house.enrolled()) == 18


async def test_nobody_is_made_unless_the_query_says_so(house: House) -> None:
    for query in ({}, {"createPersonIfNotFound": "false"}, {"createPersonIfNotFound": ""}):
        status, answer = await house.send(UPLOAD, ("Ann.jpg", house.photo(HOPPER)), **query)
        (result,) = answer["fileUploadResults"]
        assert (status, result["success"]) == (200, False)
        assert "nobody is called Ann" in result["message"]
    assert house.kept() == set()
    ann = await house.people.create(ORG, "Ann")

    answer = await house.upload((" Ann.JPEG", house.photo(HOPPER)), createPersonIfNotFound="false")
    (done,) = await house.became(answer["transactionId"])
    assert done["personUuid"] == to_ruuid(ann.id)
    assert done["success"]


async def test_what_is_not_fit_is_refused_with_the_reason_and_its_pixels_go(house: House) -> None:
    hopper = small(house.photo(HOPPER), 480)
    files = {
        "No Face.jpg": (jpeg(np.full((300, 300, 3), 90, np.uint8)), "no face"),
        "Two.jpg": (jpeg(np.hstack([hopper, hopper])), "2 faces"),
        "Small.jpg": (jpeg(small(house.photo(HOPPER), 100)), "px wide"),
        "Blurred.jpg": (jpeg(cv2.GaussianBlur(hopper, (0, 0), 7)), "blurred"),
        "Cut.jpg": (jpeg(hopper)[:-2000], "broken or cut short"),
    }

    answer = await house.upload(*((name, body) for name, (body, _) in files.items()))

    assert all(it["success"] for it in answer["fileUploadResults"])
    became = await house.became(answer["transactionId"])
    for it, (_, says) in zip(became, files.values(), strict=True):
        assert (it["success"], it["faceId"], it["origS3Key"]) == (False, None, None)
        assert says in it["errorMsg"]
    assert await house.enrolled() == {}
    assert house.kept() == set()


async def test_the_same_photo_again_is_refused_and_of_another_person_warned_of(
    house: House,
) -> None:
    photo = house.photo(HOPPER)
    again = await house.upload(("Ann.jpg", photo), ("Ann.png", photo), ("Bob.jpg", photo))

    first, second, other = await house.became(again["transactionId"])
    assert first["success"]
    assert "warningMsg" not in first
    assert not second["success"]
    assert "very photo already" in second["errorMsg"]
    assert other["success"]
    assert "enrolled for Ann" in other["warningMsg"]
    third = await house.upload(("Ann.jpg", photo))
    (late,) = await house.became(third["transactionId"])
    assert "very photo already" in late["errorMsg"]
    assert await house.enrolled() == {"Ann": 1, "Bob": 1}


async def test_a_face_that_looks_like_somebody_else_is_warned_of(house: House) -> None:
    await house.upload(("Barack Obama.jpg", house.photo(OBAMA_2012)))
    await house.upload(("Grace Hopper.jpg", house.photo(HOPPER)))
    answer = await house.upload(
        ("Bob.jpg", house.photo(OBAMA_2010)),
        ("Grace Hopper.jpg", house.photo(COLLINS)),
    )

    like, unlike = await house.became(answer["transactionId"])
    assert "looks like Barack Obama" in like["warningMsg"]
    assert "unlike this person's other photos" in unlike["warningMsg"]
    assert (like["success"], unlike["success"]) == (True, True)


async def test_a_photo_of_the_wrong_person_that_was_deleted_is_not_warned_of(
    house: House,
) -> None:
    wrong = await house.upload(("Ann.jpg", house.photo(OBAMA_2012)))
    (done,) = await house.became(wrong["transactionId"])
    await house.ask("matchmaker/deleteFaceMatchmaker", faceId=done["faceId"])

    right = await house.upload(("Barack Obama.jpg", house.photo(OBAMA_2010)))

    (done,) = await house.became(right["transactionId"])
    assert (done["success"], done.get("warningMsg")) == (True, None)


async def test_another_org_sees_no_transaction_of_ours(house: House) -> None:
    await house.upload(("Ann.jpg", house.photo(HOPPER)), transaction="txn_1")
    theirs = OrgId(new_id())
    await house.database._pool.execute("INSERT INTO org (id, name) VALUES ($1, 'x')", theirs)
    _, secret = await PostgresKeys(house.database).create(theirs, "theirs", "operator")
    house.client.headers["x-auth-apikey"] = secret

    assert await house.metadata("txn_1") == await house.metadata("never") == []


# --- bad input --------------------------------------------------------------------------------


NO_FILES = [
    ("application/json", b"{}"),
    ("multipart/form-data", b""),
    ("multipart/form-data; boundary=x", b""),
    ("multipart/form-data; boundary=x", b"--x--\r\n"),
    ("multipart/form-data; boundary=x", b"garbage\r\n" * 1000),
    ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="a"\r\n'),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nfield\r\n--x--\r\n',
    ),
    (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="a"; filename="Ann.jpg"\r\n\r\nhalf',
    ),
    ("multipart/form-data; boundary=x", b"--x\r\n" + b"A" * 100_000),
    (
        "multipart/form-data; boundary=x",
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n\r\n--y--\r\n--x--",
    ),
    ("multipart/form-data; boundary=" + "y" * 100, b"--y\r\n"),
]


@pytest.mark.parametrize("operation", [UPLOAD, VALIDATE, PROCESS])
async def test_what_is_no_multipart_with_a_file_is_400(house: House, operation: str) -> None:
    path = f"/api/faceRecognition/{operation}"
    for content_type, body in NO_FILES:
        async with house.client.post(
            path, data=body, headers={"Content-Type": content_type}
        ) as answer:
            assert answer.status == 400, body[:100]
            assert (await answer.json())["msg"]
    assert house.kept() == set()


async def test_a_file_of_a_hundred_megabytes_is_read_past_in_little_memory(house: House) -> None:
    async def enormous() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="f"; filename="Huge.jpg"\r\n\r\n'
        for _ in range(100):
            yield bytes(1 << 20)
        yield b'\r\n--x\r\nContent-Disposition: form-data; name="f"; filename="Ann.jpg"\r\n\r\n'
        yield jpeg(small(house.photo(HOPPER)))
        yield b"\r\n--x--\r\n"

    before = peak_kib()
    async with house.client.post(
        f"/api/faceRecognition/{UPLOAD}?createPersonIfNotFound=true",
        data=enormous(),
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    ) as answer:
        results = (await answer.json())["fileUploadResults"]

    assert [it["success"] for it in results] == [False, True]
    assert peak_kib() - before < 40 << 10


def peak_kib() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".jpg", "must not be blank"),
        ("x" * 300 + ".jpg", "longer than 200"),
        ("M\udcfcller.jpg", ""),
        ("..\\..\\etc/Zoe\u0308.jpg", ""),
        ("=HYPERLINK.jpg", ""),
    ],
)
async def test_a_file_may_be_named_as_it_likes(house: House, name: str, says: str) -> None:
    head = f'--x\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\n'
    body = head.encode(errors="surrogateescape") + jpeg(small(house.photo(HOPPER))) + b"\r\n--x--"
    async with house.client.post(
        f"/api/faceRecognition/{UPLOAD}?createPersonIfNotFound=true&transaction=t",
        data=body,
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    ) as answer:
        (result,) = (await answer.json())["fileUploadResults"]

    assert result["success"] is not bool(says)
    assert says in (result["message"] or "")
    assert all(it["success"] for it in await house.became("t"))


@pytest.mark.parametrize("query", ["createPersonIfNotFound=maybe", "createPersonIfNotFound=2"])
async def test_a_query_of_the_wrong_type_is_400(house: House, query: str) -> None:
    form = aiohttp.FormData()
    form.add_field("f", house.photo(HOPPER), filename="Ann.jpg")
    async with house.client.post(f"/api/faceRecognition/{UPLOAD}?{query}", data=form) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("transaction", ["a\0b", "x" * 201, " "])
async def test_what_is_no_transaction_id_is_an_error_in_words(
    house: House, transaction: str
) -> None:
    status, answer = await house.send(
        UPLOAD, ("Ann.jpg", house.photo(HOPPER)), transaction=transaction
    )
    assert (status, answer["error"]) == (200, True)
    assert (await house.ask(METADATA, transactionId=transaction))["error"]
    assert (await house.ask(METADATA))["error"]


# --- long queues, dead workers, forgotten people ----------------------------------------------


async def test_a_full_queue_says_so_and_keeps_nothing(house: House, tmp_path: Path) -> None:
    inbox = Inbox(
        *(house.uploads, house.people, house.blobs, header), Bounds(files=2, transaction=3)
    )
    deps = some_deps(house.database, tmp_path, inbox=inbox)
    secret = house.client.headers["x-auth-apikey"]
    headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers=headers) as client,
    ):
        bounded = replace(house, client=client)
        photo = jpeg(small(house.photo(HOPPER)))
        files = [(f"{name}.jpg", photo) for name in "ABC"]
        full = (await bounded.upload(*files, transaction="t"))["fileUploadResults"]
        assert [it["success"] for it in full] == [True, True, False]
        assert "too many photos wait" in full[2]["message"]
        assert len([it for it in house.kept() if it.startswith("photo")]) == 1  # of one name
        await house.became("t")
        held = (await bounded.upload(*files[:2], transaction="t"))["fileUploadResults"]
        assert [it["success"] for it in held] == [True, False]
        assert "begin another" in held[1]["message"]


async def test_a_worker_that_died_lets_go_and_nothing_is_enrolled_twice(house: House) -> None:
    answer = await house.upload(
        *((f"{n}.jpg", jpeg(small(house.photo(HOPPER), 300 + n))) for n in range(4))
    )
    taken = await house.uploads.take("dead", 8, timedelta(seconds=60))
    assert len(taken) == 4
    assert await house.enroller.step() == []

    await house.uploads.let_go("dead")
    both = replace(house.enroller, worker="other")
    await asyncio.gather(*(it.step() for it in (house.enroller, both) for _ in range(4)))

    became = await house.became(answer["transactionId"])
    assert [it["success"] for it in became] == [True] * 4
    assert set((await house.enrolled()).values()) == {1}


async def test_a_lease_that_ran_out_gives_a_photo_to_another_and_one_of_them_enrols_it(
    house: House,
) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    await house.uploads.take("slow", 8, timedelta(0))

    (done,) = await house.became(answer["transactionId"])
    (upload,) = await house.uploads.of_transaction(ORG, answer["transactionId"])
    await house.enroller._settle(ORG, [upload])  # the slow one comes after all

    assert done["success"]
    assert await house.metadata(answer["transactionId"]) == [done]
    assert await house.enrolled() == {"Ann": 1}
    assert await house.blobs.get(done["origS3Key"]) == house.photo(HOPPER)


async def test_a_photo_that_kills_its_workers_is_given_up_and_blocks_nobody(house: House) -> None:
    answer = await house.upload(
        *((f"{name}.jpg", house.photo(HOPPER)) for name in ("Bad", "Good", "Well"))
    )
    for _ in range(4):
        taken = await house.uploads.take("dying", 8, timedelta(seconds=60))
        if not any(it.file_name == "Bad.jpg" for it in taken):
            break
        assert len(taken) in (1, 3)  # once it was suspected, it is tried alone
        assert await house.uploads.take("beside", 8, timedelta(seconds=60)) == []
        await house.uploads.let_go("dying")

    bad, good, well = await house.became(answer["transactionId"])
    assert "3 tries" in bad["errorMsg"]
    assert (good["success"], well["success"]) == (True, True)


async def test_a_database_that_is_down_costs_no_try(house: House) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))

    class Breaking(PostgresUploads):
        """Loses its connections once it has given something out, until somebody mends it."""

        broken = False

        async def take(self, worker: str, limit: int, lease: timedelta) -> list[Upload]:
            taken = await super().take(worker, limit, lease)
            self.broken = bool(taken)
            return taken

        async def let_go(self, worker: str, faces: Sequence[FaceId] | None = None) -> None:
            if self.broken:
                raise DatabaseUnavailable("nobody answers", "start it")
            await super().let_go(worker, faces)

    breaking = Breaking(house.database)
    enroller = replace(house.enroller, uploads=breaking, blobs=Down(house.objects))
    for _ in range(4):
        with pytest.raises(ObjectStoreUnavailable):
            await enroller.step()
        breaking.broken = False
    with pytest.raises(ObjectStoreUnavailable):
        await enroller.step()
    breaking.broken = False
    await enroller._give_back()

    (upload,) = await house.uploads.of_transaction(ORG, answer["transactionId"])
    assert upload.tries == 0
    (done,) = await house.became(answer["transactionId"])
    assert done["success"]


async def test_photos_of_which_one_cannot_be_kept_leave_nothing(house: House) -> None:
    class Full(LocalBlobs):
        """Has room for one."""

        async def put_all(self, objects: Sequence[tuple[str, bytes, str]]) -> None:
            await super().put_all(objects[:1])
            raise ObjectStoreUnavailable("the disk is full", "make room")

    inbox = Inbox(house.uploads, house.people, Full(house.objects), header)
    files = [Sent(f"{n}.jpg", house.photo(HOPPER)) for n in range(2)]
    with pytest.raises(ObjectStoreUnavailable):
        await inbox.keep(ORG, "t", files, create=True)

    assert house.kept() == set()
    assert await house.metadata("t") == []


async def test_an_object_store_that_is_down_costs_no_try(house: House) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    with pytest.raises(ObjectStoreUnavailable):
        await replace(house.enroller, blobs=Down(house.objects)).step()

    (upload,) = await house.uploads.of_transaction(ORG, answer["transactionId"])
    assert upload.tries == 0
    (done,) = await house.became(answer["transactionId"])
    assert done["success"]


async def test_a_clean_stop_costs_no_try(house: House) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    looking = asyncio.Event()

    class Slow(LocalBlobs):
        """Says that it is asked, and takes its time."""

        async def get(self, key: str) -> bytes:
            looking.set()
            await asyncio.sleep(3600)
            return await super().get(key)

    enroller = replace(house.enroller, blobs=Slow(house.objects))
    for _ in range(4):
        looking.clear()
        step = asyncio.create_task(enroller.step())
        async with asyncio.timeout(10):
            await looking.wait()
        step.cancel()
        await asyncio.wait([step])
        (upload,) = await house.uploads.of_transaction(ORG, answer["transactionId"])
        assert upload.tries == 0

    (done,) = await house.became(answer["transactionId"])
    assert done["success"]


async def test_who_is_forgotten_is_gone_from_the_queue_as_well(house: House) -> None:
    ann = await house.people.create(ORG, "Ann")
    done = await house.upload(("Ann.jpg", house.photo(HOPPER)), transaction="t")
    await house.became(done["transactionId"])
    await house.upload(("Ann.png", house.photo(COLLINS)), transaction="t")
    await house.upload(("Bob.png", house.photo(COLLINS)), transaction="t")

    remains = some_remains(house.people, house.objects)
    await forget(house.people, house.blobs, remains, ORG, ann.id)

    (bob,) = await house.became("t")
    assert (bob["success"], await house.enrolled()) == (True, {"Bob": 1})
    assert len(list(house.objects.rglob("photo*"))) == 1


async def test_who_is_forgotten_while_their_photo_is_looked_at_stays_forgotten(
    house: House,
) -> None:
    ann = await house.people.create(ORG, "Ann")
    await house.upload(("Ann.jpg", house.photo(HOPPER)), transaction="t")
    taken = await house.uploads.take("here", 8, timedelta(seconds=60))
    remains = some_remains(house.people, house.objects)
    await forget(house.people, house.blobs, remains, ORG, ann.id)
    await house.enroller._settle(ORG, taken)

    assert await house.enrolled() == {}
    assert await house.metadata("t") == []
    assert house.kept() == set()


async def test_forgetting_who_has_a_name_that_was_freed_spares_whom_it_was_freed_by(
    house: House,
) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    (done,) = await house.became(answer["transactionId"])
    renamed = {"uuid": done["personUuid"], "name": "Beth", "updatedSetMethodMap": {"setName": True}}
    await house.ask("person/updatePerson", personSelectiveUpdate=renamed)
    other = await house.ask("person/createPerson", name="Ann")

    await house.ask("person/deletePerson", personUuid=other["person"]["uuid"])

    assert await house.enrolled() == {"Beth": 1}
    assert await house.metadata(answer["transactionId"]) == [done]
    assert await house.blobs.get(done["origS3Key"]) == house.photo(HOPPER)


async def test_what_became_of_a_photo_shows_nobody_who_has_no_name(house: House) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    (done,) = await house.became(answer["transactionId"])
    unnamed = {"uuid": done["personUuid"], "updatedSetMethodMap": {"setName": True}}
    await house.ask("person/updatePerson", personSelectiveUpdate=unnamed)

    assert await house.metadata(answer["transactionId"]) == [done | {"personUuid": None}]


async def test_a_photo_that_was_split_off_goes_with_whom_it_went_to(house: House) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    (done,) = await house.became(answer["transactionId"])
    split = {"faces": [done["faceId"]], "name": "Beth"}
    async with house.client.post(f"/api/v1/people/{done['personUuid']}/split", json=split) as said:
        beth = (await said.json())["id"]

    await house.ask("person/deletePerson", personUuid=done["personUuid"])

    moved = done | {"personUuid": beth}
    assert await house.metadata(answer["transactionId"]) == [moved]
    assert await house.blobs.get(done["origS3Key"]) == house.photo(HOPPER)
    await house.ask("person/deletePerson", personUuid=beth)
    assert await house.metadata(answer["transactionId"]) == []
    assert house.kept() == set()


async def test_a_matchmaker_that_is_deleted_takes_the_kept_photo_with_it(house: House) -> None:
    answer = await house.upload(("Ann.jpg", house.photo(HOPPER)))
    (done,) = await house.became(answer["transactionId"])
    await house.ask("matchmaker/deleteFaceMatchmaker", faceId=done["faceId"])

    (after,) = await house.metadata(answer["transactionId"])
    assert after == done | {"origS3Key": None}
    assert house.kept() == set()


# --- validate and process ---------------------------------------------------------------------


async def test_validating_says_why_and_keeps_nothing(house: House) -> None:
    hopper = small(house.photo(HOPPER), 480)
    answers: list[tuple[bytes, str | None]] = [
        (house.photo(HOPPER), None),
        (jpeg(np.full((300, 300, 3), 90, np.uint8)), "no face"),
        (jpeg(np.hstack([hopper, hopper])), "2 faces"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC"),
        (b"", "is empty"),
        (bytes(5_000_001), "larger than 5 MB"),
    ]
    for photo, says in answers:
        status, answer = await house.send(VALIDATE, ("x.jpg", photo))
        assert (status, answer["valid"]) == (200, says is None)
        assert (answer["errorMessage"] or "").count(says or "") >= 1
    assert house.kept() == set()
    assert await house.enrolled() == {}


async def test_a_photo_is_turned_into_an_embedding_to_search_by(
    house: House, engine: FaceEngine
) -> None:
    status, answer = await house.send(PROCESS, ("x.jpg", house.photo(OBAMA_2012)))

    assert status == 200
    embedding = Embedding.model_validate(answer["embedding"])
    assert 0.3 < (embedding.embedding_confidence or 0) <= 1
    template = embedding.template(engine.model, engine.dimensions)
    other = await house.enroller.looker.face_in("y", house.photo(OBAMA_2010))
    assert other is not None
    assert float(template @ other[0].template) > 0.4
    face = decode(base64.b64decode(answer["imageBase64"]))
    assert 40 < face.width < decode(house.photo(OBAMA_2012)).width


async def test_a_photo_without_a_face_has_no_embedding(house: House) -> None:
    flat = jpeg(np.full((300, 300, 3), 90, np.uint8))
    assert await house.send(PROCESS, ("x.jpg", flat)) == (
        200,
        {"embedding": None, "imageBase64": None},
    )
    _, answer = await house.send(PROCESS, ("x.jpg", b"no picture"))
    assert answer["error"]


async def test_an_upload_that_hangs_does_not_hold_up_a_stop(
    database: Database, tmp_path: Path
) -> None:
    """Docker gives a service ten seconds, and the audit log and Postgres come after this."""
    _, secret = await PostgresKeys(database).create(ORG, "tests", "operator")
    deps = some_deps(database, tmp_path)
    head = (
        f"POST /api/faceRecognition/{UPLOAD} HTTP/1.1\r\nHost: x\r\nx-auth-apikey: {secret}\r\n"
        "x-auth-scheme: api\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        "Content-Length: 9999\r\nExpect: 100-continue\r\n\r\n"
    )
    async with asyncio.timeout(20):
        async with serving(application(deps), "127.0.0.1", 0) as url:
            port = int(url.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode())
            assert b"100 Continue" in await reader.readline()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 8
        writer.close()
        (entry,) = await deps.audit._log.page(ORG, AuditFilter(), 10)
    assert entry.outcome == Outcome.FAILED
