"""Photos as callers send them, over a socket: what can be read is, what cannot is said."""

import json
import struct
import zlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import cv2
import numpy as np
import pytest
from asking import document
from described import follows
from factories import some_deps
from inhabited import Inhabited, an_org
from PIL import Image

from facewatch.api.rhombus.embedding import Embedding
from facewatch.api.server import application, serving
from facewatch.demo.cast import HOPPER
from facewatch.people.look import Looker
from facewatch.store.database import Database
from facewatch.vision.engine import FaceEngine, open_engine
from facewatch.vision.pictures import JpegPngEncoder, decode, header


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
async def studio(
    engine: FaceEngine, database: Database, tmp_path: Path, photos: Path
) -> AsyncIterator[Studio]:
    pixels = decode((photos / HOPPER.file).read_bytes()).full()
    face = cv2.resize(pixels, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    with ThreadPoolExecutor(1) as eye, ThreadPoolExecutor(1) as hand:
        looker = Looker(engine, JpegPngEncoder(), header, decode, eye, hand)
        deps = some_deps(database, tmp_path, looker=looker)
        async with (
            serving(application(deps), "127.0.0.1", 0) as url,
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
