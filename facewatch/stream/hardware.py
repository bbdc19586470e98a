"""Decoding on a GPU, where there is one that can."""

import errno
import logging
from collections.abc import Callable
from typing import Final, Literal

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

log = logging.getLogger(__name__)

DecodeOn = Literal["cpu", "cuda"]
"""What decodes; ``cuda`` is NVDEC, whose pictures are copied back to be looked at."""

_DEVICE_FAILED: Final = (av.error.ExternalError, PermissionError)
"""What ``av.open`` raises of a device: CUDA's own errors, and (EPERM) that there is no driver."""

_without_driver = set[str]()


def opened(
    open_on: Callable[[HWAccel | None], InputContainer], decode_on: DecodeOn, name: str
) -> InputContainer:
    """What *open_on* opens of the stream called *name*, to be decoded by the device or the CPU.

    By the CPU also where the device cannot be used, which is said (of a driver that is not there
    once a process), and where it has no decoder for the stream.

    Raises:
        av.FFmpegError: it cannot be opened.
    """
    if decode_on != "cpu" and decode_on not in _without_driver:
        try:
            return open_on(HWAccel(decode_on, allow_software_fallback=True))
        except _DEVICE_FAILED as error:
            _say(name, decode_on, error)
    return open_on(None)


def _say(name: str, device: str, error: Exception) -> None:
    if isinstance(error, OSError) and error.errno == errno.EPERM:
        if device in _without_driver:
            return
        _without_driver.add(device)
    log.warning(
        "cameras.decode_on = %r: %s cannot be used for %s (%s), the CPU decodes; "
        "is its driver installed, visible to this process, and has it memory left?",
        *(device, device, name, getattr(error, "strerror", None) or "it gives no reason"),
    )
