"""What answers stand on, with the embedder in force."""

from datetime import UTC, datetime

from facewatch.api.audit import Journal
from facewatch.api.deps import Deps, Probe
from facewatch.api.limit import Limits
from facewatch.api.ops import camera_summary
from facewatch.app.intake import intake_of
from facewatch.app.looking import looking
from facewatch.app.recognition import Recognition, kept_galleries
from facewatch.app.stores import Stores
from facewatch.app.words import Words
from facewatch.people.crops import Crops
from facewatch.people.cut import Cutter
from facewatch.people.gallery import Remains
from facewatch.people.inbox import Inbox
from facewatch.people.lookalikes import Lookalikes
from facewatch.people.sighting import Copier
from facewatch.people.suggest import Suggester
from facewatch.people.whatif import Reconsiderer
from facewatch.settings import Settings
from facewatch.vision.pictures import JpegPngEncoder, decode, header


def deps_of(settings: Settings, stores: Stores, recognition: Recognition, words: Words) -> Deps:
    async def database() -> str:
        return f"migration {await stores.database.schema_version()}"

    async def objects() -> str:
        return await stores.blobs.ready()

    async def models() -> str:
        enrolled = recognition.gallery.people(stores.org)
        return f"{recognition.engine.model}, {enrolled} people enrolled"

    readiness: dict[str, Probe] = {
        "database": database,
        "objects": objects,
        "models": models,
        "cameras": camera_summary(stores.statuses, stores.org),
        "search": words.search.state,
    }
    return Deps(
        events=stores.events,
        decisions=stores.decisions,
        faces=stores.faces,
        assets=stores.assets,
        portraits=stores.portraits,
        cutter=Cutter(stores.blobs, decode, JpegPngEncoder()),
        model=recognition.engine.model,
        people=stores.people,
        register=stores.register,
        orgs=stores.orgs,
        cameras=stores.cameras,
        statuses=stores.statuses,
        regions=stores.regions,
        locations=stores.locations,
        look=looking(settings),
        settings=settings.shown(),
        copier=Copier(stores.people, stores.blobs, recognition.engine.model, decode),
        lookalikes=Lookalikes(
            stores.similar,
            recognition.engine.model,
            recognition.engine.dimensions,
            recognition.engine.calibration,
        ),
        suggester=Suggester(
            *(stores.people, stores.register),
            *(recognition.engine.model, recognition.engine.calibration),
            Crops(stores.blobs, decode),
        ),
        reconsiderer=Reconsiderer(
            *(stores.past, stores.people, recognition.decider, recognition.engine.model)
        ),
        threshold=recognition.decider.rule.threshold,
        blobs=stores.blobs,
        remains=Remains(stores.people, kept_galleries(settings)),
        keys=stores.keys,
        readiness=readiness,
        metrics=recognition.metrics,
        clock=lambda: datetime.now(UTC),
        audit=Journal(stores.audit, recognition.metrics),
        inbox=Inbox(stores.uploads, stores.people, stores.blobs, header),
        looker=recognition.looker,
        intake=intake_of(settings, stores),
        limits=Limits(settings.http.requests_per_s, settings.http.burst),
        words=words.search,
    )
