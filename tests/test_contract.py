"""schemathesis finds no answer that our document does not describe.

A few examples an operation; `python tests/contract.py` tries a hundred.
"""

from pathlib import Path

import pytest
from contract import VENV, stocked, tried

from facewatch.store.database import Database


@pytest.mark.parametrize("name", ["ours", "house", "gumnut"])
async def test_schemathesis_finds_nothing(
    database: Database, models: Path, photos: Path, tmp_path: Path, name: str
) -> None:
    if not VENV.exists():
        pytest.skip("no .venvs/contract: run tests/oracle/make_contract.sh")
    async with stocked(database, tmp_path, models, photos, 200) as stock:
        run = await tried(stock, name, 2, "fuzzing")

    assert run.passed, run.report
    assert len(run.counts) >= {"gumnut": 9}.get(name, 15), run.report
