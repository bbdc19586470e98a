"""Objects that no row refers to any more."""

from datetime import timedelta

from facewatch.ports.keeping import Blobs
from facewatch.store.database import Database

_AT_ONCE = 1000


async def sweep(database: Database, blobs: Blobs, age: timedelta = timedelta(minutes=5)) -> int:
    """Delete the pixels of what became garbage at least *age* ago; how many objects.

    The age lets an answer that is on its way still show its picture. Interrupted, it begins
    again where it was: deleting twice is no error.

    Raises:
        DatabaseUnavailable, ObjectStoreUnavailable: a store does not answer.
    """
    count = 0
    while rows := await database.fetch("garbage_due", age=age, limit=_AT_ONCE):
        keys = [row["key"] for row in rows]
        await blobs.delete(keys)
        await database.fetch("garbage_done", keys=keys)
        count += len(keys)
    return count
