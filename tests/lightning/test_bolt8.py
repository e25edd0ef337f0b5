"""The handshake of BOLT 8, with its vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning.bolt8 import HandshakeFailed, Initiator, Reason, Responder, State
from lsps.lightning.keys import InvalidKey, SecretKey
from lsps.units import NodeId
from tests.lightning.peers import INITIATOR, RESPONDER, completed, initiator, responder

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "bolt8.json").read_text("utf-8"))
SUCCESS = [vector["steps"] for vector in VECTORS["handshakes"] if "keys" in vector]
ACT_ONE, ACT_TWO, ACT_THREE = (
    bytes.fromhex(step[kind]) for step, kind in zip(SUCCESS[0], ("output", "input", "output"), strict=True)
)
OF_ACT = {1: ACT_ONE, 2: ACT_TWO, 3: ACT_THREE}
OTHER = SecretKey(b"\x33" * 32)


def waiting_for(act: int) -> Initiator | Responder:
    """A side that wants this act next, and has nothing left to send."""
    side: Initiator | Responder = initiator() if act == 2 else responder()
    if act == 3:
        assert side.receive(ACT_ONE) is None
    side.bytes_to_send()
    return side


def from_vector(vector: dict[str, Any]) -> Initiator | Responder:
    local, ephemeral = (SecretKey(bytes.fromhex(vector[name])) for name in ("ls.priv", "e.priv"))
    assert local.node_id.hex == vector["ls.pub"]
    assert ephemeral.node_id.hex == vector["e.pub"]
    if "rs.pub" in vector:
        return Initiator(local, NodeId(vector["rs.pub"]), ephemeral)
    return Responder(local, ephemeral)


@pytest.mark.parametrize("vector", VECTORS["handshakes"], ids=lambda vector: vector["name"])
def test_vectors(vector: dict[str, Any]) -> None:
    """Each vector of BOLT 8, Appendix A: the same acts go out, and the wrong ones fail at the act and for the reason
    it names."""
    side = from_vector(vector)
    done = failure = None
    for step in vector["steps"]:
        if "output" in step:
            assert side.bytes_to_send().hex() == step["output"]
        elif "input" in step:
            try:
                done = side.receive(bytes.fromhex(step["input"]))
            except HandshakeFailed as error:
                failure = error
        elif failure is None:
            with pytest.raises(HandshakeFailed) as caught:
                side.receive_eof()
            failure = caught.value
    expected = vector["steps"][-1].get("error")
    assert (failure and {"act": failure.act, "reason": failure.reason}) == expected
    assert (done is None) == (expected is not None)
    assert not side.bytes_to_send()


@pytest.mark.parametrize(
    "vector", [vector for vector in VECTORS["handshakes"] if "keys" in vector], ids=["initiator", "responder"]
)
def test_split_keys(vector: dict[str, Any]) -> None:
    """What either side sends first is encrypted with the key and the chaining key of the vector, and by no other."""
    side = from_vector(vector)
    done = None
    for step in vector["steps"]:
        if "input" in step:
            done = side.receive(bytes.fromhex(step["input"]))
    messages = VECTORS["messages"]
    transport = completed(done).transport
    if isinstance(side, Initiator):
        assert vector["keys"] == {"sk": messages["sk"], "rk": messages["rk"]}
        frames = {n: transport.encrypt(bytes.fromhex(messages["message"])).hex() for n in range(1002)}
        assert {n: frames[int(n)] for n in messages["outputs"]} == messages["outputs"]
    else:
        assert vector["keys"] == {"rk": messages["sk"], "sk": messages["rk"]}
        frame = bytes.fromhex(messages["outputs"]["0"])
        assert [message.hex() for message in transport.receive(frame)] == [messages["message"]]


def test_both_sides_agree() -> None:
    """Each side learns the other's key, and what one encrypts the other reads, both ways."""
    ours, theirs = initiator(), responder()
    assert theirs.receive(ours.bytes_to_send()) is None
    of_ours = completed(ours.receive(theirs.bytes_to_send()))
    of_theirs = completed(theirs.receive(ours.bytes_to_send()))
    assert (of_ours.peer, of_theirs.peer) == (RESPONDER.node_id, INITIATOR.node_id)
    assert list(of_theirs.transport.receive(of_ours.transport.encrypt(b"there"))) == [b"there"]
    assert list(of_ours.transport.receive(of_theirs.transport.encrypt(b"back"))) == [b"back"]


@pytest.mark.parametrize("act", [1, 2, 3])
def test_cut_at_every_byte(act: int) -> None:
    """BOLT 8: exactly the act's bytes are read. Cut in two anywhere, it does the same; nothing happens before its last
    byte; and the peer hanging up before that is READ_FAILED at this act."""
    whole = OF_ACT[act]
    reference = waiting_for(act)
    reference.receive(whole)
    answer = reference.bytes_to_send()
    for cut in range(len(whole)):
        side = waiting_for(act)
        assert side.receive(whole[:cut]) is None
        assert side.buffered == cut
        assert not side.bytes_to_send()
        side.receive(whole[cut:])
        assert (side.state, side.bytes_to_send(), side.buffered) == (reference.state, answer, 0)
        side = waiting_for(act)
        side.receive(whole[:cut])
        with pytest.raises(HandshakeFailed) as caught:
            side.receive_eof()
        assert (caught.value.act, caught.value.reason) == (act, Reason.READ_FAILED)


@pytest.mark.parametrize("act", [1, 2, 3])
def test_changed_at_every_byte(act: int) -> None:
    """BOLT 8: any changed byte ends the handshake at this act, at once, for good and without an answer; the version
    byte as BAD_VERSION, and the tag as BAD_TAG."""
    whole = OF_ACT[act]
    reasons: dict[int, set[Reason]] = {}
    for place in range(len(whole)):
        for bit in (1, 0x80):
            side = waiting_for(act)
            changed = whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :]
            with pytest.raises(HandshakeFailed) as caught:
                side.receive(changed + b"more")
            assert caught.value.act == act
            assert side.state is State.FAILED
            assert (side.bytes_to_send(), side.buffered) == (b"", 0)
            with pytest.raises(HandshakeFailed, match=caught.value.reason):
                side.receive(whole)
            reasons.setdefault(place, set()).add(caught.value.reason)
    assert reasons[0] == {Reason.BAD_VERSION}
    assert all(reasons[place] == {Reason.BAD_TAG} for place in range(len(whole) - 16, len(whole)))
    if act == 3:
        assert all(reasons[place] == {Reason.BAD_CIPHERTEXT} for place in range(1, 50))
    else:
        assert reasons[1] == {Reason.BAD_PUBKEY, Reason.BAD_TAG}
        assert all(reasons[place] <= {Reason.BAD_PUBKEY, Reason.BAD_TAG} for place in range(2, 34))


def test_bytes_after_the_last_act() -> None:
    """What follows the last act, down to a single byte, is left for the transport and is no part of the handshake."""
    assert completed(waiting_for(2).receive(ACT_TWO + b"\1")).unread == b"\1"
    assert completed(waiting_for(3).receive(ACT_THREE + b"more")).unread == b"more"
    assert completed(responder().receive(ACT_ONE + ACT_THREE + b"!")).unread == b"!"


def test_a_byte_too_many_between_acts() -> None:
    """A byte after act one is taken for act three's version, and ends the handshake there."""
    side = waiting_for(1)
    side.receive(ACT_ONE + b"\1")
    with pytest.raises(HandshakeFailed) as caught:
        side.receive(ACT_THREE)
    assert (caught.value.act, caught.value.reason) == (3, Reason.BAD_VERSION)


def test_calling_another_node() -> None:
    """BOLT 8, act one: a responder ends the handshake of an initiator that knows another key than its own, and the
    initiator's error says what to check."""
    ours = Initiator(INITIATOR, OTHER.node_id, SecretKey(b"\x12" * 32))
    with pytest.raises(HandshakeFailed, match="BAD_TAG") as caught:
        responder().receive(ours.bytes_to_send())
    assert caught.value.act == 1
    with pytest.raises(HandshakeFailed, match="public key that is not its own"):
        ours.receive_eof()


def test_calling_no_node() -> None:
    """A node id that is no point of the curve is refused before anything is sent."""
    with pytest.raises(InvalidKey):
        Initiator(INITIATOR, NodeId("02" + "00" * 31 + "05"), SecretKey(b"\x12" * 32))


def test_hanging_up_after_the_handshake() -> None:
    """Once the keys are split, an end of the stream is no failure of the handshake."""
    side = waiting_for(2)
    side.receive(ACT_TWO)
    assert side.state is State.DONE
    side.receive_eof()


@given(st.sampled_from([1, 2, 3]), st.lists(st.binary(max_size=70), max_size=6))
def test_any_bytes(act: int, chunks: list[bytes]) -> None:
    """Any bytes in any chunks give a typed error or a wait for more; less than an act is ever kept."""
    side = waiting_for(act)
    try:
        for chunk in chunks:
            assert side.receive(chunk) is None
            assert side.buffered < len(OF_ACT[act])
    except HandshakeFailed:
        assert side.buffered == 0
