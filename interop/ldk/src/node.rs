//! An LDK node put together: keys, a ChannelManager without a chain, LiquidityManager, PeerManager.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::secp256k1::PublicKey;
use bitcoin::Network;
use lightning::chain::BlockLocator;
use lightning::ln::channelmanager::{ChainParameters, ChannelManager};
use lightning::ln::peer_handler::{IgnoringMessageHandler, MessageHandler, PeerManager};
use lightning::onion_message::messenger::NullMessageRouter;
use lightning::sign::{EntropySource, NodeSigner, Recipient};
use lightning::util::config::UserConfig;
use lightning::util::persist::KVStoreSyncWrapper;
use lightning_liquidity::lsps1::client::LSPS1ClientConfig;
use lightning_liquidity::lsps1::msgs::LSPS1Options;
use lightning_liquidity::lsps1::service::LSPS1ServiceConfig;
use lightning_liquidity::utils::time::DefaultTimeProvider;
use lightning_liquidity::{LiquidityClientConfig, LiquidityManager, LiquidityServiceConfig};
use lightning_net_tokio::SocketDescriptor;

use crate::keys::Keys;
use crate::messages::Messages;
use crate::no_chain::{Nothing, StandardError};

type Channels = ChannelManager<
    Arc<Nothing>,
    Arc<Nothing>,
    Arc<Keys>,
    Arc<Keys>,
    Arc<Keys>,
    Arc<Nothing>,
    Arc<Nothing>,
    Arc<NullMessageRouter>,
    Arc<StandardError>,
>;
pub type Liquidity = LiquidityManager<
    Arc<Keys>,
    Arc<Keys>,
    Arc<Channels>,
    KVStoreSyncWrapper<Arc<Nothing>>,
    DefaultTimeProvider,
    Arc<Nothing>,
>;
type Peers = PeerManager<
    SocketDescriptor,
    Arc<Channels>,
    IgnoringMessageHandler,
    IgnoringMessageHandler,
    Arc<StandardError>,
    Arc<Messages>,
    Arc<Keys>,
    IgnoringMessageHandler,
>;

#[derive(Clone)]
pub struct Node {
    pub node_id: PublicKey,
    pub liquidity: Arc<Liquidity>,
    pub messages: Arc<Messages>,
    pub peers: Arc<Peers>,
}

impl Node {
    pub async fn new(
        key: [u8; 32],
        network: Network,
        client: bool,
        service: Option<LSPS1Options>,
    ) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a clock after 1970");
        let (keys, nothing, log) = (
            Arc::new(Keys::new(key, now)),
            Arc::new(Nothing),
            Arc::new(StandardError),
        );
        let channels = Arc::new(ChannelManager::new(
            nothing.clone(),
            nothing.clone(),
            nothing.clone(),
            nothing.clone(),
            Arc::new(NullMessageRouter {}),
            log.clone(),
            keys.clone(),
            keys.clone(),
            keys.clone(),
            UserConfig::default(),
            ChainParameters {
                network,
                best_block: BlockLocator::from_network(network),
            },
            now.as_secs() as u32,
        ));
        let service = service.map(|supported_options| LiquidityServiceConfig {
            lsps1_service_config: Some(LSPS1ServiceConfig { supported_options }),
            lsps2_service_config: None,
            lsps5_service_config: None,
            advertise_service: true,
        });
        let client = client.then_some(LiquidityClientConfig {
            lsps1_client_config: Some(LSPS1ClientConfig {
                max_channel_fees_msat: None,
            }),
            lsps2_client_config: None,
            lsps5_client_config: None,
        });
        let store = KVStoreSyncWrapper(nothing.clone());
        let liquidity = LiquidityManager::new(
            keys.clone(),
            keys.clone(),
            channels.clone(),
            store,
            nothing,
            service,
            client,
        )
        .await
        .map(Arc::new)
        .expect("an empty store can be read");
        let messages = Arc::new(Messages::new(liquidity.clone()));
        let peers = Arc::new(PeerManager::new(
            MessageHandler {
                chan_handler: channels,
                route_handler: IgnoringMessageHandler {},
                onion_message_handler: IgnoringMessageHandler {},
                custom_message_handler: messages.clone(),
                send_only_message_handler: IgnoringMessageHandler {},
            },
            now.as_secs() as u32,
            &keys.get_secure_random_bytes(),
            log,
            keys.clone(),
        ));
        let node_id = keys.get_node_id(Recipient::Node).expect("a node has a key");
        Self {
            node_id,
            liquidity,
            messages,
            peers,
        }
    }
}
