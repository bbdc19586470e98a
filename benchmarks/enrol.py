"""How fast photos are enrolled through the API, durably, beside what the bare models take.

Whole: a service with an embedded Postgres and a directory of pictures is sent the photos, 50 a
call, until the last is a matchmaker; the sender is in the same process. Bare: the same photos
decoded, detected, aligned and embedded in a loop on one thread, with as many threads a model run,
by one and by four; the faster counts. Whole lies between two bare runs, whose mean counts: the
machine may be used by others.

    .venv/bin/python benchmarks/enrol.py [--quick] [--photos N] [--rounds N] [--folder FOLDER]

Photos: 250 x 250 px of LFW View 1 (../shared/data/lfw-view1) that pass the gates.
Prints a JSON line a round, then a table.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import onnxruntime
from shared import SHARED, needed

from facewatch.app.recognition import Recognition, model_threads, open_recognition
from facewatch.app.serve import run_service
from facewatch.app.stores import open_stores
from facewatch.cli.output import table
from facewatch.domain.ids import FaceId, new_id
from facewatch.people.look import Photo
from facewatch.ports.people import Enrolment
from facewatch.settings import Settings
from facewatch.vision.engine import FaceEngine
from facewatch.vision.pictures import decode

_ROOT = Path(__file__).parent.parent
_A_CALL = 50
_BASE = "/api/faceRecognition/matchmaker"


async def fit_photos(recognition: Recognition, files: Sequence[Path], count: int) -> list[bytes]:
    """The first that can be enrolled."""
    found: list[bytes] = []
    for file in files:
        body = file.read_bytes()
        (seen,) = await recognition.looker.look_at([Photo(FaceId(new_id()), file.name, body)])
        if isinstance(seen, Enrolment):
            found.append(body)
        if len(found) == count:
            return found
    raise SystemExit(f"the folder holds only {len(found)} photos that can be enrolled")


def bare(engine: FaceEngine, photos: Sequence[bytes], at_once: int) -> float:
    """Seconds. The engine's thread."""
    began = time.perf_counter()
    for start in range(0, len(photos), at_once):
        pictures = [decode(photo) for photo in photos[start : start + at_once]]
        found = engine.detect(pictures)
        engine.embed(
            [
                engine.align(picture, max(faces, key=lambda it: it.box.width).landmarks)
                for picture, faces in zip(pictures, found, strict=True)
            ]
        )
    return time.perf_counter() - began


async def best_bare(recognition: Recognition, photos: Sequence[bytes]) -> float:
    loop = asyncio.get_running_loop()
    return min(
        [
            await loop.run_in_executor(
                recognition.thread, bare, recognition.engine, photos, at_once
            )
            for at_once in (1, 4)
        ]
    )


async def whole(client: aiohttp.ClientSession, photos: Sequence[bytes], name: str) -> float:
    """Seconds until the last of *photos* is a matchmaker of somebody of their own."""
    began = time.perf_counter()
    for start in range(0, len(photos), _A_CALL):
        form = aiohttp.FormData()
        for n, photo in enumerate(photos[start : start + _A_CALL], start):
            form.add_field("files[]", photo, filename=f"{name} {n}.jpg")
        query = {"transaction": name, "createPersonIfNotFound": "true"}
        async with client.post(f"{_BASE}/uploadFaceMatchmakers", data=form, params=query) as answer:
            assert all(it["success"] for it in (await answer.json())["fileUploadResults"])
    while True:
        asked = {"transactionId": name}
        async with client.post(
            f"{_BASE}/findFaceUploadMetadataByTransaction", json=asked
        ) as answer:
            became = [it["success"] for it in (await answer.json())["faceUploadMetadata"]]
        if None not in became:
            assert became == [True] * len(photos), "a photo was refused"
            return time.perf_counter() - began
        await asyncio.sleep(0.5)


async def measure(files: Sequence[Path], count: int, rounds: int) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="facewatch-bench-") as home:
        os.chmod(home, 0o755)  # Postgres may have to run as another user
        models = os.environ.get("FACEWATCH_MODELS_DIRECTORY", str(_ROOT / ".home" / "models"))
        settings = Settings.model_validate(
            {"home": home, "models": {"directory": models}, "http": {"port": 0}}
        )
        async with (
            open_stores(settings) as stores,
            open_recognition(settings, stores) as recognition,
            asyncio.TaskGroup() as group,
        ):
            photos = await fit_photos(recognition, files, count)
            _, secret = await stores.keys.create(stores.org, "benchmark", "operator")
            stop, url = asyncio.Event(), asyncio.get_running_loop().create_future()
            group.create_task(
                run_service(
                    *(settings, stores, recognition),
                    stop=stop,
                    ready=url.set_result,
                    written=lambda _visit, _record: None,
                )
            )
            headers = {"x-auth-apikey": secret, "x-auth-scheme": "api-token"}
            async with aiohttp.ClientSession(await url, headers=headers) as client:
                await whole(client, photos[: 2 * _A_CALL], "warm")
                before = await best_bare(recognition, photos)
                for number in range(rounds):
                    took = await whole(client, photos, f"round {number}")
                    after = await best_bare(recognition, photos)
                    alone, before = (before + after) / 2, after
                    line = {
                        "benchmark": "enrol",
                        "round": number,
                        "photos": count,
                        "threads": model_threads(settings),
                        "bare_ms_per_photo": round(1e3 * alone / count, 3),
                        "whole_ms_per_photo": round(1e3 * took / count, 3),
                        "ratio": round(alone / took, 3),
                        "onnxruntime": onnxruntime.__version__,
                        "python": platform.python_version(),
                    }
                    lines.append(line)
                    print(json.dumps(line), flush=True)
            stop.set()
    return lines


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--photos", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--folder", type=Path, default=SHARED / "lfw-view1" / "images")
    arguments.add_argument("--quick", action="store_true", help="a tenth of the photos, one round")
    given = arguments.parse_args()
    needed(given.folder)
    if given.quick:
        given.photos, given.rounds = 100, 1
    lines = asyncio.run(measure(sorted(given.folder.rglob("*.jpg")), given.photos, given.rounds))
    columns = ["round", "bare_ms_per_photo", "whole_ms_per_photo", "ratio"]
    table(columns, [[line[it] for it in columns] for line in lines])
    print(json.dumps({"median_ratio": statistics.median(float(str(it["ratio"])) for it in lines)}))


if __name__ == "__main__":
    main()
