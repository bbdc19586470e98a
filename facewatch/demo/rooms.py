"""What happens before the demo's three cameras: a script, repeated for ever.

Nobody comes back to a camera within four seconds of leaving it, also from one repetition to the
next, so that each walk is one visit.
"""

from facewatch.demo.scene import Room, Stand, Walk


def _walk(who: str, *stands: Stand) -> Walk:
    return Walk(who, stands)


LOBBY = Room(
    name="lobby",
    seed=1,
    wall=(205, 212, 214),
    door=(560, 800),
    horizon_y=215,
    seconds=32,
    fps=15,
    codec="h264",
    walks=(
        _walk(
            "obama",
            Stand(1.0, 680, 56, light=0),
            Stand(1.8, 680, 60),
            Stand(5.0, 600, 110, turn=0.1),
            Stand(7.5, 420, 170, turn=-0.1),
            Stand(8.8, 390, 180, turn=-0.1),
            Stand(10.2, -280, 195, turn=-0.8),
        ),
        _walk(
            "collins",
            Stand(12.5, 1450, 90, turn=-0.6),
            Stand(14.5, 900, 100, turn=-0.2),
            Stand(17.0, 640, 130),
            Stand(18.5, 640, 130),
            Stand(20.5, 1480, 140, turn=0.7),
        ),
        _walk(
            "hopper",
            Stand(21.5, 680, 56, light=0),
            Stand(22.3, 680, 60),
            Stand(25.5, 850, 150, turn=0.1),
            Stand(27.5, 920, 175),
            Stand(29.2, 1560, 185, turn=0.6),
        ),
        _walk(
            "obama",
            Stand(22.5, -250, 110, turn=0.5),
            Stand(24.5, 300, 130, turn=0.1),
            Stand(27.0, 400, 150),
            Stand(28.7, -300, 150, turn=-0.8),
        ),
    ),
)

GATE = Room(
    name="gate",
    seed=2,
    wall=(168, 186, 178),
    door=(180, 400),
    horizon_y=205,
    seconds=30,
    fps=15,
    codec="h264",
    walks=(
        _walk(
            "hopper",
            Stand(2.0, 1500, 95, turn=-0.6),
            Stand(3.8, 1000, 110, turn=-0.1),
            Stand(6.5, 700, 180),
            Stand(8.0, 660, 190),
            Stand(9.8, -300, 190, turn=-0.7),
        ),
        _walk(
            "obama",
            Stand(12.0, 290, 56, light=0),
            Stand(12.8, 290, 60),
            Stand(16.0, 420, 130, turn=0.1),
            Stand(18.5, 380, 190),
            Stand(20.3, -300, 195, turn=-0.8),
        ),
        _walk(
            "collins",
            Stand(13.5, 1480, 100, turn=-0.6),
            Stand(15.5, 980, 110, turn=-0.1),
            Stand(18.0, 860, 135),
            Stand(19.5, 900, 140),
            Stand(21.5, 1520, 140, turn=0.7),
        ),
    ),
)

CORRIDOR = Room(
    name="corridor",
    seed=3,
    wall=(188, 196, 208),
    door=(760, 990),
    horizon_y=225,
    seconds=26,
    fps=12,
    codec="hevc",
    walks=(
        _walk(
            "collins",
            Stand(2.5, -200, 90, turn=0.6),
            Stand(4.2, 350, 100, turn=0.1),
            Stand(6.5, 560, 135),
            Stand(7.5, 580, 140),
            Stand(9.5, -260, 140, turn=-0.7),
        ),
        _walk(
            "hopper",
            Stand(11.0, 870, 56, light=0),
            Stand(11.8, 870, 60),
            Stand(14.5, 760, 140),
            Stand(16.0, 740, 180),
            Stand(17.8, 1560, 190, turn=0.7),
        ),
        _walk(
            "obama",
            Stand(17.5, -250, 100, turn=0.6),
            Stand(19.3, 350, 125, turn=0.1),
            Stand(21.8, 500, 185),
            Stand(22.8, 500, 190),
            Stand(24.3, -300, 195, turn=-0.7),
        ),
    ),
)

ROOMS = (LOBBY, GATE, CORRIDOR)

PASSAGE = Room(
    name="passage",
    seed=4,
    wall=(196, 204, 200),
    door=(560, 800),
    horizon_y=215,
    seconds=14,
    fps=15,
    codec="h264",
    walks=(
        _walk(
            "obama", Stand(0.3, -200, 110, turn=0.5), Stand(2.5, 420, 150), Stand(5.2, 1500, 180)
        ),
        _walk(
            "collins", Stand(3.8, 1450, 90, turn=-0.4), Stand(6.5, 700, 130), Stand(9.2, -260, 140)
        ),
        _walk(
            "hopper", Stand(7.8, -250, 120, turn=0.4), Stand(10.0, 600, 170), Stand(12.6, 1560, 185)
        ),
    ),
)
"""Where somebody is always passing, one or two at a time: what `facewatch bench` shows."""
