"""An OpenRequest in lnd's terms, and what lnd would not do with it as asked."""

from __future__ import annotations

from collections.abc import Collection

from lsps.node.contract import OpenRequest, Refused
from lsps.node.lnd import lnd_pb2 as pb
from lsps.units import Sat

# Weights of a funding transaction's parts, the lightest there are (BOLT 3, Appendix A; BIP 141, BIP 341).
_BARE_WEIGHT = 4 * 10 + 2
_FUNDING_OUTPUT_WEIGHT = 4 * 43
_LIGHTEST_INPUT_WEIGHT = 4 * 41 + 66


def open_channel_request(request: OpenRequest) -> pb.OpenChannelRequest:
    """Raises Refused without inputs: a repeat of such a call could open a second channel.

    `fund_max` is not for us: it would put the change into the channel. An explicit type is asked for 0-conf alone
    (BOLT 2, channel_type: option_zeroconf needs one), with option_scid_alias for private channels alone, which a
    public one must not have.
    """
    if not request.inputs:
        raise Refused("a channel is opened of inputs chosen before; none were given")
    zero_conf = request.zero_conf
    return pb.OpenChannelRequest(
        node_pubkey=bytes(request.peer),
        local_funding_amount=int(request.capacity),
        push_sat=int(request.push),
        private=request.private,
        zero_conf=zero_conf,
        scid_alias=zero_conf and request.private,
        commitment_type=pb.ANCHORS if zero_conf else pb.UNKNOWN_COMMITMENT_TYPE,
        sat_per_vbyte=sat_per_vbyte(request.sat_per_kw),
        memo=request.memo,
        outpoints=[pb.OutPoint(txid_str=one.txid, output_index=one.index) for one in request.inputs],
    )


def sat_per_vbyte(sat_per_kw: int) -> int:
    """LND takes whole sat per virtual byte (4 weight units): rounded up."""
    return -(-sat_per_kw * 4 // 1000)


def check_all_needed(request: OpenRequest, amounts: Collection[Sat]) -> None:
    """Raises Refused when lnd might leave one of the inputs, of these amounts, unspent.

    LND takes inputs in an order of its own until they are enough. It takes all of them for certain when all but the
    smallest do not even pay for the channel and the lightest transaction.
    """
    if len(amounts) < 2:
        return
    weight = _BARE_WEIGHT + _FUNDING_OUTPUT_WEIGHT + _LIGHTEST_INPUT_WEIGHT * (len(amounts) - 1)
    least_fee = sat_per_vbyte(request.sat_per_kw) * weight // 4
    without_smallest = sum(map(int, amounts)) - min(map(int, amounts))
    if without_smallest >= int(request.capacity) + least_fee:
        raise Refused("lnd would not need all of the inputs, and leave one unspent: choose fewer")
