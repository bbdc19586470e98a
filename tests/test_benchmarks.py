"""`make bench`: that it runs whatever lies in the folder, and what it says of each."""

import io
import json
import re
import sys
from pathlib import Path

import pytest
from run import Run, benchmarks, run

SAYS = 'import argparse, json, sys, time\nprint(json.dumps({"ratio": 1.5}), flush=True)\n'
NO_FIGURES = {"open_set": "splits a folder", "run": "runs the others"}


def ran(folder: Path, source: str, most_s: float | None = None) -> tuple[Run, list[str]]:
    script = folder / "one.py"
    script.write_text(source)
    results = io.StringIO()
    return run(script, quick=True, most_s=most_s, results=results), results.getvalue().splitlines()


def test_every_script_takes_quick() -> None:
    scripts = {
        path.stem
        for path in (Path(__file__).parent.parent / "benchmarks").glob("*.py")
        if "__main__" in path.read_text()
    }

    assert {path.stem for path in benchmarks([])} == scripts - NO_FIGURES.keys()


def test_figures_are_kept_with_whose_they_are(tmp_path: Path) -> None:
    done, results = ran(tmp_path, SAYS + 'print("a table")\nprint("{no json")')

    assert (done.outcome, done.failed) == ("ok", False)
    assert [json.loads(it) for it in results] == [{"script": "one", "ratio": 1.5}]
    assert done.row()[-1] == "ratio 1.5"


def test_it_is_told_to_be_quick(tmp_path: Path) -> None:
    done, _ = ran(tmp_path, SAYS + "assert sys.argv[1:] == ['--quick']")

    assert done.outcome == "ok"


def test_a_script_that_fails_is_a_failure_with_the_figures_it_had(tmp_path: Path) -> None:
    done, results = ran(tmp_path, SAYS + "sys.exit(3)")

    assert (done.outcome, done.failed, len(results)) == ("failed with status 3", True, 1)


def test_one_without_its_data_is_skipped(tmp_path: Path) -> None:
    needs = "from pathlib import Path\nfrom shared import needed\nneeded(Path('/not/there'))\n1 / 0"
    here = (
        f"import sys\nsys.path.insert(0, {str(Path(sys.modules['run'].__file__ or '').parent)!r})\n"
    )
    done, _ = ran(tmp_path, here + needs)

    assert (done.outcome, done.failed) == ("skipped: /not/there is not here", False)


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    done, results = ran(tmp_path, SAYS + "time.sleep(600)", most_s=1.0)

    assert (done.outcome, done.failed, len(results)) == ("ended after 1 s", True, 1)


def test_a_benchmark_that_is_not_there() -> None:
    with pytest.raises(SystemExit, match=re.escape("no benchmark: absent; there are: api, ")):
        benchmarks(["absent"])
