"""The commands, as a user runs them: a process, an exit status, what it prints."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from homes import a_home
from videos import counting_pictures

from facewatch.cli import main
from facewatch.stream.encode import encode_video


class Shell:
    """Runs commands in a home of their own."""

    def __init__(self, home: Path, models: Path) -> None:
        self.home = home
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("FACEWATCH_")},
            "FACEWATCH_HOME": str(home),
            "FACEWATCH_MODELS_DIRECTORY": str(models),
            "FACEWATCH_HTTP_PORT": "0",
        }

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "facewatch", *words],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def lines(self, *words: str) -> list[dict[str, object]]:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def shell(models: Path) -> Iterator[Shell]:
    with a_home() as home:
        yield Shell(home, models)


def test_a_key_is_shown_once_and_listed_without_its_secret(shell: Shell) -> None:
    (made,) = shell.lines("key", "create", "integration")
    listed = shell.run("key", "list", "--json")

    assert str(made["key"]).startswith("fw_")
    assert str(made["key"]) not in listed.stdout
    assert json.loads(listed.stdout.splitlines()[0])["name"] == "integration"

    assert shell.run("key", "revoke", str(made["id"])).returncode == 0
    (revoked,) = [it for it in shell.lines("key", "list") if it["id"] == made["id"]]
    assert revoked["revoked"]
    assert revoked["state"] == "revoked"


def test_a_key_may_expire_and_the_audit_log_is_listed(shell: Shell) -> None:
    (made,) = shell.lines("key", "create", "guest", "--expires", "2999-01-01")
    (listed,) = [it for it in shell.lines("key", "list") if it["id"] == made["id"]]

    assert (listed["state"], listed["role"]) == ("works", "operator")
    assert made["expires"] == listed["expires"] == "2999-01-01T00:00:00+00:00"
    assert shell.lines("audit", "list", "--action", "FACE_EVENT_DELETED") == []
    assert shell.run("key", "revoke", str(made["id"])).returncode == 0


def test_a_cameras_password_is_never_shown(shell: Shell) -> None:
    added = shell.run("camera", "add", "gate", "rtsp://admin:s3cret@127.0.0.1:9/main")
    listed = shell.run("camera", "list", "--json")
    again = shell.run("camera", "add", "gate", "rtsp://admin:s3cret@127.0.0.1:9/main")
    small = shell.run("camera", "set", "gate", "--sub", "rtsp://viewer:s3cret@127.0.0.1:9/sub")
    (paired,) = shell.lines("camera", "list")
    file = shell.run("camera", "set", "gate", "--sub", "/etc/passwd")
    nothing = shell.run("camera", "set", "gate")
    removed = shell.run("camera", "remove", "gate")

    assert added.returncode == small.returncode == removed.returncode == 0
    assert json.loads(listed.stdout)["url"] == "rtsp://127.0.0.1:9/main"
    assert paired["sub_url"] == "rtsp://127.0.0.1:9/sub"
    assert (again.returncode, file.returncode, nothing.returncode) == (1, 1, 2)
    assert "two streams" in file.stderr
    for each in (added, listed, again, small, file, removed):
        assert "s3cret" not in each.stdout + each.stderr


def test_a_camera_is_given_a_threshold_of_its_own(shell: Shell) -> None:
    shell.run("camera", "add", "gate", "rtsp://127.0.0.1:9/main")
    set_ = shell.run("camera", "set", "gate", "--threshold", "0.9")
    (listed,) = shell.lines("camera", "list")
    wrong = shell.run("camera", "set", "gate", "--threshold", "7")
    shell.run("camera", "set", "gate", "--threshold", "org")
    (again,) = shell.lines("camera", "list")
    (watched,) = shell.lines("camera", "watch-again", "gate")
    shell.run("camera", "remove", "gate")

    assert set_.returncode == 0
    assert (listed["match_threshold"], again["match_threshold"]) == (0.9, None)
    assert wrong.returncode == 2
    assert "from 0 to 1" in wrong.stderr
    assert watched == {"name": "gate", "regions": 0}


@pytest.mark.parametrize(
    ("words", "environment", "says"),
    [
        (("camera", "probe", "rtsp://a:s3cret@127.0.0.1:9/x"), {}, "127.0.0.1:9"),
        (("camera", "add", "x", "gopher://127.0.0.1/x"), {}, "gopher"),
        (("camera", "remove", "nobody"), {}, "nobody"),
        (("camera", "watch-again", "nobody"), {}, "nobody"),
        (("replay", "/nowhere.mp4", "--camera", "x"), {}, "/nowhere.mp4"),
        (("person", "enrol", "/nowhere"), {}, "/nowhere"),
        (("person", "forget", "Nobody"), {}, "Nobody"),
        (("key", "revoke", "x"), {}, "key list"),
        (("key", "create", "x", "--expires", "2020-01-01"), {}, "to come"),
        (("audit", "list", "--subject", "x"), {}, "take an id"),
        (("models", "verify"), {"FACEWATCH_MODELS_DIRECTORY": "/nowhere"}, "models fetch"),
        (("replay", "/dev/null", "--camera", "x"), {}, "/dev/null"),
        (("migrate",), {"FACEWATCH_HOME": "/proc/nowhere"}, "/proc/nowhere"),
        (("migrate",), {"FACEWATCH_DATABASE_URL": "postgresql://u:s3cret@127.0.0.1:9/x"}, "127"),
        (("migrate",), {"FACEWATCH_DATABASE_URL": "postgresql://u:s3cret/@h:1/x"}, "%2F for /"),
        (("migrate",), {"FACEWATCH_DATABASE_URL": "u:s3cret@h/x"}, "database_url"),
        (("migrate",), {"FACEWATCH_HOME": "~nobody-here"}, "~nobody-here"),
        (("migrate",), {"FACEWATCH_HTTP_PORT": "many"}, "http.port"),
        (("migrate",), {"FACEWATCH_NO_SUCH": "1"}, "FACEWATCH_NO_SUCH"),
        (("migrate", "--config", "/nowhere.toml"), {}, "/nowhere.toml"),
    ],
)
def test_bad_input_is_two_plain_lines_and_exit_status_1(
    shell: Shell,
    words: tuple[str, ...],
    environment: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["facewatch", *words])
    for name, value in (shell.environment | environment).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as ended:
        main()

    said = capfd.readouterr().err
    assert ended.value.code == 1
    assert says in said
    assert "what to do:" in said
    assert "Traceback" not in said
    assert "s3cret" not in said


def test_a_video_from_before_ids_can_tell_the_time_is_refused(shell: Shell, tmp_path: Path) -> None:
    encode_video(tmp_path / "old.mp4", counting_pictures(5), fps=25)
    done = shell.run("replay", f"{tmp_path}/old.mp4", "--camera", "x", "--start", "1960-01-01")

    assert done.returncode == 1
    assert "before 1970" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_is_told_to_end_leaves_no_database_running(
    shell: Shell, tmp_path: Path
) -> None:
    encode_video(tmp_path / "long.mp4", counting_pictures(500), fps=25)
    process = subprocess.Popen(
        [sys.executable, "-m", "facewatch", "replay", f"{tmp_path}/long.mp4", "--camera", "x"],
        env=shell.environment,
    )
    running = shell.home / "postgres/data/postmaster.pid"
    deadline = time.monotonic() + 60
    while not running.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()

    assert process.wait(60) == 128 + signal.SIGTERM
    assert not running.exists()


def test_models_are_listed_with_their_licences(shell: Shell) -> None:
    listed = {str(it["name"]): it for it in shell.lines("models", "list")}

    assert listed["yunet"]["here"] == listed["sface"]["here"] == "verified"
    assert "non-commercial" in str(listed["arcface-r50"]["licence"])


def test_doctor_finds_everything_well(shell: Shell) -> None:
    found = shell.lines("doctor")

    assert all(it["well"] for it in found), found
    assert {"cv2 builds", "models", "engine", "database", "object store"} <= {
        str(it["check"]) for it in found
    }


def test_doctor_says_what_to_do_about_a_missing_model(shell: Shell) -> None:
    done = shell.run("doctor", FACEWATCH_MODELS_DIRECTORY="/nowhere")

    assert done.returncode == 1
    assert "facewatch models fetch" in done.stdout


def test_doctor_finds_two_builds_of_one_module(shell: Shell, tmp_path: Path) -> None:
    rival = tmp_path / "opencv_python-5.0.0.dist-info"
    rival.mkdir()
    (rival / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 5.0.0\n")

    done = shell.run("doctor", PYTHONPATH=str(tmp_path))

    assert done.returncode == 1
    assert "opencv-python, opencv-python-headless" in done.stdout
    assert "keep exactly one" in done.stdout


def test_a_missing_libgl_is_found_though_nothing_else_can_run(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text(
        "raise ImportError('libGL.so.1: cannot open shared object file')"
    )

    serve = shell.run("serve", PYTHONPATH=str(tmp_path))
    doctor = shell.run("doctor", PYTHONPATH=str(tmp_path))

    assert serve.returncode == doctor.returncode == 1
    assert "libGL" in serve.stderr
    assert "facewatch doctor" in serve.stderr
    assert "Traceback" not in serve.stderr + doctor.stderr
    assert "apt-get install libgl1" in doctor.stdout


def test_orgs_and_locations_from_the_command_line(shell: Shell) -> None:
    (made,) = shell.lines("org", "create", "shop")
    assert str(made["key"]).startswith("fw_")
    assert [it["name"] for it in shell.lines("org", "list")] == ["default", "shop"]

    shell.lines("location", "add", "Berlin", "--time-zone", "Europe/Berlin", "--org", "shop")
    shell.lines("location", "add", "till", "--in", "Berlin", "--org", str(made["id"]))
    shell.lines(
        *("camera", "add", "counter", "rtsp://10.0.0.7/x"), "--location", "till", "--org", "shop"
    )
    till = shell.lines("location", "list", "--org", "shop")[-1]
    assert (till["name"], till["in"], till["time_zone"]) == ("till", "Berlin", "Europe/Berlin")
    assert [it["name"] for it in shell.lines("camera", "list", "--org", "shop")] == ["counter"]
    assert "counter" not in [it["name"] for it in shell.lines("camera", "list")]
    refused = shell.run("location", "remove", "till", "--org", "shop")
    assert refused.returncode == 1
    assert "cameras hang there" in refused.stderr


def test_the_gallery_doctor_finds_nothing_in_an_empty_gallery(shell: Shell) -> None:
    done = shell.run("gallery", "doctor")

    assert done.returncode == 0, done.stderr
    assert "0 findings in 0 enrolled faces" in done.stderr
