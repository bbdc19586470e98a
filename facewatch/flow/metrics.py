"""What a running facewatch counts about itself, for Prometheus.

One place on a low floor: the pipeline counts, the API shows, and neither knows the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from time import perf_counter

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)

from facewatch.domain.cameras import CameraState

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Stage(StrEnum):
    """A stretch of the way of a frame."""

    WAIT = "wait"
    """A frame waits for the engine."""
    DECODE = "decode"
    """What is decoded for one frame to look at; processor seconds, for it mostly waits."""
    CONVERT = "convert"
    """One picture to the detector's size and colours."""
    DETECT = "detect"
    """The faces of one batch, converting apart."""
    FOLLOW = "follow"
    """Whose the faces of one frame are, without the looks and templates that it takes."""
    ALIGN = "align"
    """A closer look at one face: aligned crop and quality."""
    EMBED = "embed"
    """Templates of one batch."""
    MATCH = "match"
    """One visit against the gallery."""
    ENCODE = "encode"
    """The pictures of one event version."""
    SPOOL = "spool"
    """Until one event version is durable on the local disk."""
    STORE = "store"
    """One batch from the spool to the object store and Postgres."""
    CAPTURE_TO_LOOK = "capture_to_look"
    """From the capture of a frame until the engine takes it."""
    CAPTURE_TO_EVENT = "capture_to_event"
    """From the capture of what an event first showed until that is in Postgres."""


@dataclass(frozen=True, slots=True, eq=False)
class Metrics:
    """Every number, on one registry. Any thread.

    Attributes:
        frames_received: By camera: decoded or skipped.
        frames_looked_at: By camera: through the detector.
        frames_dropped: By camera: replaced by a newer one before the engine had time.
        frames_late: By camera: left out because its reader could not keep up.
        frames_idle: Frames in which nothing moved, and nobody was: passed over.
        stream_changes: By camera: its pictures came to have another size or rate.
        camera_state: By camera and state: 1 for the state it is in, else 0.
        faces_detected: Boxes that the detector gave.
        embeddings: Crops that were embedded.
        batches_halved: By model: the memory did not suffice for a batch; later ones are smaller.
        events_recorded: Closed visits, by kind: known or unknown.
        pictures_seen: Pictures and clips that were looked at to be found by words.
        pictures_unreadable: Those among them that held no picture.
        pictures_waiting: Those that were not looked at yet.
        spool_backlog: Event versions on the local disk that the stores do not have yet.
        spool_bytes: Bytes of these.
        events_lag: Age in seconds of the oldest of these; 0 when there is none.
        stage_seconds: By `Stage`.
        camera_cpu_seconds: By camera and stage, decode to embed; a batch is shared by what each
            camera had in it. What belongs to no camera is in `process_cpu_seconds_total` only.
        requests: By family, operation and status.
        request_seconds: By family and operation.
        limited: Requests turned away by a limit, by whose it was: org or address.
        unknown_keys: Requests with a key that nobody has.
        audit_entries: Entries written to the audit log.
        audit_waiting: Entries that wait to be written.
    """

    registry: CollectorRegistry
    frames_received: Counter
    frames_looked_at: Counter
    frames_dropped: Counter
    frames_late: Counter
    frames_idle: Counter
    stream_changes: Counter
    camera_state: Gauge
    faces_detected: Counter
    embeddings: Counter
    batches_halved: Counter
    events_recorded: Counter
    pictures_seen: Counter
    pictures_unreadable: Counter
    pictures_waiting: Gauge
    spool_backlog: Gauge
    spool_bytes: Gauge
    events_lag: Gauge
    stage_seconds: Histogram
    camera_cpu_seconds: Counter
    requests: Counter
    request_seconds: Histogram
    limited: Counter
    unknown_keys: Counter
    audit_entries: Counter
    audit_waiting: Gauge

    @classmethod
    def on(cls, registry: CollectorRegistry | None = None) -> "Metrics":
        """All of them at zero, on *registry* or one of their own. Once a registry."""
        to = registry or CollectorRegistry()
        ProcessCollector(registry=to)
        PlatformCollector(registry=to)
        GCCollector(registry=to)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(name, what, labels, registry=to)

        def gauge(name: str, what: str, *labels: str) -> Gauge:
            return Gauge(name, what, labels, registry=to)

        def histogram(name: str, what: str, *labels: str) -> Histogram:
            return Histogram(name, what, labels, buckets=_SECONDS, registry=to)

        return cls(
            registry=to,
            frames_received=counter("frames_received_total", "Frames that arrived", "camera"),
            frames_looked_at=counter("frames_looked_at_total", "Frames analysed", "camera"),
            frames_dropped=counter(
                "frames_dropped_total", "Frames replaced by a newer one before analysis", "camera"
            ),
            frames_late=counter(
                "frames_late_total", "Frames that there was no time to decode", "camera"
            ),
            frames_idle=counter("frames_idle_total", "Frames passed over: nothing moved"),
            stream_changes=counter(
                "stream_changes_total", "Times that size or rate of the pictures changed", "camera"
            ),
            camera_state=gauge("camera_state", "1 for the camera's state", "camera", "state"),
            faces_detected=counter("faces_detected_total", "Faces found in frames"),
            embeddings=counter("embeddings_total", "Crops embedded"),
            batches_halved=counter(
                "model_batches_halved_total", "Batches that the memory did not suffice for", "model"
            ),
            events_recorded=counter("events_recorded_total", "Visits recorded", "kind"),
            pictures_seen=counter("pictures_seen_total", "Pictures looked at to be found by words"),
            pictures_unreadable=counter(
                "pictures_unreadable_total", "Pictures that could not be looked at"
            ),
            pictures_waiting=gauge("pictures_waiting", "Pictures not yet found by words"),
            spool_backlog=gauge("spool_backlog", "Event versions not yet in the stores"),
            spool_bytes=gauge("spool_bytes", "Bytes not yet in the stores"),
            events_lag=gauge("events_lag_seconds", "Age of the oldest event not yet stored"),
            stage_seconds=histogram("stage_seconds", "Time that a stage takes", "stage"),
            camera_cpu_seconds=counter(
                "camera_cpu_seconds_total", "Processor seconds of a camera", "camera", "stage"
            ),
            requests=counter(
                "http_requests_total", "Requests answered", "family", "operation", "status"
            ),
            request_seconds=histogram(
                "http_request_seconds", "Time to answer", "family", "operation"
            ),
            limited=counter("facewatch_limited_total", "Requests turned away by a limit", "whose"),
            unknown_keys=counter("facewatch_unknown_keys_total", "Requests with an unknown key"),
            audit_entries=counter("facewatch_audit_entries_total", "Audit entries written"),
            audit_waiting=gauge("facewatch_audit_waiting", "Audit entries not yet written"),
        )

    def show_state(self, camera: str, state: CameraState) -> None:
        """Make *state* the one of *camera* (its name) that reads 1."""
        for each in CameraState:
            self.camera_state.labels(camera, each.value).set(each is state)

    def forget_camera(self, camera: str) -> None:
        """A removed camera's series go, so that no dead state is shown."""
        for metric in (
            self.frames_received,
            self.frames_looked_at,
            self.frames_dropped,
            self.frames_late,
            self.stream_changes,
        ):
            metric.remove_by_labels({"camera": camera})
        self.camera_state.remove_by_labels({"camera": camera})
        self.camera_cpu_seconds.remove_by_labels({"camera": camera})

    def took(self, stage: Stage, seconds: float) -> None:
        """One more of *stage*."""
        self.stage_seconds.labels(stage.value).observe(seconds)

    def charge(self, camera: str, stage: Stage, cpu_s: float) -> None:
        """*camera* (its name) caused *cpu_s* of work."""
        self.camera_cpu_seconds.labels(camera, stage.value).inc(max(cpu_s, 0.0))

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """The block counts towards *stage*, unless it raises."""
        start = perf_counter()
        yield
        self.took(stage, perf_counter() - start)
