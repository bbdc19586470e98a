"""Plumbing: what is bounded, what is dropped, what is drained."""

import asyncio

import pytest

from facewatch.flow.channel import Channel
from facewatch.flow.mailbox import Mailbox


async def test_the_newest_frame_replaces_the_one_that_waits_and_is_counted() -> None:
    replaced: list[str] = []
    box: Mailbox[str, int] = Mailbox(on_replaced=replaced.append)

    box.put("lobby", 1)
    box.put("lobby", 2)

    assert await box.take(8) == [2]
    assert replaced == ["lobby"]


async def test_a_replaced_frame_keeps_its_cameras_place_in_line() -> None:
    box: Mailbox[str, str] = Mailbox()
    box.put("slow", "slow 1")
    box.put("quick", "quick 1")
    box.put("slow", "slow 2")

    assert await box.take(1) == ["slow 2"]
    assert await box.take(1) == ["quick 1"]


async def test_who_is_urgent_goes_first_and_the_others_keep_their_order() -> None:
    box: Mailbox[str, int] = Mailbox(urgent=lambda key: key in "cd")
    for number, key in enumerate("abcd"):
        box.put(key, number)
    assert await box.take(3) == [2, 3, 0]
    assert await box.take(3) == [1]


async def test_a_closed_mailbox_is_drained_then_ends() -> None:
    box: Mailbox[str, int] = Mailbox()
    box.put("lobby", 1)
    box.close()
    box.put("lobby", 2)

    assert await box.take(8) == [1]
    assert await box.take(8) == []


async def test_closing_wakes_who_waits_for_a_frame() -> None:
    box: Mailbox[str, int] = Mailbox()
    taker = asyncio.create_task(box.take(1))
    await asyncio.sleep(0)
    box.close()

    async with asyncio.timeout(1):
        assert await taker == []


async def test_a_full_channel_makes_its_producer_wait() -> None:
    channel: Channel[int] = Channel(bound=1)
    await channel.put(1)
    second = asyncio.create_task(channel.put(2))
    await asyncio.sleep(0)
    assert not second.done()

    items = aiter(channel)
    assert await anext(items) == 1
    async with asyncio.timeout(1):
        await second
    await channel.close()
    assert [item async for item in items] == [2]


async def test_handled_is_what_its_consumer_is_done_with() -> None:
    channel: Channel[int] = Channel(bound=2)
    async with asyncio.timeout(1):
        await channel.handled()
    await channel.put(1)
    handled = asyncio.create_task(channel.handled())
    items = aiter(channel)
    assert await anext(items) == 1
    await asyncio.sleep(0)
    assert not handled.done()

    asked_for_more = asyncio.create_task(anext(items))
    async with asyncio.timeout(1):
        await handled
        await channel.put(2)
        assert await asked_for_more == 2


async def test_nothing_can_be_put_into_a_closed_channel() -> None:
    channel: Channel[int] = Channel(bound=1)
    await channel.close()

    with pytest.raises(RuntimeError):
        await channel.put(1)


async def test_lots_hold_what_waits_in_its_order_and_are_handled_when_the_next_is_asked_for() -> (
    None
):
    channel: Channel[int] = Channel(bound=8)
    for item in range(3):
        await channel.put(item)
    lots = channel.lots(2)

    assert await anext(lots) == [0, 1]
    handled = asyncio.create_task(channel.handled())
    assert await anext(lots) == [2]
    await asyncio.sleep(0)
    assert not handled.done()

    await channel.close()
    assert [it async for it in lots] == []
    async with asyncio.timeout(1):
        await handled
