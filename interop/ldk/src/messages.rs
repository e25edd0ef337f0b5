//! LiquidityManager as PeerManager's handler of custom messages, with every connection and message told as an event.

use std::sync::{Arc, Mutex};

use bitcoin::secp256k1::PublicKey;
use lightning::ln::msgs::{DecodeError, Init, LightningError};
use lightning::ln::peer_handler::CustomMessageHandler;
use lightning::ln::wire::CustomMessageReader;
use lightning::types::features::{InitFeatures, NodeFeatures};
use lightning::util::ser::LengthLimitedRead;
use lightning_liquidity::lsps0::ser::RawLSPSMessage;
use serde_json::json;

use crate::events::emit;
use crate::node::Liquidity;

pub struct Messages {
    liquidity: Arc<Liquidity>,
    raw: Mutex<Vec<(PublicKey, RawLSPSMessage)>>,
}

impl Messages {
    pub fn new(liquidity: Arc<Liquidity>) -> Self {
        Self {
            liquidity,
            raw: Mutex::new(Vec::new()),
        }
    }

    /// Queues a payload that LDK itself would not send.
    pub fn send_raw(&self, peer: PublicKey, payload: String) {
        self.raw
            .lock()
            .unwrap()
            .push((peer, RawLSPSMessage { payload }));
    }
}

impl CustomMessageReader for Messages {
    type CustomMessage = RawLSPSMessage;

    fn read<R: LengthLimitedRead>(
        &self,
        kind: u16,
        buffer: &mut R,
    ) -> Result<Option<RawLSPSMessage>, DecodeError> {
        self.liquidity.read(kind, buffer)
    }
}

impl CustomMessageHandler for Messages {
    fn handle_custom_message(
        &self,
        message: RawLSPSMessage,
        peer: PublicKey,
    ) -> Result<(), LightningError> {
        let payload = message.payload.clone();
        let handled = self.liquidity.handle_custom_message(message, peer);
        let error = handled.as_ref().err().map(|error| error.err.clone());
        emit(
            json!({"event": "received", "peer": peer.to_string(), "payload": payload, "error": error}),
        );
        handled
    }

    fn get_and_clear_pending_msg(&self) -> Vec<(PublicKey, RawLSPSMessage)> {
        let mut messages = self.liquidity.get_and_clear_pending_msg();
        messages.append(&mut self.raw.lock().unwrap());
        for (peer, message) in &messages {
            emit(json!({"event": "sent", "peer": peer.to_string(), "payload": message.payload}));
        }
        messages
    }

    fn peer_connected(&self, peer: PublicKey, init: &Init, inbound: bool) -> Result<(), ()> {
        self.liquidity.peer_connected(peer, init, inbound)?;
        emit(json!({"event": "connected", "peer": peer.to_string(), "inbound": inbound}));
        Ok(())
    }

    fn peer_disconnected(&self, peer: PublicKey) {
        self.liquidity.peer_disconnected(peer);
        emit(json!({"event": "disconnected", "peer": peer.to_string()}));
    }

    fn provided_node_features(&self) -> NodeFeatures {
        self.liquidity.provided_node_features()
    }

    fn provided_init_features(&self, peer: PublicKey) -> InitFeatures {
        self.liquidity.provided_init_features(peer)
    }
}
