"""Targets and tools find things: each target is shown code that is broken in one place, and notices."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsps.lightning.reactions import Reaction
from tests.fuzz.json_mutator import VALUES, json_mutator
from tests.fuzz.minimise import failure, minimised
from tests.fuzz.target import inputs, load, names
from tests.fuzz.targets import jsonrpc


def raising(error: type[Exception]) -> Callable[..., Any]:
    def broken(*_: object, **__: object) -> Any:
        raise error("broken on purpose")

    return broken


BROKEN: dict[str, tuple[str, Any]] = {
    "addresses": ("lsps.node.bolt8.address.seen_from", lambda base, text: base / Path(text).expanduser()),
    "bech32": ("lsps.lightning.bech32.from_bytes", bytes),
    "bolt1": ("lsps.lightning.wire._BIGSIZE_WIDTHS", {0xFD: 2, 0xFE: 4, 0xFF: 4}),
    "bolt11": ("lsps.lightning.bolt11._encode_amount", lambda amount: ""),
    "bolt8_handshake": ("lsps.lightning.keys.SecretKey.ecdh", raising(ValueError)),
    "bolt8_transport": ("lsps.lightning.aead.Cipher.decrypt", lambda self, n, text, associated=b"": text[:-16]),
    "checked_lsp": ("lsps.check.conversation._ESCAPED_ALWAYS", b'"\\'),
    "config": ("lsps.config.file._explained", KeyError),
    "connection": ("lsps.lightning.reactions.reaction", lambda state, kind, custom: Reaction.TELL),
    "jsonrpc": ("lsps.protocol.jsonrpc._id", lambda raw: int(bytes(raw))),
    "messages": ("lsps.protocol.message.wrong_shape", lambda error: error),
    "signed_transactions": ("lsps.node.lnd.psbt._skip", lambda data, position: position + 1 + data[position]),
    "host_frames": ("lsps.node.simulated.wire._decoded", lambda decoder, data, where="": decoder.decode(data)),
    "stored": ("lsps.store.sqlite.rows.DAMAGED", ValueError),
    "offers": ("lsps.client.checks.check_fee", lambda order, option, terms: None),
    "signed_messages": ("lsps.lightning.keys.zbase32.decode", bytes.fromhex),
}


def test_every_target_is_shown_to_fail() -> None:
    """The table below has every target."""
    assert sorted(BROKEN) == names()


@pytest.mark.parametrize("name", BROKEN)
def test_a_target_notices_broken_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one function broken, some seed or kept input fails its target."""
    target = load(name)
    monkeypatch.setattr(*BROKEN[name])
    assert any(failure(target.check, data) for _, data in inputs(name))


def test_a_finding_is_made_shorter() -> None:
    """What fails is cut down to what it takes to fail in the same line."""

    def check(data: bytes) -> None:
        if b"<" in data and b">" in data:
            raise LookupError
        if len(data) > 3:
            raise ValueError

    assert sorted(minimised(check, b"some <long input> with a bug")) == sorted(b"<>")


def test_mutations_of_json_are_json_and_leave_no_trace() -> None:
    """Changed inputs parse, none is too long, and the values they are made of stay what they are."""
    before = repr(VALUES)
    mutate = json_mutator()
    changed = [mutate(seed, 5_000, number) for seed in jsonrpc.TARGET.seeds for number in range(100)]
    made = [text for text in changed if text is not None]
    assert len(made) > len(changed) // 4
    assert all(len(text) <= 5_000 for text in made)
    for text in made:
        json.loads(text.decode(errors="surrogatepass"))
    assert repr(VALUES) == before
