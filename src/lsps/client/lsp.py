"""One LSP, as its customer sees it: the methods of each specification one to one, and what is built on them."""

from __future__ import annotations

from lsps.client.buying import Bought, Wish, buy
from lsps.client.customer import Customer
from lsps.client.extending import Extended, extend
from lsps.client.terms import Ask, PayWith, Tell, Terms
from lsps.protocol import lsps0, lsps1, lsps7
from lsps.protocol.methods import NoParams
from lsps.units import NodeId, OrderId, Sat, Scid


class Lsp:
    """Made by `Client.lsp`. Every call connects the LSP first if it must.

    All methods raise LspRefused (by error code), RuleViolated (an answer that breaks its specification), Unreachable,
    and what node.contract raises when our own node or the connection fails.
    """

    def __init__(self, customer: Customer) -> None:
        self._customer = customer
        self.lsps0 = Lsps0(customer)
        self.lsps1 = Lsps1(customer)
        self.lsps7 = Lsps7(customer)

    @property
    def node_id(self) -> NodeId:
        return self._customer.session.lsp

    @property
    def address(self) -> str | None:
        return self._customer.session.address


class Lsps0:
    """bLIP-50."""

    def __init__(self, customer: Customer) -> None:
        self._session = customer.session

    async def list_protocols(self) -> tuple[int, ...]:
        """The numbers of the specifications that the LSP speaks, beside LSPS0."""
        return (await self._session.call(lsps0.LIST_PROTOCOLS, NoParams())).protocols


class Lsps1:
    """bLIP-51: buying a channel."""

    def __init__(self, customer: Customer) -> None:
        self._customer = customer
        self._session = customer.session

    async def get_info(self) -> lsps1.Options:
        """What the LSP sells."""
        return await self._session.call(lsps1.GET_INFO, NoParams())

    async def create_order(self, params: lsps1.CreateOrderParams) -> lsps1.ChannelOrder:
        """Order, and nothing else: not checked, not journaled, not paid; `buy` does all that. Sent once: raises
        OutcomeUnknown when no answer comes."""
        return await self._session.call(lsps1.CREATE_ORDER, params)

    async def get_order(self, order_id: OrderId) -> lsps1.ChannelOrder:
        """Raises OrderNotFound."""
        return await self._session.call(lsps1.GET_ORDER, lsps1.GetOrderParams(order_id=order_id))

    async def buy(
        self,
        *,
        lsp_balance: Sat,
        expiry_blocks: int,
        max_fee: Sat,
        client_balance: Sat = Sat(0),
        announce: bool = False,
        zero_conf: bool = False,
        required_confirmations: int | None = None,
        funding_confirms_within_blocks: int | None = None,
        token: str | None = None,
        refund_address: str | None = None,
        pay_with: PayWith | str = PayWith.BOLT11,
        max_routing_fee: Sat | None = None,
        max_onchain_fee: Sat | None = None,
        accept_violation: frozenset[str] = frozenset(),
        new: bool = False,
        pay: bool = True,
        confirm: Ask | None = None,
        on_progress: Tell | None = None,
    ) -> Bought:
        """Buy a channel of `lsp_balance` + `client_balance`, leased for `expiry_blocks`.

        `max_fee` bounds the LSP's fee. `pay_with` "bolt11" pays over Lightning, the route costing `max_routing_fee` at
        most (default: 1 % of the total and 10 sat). "onchain" pays with a transaction of the node's wallet, at a fee of
        `max_onchain_fee` at most (default: 1 % of the total and 5,000 sat); that takes as long as its confirmations. A
        refund then goes to `refund_address`, by default a new address of the wallet, where it is followed.
        `required_confirmations` and `funding_confirms_within_blocks`: None is what the LSP allows, 1 and 6 at least;
        `zero_conf` is 0 confirmations. `token` and `refund_address` may be left out.

        An unfinished purchase with the same parameters, or one that was paid and not delivered, is gone on with instead
        of ordering again, unless `new`: that is refused while a payment is in flight (OrderInFlight).
        `pay=False` stops before paying, so that the same call without it goes on. `confirm` is asked before paying;
        without it, `max_fee` alone decides, and an invoice of another payee than the LSP is refused.
        `accept_violation` names rules (of severity SHOULD) that the LSP may break.

        Raises what the class says, StoppedBeforePaying, PaymentNotMade, NotDelivered. Cancelling it never stops a
        payment that is in flight; the same call again goes on.
        """
        wish = Wish(
            lsp_balance=lsp_balance,
            client_balance=client_balance,
            expiry_blocks=expiry_blocks,
            announce=announce,
            required_confirmations=0 if zero_conf else required_confirmations,
            funding_confirms_within_blocks=funding_confirms_within_blocks,
            token=token,
            refund_address=refund_address,
        )
        terms = Terms(
            max_fee=max_fee,
            pay_with=PayWith(pay_with),
            max_routing_fee=max_routing_fee,
            max_onchain_fee=max_onchain_fee,
            accept_violation=accept_violation,
            new=new,
            pay=pay,
            confirm=confirm,
            progress=on_progress,
        )
        return await buy(self._customer, wish, terms)


class Lsps7:
    """bLIP-57: extending a channel's lease."""

    def __init__(self, customer: Customer) -> None:
        self._customer = customer
        self._session = customer.session

    async def get_extendable_channels(self) -> lsps7.ExtendableChannels:
        """The channels that can be extended; iterate over it. `rejected` tells of entries that are none."""
        return await self._session.call(lsps7.GET_EXTENDABLE_CHANNELS, NoParams())

    async def create_order(self, params: lsps7.CreateOrderParams) -> lsps7.ExtensionOrder:
        """Order, and nothing else: not checked, not journaled, not paid; `extend` does all that. Sent once: raises
        OutcomeUnknown when no answer comes."""
        return await self._session.call(lsps7.CREATE_ORDER, params)

    async def get_order(self, order_id: OrderId) -> lsps7.ExtensionOrder:
        """Raises OrderNotFound."""
        return await self._session.call(lsps7.GET_ORDER, lsps7.GetOrderParams(order_id=order_id))

    async def extend(
        self,
        scid: Scid,
        *,
        blocks: int,
        max_fee: Sat,
        token: str | None = None,
        refund_address: str | None = None,
        pay_with: PayWith | str = PayWith.BOLT11,
        max_routing_fee: Sat | None = None,
        max_onchain_fee: Sat | None = None,
        accept_violation: frozenset[str] = frozenset(),
        new: bool = False,
        pay: bool = True,
        confirm: Ask | None = None,
        on_progress: Tell | None = None,
    ) -> Extended:
        """Extend the lease of the channel that has this SCID, confirmed or alias, by so many blocks.

        Everything else, and what is raised, as with `Lsps1.buy`.
        """
        terms = Terms(
            max_fee=max_fee,
            pay_with=PayWith(pay_with),
            max_routing_fee=max_routing_fee,
            max_onchain_fee=max_onchain_fee,
            accept_violation=accept_violation,
            new=new,
            pay=pay,
            confirm=confirm,
            progress=on_progress,
        )
        return await extend(self._customer, scid, blocks, token, refund_address, terms)
