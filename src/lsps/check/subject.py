"""What several checks look at: asked of the LSP once, then kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from lsps.check.model import Broken, Skipped, Untold
from lsps.check.probe import Probe
from lsps.check.reply import Reply
from lsps.check.values import as_amount
from lsps.lightning.bech32 import WitnessProgram, encode_address
from lsps.node.contract import Node
from lsps.protocol import lsps1
from lsps.protocol.errors import CLIENT_REJECTED
from lsps.units import Network, NodeId, Sat

OPTIONS = lsps1.Options.__struct_fields__
ORDER_BLOCKS = 144
EXTRA_SAT = 10_000
REFUND_PROGRAM = bytes.fromhex("751e76e8199196d454941c45d1b3a323f1433bd6")
"""BIP-173's own example. Nothing is ever paid on-chain here, so nothing is refunded there."""


@dataclass(frozen=True, slots=True)
class Spending:
    """What `--pay` allows: to pay orders on a test network, each of at most this fee."""

    max_fee: Sat


class Subject:
    """The LSP under test. Every method notes what it looked at in `probe.looked_at`.

    Raises Skipped when the LSP does not offer what is asked for, Untold when it came in no usable form.
    """

    def __init__(self, probe: Probe, node: Node, network: Network | None, spending: Spending | None) -> None:
        self.probe = probe
        self.node = node
        self._network = network
        self.spending = spending
        self.paid: dict[str, Any] = {}
        self._bad: dict[bytes, tuple[Reply | None, bool]] = {}
        self._replies: dict[bytes, Reply | Broken] = {}
        self._rejected: dict[str, bool] = {}

    @property
    def lsp(self) -> NodeId:
        return self.probe.lsp

    async def ask(self, method: str, params: object) -> Reply:
        """The LSP's answer to exactly this request, the first time it was asked. Raises Broken when there was none."""
        key = msgspec.json.encode([method, params])
        if key not in self._replies:
            try:
                self._replies[key] = await self.probe.request(method, params)
            except Broken as unanswered:
                self._replies[key] = unanswered
        known = self._replies[key]
        exchange = known.exchange
        if exchange is not None and exchange not in self.probe.looked_at:
            self.probe.looked_at.append(exchange)
        if isinstance(known, Broken):
            raise Broken(str(known), known.exchange)
        return known

    def replies(self, method: str) -> list[Reply]:
        """All answers to this method so far."""
        return [
            reply
            for key, reply in self._replies.items()
            if isinstance(reply, Reply) and msgspec.json.decode(key)[0] == method
        ]

    async def result(self, method: str, params: object) -> dict[str, Any]:
        try:
            reply = await self.ask(method, params)
        except Broken as unanswered:
            raise Untold(f"{method} was not answered") from unanswered
        if not isinstance(reply.result, dict):
            raise Untold(f"{method} gave no result" + ("" if reply.code is None else f", but error {reply.code}"))
        return reply.result

    async def bad_payload(self, payload: bytes) -> tuple[Reply | None, bool]:
        """The answer to a payload that is no request, and whether a good request was answered after it."""
        if payload not in self._bad:
            self._bad[payload] = await self.probe.send_bad(payload)
        return self._bad[payload]

    async def is_rejected(self, service: str) -> bool:
        """Whether the LSP rejects this client (error 1) whatever it orders: a good order is tried anew, once a run."""
        if service not in self._rejected:
            try:
                params = await (self.channel_request() if service == "lsps1" else self.extension_request())
                reply = await self.probe.request(f"{service}.create_order", params)
                self._rejected[service] = reply.code == CLIENT_REJECTED
            except (Broken, Skipped, Untold):  # there is nothing good to order
                self._rejected[service] = True
        return self._rejected[service]

    async def require_protocol(self, number: int) -> None:
        protocols = (await self.result("lsps0.list_protocols", {})).get("protocols")
        if not isinstance(protocols, list) or number not in protocols:
            raise Skipped(f"the LSP does not offer LSPS{number}")

    @property
    def network(self) -> Network:
        """The chain that our node is on. Raises Skipped when it is on none in particular."""
        if self._network is None:
            raise Skipped("our connection is on no network in particular: name it, bolt8://?network=…")
        return self._network

    # --- LSPS1 ------------------------------------------------------------------------------------------------------

    async def info(self) -> dict[str, Any]:
        await self.require_protocol(1)
        return await self.result("lsps1.get_info", {})

    async def options(self) -> dict[str, int]:
        """get_info's numbers, read tolerantly: whether their form is right is a check of its own."""
        info = await self.info()
        numbers = {name: as_amount(info.get(name)) for name in OPTIONS if name != "supports_zero_channel_reserve"}
        options = {name: number for name, number in numbers.items() if number is not None}
        if missing := sorted(numbers.keys() - options.keys()):
            raise Untold(f"get_info has no usable {missing[0]}")
        return options

    async def channel_request(self, *, full: bool = False) -> dict[str, Any]:
        """A create_order that the options allow. `full`: with token and refund address, and other values."""
        options = await self.options()
        client = options["min_initial_client_balance_sat"]
        if full:
            client = min(client + EXTRA_SAT, options["max_initial_client_balance_sat"])
        lsp = max(options["min_initial_lsp_balance_sat"], options["min_channel_balance_sat"] - client, 1)
        fits = (
            lsp <= options["max_initial_lsp_balance_sat"]
            and options["min_channel_balance_sat"] <= lsp + client <= options["max_channel_balance_sat"]
        )
        if not fits:
            raise Untold("get_info's options allow no channel at all")
        blocks = min(ORDER_BLOCKS, options["max_channel_expiry_blocks"])
        params = {
            "lsp_balance_sat": str(lsp),
            "client_balance_sat": str(client),
            "required_channel_confirmations": min(max(options["min_required_channel_confirmations"], 1) + full, 65_535),
            "funding_confirms_within_blocks": min(max(options["min_funding_confirms_within_blocks"], 6) + full, 65_535),
            "channel_expiry_blocks": max(blocks - full, 1),
            "announce_channel": full,
        }
        return {**params, "token": "", "refund_onchain_address": self.refund_address()} if full else params

    def refund_address(self) -> str:
        return encode_address(WitnessProgram(0, REFUND_PROGRAM), self.network)

    async def order(self, service: str, params: dict[str, Any]) -> dict[str, Any]:
        """The order that the LSP answers create_order with."""
        return await self.result(f"{service}.create_order", params)

    async def channel_order(self, *, full: bool = False) -> dict[str, Any]:
        await self.require_protocol(1)
        return await self.order("lsps1", await self.channel_request(full=full))

    # --- LSPS7 ------------------------------------------------------------------------------------------------------

    async def channels(self) -> list[Any]:
        await self.require_protocol(7)
        listed = (await self.result("lsps7.get_extendable_channels", {})).get("extendable_channels")
        if not isinstance(listed, list):
            raise Untold("get_extendable_channels gave no list")
        if not listed:
            raise Skipped("the LSP lists no channel of ours that can be extended")
        return listed

    async def channel(self) -> dict[str, Any]:
        """The first channel in the list that can be extended."""
        for entry in await self.channels():
            if (
                isinstance(entry, dict)
                and isinstance(entry.get("short_channel_id"), str)
                and (as_amount(entry.get("max_channel_extension_expiry_blocks")) or 0) > 0
            ):
                return entry
        raise Untold("no entry of the list names a channel and how far it can be extended")

    async def extension_request(self, *, full: bool = False) -> dict[str, Any]:
        channel = await self.channel()
        maximum = as_amount(channel["max_channel_extension_expiry_blocks"]) or 1
        params = {
            "short_channel_id": channel["short_channel_id"],
            "channel_extension_expiry_blocks": max(min(ORDER_BLOCKS, maximum) - full, 1),
        }
        return {**params, "token": "", "refund_onchain_address": self.refund_address()} if full else params

    async def extension_order(self, *, full: bool = False) -> dict[str, Any]:
        return await self.order("lsps7", await self.extension_request(full=full))
