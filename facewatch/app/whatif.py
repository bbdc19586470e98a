"""Past visits for another rule or another embedder: opened without cameras or detector."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from facewatch.app import calibration
from facewatch.app.recognition import rule_of, runtime
from facewatch.app.stores import Stores
from facewatch.domain.ids import OrgId
from facewatch.errors import InvalidSettings
from facewatch.gallery.exact import ExactGallery
from facewatch.people.decide import Decider
from facewatch.people.embed_again import AgainEmbedder
from facewatch.people.whatif import Reconsiderer
from facewatch.settings import Settings
from facewatch.vision import registry
from facewatch.vision.cards import Kind, ModelCard, Precision
from facewatch.vision.engine import open_embedder
from facewatch.vision.pictures import decode


@dataclass(frozen=True, slots=True)
class Opened:
    """A reconsiderer, and what it does not know.

    Attributes:
        lost: Matchmakers without a crop.
        unheard: Refusals of which no template of the model is kept.
    """

    reconsiderer: Reconsiderer
    lost: int
    unheard: int


@asynccontextmanager
async def open_reconsiderer(
    settings: Settings, stores: Stores, org: OrgId, model: str | None
) -> AsyncIterator[Opened]:
    """With the embedder called *model*; None is the one in force, whose templates are kept.

    Raises:
        NotFound: no model has this name.
        InvalidSettings: *model* is no embedder.
        ModelTrouble: its file is not there, is another one, or cannot be run.
    """
    card = embedder_card(model or settings.models.embedder)
    gallery = ExactGallery(card.dimensions)
    measured = calibration.in_force(settings, card) or card.calibration
    assert measured is not None, "every embedder's card has one"
    told = await stores.orgs.in_force(org)
    thresholds = {it.org: it.match_threshold for it in told if it.match_threshold is not None}
    decider = Decider(
        *(gallery, measured, card.sha256, rule_of(settings), thresholds),
        grey_calibration=calibration.in_force(settings, card, grey=True),
    )
    refusals = await stores.people.refusals(org, card.name)
    if card.name == settings.models.embedder:
        revision, matchmakers = await stores.people.gallery(org, card.name)
        await asyncio.to_thread(gallery.replace, org, revision, matchmakers, refusals)
        yield Opened(Reconsiderer(stores.past, stores.people, decider, card.name), 0, 0)
        return
    said = await stores.people.refusals(org, settings.models.embedder)
    async with open_again(settings, stores, card) as again:
        found, lost = await again.gallery(org)
        await asyncio.to_thread(gallery.replace, org, 1, found, refusals)
        reconsiderer = Reconsiderer(stores.past, stores.people, decider, card.name, again)
        yield Opened(reconsiderer, lost, max(0, len(said) - len(refusals)))


@asynccontextmanager
async def open_again(
    settings: Settings, stores: Stores, card: ModelCard
) -> AsyncIterator[AgainEmbedder]:
    """The embedder of *card*, alone, in a thread of its own.

    Raises:
        ModelTrouble: its file is not there, is another one, or cannot be run.
    """
    with ThreadPoolExecutor(1, "embedder") as thread:
        embedder = await asyncio.to_thread(
            open_embedder,
            *(settings.model_directory, card.name),
            runtime(settings),
            Precision(settings.models.embedder_precision),
        )
        await asyncio.get_running_loop().run_in_executor(thread, embedder.warm_up)
        yield AgainEmbedder(embedder, stores.past, stores.blobs, decode, thread)


def embedder_card(name: str) -> ModelCard:
    """
    Raises:
        NotFound: no model has this name.
        InvalidSettings: it is no embedder.
    """
    card = registry.card(name)
    if card.kind is not Kind.EMBEDDER:
        allowed = ", ".join(it.name for it in registry.CARDS.values() if it.kind is Kind.EMBEDDER)
        raise InvalidSettings(f"model {name!r} is no embedder", f"choose one of: {allowed}")
    return card
