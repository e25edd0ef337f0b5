"""lsps.toml: where it is found, what it gives, and how each mistake in it is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from lsps.config.errors import ConfigError
from lsps.config.file import Config, config_home, find, load_config, state_home
from lsps.protocol.lsps1_rules import check_options
from lsps.service.offer import LeaseToRecord, Limits, PaymentTerms, Token, Unleased
from lsps.service.pricing import PriceTable
from lsps.units import BlockHeight, NodeId, Outpoint, Sat

PEER = "02" + "ab" * 32
OUTPOINT = "cd" * 32 + ":1"


def load(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "lsps.toml"
    file.write_text(text)
    return load_config(file)


def test_a_table_left_out_is_not_offered(tmp_path: Path) -> None:
    """Only what has a table may be offered, each part with defaults a small LSP can live with."""
    only7 = load(tmp_path, "[lsps7]").offer
    assert only7.lsps1 is None
    assert only7.lsps7 is not None
    assert only7.lsps7.extend_unleased_channels is Unleased.NONE
    only1 = load(tmp_path, "[lsps1]").offer
    assert only1.lsps7 is None
    assert only1.lsps1 is not None
    assert list(check_options(only1.lsps1.options)) == []
    assert only1.lsps1.options.min_required_channel_confirmations == 1
    assert only1.lsps1.options.max_channel_balance_sat <= Sat(16_777_215)


def test_defaults_are_the_service_s_own(tmp_path: Path) -> None:
    """Price, payment and limits that the file does not name must be those a Service has without a file."""
    config = load(tmp_path, "[lsps7]")
    assert config.price == PriceTable()
    assert config.offer.payment == PaymentTerms()
    assert config.offer.limits == Limits()
    assert (config.node, config.store) == (None, None)


def test_every_table_is_read(tmp_path: Path) -> None:
    """What is written must come out typed, under the names the service knows."""
    config = load(
        tmp_path,
        f"""
        node = "lnd://127.0.0.1:10009?tls_cert=tls.cert&macaroon=lsps.macaroon"
        store = "sqlite://lsps.db"
        [lsps1]
        min_required_channel_confirmations = 0
        max_channel_expiry_blocks = 4_320
        min_initial_lsp_balance_sat = 200_000
        reserve_sat = 7
        max_open_sat_per_vbyte = 9
        [lsps7]
        max_channel_extension_expiry_blocks = 12_960
        extend_unleased_channels = "peer-opened"
        [price]
        extend_base_sat = 0
        [[token]]
        code = "WELCOME"
        discount_percent = 100
        uses = 50
        expires = 2027-01-01
        max_lsp_balance_sat = 1_000_000
        max_blocks = 4_320
        [[lease]]
        outpoint = "{OUTPOINT}"
        expiration_block = 900_000
        [payment]
        bolt11 = true
        bolt11_expiry_seconds = 600
        onchain = true
        onchain_expiry_seconds = 7_200
        min_onchain_payment_confirmations = 3
        min_onchain_payment_sat = 20_000
        min_refund_sat = 5_000
        min_final_cltv_expiry = 200
        give_up_after_seconds = 60
        hold_margin_blocks = 50
        [limits]
        requests_per_peer = 3
        node_seconds = 2
        prune_after_days = 7
        [compat]
        default = "ldk"
        [compat.peers]
        {PEER} = "spec"
        """,
    )
    offer = config.offer
    assert config.directory == tmp_path
    assert config.store == "sqlite://lsps.db"
    assert offer.lsps1 is not None
    assert offer.lsps7 is not None
    assert offer.lsps1.options.max_channel_expiry_blocks == 4_320
    assert offer.lsps1.options.min_initial_lsp_balance_sat == Sat(200_000)
    assert (offer.lsps1.reserve, offer.lsps1.max_open_sat_per_vbyte) == (Sat(7), 9)
    assert offer.lsps7.extend_unleased_channels is Unleased.PEER_OPENED
    assert offer.lsps7.max_channel_extension_expiry_blocks == 12_960
    assert config.price == PriceTable(extend_base=Sat(0))
    assert offer.tokens == (Token("WELCOME", 100, 50, date(2027, 1, 1), Sat(1_000_000), 4_320),)
    assert offer.leases == (LeaseToRecord(Outpoint.parse(OUTPOINT), BlockHeight(900_000)),)
    assert offer.payment == PaymentTerms(
        bolt11_expiry=timedelta(seconds=600),
        min_final_cltv_expiry=200,
        give_up_after=timedelta(seconds=60),
        hold_margin_blocks=50,
        onchain=True,
        onchain_expiry=timedelta(hours=2),
        min_onchain_payment_confirmations=3,
        min_onchain_payment=Sat(20_000),
        min_refund=Sat(5_000),
    )
    assert offer.limits == Limits(requests_per_peer=3, node_seconds=2.0, prune_after=timedelta(days=7))
    assert offer.compat.default == "ldk"
    assert offer.compat.peers == {NodeId(PEER): "spec"}


WRONG = [
    ("[lsps8]", "lsps8", "unknown key"),
    ("[lsps1]\nmax_expiry = 1", "lsps1.max_expiry", "unknown key"),
    ("[[token]]\ncode = 'A'\n[[token]]\ncode = 'B'\nuse = 1", "token[1].use", "unknown key"),
    ("[payment]\nonchain_expiry_seconds = 1", "payment.onchain_expiry_seconds", "expected int >= 3600"),
    ("[payment]\nmin_onchain_payment_confirmations = 7", "payment.min_onchain_payment_confirmations", "int <= 6"),
    ("[payment]\nbolt11 = false", "payment.bolt11", "must be true unless payment.onchain is"),
    ("[payment]\nmin_refund_sat = 10_001", "payment.min_refund_sat", "more than payment.min_onchain_payment_sat"),
    ("[payment]\nbolt11_expiry_seconds = 5", "payment.bolt11_expiry_seconds", "expected int >= 60"),
    ("[payment]\nmin_final_cltv_expiry = 300", "payment.min_final_cltv_expiry", "expected int <= 288"),
    ("[payment]\nhold_margin_blocks = 144", "payment.hold_margin_blocks", "less than payment.min_final_cltv_expiry"),
    ("[payment]\ngive_up_after_seconds = 1.5", "payment.give_up_after_seconds", "expected int, got float"),
    ("node = 3", "node", "expected str, got int"),
    ("store = ''", "store", "expected str of length >= 1"),
    ("lsps1 = true", "lsps1", "expected a table, got bool"),
    ("[token]\ncode = 'A'", "token", "expected a list of tables ([[…]]), got a table"),
    ("[[token]]\nuses = 1", "token[0].code", "missing"),
    ("[[token]]\ncode = 'A'\nuses = 0", "token[0].uses", "expected int >= 1"),
    ("[[token]]\ncode = 'A'\ndiscount_percent = 101", "token[0].discount_percent", "expected int <= 100"),
    ("[[token]]\ncode = 'A'\nexpires = 5", "token[0].expires", "expected date, got int"),
    ("[[token]]\ncode = 'A'\n[[token]]\ncode = 'A'", "token[1].code", "token[0]"),
    ("[lsps1]\nmax_channel_expiry_blocks = '1'", "lsps1.max_channel_expiry_blocks", "expected int, got str"),
    ("[lsps1]\nmax_channel_expiry_blocks = 0", "lsps1.max_channel_expiry_blocks", "expected int >= 1"),
    ("[lsps1]\nreserve_sat = -1", "lsps1.reserve_sat", "expected int >= 0"),
    ("[lsps1]\nmin_funding_confirms_within_blocks = 0", "lsps1.min_funding_confirms_within_blocks", ">= 1"),
    ("[lsps1]\nmin_required_channel_confirmations = true", "lsps1.min_required_channel_confirmations", "got bool"),
    ("[lsps1]\nmin_initial_lsp_balance_sat = 16_000_001", "lsps1.min_initial_lsp_balance_sat", "bLIP-51 §1"),
    ("[lsps1]\nmin_initial_client_balance_sat = 2_000_000", "lsps1.min_initial_client_balance_sat", "greater than max"),
    ("[lsps1]\nmin_channel_balance_sat = 16_777_216", "lsps1.min_channel_balance_sat", "greater than max"),
    ("[lsps1]\nmax_initial_lsp_balance_sat = 16_777_216", "lsps1.max_initial_lsp_balance_sat", "no channel can have"),
    (
        "[lsps1]\nmax_initial_client_balance_sat = 16_777_216",
        "lsps1.max_initial_client_balance_sat",
        "no channel can have",
    ),
    (
        "[lsps1]\nmin_initial_lsp_balance_sat = 900_000\nmax_initial_lsp_balance_sat = 900_000\n"
        "min_initial_client_balance_sat = 900_000\nmax_channel_balance_sat = 1_000_000",
        "lsps1.max_channel_balance_sat",
        "no order could meet",
    ),
    (
        "[lsps1]\nmax_initial_lsp_balance_sat = 900_000\nmin_channel_balance_sat = 2_000_000",
        "lsps1.min_channel_balance_sat",
        "no order could meet",
    ),
    (
        "[lsps1]\nmin_initial_lsp_balance_sat = 0\nmax_initial_lsp_balance_sat = 0",
        "lsps1.max_initial_lsp_balance_sat",
        "must be 1 or greater",
    ),
    ("[lsps7]\nextend_unleased_channels = true", "lsps7.extend_unleased_channels", '"peer-opened" or "all"'),
    ("[lsps7]\nextend_unleased_channels = 'some'", "lsps7.extend_unleased_channels", '"peer-opened" or "all"'),
    ("[lsps7]\nmax_channel_extension_expiry_blocks = 0", "lsps7.max_channel_extension_expiry_blocks", ">= 1"),
    ("[price]\nfunction = 'prices'", "price.function", "module:name"),
    ("[price]\nfunction = 'pri ces:price'", "price.function", "module:name"),
    ("[price]\nfunction = 'prices:price'\nopen_base_sat = 1", "price.open_base_sat", "beside price.function"),
    ("[price]\nopen_base_sat = 1.0", "price.open_base_sat", "expected int, got float"),
    (f"[[lease]]\noutpoint = '{OUTPOINT}'", "lease[0].expiration_block", "missing"),
    ("[[lease]]\noutpoint = 'x'\nexpiration_block = 1", "lease[0].outpoint", "TXID:INDEX"),
    (
        f"[[lease]]\noutpoint = '{OUTPOINT}'\nexpiration_block = 1\n"
        f"[[lease]]\noutpoint = '{OUTPOINT}'\nexpiration_block = 2",
        "lease[1].outpoint",
        "already",
    ),
    ("[limits]\nrequests_per_peer = 0", "limits.requests_per_peer", "expected int >= 1"),
    ("[limits]\nreply_bytes = 70_000", "limits.reply_bytes", "expected int <= 65533"),
    ("[limits]\nprune_after_days = 36_501", "limits.prune_after_days", "expected int <= 36500"),
    ("[limits]\nprice_seconds = nan", "limits.price_seconds", "expected float > 0"),
    ("[compat]\ndefault = 'lnd'", "compat.default", "expected one of: spec, ldk"),
    (f"[compat.peers]\n{PEER} = 'x'", f"compat.peers.{PEER}", "expected one of: spec, ldk"),
    ("[compat.peers]\nabc = 'ldk'", "compat.peers.abc", "66 hex digits"),
    (f"[compat.peers]\n{PEER} = 1", "compat.peers[...]", "expected str, got int"),
]


@pytest.mark.parametrize(("text", "key", "wanted"), WRONG, ids=[f"{key}: {wanted}" for _, key, wanted in WRONG])
def test_each_mistake_names_its_key_and_what_is_wanted(tmp_path: Path, text: str, key: str, wanted: str) -> None:
    """An unknown key, a wrong type and a contradiction must each be told with the dotted key and the cure."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert caught.value.key == key
    assert wanted in str(caught.value)
    assert f"{key}: " in str(caught.value)
    assert str(tmp_path / "lsps.toml") in str(caught.value)


def test_an_error_never_shows_a_token(tmp_path: Path) -> None:
    """A token's code is a secret: a mistake beside it, or in it, must not print it."""
    for text in ("code = 'SESAME'\nuses = 'x'", "code = ['SESAME']", "code = 'SESAME'\n[[token]]\ncode = 'SESAME'"):
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, f"[[token]]\n{text}")
        assert "SESAME" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"node =", "is not TOML"),
        (b"node = '\xff'", "is not UTF-8"),
        (b"node = " + b"[" * 5_000, "nested too deeply"),
        (b"node = 1" + b"0" * 5_000, "too long"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_is_no_toml_is_told(tmp_path: Path, content: bytes | None, text: str) -> None:
    """A file that cannot be read or parsed must be named, with the reason."""
    file = tmp_path / "lsps.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=text) as caught:
        load_config(file)
    assert str(file) in str(caught.value)


def test_where_the_file_is_found(tmp_path: Path) -> None:
    """The one given comes first, then the directory's, then the user's; a missing one given is an error."""
    home, here, given = tmp_path / "home", tmp_path / "here", tmp_path / "given.toml"
    environment = {"XDG_CONFIG_HOME": str(home)}
    here.mkdir()
    (home / "lsps").mkdir(parents=True)
    assert find(None, here, environment) is None
    (home / "lsps" / "lsps.toml").touch()
    assert find(None, here, environment) == home / "lsps" / "lsps.toml"
    (here / "lsps.toml").touch()
    assert find(None, here, environment) == here / "lsps.toml"
    with pytest.raises(ConfigError, match=r"given\.toml does not exist"):
        find(given, here, environment)
    given.touch()
    assert find(given, here, environment) == given


def test_base_directories(tmp_path: Path) -> None:
    """Without XDG variables, or with a relative one, the home's usual places must be used."""
    home = {"HOME": str(tmp_path)}
    assert config_home(home) == tmp_path / ".config" / "lsps"
    assert state_home(home) == tmp_path / ".local" / "state" / "lsps"
    assert state_home({**home, "XDG_STATE_HOME": "relative"}) == tmp_path / ".local" / "state" / "lsps"
    assert state_home({**home, "XDG_STATE_HOME": "/var/state"}) == Path("/var/state/lsps")


def test_a_token_expires_on_a_day_not_at_a_time(tmp_path: Path) -> None:
    """A datetime where a day is wanted must be refused: its time of day would be ignored."""
    moment = datetime(2027, 1, 1, 12, tzinfo=UTC).isoformat()
    with pytest.raises(ConfigError, match=r"token\[0\]\.expires: expected date, got datetime"):
        load(tmp_path, f"[[token]]\ncode = 'A'\nexpires = {moment}")
