"""A program written for Rhombus' face API points at facewatch, and works."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from contract import VENV, ran
from homes import a_home
from houses import House, enrol_demo_people

from facewatch.demo.material import DemoMaterial

ROOT = Path(__file__).parents[1]
CONTRACT = ROOT.parent / "shared" / "spec" / "rhombus-openapi.json"


@pytest.fixture
async def house(models: Path, material: DemoMaterial, tmp_path: Path) -> AsyncIterator[House]:
    """A home with two recorded events of the last hour: of somebody enrolled, and of a stranger."""
    with a_home() as home:
        house = House(home, models, material)
        await enrol_demo_people(house, tmp_path)
        begun = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
        video = str(material.cameras["gate"])
        await house.run("replay", video, "--camera", "gate", "--start", begun)
        yield house


async def test_a_generated_client_drives_every_json_operation(
    house: House, photos: Path, tmp_path: Path
) -> None:
    if not CONTRACT.exists():
        pytest.skip("../shared/spec is not here")
    if not VENV.exists():
        pytest.skip("no .venvs/contract: run tests/oracle/make_contract.sh")
    as_it_comes = tmp_path / "config.yml"
    as_it_comes.write_text("post_hooks: []\n")
    await ran(
        *(VENV / "openapi-python-client", "generate", "--path", CONTRACT, "--meta", "none"),
        *("--output-path", tmp_path / "rhombus", "--config", as_it_comes),
    )
    key = json.loads(await house.run("key", "create", "client", "--json"))["key"]

    async with house.serving() as (_, url), asyncio.timeout(120):
        said = await ran(
            *(VENV / "python", ROOT / "tests" / "oracle" / "scenario.py"),
            *(url, key, photos / "astronaut.png"),
            PYTHONPATH=str(tmp_path),
        )

    named = {path.rpartition("/")[2] for path in json.loads(CONTRACT.read_text())["paths"]}
    assert set(said.split()) == named - {"uploadFaceMatchmakers"}
