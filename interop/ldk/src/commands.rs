//! What the program is told: one JSON object a line on standard input.

use std::net::SocketAddr;

use bitcoin::address::NetworkUnchecked;
use bitcoin::secp256k1::PublicKey;
use bitcoin::Address;
use lightning::util::errors::APIError;
use lightning_liquidity::lsps0::ser::LSPSRequestId;
use lightning_liquidity::lsps1::msgs::{
    LSPS1ChannelInfo, LSPS1OrderId, LSPS1OrderParams, LSPS1PaymentInfo,
};
use lightning_liquidity::lsps1::service::PaymentMethod;
use serde::Deserialize;
use serde_json::{json, Value};

use crate::events::emit;
use crate::node::Node;

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
enum Command {
    Connect {
        node_id: PublicKey,
        address: SocketAddr,
    },
    Disconnect {
        node_id: PublicKey,
    },
    Peers,
    Send {
        peer: PublicKey,
        payload: String,
    },
    Stop,
    ListProtocols {
        peer: PublicKey,
    },
    Lsps1GetInfo {
        peer: PublicKey,
    },
    Lsps1CreateOrder {
        peer: PublicKey,
        order: LSPS1OrderParams,
        refund_onchain_address: Option<Address<NetworkUnchecked>>,
    },
    Lsps1GetOrder {
        peer: PublicKey,
        order_id: LSPS1OrderId,
    },
    SendPaymentDetails {
        peer: PublicKey,
        request_id: LSPSRequestId,
        payment: LSPS1PaymentInfo,
    },
    InvalidToken {
        peer: PublicKey,
        request_id: LSPSRequestId,
    },
    OnchainPaymentsRequired {
        peer: PublicKey,
        request_id: LSPSRequestId,
    },
    OrderPaymentReceived {
        peer: PublicKey,
        order_id: LSPS1OrderId,
        method: String,
    },
    OrderChannelOpened {
        peer: PublicKey,
        order_id: LSPS1OrderId,
        channel: LSPS1ChannelInfo,
    },
    OrderFailedAndRefunded {
        peer: PublicKey,
        order_id: LSPS1OrderId,
    },
}

/// Carries out one line and answers it. Returns true if the program is to end.
pub async fn run(node: &Node, line: &str) -> bool {
    let id = serde_json::from_str::<Value>(line)
        .map(|value| value["id"].clone())
        .unwrap_or(Value::Null);
    let (result, stop) = match serde_json::from_str(line) {
        Ok(Command::Stop) => (Ok(Value::Null), true),
        Ok(command) => (carry_out(node, command).await, false),
        Err(error) => (Err(error.to_string()), false),
    };
    emit(match result {
        Ok(result) => json!({"id": id, "result": result}),
        Err(error) => json!({"id": id, "error": error}),
    });
    node.peers.process_events();
    stop
}

async fn carry_out(node: &Node, command: Command) -> Result<Value, String> {
    match command {
        Command::Connect { node_id, address } => {
            let closed =
                lightning_net_tokio::connect_outbound(node.peers.clone(), node_id, address).await;
            tokio::spawn(closed.ok_or(format!("{address} does not answer"))?);
            Ok(Value::Null)
        }
        Command::Disconnect { node_id } => {
            node.peers.disconnect_by_node_id(node_id);
            Ok(Value::Null)
        }
        Command::Peers => {
            let peers = node.peers.list_peers();
            Ok(peers
                .iter()
                .map(|peer| peer.counterparty_node_id.to_string())
                .collect())
        }
        Command::Send { peer, payload } => {
            node.messages.send_raw(peer, payload);
            Ok(Value::Null)
        }
        Command::ListProtocols { peer } => {
            node.liquidity.lsps0_client_handler().list_protocols(&peer);
            Ok(Value::Null) // LDK does not tell the id of this request
        }
        command @ (Command::Lsps1GetInfo { .. }
        | Command::Lsps1CreateOrder { .. }
        | Command::Lsps1GetOrder { .. }) => as_client(node, command),
        command => as_service(node, command).await,
    }
}

/// The id of the request that goes out; its answer comes as an event.
fn as_client(node: &Node, command: Command) -> Result<Value, String> {
    let client = node
        .liquidity
        .lsps1_client_handler()
        .ok_or("started without --client")?;
    let request_id = match command {
        Command::Lsps1GetInfo { peer } => client.request_supported_options(peer),
        Command::Lsps1CreateOrder {
            peer,
            order,
            refund_onchain_address,
        } => client.create_order(
            &peer,
            order,
            refund_onchain_address.map(Address::assume_checked),
        ),
        Command::Lsps1GetOrder { peer, order_id } => client.check_order_status(&peer, order_id),
        _ => unreachable!("no command of a client"),
    };
    Ok(json!(request_id))
}

/// What the owner of an LSP tells LDK.
async fn as_service(node: &Node, command: Command) -> Result<Value, String> {
    let service = node
        .liquidity
        .lsps1_service_handler()
        .ok_or("started without --service")?;
    let done = match command {
        Command::SendPaymentDetails {
            peer,
            request_id,
            payment,
        } => {
            service
                .send_payment_details(request_id, peer, payment)
                .await
        }
        Command::InvalidToken { peer, request_id } => {
            service.invalid_token_provided(peer, request_id)
        }
        Command::OnchainPaymentsRequired { peer, request_id } => {
            service.onchain_payments_required(peer, request_id)
        }
        Command::OrderPaymentReceived {
            peer,
            order_id,
            method,
        } => {
            service
                .order_payment_received(peer, order_id, method_of(&method)?)
                .await
        }
        Command::OrderChannelOpened {
            peer,
            order_id,
            channel,
        } => service.order_channel_opened(peer, order_id, channel).await,
        Command::OrderFailedAndRefunded { peer, order_id } => {
            service.order_failed_and_refunded(peer, order_id).await
        }
        _ => unreachable!("no command of a service"),
    };
    done.map(|()| Value::Null)
        .map_err(|error: APIError| format!("{error:?}"))
}

fn method_of(name: &str) -> Result<PaymentMethod, String> {
    match name {
        "bolt11" => Ok(PaymentMethod::Bolt11),
        "onchain" => Ok(PaymentMethod::Onchain),
        _ => Err(format!("no payment method {name}: bolt11 or onchain")),
    }
}
