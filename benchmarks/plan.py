"""How long each benchmark takes, what room it needs, and how long it may take at most."""

from dataclasses import dataclass

QUICK_S = 15 * 60.0
"""What all of them have together at reduced sizes."""


@dataclass(frozen=True)
class Plan:
    """One script.

    Attributes:
        quick_s: As it was on two cores of a Xeon that others used a little.
        full_s: About as long as it was, or as its sizes make one expect.
        disk_gb: Of temporary files, at full size.
    """

    quick_s: float = 30.0
    full_s: float = 300.0
    disk_gb: float = 1.0

    def usual_s(self, quick: bool) -> float:
        return self.quick_s if quick else self.full_s

    def most_s(self, quick: bool) -> float:
        """When it is ended: a slow machine may take a few times as long."""
        return max(120.0, 4 * self.quick_s) if quick else max(900.0, 6 * self.full_s)


_PLANS = {
    "api": Plan(18, 90),
    "clusters": Plan(10, 240),
    "decode": Plan(50, 180),
    "engine": Plan(40, 300),
    "enrol": Plan(38, 600),
    "events": Plan(45, 2400, disk_gb=25),
    "gallery": Plan(25, 420, disk_gb=4),
    "gpu": Plan(5, 60),
    "growth": Plan(25, 420, disk_gb=25),
    "gumnut": Plan(50, 600, disk_gb=5),
    "latency": Plan(52, 300),
    "leave_one_out": Plan(36, 600),
    "pipeline": Plan(26, 600),
    "precision": Plan(22, 420),
    "search": Plan(10, 150, disk_gb=2),
    "seldom": Plan(12, 90),
    "similar": Plan(12, 180, disk_gb=3),
    "studio_tail": Plan(7, 60),
    "ways_to_look": Plan(45, 400),
    "writing": Plan(53, 240, disk_gb=10),
}


def plan_of(script: str) -> Plan:
    """A script that is new has the usual one."""
    return _PLANS.get(script, Plan())
