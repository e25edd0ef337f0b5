"""Events on their way to listeners: what waits is counted, and does not grow without end."""

from __future__ import annotations

from collections import Counter

from lsps.node.bolt8.feed import Feed
from lsps.node.contract import Resumed


async def test_a_listener_that_is_too_slow_loses_events_and_is_told() -> None:
    """A stream with too much waiting gives Resumed in its place, and then what came later; others lose nothing."""
    feed: Feed[int] = Feed(longest=3)
    slow, quick = feed.stream(), feed.stream()
    assert (await anext(slow), await anext(quick)) == (Resumed(), Resumed())
    heard = []
    for number in range(5):
        feed.publish(number)
        heard.append(await anext(quick))
    assert heard == [0, 1, 2, 3, 4]
    assert [await anext(slow) for _ in range(3)] == [Resumed(), 3, 4]
    for stream in (slow, quick):
        await stream.aclose()


async def test_every_item_that_was_queued_is_gone_once() -> None:
    """What a stream takes, loses, or leaves at its end is told as gone, once for each time that it was queued."""
    waiting: Counter[int] = Counter()

    def queued(item: int) -> None:
        waiting[item] += 1

    def gone(item: int) -> None:
        waiting[item] -= 1

    feed: Feed[int] = Feed(longest=3, on_queued=queued, on_gone=gone)
    one, two = feed.stream(), feed.stream()
    await anext(one), await anext(two)
    for number in range(5):
        feed.publish(number)
    assert waiting.total() == 4
    await anext(one), await anext(one)
    await one.aclose()
    assert waiting == Counter({0: 0, 1: 0, 2: 0, 3: 1, 4: 1})
    feed.end()
    assert [item async for item in two] == [Resumed(), 3, 4]
    assert waiting.total() == 0


async def test_what_goes_is_chosen() -> None:
    """With `on_full`, what it chooses goes and is told as gone; all else stays in order, and nobody is told Resumed."""
    gone: list[int] = []
    feed: Feed[int] = Feed(longest=4, on_gone=gone.append, on_full=lambda waiting: min(waiting).__eq__)
    stream = feed.stream()
    await anext(stream)
    for number in (2, 1, 3, 1, 4, 5):
        feed.publish(number)
    assert gone == [1, 1]
    feed.end()
    assert [item async for item in stream] == [2, 3, 4, 5]


async def test_nothing_comes_after_the_end() -> None:
    """Once it was ended a stream ends, however much was still published."""
    feed: Feed[int] = Feed(longest=2)
    stream = feed.stream()
    await anext(stream)
    feed.end()
    for number in range(5):
        feed.publish(number)
    assert [item async for item in stream] == []
