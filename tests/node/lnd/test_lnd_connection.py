"""Calls and streams over one connection."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lsps.node.contract import NodeUnreachable, PermissionMissing, Resumed
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.streams import FIRST_PAUSE_SECONDS, merge
from lsps.units import BlockHeight
from tests.node.contract.environment import eventually, listening
from tests.node.lnd.fake import MACAROON, LndError, get_info, running


async def test_the_macaroon_travels_and_stays_hidden() -> None:
    """Every call and stream carries the macaroon as lnd wants it (hex); no repr shows it."""
    async with running() as at:
        at.lnd.answer(rpc.BLOCKS, pb.BlockEpoch(height=7))
        await at.node.info()
        async with listening(at.node.tips()):
            pass
        assert {seen["macaroon"] for seen in at.lnd.metadata} == {MACAROON.hex()}
        assert len(at.lnd.requests(rpc.BLOCKS)) == 1
        shown = [repr(thing) for thing in (at.connection, at.node, vars(at.connection))]
        assert not any(MACAROON.hex() in text or repr(MACAROON) in text for text in shown)


async def test_a_slow_call_is_unreachable() -> None:
    """A call that passes its deadline raises NodeUnreachable."""
    async with running() as at:

        async def never(_request: Any) -> Any:
            await asyncio.Event().wait()

        at.lnd.handle(rpc.GET_INFO, never)
        with pytest.raises(NodeUnreachable, match="DEADLINE"):
            await at.connection.call(rpc.GET_INFO, pb.GetInfoRequest(), seconds=0.05)


async def test_a_closed_connection_calls_nobody() -> None:
    """After close, calls raise NodeUnreachable; so does one that was waiting when it was closed."""
    async with running() as at:
        asked = asyncio.Event()

        async def never(_request: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

        at.lnd.handle(rpc.GET_INFO, never)
        waiting = asyncio.create_task(at.node.info())
        await asked.wait()
        await at.node.close()
        with pytest.raises(NodeUnreachable):
            await waiting
        with pytest.raises(NodeUnreachable, match="closed"):
            await at.node.info()


async def test_a_stream_resumes_after_an_interruption() -> None:
    """Resumed, events, and after the server was away Resumed again, with pauses that grow in between."""
    async with running() as at:
        at.lnd.answer(rpc.BLOCKS, pb.BlockEpoch(height=7))
        async with listening(at.node.tips()) as tips:
            await tips.until(lambda heard: heard == [Resumed(), BlockHeight(7)])
            await at.stop()

            async def patient() -> bool:
                return len(at.clock.slept) >= 4

            await eventually("it tried four times", patient)
            assert len(tips.heard) == 2
            assert at.clock.slept[3] >= 4 * FIRST_PAUSE_SECONDS > at.clock.slept[0]
            await at.start()
            await tips.until(lambda heard: heard[2:3] == [Resumed()] and heard[-1] == BlockHeight(7))


async def test_a_stream_that_lnd_ends_is_begun_again() -> None:
    """A stream that ends in order (lnd stopping) or with a refusal is begun again as well."""
    async with running() as at:
        endings = itertools.chain([None, LndError("some trouble")], itertools.repeat(None))

        async def blocks(_request: Any) -> AsyncIterator[Any]:
            yield pb.BlockEpoch(height=1)
            ending = next(endings)
            if ending is not None:
                raise ending

        at.lnd.handle(rpc.BLOCKS, blocks)
        async with listening(at.node.tips()) as tips:
            await tips.until(lambda heard: heard[:6] == [Resumed(), BlockHeight(1)] * 3)


async def test_a_stream_that_is_not_allowed_raises() -> None:
    """Waiting does not mend a missing permission: the stream raises PermissionMissing."""
    async with running() as at:
        at.lnd.refuse(rpc.CUSTOM_MESSAGES, "permission denied")
        with pytest.raises(PermissionMissing, match="SubscribeCustomMessages"):
            await _all(at.node.messages.received())


async def test_tips_are_polled_where_they_are_not_told() -> None:
    """Without the permission for block notifications, GetInfo is asked again and again, and changes are given."""
    async with running() as at:
        at.lnd.refuse(rpc.BLOCKS, "permission denied")
        async with listening(at.node.tips()) as tips:
            await tips.until(lambda heard: heard[-1] == BlockHeight(100))
            at.lnd.answer(rpc.GET_INFO, get_info(height=101))
            await tips.until(lambda heard: heard[-2:] == [BlockHeight(100), BlockHeight(101)])


async def test_closing_ends_a_waiting_stream() -> None:
    """A stream that waits for an event, or sleeps before it reconnects, ends when the node is closed."""
    async with running() as at:
        at.lnd.answer(rpc.CUSTOM_MESSAGES)
        messages, tips = at.node.messages.received(), at.node.tips()
        assert await anext(messages) == Resumed()
        asleep = asyncio.Event()

        async def sleep(_seconds: float) -> None:
            asleep.set()
            await asyncio.Event().wait()

        at.clock.sleep = sleep  # type: ignore[assignment, method-assign]  # never wakes by itself
        at.lnd.refuse(rpc.BLOCKS, "trouble")
        waiting = asyncio.gather(*(asyncio.ensure_future(_all(stream)) for stream in (messages, tips)))
        await asleep.wait()
        await at.node.close()
        heard_messages, heard_tips = await waiting
        assert heard_messages == []
        assert set(heard_tips) <= {Resumed()}


async def _all(stream: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in stream]


async def test_merge_stops_with_the_first_failure() -> None:
    """One source that fails ends the merged stream with its error, and stops the other source."""
    stopped = asyncio.Event()

    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def failing() -> AsyncIterator[int]:
        yield 2
        await asyncio.sleep(0)
        raise NodeUnreachable("gone")

    with pytest.raises(NodeUnreachable, match="gone"):
        await _all(merge(endless(), failing()))
    assert stopped.is_set()
