"""`make bench`: that it runs whatever lies in the folder, and what it says of each."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from goals import GOALS, judged
from growth import kept_events
from homes import a_home
from kept import figures, finished, head, tail
from plan import _PLANS, QUICK_S, plan_of
from run import before, benchmarks, run_all, sum_up
from running import Run, run

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SAYS = 'import argparse, json, sys, time\nprint(json.dumps({"ratio": 1.5}), flush=True)\n'
NO_FIGURES = {"open_set": "splits a folder", "run": "runs the others"}


def ran(folder: Path, source: str, most_s: float = 60.0) -> tuple[Run, list[str]]:
    script = folder / "one.py"
    script.write_text(source)
    results = io.StringIO()
    return run(script, quick=True, most_s=most_s, results=results), results.getvalue().splitlines()


def test_every_script_takes_quick() -> None:
    scripts = {path.stem for path in BENCHMARKS.glob("*.py") if "__main__" in path.read_text()}

    assert {path.stem for path in benchmarks([])} == scripts - NO_FIGURES.keys()


def test_figures_are_kept_with_whose_they_are(tmp_path: Path) -> None:
    done, results = ran(tmp_path, SAYS + 'print("a table")\nprint("{no json")')

    assert (done.outcome, done.failed) == ("ok", False)
    assert [json.loads(it) for it in results] == [{"ratio": 1.5}]


def test_it_is_told_to_be_quick(tmp_path: Path) -> None:
    done, _ = ran(tmp_path, SAYS + "assert sys.argv[1:] == ['--quick']")

    assert done.outcome == "ok"


def test_a_script_that_fails_is_a_failure_with_the_figures_it_had(tmp_path: Path) -> None:
    done, results = ran(tmp_path, SAYS + "raise ValueError('no such camera')")

    assert (done.failed, len(results)) == (True, 1)
    assert done.outcome == "failed with status 1: ValueError: no such camera"


def test_one_without_its_data_is_skipped(tmp_path: Path) -> None:
    needs = "from pathlib import Path\nfrom shared import needed\nneeded(Path('/not/there'))\n1 / 0"
    here = f"import sys\nsys.path.insert(0, {str(BENCHMARKS)!r})\n"
    done, _ = ran(tmp_path, here + needs)

    assert (done.outcome, done.failed) == ("skipped: /not/there is not here", False)


def test_one_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    done, results = ran(tmp_path, SAYS + "time.sleep(600)", most_s=1.0)

    assert (done.outcome, done.failed, len(results)) == ("ended after 1 s", True, 1)


def test_a_benchmark_that_is_not_there() -> None:
    with pytest.raises(SystemExit, match=re.escape("no benchmark: absent; there are: api, ")):
        benchmarks(["absent"])


BACKGROUND = """
import subprocess, sys, tempfile
folder = tempfile.mkdtemp()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print('{"folder": "%s"}' % folder, flush=True)
"""


def alive(folder: str) -> list[str]:
    """Processes whose temporary files are beside *folder*."""
    mark = f"TMPDIR={Path(folder).parent}\0".encode()
    return [it.name for it in Path("/proc").glob("[0-9]*") if mark in _environment(it)]


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize("end", ["", "raise SystemExit(1)", "import time; time.sleep(600)"])
def test_neither_processes_nor_files_are_left_however_a_script_ends(
    tmp_path: Path, end: str
) -> None:
    done, _ = ran(tmp_path, BACKGROUND + end, most_s=2.0)

    (said,) = done.lines
    assert not Path(said["folder"]).exists()
    assert not Path(said["folder"]).parent.exists()
    assert alive(said["folder"]) == []


def wait_until(is_so: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)


@pytest.fixture
def home() -> Iterator[Path]:
    with a_home() as folder:
        yield folder


def test_ctrl_c_ends_all_of_it_and_shows_what_there_is(home: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(BENCHMARKS / "run.py"), "--quick", "events"],
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "PYTHONPATH": str(BENCHMARKS.parent),
            "FACEWATCH_HOME": str(home),
            "TMPDIR": str(home),
        },
    )
    started = "*/*/postgres/data/postmaster.pid"
    wait_until(lambda: list(home.glob(started)), "Postgres is started")
    postmaster = int(next(home.glob(started)).read_text().splitlines()[0])
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 130
    assert re.search("events +interrupted", out.decode())
    wait_until(lambda: not Path(f"/proc/{postmaster}").exists(), "Postgres has gone")
    assert [it.name for it in home.iterdir()] == ["benchmarks"]
    assert finished(home / "benchmarks" / "quick", "events") is None


@pytest.fixture
def scripts(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "scripts"
    folder.mkdir()
    for name, ending in (("a", "raise OSError('disk full')"), ("pipeline", "")):
        (folder / f"{name}.py").write_text(SAYS + ending)
    return sorted(folder.iterdir())


def test_whatever_becomes_of_one_the_others_are_run(
    scripts: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = run_all(scripts, quick=False, into=tmp_path)
    figures = {it.name: it.lines for it in runs if not it.failed}
    sum_up(runs, judged(figures, quick=False), tmp_path, quick=False)

    out = capsys.readouterr().out
    assert "== 2 of 2: pipeline (0:00 gone, about " in out
    assert "| a | failed with status 1: OSError: disk full | 0:00 | 1 |" in (
        (tmp_path / "summary.md").read_text()
    )
    goals = [json.loads(it) for it in (tmp_path / "goals.jsonl").read_text().splitlines()]
    assert [it["verdict"] for it in goals if it["measured"] is not None] == ["NOT REACHED"]
    assert goals[0]["measured"] == 1.5
    assert json.dumps(goals[0]) in out


def test_what_was_measured_before_is_known_again(scripts: list[Path], tmp_path: Path) -> None:
    run_all(scripts, quick=False, into=tmp_path)

    assert list(before(scripts, tmp_path)) == ["pipeline"]
    elsewhere = head("pipeline") | {"machine": {"cores": 999}}
    lines = [elsewhere, {"ratio": 1.0}, tail("ok", 1.0)]
    (tmp_path / "pipeline.jsonl").write_text("".join(json.dumps(it) + "\n" for it in lines))
    assert before(scripts, tmp_path) == {}


def test_growth_takes_what_was_measured_of_many_events(tmp_path: Path) -> None:
    times = {f"{size}_{it}": 1.0 for size in ("few", "many") for it in ("p50_ms", "p95_ms")}
    cpu = {"few_p50_cpu_ms": 0.8, "many_p50_cpu_ms": 0.9}
    asked = {"through": "store", "question": "camera"} | times | cpu
    said = [
        {"events": 10_000, "filled_s": 2},
        {"events": 10_000_000, "filled_s": 600},
        asked | {"page": [1, 1]},
        asked | {"page": [900, 900]},
        asked | {"question": "rare name", "page": [1, 1]},
    ]
    lines = [head("events"), *said, tail("ok", 1.0)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(it) + "\n" for it in lines))

    found = kept_events(figures(tmp_path, "events"))
    assert [(it["events"], it["question"], it["cpu_ms"]) for it in found] == [
        (10_000, "camera", 0.8),
        (10_000_000, "camera", 0.9),
    ]


def test_every_goal_is_of_a_script_and_all_of_them_fit_into_the_time() -> None:
    names = {it.stem for it in benchmarks([])}

    assert {it.script for it in GOALS} <= names
    assert _PLANS.keys() <= names
    assert sum(plan_of(it).quick_s for it in names) < QUICK_S


@pytest.mark.parametrize(
    ("script", "lines", "said"),
    [
        ("decode", [{"case": "720p, B-pictures, 1/5", "ratio": 0.38}], ["reached"]),
        ("decode", [{"case": "720p, B-pictures, 1/5", "ratio": 0.5}], ["NOT REACHED"]),
        ("gpu", [{"ratio": 0.81}, {"machine": {}}], ["reached"]),
        (
            "writing",
            [{"acknowledged": 9, "lost": 1, "torn": 0}],
            ["NOT REACHED"],
        ),
        ("growth", [{"of": "cameras", "cameras": n} for n in (1, 32)], ["reached"]),
    ],
)
def test_a_goal_is_judged_by_its_figure(
    script: str, lines: list[dict[str, object]], said: list[str]
) -> None:
    goals = judged({script: lines}, quick=False)

    assert [it["verdict"] for it in goals if it["measured"] is not None] == said
    assert all(it["verdict"] == "not run" for it in goals if it["measured"] is None)
