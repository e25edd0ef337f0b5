//! What the program says: one JSON object a line on standard output.

use lightning_liquidity::events::LiquidityEvent;
use lightning_liquidity::lsps0::event::LSPS0ClientEvent;
use lightning_liquidity::lsps1::event::{LSPS1ClientEvent, LSPS1ServiceEvent};
use serde_json::{json, Value};

pub fn emit(line: Value) {
    println!("{line}");
}

pub fn to_json(event: LiquidityEvent) -> Value {
    match event {
        LiquidityEvent::LSPS0Client(LSPS0ClientEvent::ListProtocolsResponse {
            counterparty_node_id,
            protocols,
        }) => {
            json!({"event": "protocols", "peer": counterparty_node_id.to_string(), "protocols": protocols})
        }
        LiquidityEvent::LSPS1Client(event) => client(event),
        LiquidityEvent::LSPS1Service(LSPS1ServiceEvent::RequestForPaymentDetails {
            request_id,
            counterparty_node_id,
            order,
            refund_onchain_address,
        }) => json!({
            "event": "request_for_payment_details",
            "peer": counterparty_node_id.to_string(),
            "request_id": request_id,
            "order": order,
            "refund_onchain_address": refund_onchain_address.map(|address| address.to_string()),
        }),
        other => json!({"event": "other", "debug": format!("{other:?}")}),
    }
}

fn client(event: LSPS1ClientEvent) -> Value {
    match event {
        LSPS1ClientEvent::SupportedOptionsReady {
            request_id,
            counterparty_node_id,
            supported_options,
        } => json!({
            "event": "info",
            "peer": counterparty_node_id.to_string(),
            "request_id": request_id,
            "options": supported_options,
        }),
        LSPS1ClientEvent::SupportedOptionsRequestFailed {
            request_id,
            counterparty_node_id,
            error,
        } => json!({
            "event": "info_failed",
            "peer": counterparty_node_id.to_string(),
            "request_id": request_id,
            "error": error,
        }),
        LSPS1ClientEvent::OrderCreated {
            request_id,
            counterparty_node_id,
            order_id,
            order,
            payment,
            channel,
        } => {
            json!({
                "event": "order_created",
                "peer": counterparty_node_id.to_string(),
                "request_id": request_id,
                "order_id": order_id,
                "order": order,
                "payment": payment,
                "channel": channel,
            })
        }
        LSPS1ClientEvent::OrderStatus {
            request_id,
            counterparty_node_id,
            order_id,
            order,
            payment,
            channel,
        } => {
            json!({
                "event": "order_status",
                "peer": counterparty_node_id.to_string(),
                "request_id": request_id,
                "order_id": order_id,
                "order": order,
                "payment": payment,
                "channel": channel,
            })
        }
        LSPS1ClientEvent::OrderRequestFailed {
            request_id,
            counterparty_node_id,
            error,
        } => json!({
            "event": "order_failed",
            "peer": counterparty_node_id.to_string(),
            "request_id": request_id,
            "error": error,
        }),
    }
}
