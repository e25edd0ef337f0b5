//! LDK's KeysManager but for the node's own key, which it would derive from a seed: ours is given.

use std::time::Duration;

use bitcoin::secp256k1::ecdh::SharedSecret;
use bitcoin::secp256k1::ecdsa::{RecoverableSignature, Signature};
use bitcoin::secp256k1::{schnorr, PublicKey, Scalar, Secp256k1, SecretKey};
use bitcoin::ScriptBuf;
use lightning::ln::inbound_payment::ExpandedKey;
use lightning::ln::msgs::UnsignedGossipMessage;
use lightning::ln::script::ShutdownScript;
use lightning::offers::invoice::UnsignedBolt12Invoice;
use lightning::sign::{
    EntropySource, InMemorySigner, KeysManager, NodeSigner, PeerStorageKey, ReceiveAuthKey,
    Recipient, SignerProvider,
};
use lightning_invoice::RawBolt11Invoice;

pub struct Keys {
    node_secret: SecretKey,
    other: KeysManager,
}

/// Reads 64 hexadecimal digits.
pub fn from_hex(text: &str) -> Result<[u8; 32], String> {
    let key: SecretKey = text.parse().map_err(|e| format!("--key: {e}"))?;
    Ok(key.secret_bytes())
}

impl Keys {
    pub fn new(node_secret: [u8; 32], now: Duration) -> Self {
        let other = KeysManager::new(&node_secret, now.as_secs(), now.subsec_nanos(), true);
        Self {
            node_secret: SecretKey::from_slice(&node_secret).expect("read from hex"),
            other,
        }
    }
}

impl NodeSigner for Keys {
    fn get_node_id(&self, recipient: Recipient) -> Result<PublicKey, ()> {
        match recipient {
            Recipient::Node => Ok(self.node_secret.public_key(&Secp256k1::signing_only())),
            Recipient::PhantomNode => Err(()),
        }
    }

    fn ecdh(
        &self,
        _: Recipient,
        other_key: &PublicKey,
        tweak: Option<&Scalar>,
    ) -> Result<SharedSecret, ()> {
        let secret = match tweak {
            Some(tweak) => self.node_secret.mul_tweak(tweak).map_err(|_| ())?,
            None => self.node_secret,
        };
        Ok(SharedSecret::new(other_key, &secret))
    }

    fn get_expanded_key(&self) -> ExpandedKey {
        self.other.get_expanded_key()
    }

    fn get_peer_storage_key(&self) -> PeerStorageKey {
        self.other.get_peer_storage_key()
    }

    fn get_receive_auth_key(&self) -> ReceiveAuthKey {
        self.other.get_receive_auth_key()
    }

    // It has neither channels nor invoices nor a place in the gossip, so it signs nothing.

    fn sign_invoice(&self, _: &RawBolt11Invoice, _: Recipient) -> Result<RecoverableSignature, ()> {
        Err(())
    }

    fn sign_bolt12_invoice(&self, _: &UnsignedBolt12Invoice) -> Result<schnorr::Signature, ()> {
        Err(())
    }

    fn sign_gossip_message(&self, _: UnsignedGossipMessage) -> Result<Signature, ()> {
        Err(())
    }

    fn sign_message(&self, _: &[u8]) -> Result<String, ()> {
        Err(())
    }
}

impl EntropySource for Keys {
    fn get_secure_random_bytes(&self) -> [u8; 32] {
        self.other.get_secure_random_bytes()
    }
}

impl SignerProvider for Keys {
    type EcdsaSigner = InMemorySigner;

    fn generate_channel_keys_id(&self, inbound: bool, user_channel_id: u128) -> [u8; 32] {
        self.other
            .generate_channel_keys_id(inbound, user_channel_id)
    }

    fn derive_channel_signer(&self, channel_keys_id: [u8; 32]) -> InMemorySigner {
        self.other.derive_channel_signer(channel_keys_id)
    }

    fn get_destination_script(&self, channel_keys_id: [u8; 32]) -> Result<ScriptBuf, ()> {
        self.other.get_destination_script(channel_keys_id)
    }

    fn get_shutdown_scriptpubkey(&self) -> Result<ShutdownScript, ()> {
        self.other.get_shutdown_scriptpubkey()
    }
}
