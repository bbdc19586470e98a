"""Decoding on a GPU, where there is one that can."""

import logging
from functools import cache
from typing import Final, Literal

import av
from av.codec import Codec
from av.codec.hwaccel import HWAccel

log = logging.getLogger(__name__)

DecodeOn = Literal["cpu", "cuda"]
"""What decodes; ``cuda`` is NVDEC, whose pictures are copied back to be looked at."""

_PROBED_WITH: Final = "h264"


def accelerator(decode_on: DecodeOn) -> HWAccel | None:
    """For ``av.open``; None is the CPU, also where the GPU cannot be used: said once.

    A stream that the GPU has no decoder for is decoded by the CPU as well.
    """
    if decode_on == "cpu" or not _works(decode_on):
        return None
    return HWAccel(decode_on, allow_software_fallback=True)


@cache
def _works(device: str) -> bool:
    try:
        HWAccel(device).create(Codec(_PROBED_WITH, "r"))
    except (av.FFmpegError, NotImplementedError) as error:
        log.warning(
            "cameras.decode_on = %r: %s cannot be used here (%s), the CPU decodes; "
            "is its driver installed, and the GPU visible to this process?",
            *(device, device, getattr(error, "strerror", None) or error),
        )
        return False
    return True
