"""What Prometheus is shown."""

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from facewatch.domain.cameras import CameraState
from facewatch.flow.metrics import Metrics, Stage

PROMISED = {
    "frames_received_total",
    "frames_looked_at_total",
    "frames_dropped_total",
    "stream_changes_total",
    "camera_state",
    "faces_detected_total",
    "embeddings_total",
    "events_recorded_total",
    "spool_backlog",
    "spool_bytes",
    "events_lag_seconds",
    "stage_seconds",
    "camera_cpu_seconds_total",
    "process_cpu_seconds_total",
}


def shown(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_every_promised_number_is_shown() -> None:
    text = shown(Metrics.on())

    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} >= PROMISED


def test_a_camera_is_in_one_state() -> None:
    metrics = Metrics.on()
    metrics.show_state("door", CameraState.CONNECTING)
    metrics.show_state("door", CameraState.LIVE)

    states = {
        state: metrics.registry.get_sample_value("camera_state", {"camera": "door", "state": state})
        for state in CameraState
    }
    assert states == {state: float(state is CameraState.LIVE) for state in CameraState}


def test_a_removed_camera_leaves_nothing_behind() -> None:
    metrics = Metrics.on()
    metrics.show_state("door", CameraState.LIVE)
    metrics.frames_received.labels("door").inc()
    metrics.charge("door", Stage.DECODE, 0.1)
    metrics.frames_received.labels("yard").inc()

    metrics.forget_camera("door")

    assert "door" not in shown(metrics)
    assert 'frames_received_total{camera="yard"} 1.0' in shown(metrics)


def test_only_what_succeeded_is_timed() -> None:
    metrics = Metrics.on()
    with metrics.timed(Stage.EMBED):
        pass
    with pytest.raises(ZeroDivisionError), metrics.timed(Stage.EMBED):
        _ = 1 / 0

    count = metrics.registry.get_sample_value("stage_seconds_count", {"stage": "embed"})
    assert count == 1


def test_every_number_and_stage_is_explained() -> None:
    page = (Path(__file__).parent.parent / "docs" / "metrics.md").read_text()
    explained = set(re.findall(r"`([a-z_]+)[`{]", page))
    ours = {
        line.split()[2]
        for line in shown(Metrics.on()).splitlines()
        if line.startswith("# TYPE") and not re.search(r" (process|python)_|_created ", line)
    }

    assert ours - explained == set()
    assert {stage.value for stage in Stage} - explained == set()


def test_the_clock_never_takes_back_what_a_camera_cost() -> None:
    metrics = Metrics.on()
    metrics.charge("door", Stage.DETECT, 0.25)
    metrics.charge("door", Stage.DETECT, -1e-6)  # a difference of two measured times

    labels = {"camera": "door", "stage": "detect"}
    assert metrics.registry.get_sample_value("camera_cpu_seconds_total", labels) == 0.25
