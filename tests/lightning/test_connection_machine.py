"""Two of our connections, and between them a network that does whatever it likes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lsps.errors import LspsError
from lsps.lightning.bolt1 import MAX_UNSENT_BYTES, Closed, Connection, Event, NotOpen, PeerHungUp
from lsps.lightning.messages import CustomMessage, Init, Ping
from lsps.lightning.reactions import State
from lsps.lightning.transport import MAX_MESSAGE_BYTES
from tests.lightning.peers import LSPS, client, lsp

A_FRAME = MAX_MESSAGE_BYTES + 34
ways = st.sampled_from([0, 1])
places = st.integers(0, 10**6)


class Wires(RuleBasedStateMachine):
    """Way 0 is from the client to the LSP, way 1 back. What a side was told is compared with what the other said."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: tuple[Connection, Connection] = (client(), lsp())
        self.wires = (bytearray(), bytearray())
        self.bursts: tuple[list[bytes], list[bytes]] = ([], [])
        self.said: tuple[list[Event], list[Event]] = ([], [])
        self.told: tuple[list[Event], list[Event]] = ([], [])
        self.intact = [True, True]
        self.hung_up = [False, False]
        self.count = 0
        self.calm = 0
        self.flush(0)

    def flush(self, way: int) -> None:
        """What a side wants to send goes on its wire."""
        unsent = self.ends[way].bytes_to_send()
        assert len(unsent) <= MAX_UNSENT_BYTES + A_FRAME
        self.wires[way].extend(unsent)
        if unsent:
            self.bursts[way].append(unsent)

    def deliver(self, way: int, length: int) -> None:
        wire, end = self.wires[way], self.ends[1 - way]
        chunk = bytes(wire[:length])
        del wire[:length]
        self.told[way].extend(end.receive(chunk))
        assert end.buffered <= A_FRAME
        self.flush(1 - way)

    def deliver_all(self) -> None:
        while self.wires[0] or self.wires[1]:
            for way in (0, 1):
                self.deliver(way, len(self.wires[way]))

    @initialize(opened=st.sampled_from([True, True, False]), calm=st.integers(0, 20))
    def open(self, opened: bool, calm: int) -> None:
        """Some runs begin with the first byte of the handshake; for `calm` messages nothing is done to the wires."""
        self.calm = calm
        if opened:
            self.deliver_all()
            assert [end.state for end in self.ends] == [State.OPEN, State.OPEN]

    @rule(way=ways, lengths=st.lists(st.sampled_from([0, 1, 100, 5000, 65_531]), min_size=1, max_size=5))
    def say(self, way: int, lengths: list[int]) -> None:
        for length in lengths:
            self.count += 1
            self.send(way, CustomMessage(LSPS, self.count.to_bytes(2, "big") + bytes(length)))

    @rule(way=ways, num_pong_bytes=st.sampled_from([0, 10, 65_531, 65_532]))
    def ping(self, way: int, num_pong_bytes: int) -> None:
        self.send(way, Ping(num_pong_bytes))

    def send(self, way: int, message: CustomMessage | Ping) -> None:
        end = self.ends[way]
        try:
            end.send(message)
        except NotOpen:
            assert end.state is not State.OPEN
        else:
            self.said[way].append(message)
        self.flush(way)

    @rule(way=ways, length=st.sampled_from([1, 2, 17, 18, 49, 50, 66, 1000, 10**6]))
    def carry(self, way: int, length: int) -> None:
        self.deliver(way, length)

    @property
    def stormy(self) -> bool:
        """Whether to tamper now: not before `calm` messages, nor when there is nothing more to spoil."""
        return self.count >= self.calm and any(self.intact) and not any(self.hung_up)

    @precondition(lambda self: self.wires[0] or self.wires[1])
    @rule()
    def carry_everything(self) -> None:
        self.deliver_all()

    @precondition(lambda self: self.stormy)
    @rule(way=ways, place=places, bit=st.integers(0, 7))
    def flip(self, way: int, place: int, bit: int) -> None:
        if wire := self.wires[way]:
            wire[place % len(wire)] ^= 1 << bit
            self.intact[way] = False

    @precondition(lambda self: self.stormy)
    @rule(way=ways, place=places, length=st.sampled_from([1, 18, 34, 50, 10**6]))
    def lose(self, way: int, place: int, length: int) -> None:
        if wire := self.wires[way]:
            start = place % len(wire)
            del wire[start : start + length]
            self.intact[way] = False

    @precondition(lambda self: self.stormy)
    @rule(way=ways, place=places, data=st.binary(min_size=1, max_size=70))
    def add(self, way: int, place: int, data: bytes) -> None:
        start = place % (len(self.wires[way]) + 1)
        self.wires[way][start:start] = data
        self.intact[way] = False

    @precondition(lambda self: self.stormy)
    @rule(way=ways, places=st.tuples(places, places, places))
    def reorder(self, way: int, places: tuple[int, int, int]) -> None:
        if wire := self.wires[way]:
            first, second, third = sorted(place % (len(wire) + 1) for place in places)
            wire[first:third] = wire[second:third] + wire[first:second]
            self.intact[way] = False

    @precondition(lambda self: self.stormy)
    @rule(way=ways, of=ways, place=places)
    def replay(self, way: int, of: int, place: int) -> None:
        """What was once sent, this way or the other, comes again, whole."""
        if bursts := self.bursts[of]:
            self.wires[way].extend(bursts[place % len(bursts)])
            self.intact[way] = False

    @precondition(lambda self: self.stormy)
    @rule(way=ways, order=st.sampled_from([(1,), (1, 0), (0, 0, 1)]))
    def disorder(self, way: int, order: tuple[int, ...]) -> None:
        """Of two whole frames one is lost, or they change places, or one comes twice."""
        before = bytes(self.wires[way])
        frames = []
        for _ in range(2):
            self.wires[way].clear()
            self.say(way, [1])
            frames.append(bytes(self.wires[way]))
        self.wires[way][:] = before + b"".join(frames[index] for index in order)
        self.intact[way] = False

    @precondition(lambda self: self.stormy)
    @rule(way=ways)
    def hang_up(self, way: int) -> None:
        self.wires[way].clear()
        self.told[way].extend(self.ends[1 - way].receive_eof())
        self.hung_up[way] = True

    @invariant()
    def only_what_was_said(self) -> None:
        """What a side was told is what the other said, in order, without a gap."""
        for told, said in zip(self.told, self.said, strict=True):
            heard = [event for event in told if isinstance(event, CustomMessage | Ping)]
            assert heard == said[: len(heard)]

    @invariant()
    def closed_once_and_for_a_reason(self) -> None:
        """Closed is a side's last event, has a typed cause, and comes only if something was done to its wire."""
        for way, told in enumerate(self.told):
            causes = [event.cause for event in told if isinstance(event, Closed)]
            assert len(causes) <= 1
            if causes:
                assert isinstance(told[-1], Closed)
                assert isinstance(causes[0], LspsError)
                assert self.hung_up[way] or not self.intact[way]
                assert isinstance(causes[0], PeerHungUp) <= self.hung_up[way]
            assert sum(isinstance(event, Init) for event in told) <= 1

    def teardown(self) -> None:
        """In the end, over a wire that nobody touched, everything came through."""
        self.deliver_all()
        for way, told in enumerate(self.told):
            if self.intact[way] and not self.hung_up[way]:
                assert [event for event in told if isinstance(event, CustomMessage | Ping)] == self.said[way]


TestWires = Wires.TestCase
TestWires.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
