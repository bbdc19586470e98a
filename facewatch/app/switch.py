"""Another embedder: its templates beside those in force, the comparison, the switch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta

from facewatch.app import switched
from facewatch.app.recognition import Recognition
from facewatch.app.stores import Stores
from facewatch.app.whatif import embedder_card, open_again, open_reconsiderer
from facewatch.domain.past import Reconsidered
from facewatch.errors import HomeUnusable, InvalidSettings, StoreTrouble
from facewatch.people.embed_again import AgainEmbedder, Kept
from facewatch.people.whatif import Wish
from facewatch.settings import Settings
from facewatch.vision.cards import ModelCard
from facewatch.vision.pictures import decode

log = logging.getLogger(__name__)

_PAUSE_S = 30.0
_STRAGGLERS_S = 3.0
_LONGEST_VISIT = timedelta(days=1)
"""A visit is dated at its beginning, and recorded at its end."""


def switchable(settings: Settings, name: str) -> ModelCard:
    """The card of the embedder called *name*, which may be switched to.

    Raises:
        NotFound: no model has this name.
        InvalidSettings: it is no embedder; or the settings name another, and would go before it.
    """
    card = embedder_card(name)
    if switched.is_settled(settings) and settings.models.embedder != name:
        raise InvalidSettings(
            f"models.embedder is settled as {settings.models.embedder!r} in the settings file or"
            " by FACEWATCH_MODELS_EMBEDDER",
            "take it out there: then the home remembers what was switched to",
        )
    return card


async def embed_all(
    settings: Settings, stores: Stores, card: ModelCard, kept: Callable[[int, int, str], None]
) -> Kept:
    """Every matchmaker and visit of every org gets a template by *card* that has none.

    Raises:
        ModelTrouble: its file is not there, is another one, or cannot be run.
    """
    async with open_again(settings, stores, card) as again:
        return await _embed(again, stores, None, kept)


async def _embed(
    again: AgainEmbedder,
    stores: Stores,
    since: datetime | None,
    kept: Callable[[int, int, str], None],
) -> Kept:
    total = Kept(0, 0, 0, 0)
    for told in await stores.orgs.in_force():
        made = await again.keep(told.org, since, kept)
        total = Kept(
            total.matchmakers + made.matchmakers,
            total.matchmakers_lost + made.matchmakers_lost,
            total.visits + made.visits,
            total.visits_lost + made.visits_lost,
        )
    return total


async def reconsidered(
    settings: Settings, stores: Stores, card: ModelCard, since: datetime
) -> AsyncIterator[list[Reconsidered]]:
    """The visits of every org, as *card* would have decided them."""
    for told in await stores.orgs.in_force():
        async with open_reconsiderer(settings, stores, told.org, card.name) as opened:
            async for page in opened.reconsiderer.reconsider(told.org, Wish(None, None, since)):
                yield page


async def put_in_force(
    settings: Settings, stores: Stores, card: ModelCard, began: datetime
) -> None:
    """For whatever starts from now on, and for a running `serve`.

    *began*: when the embedding did: what was recorded since then is embedded by `serve`.
    """
    since = began - _LONGEST_VISIT
    switched.put_in_force(settings, switched.Switched(embedder=card.name, since=since))
    await stores.past.tell_of_model(card.name)


async def catch_up(settings: Settings, stores: Stores, recognition: Recognition) -> None:
    """Embed what was enrolled and recorded while it was being switched; crops wait for frames.

    While a store is down it is tried again.
    """
    told = switched.in_force(settings)
    if told is None or told.since is None or told.embedder != recognition.engine.model:
        return
    again = AgainEmbedder(
        *(recognition.engine, stores.past, stores.blobs, decode, recognition.thread), at_once=4
    )
    while True:
        try:
            made = await _embed(again, stores, told.since, lambda _looked_at, _made, _what: None)
            # whoever asked just before the exchange may have enrolled somebody with the one before
            await asyncio.sleep(_STRAGGLERS_S)
            late = await _embed(again, stores, told.since, lambda _looked_at, _made, _what: None)
            switched.put_in_force(settings, switched.Switched(embedder=told.embedder))
        except (StoreTrouble, HomeUnusable) as trouble:
            log.warning("%s catches up later: %s", told.embedder, trouble)
            await asyncio.sleep(_PAUSE_S)
            continue
        log.info(
            "%s caught up: %d matchmakers and %d visits embedded",
            *(told.embedder, made.matchmakers + late.matchmakers, made.visits + late.visits),
        )
        return
