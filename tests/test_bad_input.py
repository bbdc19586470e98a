"""Bad input to every operation over a socket: a described refusal, and the service goes on.

What each operation says of its own mistakes is tested beside it, multiparts in
test_rhombus_uploads.
"""

import asyncio
import json
import logging
import struct
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from asking import Operation, Schema, asked, document, kinds, operations, places
from described import follows
from factories import some_deps
from inhabited import Inhabited, an_org, kind_of, tell
from PIL import Image
from yarl import URL

from facewatch.api.deps import Deps
from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.server import application, serving
from facewatch.demo.cast import HOPPER
from facewatch.people.look import Looker
from facewatch.store.database import Database
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode, header

ODD_TEXTS = ("", "a\0b", "\ud800", "a\udfffb", "x" * 5_000, "\u202e\ufffe", "%00")
ODD_VALUES: tuple[object, ...] = (7, 1.5, True, "x", [], {}, None)
TYPES = {
    **{int: {"integer", "number"}, float: {"number"}, bool: {"boolean"}, str: {"string"}},
    **{list: {"array"}, dict: {"object"}, type(None): {"null"}},
}
IN_BAND = {"error", "errorMsg"}


@pytest.fixture
def deps(database: Database, tmp_path: Path) -> Deps:
    return some_deps(database, tmp_path, clock=lambda: datetime.now(UTC))


@pytest.fixture
async def client(deps: Deps) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serving(application(deps), "127.0.0.1", 0) as url,
        aiohttp.ClientSession(url, headers={"x-auth-scheme": "api-token"}) as client,
    ):
        yield client


@pytest.fixture
async def admin(client: aiohttp.ClientSession, deps: Deps) -> Inhabited:
    """Of a new org with one of everything."""
    return await an_org(deps, "ours")


def with_bodies() -> list[Operation]:
    return [it for it in operations() if "requestBody" in it.said and not it.takes_files]


def odd_spellings(id: str) -> list[str]:
    """What is no id, but nearly."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = id[:-1] + alphabet[alphabet.index(id[-1]) + 1]
    return [stray, id + "=", id + "\n", " " + id, id[:-1], "\0" * 22, "\ud800" * 22, "hello", ".."]


async def sound(client: aiohttp.ClientSession) -> None:
    """The service goes on."""
    async with client.get("/healthz") as answer:
        assert answer.status == 200


async def told(
    client: aiohttp.ClientSession, operation: Operation, message: dict[str, Any], whose: Inhabited
) -> tuple[int, Any]:
    """Status and body of an answer that is as the description says, and is no 5xx."""
    answer, response = await tell(client, operation, message, whose.secret)
    assert answer.status < 500, (operation.id, message)
    follows(document(), operation.path, response, answer.body)
    is_json = response.content_type.endswith("json")
    return answer.status, json.loads(answer.body) if is_json else answer.body


async def test_text_that_no_database_takes_and_ids_that_are_nearly_some(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    tried = 0
    for operation in operations():
        for place, leaves in places(operation).items():
            if not any("string" in kinds(it) for it in leaves):
                continue
            kind = kind_of(operation, place)
            is_id = kind is not None and len(admin.ids.get(kind, "")) == 22
            odd = odd_spellings(admin.ids[kind]) if is_id and kind else list(ODD_TEXTS)
            plain = admin.message(operation)
            for text in odd:
                if not (place.startswith("path.") and text in ("..", "")):
                    await told(client, operation, plain | {place: text}, admin)
                    tried += 1
    await sound(client)
    assert tried > 1_000


async def test_what_nearly_is_an_id_is_the_id_of_nothing(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    """The house says that it is none; Rhombus' contract answers as if it were unknown."""
    for operation in operations():
        plain = admin.message(operation)
        for place, leaves in places(operation).items():
            kind = kind_of(operation, place)
            if not any("RUUID" in it.get("format", "") for it in leaves) or kind == "org":
                continue
            assert kind is not None
            own = admin.ids.get(kind) or admin.ids["event"]
            stray, *_ = odd_spellings(own)
            status, body = await told(client, operation, plain | {place: stray}, admin)
            if not operation.in_rhombus:
                assert status == 400, (operation.id, place)
            elif operation.id.startswith("export"):
                assert body.count(b"\n") == 1
            else:
                nothing = {"error"} <= body.keys() or body == {"faceEvents": []}
                assert (status, nothing) == (200, True), (operation.id, place, body)


async def test_a_value_of_the_wrong_type_is_a_400(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    tried = 0
    for operation in with_bodies():
        plain = admin.message(operation)
        for place, leaves in places(operation).items():
            if not place.startswith("body."):
                continue
            for value in wrong(leaves, in_a_list=place.endswith("[]")):
                sent = [value] if place.endswith("[]") else value
                status, _ = await told(client, operation, plain | {place: sent}, admin)
                assert status == 400, (operation.id, place, value)
                tried += 1
    await sound(client)
    assert tried > 500


def wrong(leaves: list[Schema], *, in_a_list: bool) -> list[object]:
    """Values of types that none of *leaves* allows."""
    allowed = {kind for it in leaves for kind in kinds(it)}
    return [
        it
        for it in ODD_VALUES
        if not TYPES[type(it)] & allowed and not (it is None and not in_a_list)
    ]


def nested(depth: int, opening: str, closing: str) -> bytes:
    return (opening * depth + closing * depth).encode()


NO_OBJECTS = [
    b"",
    b"[]",
    b"null",
    b"7",
    b'"x"',
    b"{",
    b'{"a":}',
    b"\xff\xfe{\0}\0",
    b'{"a":"\xed\xa0\x80"}',
    nested(100_000, "[", "]"),
    nested(100_000, '{"a":', "}"),
]
IN_OBJECTS = [
    nested(500, "[", "]"),
    nested(100_000, "[", "]"),
    b"9" * 10_000,
    b"1e999",
    b"NaN",
]


async def test_a_body_that_is_no_object_is_a_400(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    for operation in with_bodies():
        may_be_empty = not operation.said["requestBody"].get("required")
        for body in NO_OBJECTS:
            if body or not may_be_empty:
                assert await posted(client, operation, body, admin) == 400, (operation.id, body[:9])
    await sound(client)


async def test_nothing_that_stands_in_an_object_is_more_than_is_taken(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    for operation in with_bodies():
        known = {place.split(".")[1] for place in places(operation) if "body." in place}
        for name in sorted(known | {"unknown"}):
            for value in IN_OBJECTS:
                body = b'{"%s":%s}' % (name.encode(), value)
                status = await posted(client, operation, body, admin)
                assert status < 500, (operation.id, name, body[:9])
    await sound(client)


async def test_ten_megabytes_are_a_413_everywhere(
    client: aiohttp.ClientSession, admin: Inhabited
) -> None:
    large = b'{"a":"' + b"x" * 10_000_000 + b'"}'
    for operation in with_bodies():
        assert await posted(client, operation, large, admin) == 413
    await sound(client)


NO_REQUESTS = [
    b"nonsense\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nx-auth-apikey: s3cret\0\r\n\r\n",
    b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 100_000),
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: %s\r\n\r\n" % (b"x" * 100_000),
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /media/faces?s3ObjectKey=%ff%fe HTTP/1.0\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
]


async def test_what_is_no_http_is_refused_in_a_line_and_not_quoted_in_the_log(
    client: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    """Before any contract: by the server, as plain text."""
    caplog.set_level(logging.DEBUG)
    async with client.get("/healthz") as answer:
        host, port = answer.url.host, answer.url.port
    for request in NO_REQUESTS:
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(10):
            writer.write(request)
            said = await reader.read(100_000)
        writer.close()
        assert said.split(b" ", 2)[1][:1] == b"4", request[:50]
        assert b"Traceback" not in said
    await sound(client)
    assert "s3cret" not in caplog.text
    assert "Traceback" not in caplog.text
    assert caplog.text.count("127.0.0.1 sent what is no HTTP") >= 4


async def posted(
    client: aiohttp.ClientSession, operation: Operation, body: bytes, whose: Inhabited
) -> int:
    """The status of a described answer to *body*."""
    in_path, _, _ = asked(whose.message(operation))
    path = operation.path
    for name, value in in_path.items():
        path = path.replace(f"{{{name}}}", value)
    headers = {"x-auth-apikey": whose.secret, "Content-Type": "application/json"}
    async with client.request(
        operation.method, URL(path, encoded=True), data=BytesIO(body), headers=headers
    ) as answer:
        follows(document(), operation.path, answer, await answer.read())
        return answer.status


# --- photos -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Studio:
    """A service that looks at photos, and a face to send."""

    client: aiohttp.ClientSession
    admin: Inhabited
    face: np.ndarray

    async def valid(self, photo: bytes) -> str | None:
        """Why *photo* cannot be enrolled; None where it can."""
        answer = await self.sent("matchmaker/validateFaceMatchmakerImage", photo)
        assert answer["valid"] is (answer["errorMessage"] is None)
        said: str | None = answer["errorMessage"]
        return said

    async def template(self, photo: bytes) -> np.ndarray:
        answer = await self.sent("faceEvent/processFaceEventSearchImage", photo)
        return Embedding.model_validate(answer["embedding"]).template("sface", 128)

    async def sent(self, operation: str, photo: bytes) -> dict[str, Any]:
        form = aiohttp.FormData()
        form.add_field("file", photo, filename="Ann.jpg")
        path = f"/api/faceRecognition/{operation}"
        headers = {"x-auth-apikey": self.admin.secret}
        async with self.client.post(path, data=form, headers=headers) as answer:
            body = await answer.read()
            follows(document(), path, answer, body)
            assert answer.status == 200
        said: dict[str, Any] = json.loads(body)
        return said


@pytest.fixture(scope="module")
def engine(models: Path) -> FaceEngine:
    return open_engine(models)


@pytest.fixture
async def studio(engine: FaceEngine, deps: Deps, photos: Path) -> AsyncIterator[Studio]:
    pixels = decode((photos / HOPPER.file).read_bytes()).full()
    face = cv2.resize(pixels, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    with ThreadPoolExecutor(1) as eye, ThreadPoolExecutor(1) as hand:
        looker = Looker(engine, JpegPngEncoder(), header, decode, eye, hand)
        async with (
            serving(application(replace(deps, looker=looker)), "127.0.0.1", 0) as url,
            aiohttp.ClientSession(url, headers={"x-auth-scheme": "api-token"}) as client,
        ):
            yield Studio(client, await an_org(deps, "studio"), face)


def written(image: Image.Image, form: str, **how: Any) -> bytes:
    out = BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


async def test_a_face_is_the_same_in_every_way_to_write_it(studio: Studio) -> None:
    plain = Image.fromarray(cv2.cvtColor(studio.face, cv2.COLOR_BGR2RGB))
    sideways = Image.Exif()
    sideways[0x0112] = 6
    flat = Image.new("RGB", plain.size, "grey")
    ways = {
        "turned by EXIF": written(plain.rotate(90, expand=True), "JPEG", exif=sideways),
        "CMYK": written(plain.convert("CMYK"), "JPEG"),
        "16 bit": cv2.imencode(".png", studio.face.astype(np.uint16) * 257)[1].tobytes(),
        "grey, 16 bit": cv2.imencode(
            ".png", cv2.cvtColor(studio.face, cv2.COLOR_BGR2GRAY).astype(np.uint16) * 257
        )[1].tobytes(),
        "palette": written(plain.quantize(256), "PNG"),
        "animated": written(plain, "GIF", save_all=True, append_images=[flat] * 5),
        "progressive": written(plain, "JPEG", progressive=True),
        "transparent": written(plain.convert("RGBA"), "PNG"),
        "WebP": written(plain, "WEBP"),
    }
    face = await studio.template(written(plain, "PNG"))

    for way, photo in ways.items():
        assert await studio.valid(photo) is None, way
        assert float(face @ await studio.template(photo)) > 0.8, way


async def test_what_cannot_be_read_is_said_and_the_service_goes_on(studio: Studio) -> None:
    plain = Image.fromarray(cv2.cvtColor(studio.face, cv2.COLOR_BGR2RGB))
    jpeg = written(plain, "JPEG")
    refused = {
        "HEIC": (b"\0\0\0\x18ftypheic" + bytes(1_000), "HEIC"),
        "AVIF": (b"\0\0\0\x18ftypavif" + bytes(1_000), "AVIF"),
        "TIFF": (written(plain, "TIFF"), "holds no"),
        "PDF": (written(plain, "PDF"), "holds no"),
        "cut short": (jpeg[: len(jpeg) // 2], "broken or cut short"),
        "a bomb": (bomb(60_000, 60_000), "more than 50 million"),
        "a bomb in a GIF": (written(Image.new("P", (9_000, 9_000)), "GIF"), "more than 50"),
        "no pixels": (bomb(0, 0), "broken"),
        "lies about its size": (jpeg_of_size(jpeg, 20_000, 2_000), ""),
    }
    for what, (photo, says) in refused.items():
        why = await studio.valid(photo)
        assert why is not None, what
        assert says in why, what
        searched = await studio.sent("faceEvent/processFaceEventSearchImage", photo)
        assert searched.get("error") or searched == {"embedding": None, "imageBase64": None}, what
    assert await studio.valid(jpeg) is None


def bomb(width: int, height: int) -> bytes:
    """A PNG of zeros: a megabyte that would be gigabytes."""
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0),
        b"IDAT": zlib.compress(bytes(100_000_000), 1),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts.items()
    )


def jpeg_of_size(jpeg: bytes, width: int, height: int) -> bytes:
    """*jpeg*, whose header says another size than its scan has."""
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]
