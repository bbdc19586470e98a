"""Every error that facewatch raises on purpose.

The text of an error says what happened and to what; `remedy` says what to do next. Neither
ever holds a password, a key or a template: camera URLs pass through `domain.urls.redact`.
"""


class FacewatchError(Exception):
    """facewatch could not do what was asked."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


class InvalidSettings(FacewatchError):
    """A setting is unknown, or its value is not allowed."""


class HomeUnusable(FacewatchError):
    """The home directory cannot be created, read or written."""


class AddressInUse(FacewatchError):
    """Another process listens on the address that we were told to use."""


class InvalidRequest(FacewatchError):
    """A caller sent something that the contract does not allow."""


class UnusableLabels(FacewatchError):
    """A file or folder that says what is true cannot be read, or does not fit what is measured."""


class PlotsUnavailable(FacewatchError):
    """The library that draws pictures is not installed."""


class UnusableValue(FacewatchError):
    """What was sent has the right type, but cannot be kept: a blank name, for one."""


class Unauthenticated(FacewatchError):
    """A caller showed no API key, or not in a way that we know."""


class Forbidden(FacewatchError):
    """A caller's key is unknown, expired or revoked, or may not do what was asked."""


class UnknownKey(Forbidden):
    """A caller's key is unknown, expired or revoked."""


class TooManyRequests(FacewatchError):
    """A caller asks more often than the limit of *whose* allows: "org" or "address"."""

    def __init__(self, whose: str, again_s: int) -> None:
        super().__init__(f"this {whose} asks more often than its limit", f"wait {again_s} s")
        self.whose = whose
        self.again_s = again_s


class NotFound(FacewatchError):
    """There is nothing with this id, or it belongs to another org."""


class AlreadyExists(FacewatchError):
    """Something with this name is there already."""


class InUse(FacewatchError):
    """Something else needs it: it cannot be removed yet."""


class Busy(FacewatchError):
    """As much of this is going on already as may at one time."""


class CameraTrouble(FacewatchError):
    """A camera or a file gives no frames."""


class CameraRefused(CameraTrouble):
    """The camera turned us away: wrong password, or no such path."""


class CameraUnreachable(CameraTrouble):
    """Nobody answers at the camera's address, or it hung up."""


class CameraStalled(CameraTrouble):
    """The camera holds the connection but sends nothing."""


class UnreadableStream(CameraTrouble):
    """What arrived is not a video that can be decoded."""


class ModelTrouble(FacewatchError):
    """A model cannot be used."""


class ModelMissing(ModelTrouble):
    """A model's file is not in the model directory."""


class ModelCorrupt(ModelTrouble):
    """A model's file is not the file that its card names."""


class ModelNotPinned(ModelTrouble):
    """Nobody vouched for a model's files."""


class NotFetched(ModelTrouble):
    """A source did not give a file."""


class NoSearchModel(ModelTrouble):
    """There is no model to search by words with."""


class LicenceNotAccepted(ModelTrouble):
    """A model's licence has to be accepted before it is fetched or used."""


class ProviderMissing(ModelTrouble):
    """A demanded ONNX Runtime provider is not there."""


class ModelOutOfMemory(ModelTrouble):
    """The memory of what runs a model does not suffice for a single batch."""


class UnusablePhoto(FacewatchError):
    """A photo cannot be enrolled."""


class NotAPicture(UnusablePhoto):
    """The file holds no picture that can be decoded."""


class NoFace(UnusablePhoto):
    """No face was found in a photo."""


class SeveralFaces(UnusablePhoto):
    """More than one face was found in a photo."""


class PoorFace(UnusablePhoto):
    """The face in a photo is too small, too blurred or too turned to be enrolled."""


class StoreTrouble(FacewatchError):
    """Postgres or the object store cannot be used."""


class DatabaseUnavailable(StoreTrouble):
    """Postgres does not answer."""


class WriterInTheWay(DatabaseUnavailable):
    """Two wrote the same rows in different orders; this one was stopped, and may try again."""


class ObjectStoreUnavailable(StoreTrouble):
    """The object store does not answer, or refuses us."""


class RecordRefused(FacewatchError):
    """Postgres answers, and will never take this record: something in it is not allowed."""


class SpoolFull(StoreTrouble):
    """The local spool has reached its bound."""


class DemoUnavailable(FacewatchError):
    """What the demo shows cannot be had."""
