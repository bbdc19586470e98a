"""Who appears in the demo, and whose photographs these are.

All were taken by employees of the United States' government in the course of their duty, which
puts them in the public domain there; NOTICE says what the White House asks beside. None is kept in
this repository: they come with packages of the registry, from where `photos` takes them.
"""

from dataclasses import dataclass

from facewatch.domain.geometry import Box

Points = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph inside an archive of the package registry.

    Attributes:
        file: What it is called in the home directory.
        package: Requirement that names exactly one version.
        archive_sha256: Of the archive; pip refuses any other before it looks inside.
        platform: Of the wheel; empty for a source archive.
        member: The end of the photograph's path in the archive.
        sha256: Of the photograph.
        credit: Whom it shows and whose it is.
    """

    file: str
    package: str
    archive_sha256: str
    platform: str
    member: str
    sha256: str
    credit: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A person to be cut out of a photograph.

    Attributes:
        face: Where the face is in the photograph, px.
        outline: Round the person, clockwise, px; its last row is the lower edge.
    """

    photo: Photo
    face: Box
    outline: Points


def _obama(file: str, sha256: str, day: str) -> Photo:
    return Photo(
        file=file,
        package="face-recognition==1.3.0",
        archive_sha256="5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        platform="",
        member=f"tests/test_images/{file}",
        sha256=sha256,
        credit=f"Barack Obama, {day}: official White House photo by Pete Souza",
    )


OBAMA_2012 = _obama(
    "obama.jpg",
    "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    "6 December 2012",
)
OBAMA_2010 = _obama(
    "obama3.jpg",
    "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
    "10 May 2010",
)
HOPPER = Photo(
    file="grace_hopper.jpg",
    package="matplotlib==3.10.8",
    archive_sha256="efb30e3baaea72ce5928e32bab719ab4770099079d66726a62b11b1ef7273be4",
    platform="manylinux2014_x86_64",
    member="mpl-data/sample_data/grace_hopper.jpg",
    sha256="a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    credit="Grace Hopper: US Navy, https://commons.wikimedia.org/wiki/File:Grace_Hopper.jpg",
)
COLLINS = Photo(
    file="astronaut.png",
    package="scikit-image==0.26.0",
    archive_sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    platform="manylinux_2_28_x86_64",
    member="skimage/data/astronaut.png",
    sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    credit="Eileen Collins: NASA, https://flic.kr/p/r9qvLn",
)

PHOTOS = (OBAMA_2012, OBAMA_2010, HOPPER, COLLINS)

ENROLLED = {"Barack Obama": OBAMA_2012, "Grace Hopper": HOPPER}
"""Who is known, by which photograph. Eileen Collins is not: she is the demo's stranger."""

# fmt: off
FIGURES = {
    "obama": Figure(OBAMA_2010, Box(644, 273, 909, 618), (
        (783, 220), (842, 233), (883, 270), (907, 325), (917, 383), (925, 458), (917, 508),
        (897, 550), (875, 583), (853, 625), (850, 658), (875, 692), (917, 713), (1000, 737),
        (1117, 780), (1150, 808), (1158, 883), (1167, 983), (1193, 1067), (1200, 1133),
        (1227, 1183), (1208, 1242), (1167, 1333), (1133, 1375), (1088, 1387), (1117, 1533),
        (1143, 1633), (1127, 1637), (1145, 1847), (287, 1847), (333, 1633), (363, 1517),
        (400, 1420), (313, 1420), (275, 1375), (250, 1283), (233, 1208), (237, 1150),
        (267, 1017), (275, 900), (303, 833), (333, 778), (400, 753), (550, 717), (608, 680),
        (642, 647), (650, 600), (647, 550), (625, 520), (597, 503), (580, 450), (592, 417),
        (617, 413), (613, 350), (637, 292), (683, 250), (733, 225),
    )),
    "hopper": Figure(HOPPER, Box(179, 122, 354, 332), (
        (240, 23), (275, 23), (292, 30), (298, 42), (320, 47), (342, 62), (354, 85), (366, 90),
        (371, 105), (373, 150), (371, 180), (374, 195), (372, 225), (366, 262), (356, 290),
        (338, 305), (332, 318), (350, 335), (400, 355), (450, 372), (485, 385), (497, 400),
        (511, 440), (511, 566), (15, 566), (22, 520), (30, 440), (45, 385), (60, 378),
        (110, 365), (150, 355), (175, 345), (190, 330), (200, 312), (195, 300), (175, 295),
        (163, 280), (165, 262), (158, 230), (154, 200), (160, 185), (158, 160), (165, 150),
        (160, 130), (157, 105), (165, 95), (172, 88), (175, 82), (190, 58), (218, 43), (225, 28),
    )),
    "collins": Figure(COLLINS, Box(178, 63, 268, 173), (
        (227, 16), (248, 18), (276, 31), (293, 52), (301, 85), (298, 112), (285, 130),
        (268, 140), (264, 160), (262, 168), (277, 178), (292, 195), (303, 220), (305, 240),
        (320, 252), (340, 275), (352, 300), (358, 325), (362, 350), (335, 358), (305, 385),
        (290, 420), (284, 450), (30, 450), (22, 420), (25, 385), (30, 350), (40, 320), (55, 280),
        (70, 255), (95, 232), (115, 212), (118, 195), (125, 172), (145, 155), (170, 148),
        (182, 152), (182, 135), (160, 118), (153, 95), (153, 68), (165, 50), (180, 38), (200, 25),
    )),
}
# fmt: on
