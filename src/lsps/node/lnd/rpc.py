"""The methods of LND that lsps calls, as data: where each is on the wire, and what goes in and comes out.

A macaroon permission for one method is its path with `uri:` before it (permissions.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message as ProtobufMessage

from lsps.node.lnd import lnd_pb2 as pb

RequestT = TypeVar("RequestT", bound=ProtobufMessage)
ReplyT = TypeVar("ReplyT", bound=ProtobufMessage)


@dataclass(frozen=True, slots=True)
class Method(Generic[RequestT, ReplyT]):
    """`path` is /package.Service/Method.

    `refuses`: lnd may have a reason not to do it, and tells it as code UNKNOWN. What only reads, or signs, is refused
    with a code that says why, if at all: there UNKNOWN means that lnd could not answer.
    """

    path: str
    request: type[RequestT]
    reply: type[ReplyT]
    refuses: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


class Unary(Method[RequestT, ReplyT]):
    """One request, one reply."""


class ServerStream(Method[RequestT, ReplyT]):
    """One request, many replies."""


class BidirectionalStream(Method[RequestT, ReplyT]):
    """Many of both. The node sends ReplyT, and we answer with RequestT."""


GET_INFO = Unary("/lnrpc.Lightning/GetInfo", pb.GetInfoRequest, pb.GetInfoResponse)
GET_NODE_INFO = Unary("/lnrpc.Lightning/GetNodeInfo", pb.NodeInfoRequest, pb.NodeInfo)
BLOCKS = ServerStream("/chainrpc.ChainNotifier/RegisterBlockEpochNtfn", pb.BlockEpoch, pb.BlockEpoch)

LIST_PEERS = Unary("/lnrpc.Lightning/ListPeers", pb.ListPeersRequest, pb.ListPeersResponse)
CONNECT_PEER = Unary("/lnrpc.Lightning/ConnectPeer", pb.ConnectPeerRequest, pb.ConnectPeerResponse, refuses=True)
DISCONNECT_PEER = Unary(
    "/lnrpc.Lightning/DisconnectPeer", pb.DisconnectPeerRequest, pb.DisconnectPeerResponse, refuses=True
)
PEER_EVENTS = ServerStream("/lnrpc.Lightning/SubscribePeerEvents", pb.PeerEventSubscription, pb.PeerEvent)
SEND_CUSTOM_MESSAGE = Unary(
    "/lnrpc.Lightning/SendCustomMessage", pb.SendCustomMessageRequest, pb.SendCustomMessageResponse, refuses=True
)
CUSTOM_MESSAGES = ServerStream(
    "/lnrpc.Lightning/SubscribeCustomMessages", pb.SubscribeCustomMessagesRequest, pb.CustomMessage
)

LIST_CHANNELS = Unary("/lnrpc.Lightning/ListChannels", pb.ListChannelsRequest, pb.ListChannelsResponse)
PENDING_CHANNELS = Unary("/lnrpc.Lightning/PendingChannels", pb.PendingChannelsRequest, pb.PendingChannelsResponse)
CLOSED_CHANNELS = Unary("/lnrpc.Lightning/ClosedChannels", pb.ClosedChannelsRequest, pb.ClosedChannelsResponse)
CHANNEL_EVENTS = ServerStream(
    "/lnrpc.Lightning/SubscribeChannelEvents", pb.ChannelEventSubscription, pb.ChannelEventUpdate
)
OPEN_CHANNEL = ServerStream("/lnrpc.Lightning/OpenChannel", pb.OpenChannelRequest, pb.OpenStatusUpdate, refuses=True)
CHANNEL_ACCEPTOR = BidirectionalStream(
    "/lnrpc.Lightning/ChannelAcceptor", pb.ChannelAcceptResponse, pb.ChannelAcceptRequest
)

LIST_UNSPENT = Unary("/walletrpc.WalletKit/ListUnspent", pb.ListUnspentRequest, pb.ListUnspentResponse)
ESTIMATE_FEE = Unary("/walletrpc.WalletKit/EstimateFee", pb.EstimateFeeRequest, pb.EstimateFeeResponse)
GET_TRANSACTION = Unary("/walletrpc.WalletKit/GetTransaction", pb.GetTransactionRequest, pb.Transaction)
GET_TRANSACTIONS = Unary("/lnrpc.Lightning/GetTransactions", pb.GetTransactionsRequest, pb.TransactionDetails)
TRANSACTIONS = ServerStream("/lnrpc.Lightning/SubscribeTransactions", pb.GetTransactionsRequest, pb.Transaction)
NEW_ADDRESS = Unary("/lnrpc.Lightning/NewAddress", pb.NewAddressRequest, pb.NewAddressResponse)
FINALIZE_PSBT = Unary("/walletrpc.WalletKit/FinalizePsbt", pb.FinalizePsbtRequest, pb.FinalizePsbtResponse)
PUBLISH_TRANSACTION = Unary(
    "/walletrpc.WalletKit/PublishTransaction", pb.PublishTransactionRequest, pb.PublishResponse, refuses=True
)

ADD_HOLD_INVOICE = Unary(
    "/invoicesrpc.Invoices/AddHoldInvoice", pb.AddHoldInvoiceRequest, pb.AddHoldInvoiceResp, refuses=True
)
SETTLE_INVOICE = Unary("/invoicesrpc.Invoices/SettleInvoice", pb.SettleInvoiceMsg, pb.SettleInvoiceResp, refuses=True)
CANCEL_INVOICE = Unary("/invoicesrpc.Invoices/CancelInvoice", pb.CancelInvoiceMsg, pb.CancelInvoiceResp, refuses=True)
LOOKUP_INVOICE = Unary("/invoicesrpc.Invoices/LookupInvoiceV2", pb.LookupInvoiceMsg, pb.Invoice)
SINGLE_INVOICE = ServerStream(
    "/invoicesrpc.Invoices/SubscribeSingleInvoice", pb.SubscribeSingleInvoiceRequest, pb.Invoice
)

DECODE_PAY_REQ = Unary("/lnrpc.Lightning/DecodePayReq", pb.PayReqString, pb.PayReq, refuses=True)
SEND_PAYMENT = ServerStream("/routerrpc.Router/SendPaymentV2", pb.SendPaymentRequest, pb.Payment, refuses=True)
TRACK_PAYMENT = ServerStream("/routerrpc.Router/TrackPaymentV2", pb.TrackPaymentRequest, pb.Payment)
