"""Bugs that services like this one have had, or could have: each replaces one real function by a wrong one."""

from __future__ import annotations

from tests.simulation.bugs import in_client, in_onchain, in_orders, in_service, in_store
from tests.simulation.bugs.bug import Bug, Install

CATALOGUE: dict[str, Bug] = {}


def _list(what: str, breaks: str | tuple[str, ...], install: Install) -> None:
    """`breaks`: the invariants that may find it."""
    names = (breaks,) if isinstance(breaks, str) else breaks
    CATALOGUE[what] = Bug(what, frozenset(names), install)


ENDS = "every order ends"
PAID_ONCE = "a wish is paid once"
SENT = "what was sent is followed"
ARITHMETIC = "the lease's arithmetic"
ONE_CHANNEL = "one channel an order"
ONE_REPLY = "one reply a request"
REFUNDED = "REFUNDED is what the node says"
DURABLE = "durable before told"
LEAKS = "nothing leaks"
FOLLOW = "leases follow their channels"
SURPRISE = "no error nobody expected"
WAITS = "nothing waits without need"
ONCE = "a deposit goes back once"
OTHERS = "what others paid is not spent"
COVERED = "paid in full"
GONE_BACK = "REFUNDED is what the chain says"
KEPT = "what is delivered is paid for"
DISAPPEARS = "no payment disappears"
CHAIN = "the books say what the chain says"
LOST = (WAITS, ENDS, "every purchase ends", "every payment ends")

# --- money ------------------------------------------------------------------------------------------------------------

_list("settled as soon as it is paid", "durable before settled", in_orders.settle_when_paid)
_list("less than the price is enough", "paid in full", in_orders.take_short_payments)
_list("FAILED is stored before the node confirmed", REFUNDED, in_orders.fail_before_the_node_confirmed)
_list("REFUNDED is told while the payment is given back", REFUNDED, in_orders.tell_refunded_early)
_list(
    "an undecided opening counts as failed", (ONE_CHANNEL, "never cancelled while owed"), in_service.undecided_is_failed
)
_list("a lost answer counts as a failed opening", ONE_CHANNEL, in_service.unreachable_is_failed)
_list("an opening is tried again with other inputs", ONE_CHANNEL, in_service.choose_again)
_list("inputs are chosen, not reserved", (ONE_CHANNEL, "delivered as sold"), in_orders.reserve_nothing)
_list("a payment is held whatever its timeout", "no payment is held into its timeout", in_orders.hold_for_ever)
_list("after a crash the client orders and pays again", (PAID_ONCE, SENT), in_client.forget_the_journal)

# --- on-chain payments ------------------------------------------------------------------------------------------------

_list("refund twice: a bump is paid from another coin", ONCE, in_onchain.bump_from_another_coin)
_list("refund twice: published, not recorded, paid again", ONCE, in_onchain.refund_again_after_a_crash)
_list("a refund is published before it is stored", ONCE, in_onchain.publish_before_storing)
_list("FAILED is told before the refund is published", GONE_BACK, in_onchain.fail_before_it_went_back)
_list("after delivery everything goes back", KEPT, in_onchain.give_everything_back_after_delivery)
_list("what is paid too much is not given back", DISAPPEARS, in_onchain.forget_surplus)
_list("a payment after FAILED is forgotten", DISAPPEARS, in_onchain.forget_late_deposits)
_list("a channel is opened though the payment was taken back", COVERED, in_onchain.open_though_taken_back)
_list("a payment that was taken back stays in the books", CHAIN, in_onchain.overlook_reorganisations)
_list("a payment without a confirmation is enough", COVERED, in_onchain.take_unconfirmed)
_list("a customer's deposit is spent for another's channel", OTHERS, in_onchain.spend_customers_deposits)

# --- customers who pay on-chain ---------------------------------------------------------------------------------------

_list("after a crash the client signs and sends another payment", PAID_ONCE, in_client.sign_again_after_a_crash)
_list("the client sends a payment before it is in its journal", "kept before it is sent", in_client.send_before_keeping)
_list("two purchases of a client spend the same coins", "a coin pays once", in_client.spend_the_same_coins)
_list("the client does not wait for its refund", "a refund is followed", in_client.wait_for_no_refund)
_list(
    "the client gives up a payment that may still be made",
    "what may still pay is waited for",
    in_client.give_up_a_replaced_payment,
)

# --- leases -----------------------------------------------------------------------------------------------------------

_list("a lapsed lease is extended from its old end", ARITHMETIC, in_orders.extend_from_the_old_end)
_list(
    "two extensions ordered together count once",
    (ARITHMETIC, "an expiration never decreases", SURPRISE, "no contradiction"),
    in_orders.extend_to_the_promise,
)
_list("a confirmation takes an extension back", "an expiration never decreases", in_orders.count_anew_at_confirmation)
_list("a confirmation counts each time it is seen", ARITHMETIC, in_orders.confirm_again_and_again)
_list("a lease outlives its channel", FOLLOW, in_service.never_end_leases)
_list(
    "the channels are not read again after an interruption",
    ("leases follow their channels", ENDS),
    in_service.never_read_again,
)

# --- concurrency and crashes ------------------------------------------------------------------------------------------

_list("an event is lost when somebody else was faster", LOST, in_service.give_up_on_conflict)
_list("the last writer of a lease wins", (ARITHMETIC, "an expiration never decreases"), in_store.last_writer_wins)
_list("a wake-up is lost: a commit tells nobody", LOST, in_service.commit_silently)
_list("a wake-up is lost: an effect put off tells nobody", LOST, in_service.put_off_silently)
_list("after a restart no invoice is watched", WAITS, in_service.watch_nothing_after_restart)
_list("told before it is stored", DURABLE, in_service.tell_before_storing)

# --- requests and limits ----------------------------------------------------------------------------------------------

_list("a reply is sent again when the first try fails", ONE_REPLY, in_service.reply_again)
_list("a repeated request is run again", ("no error nobody handles", ONE_REPLY), in_service.run_repeats)
_list("no reply while the disk is full", ONE_REPLY, in_service.no_reply_on_store_errors)
_list("a request leaks its slot at a disconnection", "limits", in_service.leak_at_disconnect)
_list("an order being made is not counted", "limits", in_service.count_stored_orders_only)
_list("an order that is refused leaks its slot", "limits", in_service.leak_when_refused)
_list("anybody may see any order", "orders are private", in_service.find_any_order)
_list("a failed order keeps its use of a token", LEAKS, in_orders.keep_token_uses)
_list("a token's limit is not checked", "limits", in_store.overspend_tokens)
