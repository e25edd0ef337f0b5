//! LDK's own LSPS0 and LSPS1, client and service, on LDK's own PeerManager over TCP: a peer to test against.
//! Driven by one JSON command a line on standard input; README.md beside this lists commands and events.

mod commands;
mod events;
mod keys;
mod messages;
mod no_chain;
mod node;

use std::time::Duration;

use lightning_liquidity::lsps1::msgs::LSPS1Options;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;

use events::emit;
use node::Node;

/// What a node of LDK's users has as its timer for pings; see PeerManager::timer_tick_occurred.
const TICK: Duration = Duration::from_secs(10);

struct Arguments {
    key: [u8; 32],
    network: bitcoin::Network,
    listen: String,
    client: bool,
    service: Option<LSPS1Options>,
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let (mut key, mut network, mut listen) =
            (None, bitcoin::Network::Regtest, "127.0.0.1:0".to_string());
        let (mut client, mut service) = (false, None);
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--key" => key = Some(keys::from_hex(&value()?)?),
                "--network" => network = value()?.parse().map_err(|e| format!("--network: {e}"))?,
                "--listen" => listen = value()?,
                "--client" => client = true,
                "--service" => {
                    service = Some(
                        serde_json::from_str(&value()?).map_err(|e| format!("--service: {e}"))?,
                    )
                }
                _ => return Err(format!("unknown argument {name}")),
            }
        }
        Ok(Self {
            key: key.ok_or("--key is missing")?,
            network,
            listen,
            client,
            service,
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let arguments = Arguments::parse()?;
    let node = Node::new(
        arguments.key,
        arguments.network,
        arguments.client,
        arguments.service,
    )
    .await;
    let listener = TcpListener::bind(&arguments.listen)
        .await
        .map_err(|e| e.to_string())?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    emit(
        json!({"event": "ready", "node_id": node.node_id.to_string(), "address": address.to_string()}),
    );
    tokio::spawn(accept(node.clone(), listener));
    tokio::spawn(send_what_is_queued(node.clone()));
    tokio::spawn(tell_events(node.clone()));
    tokio::spawn(tick(node.clone()));

    // The end of standard input ends the program, so it never outlives who drives it.
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if commands::run(&node, &line).await {
            break;
        }
    }
    std::process::exit(0)
}

async fn accept(node: Node, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        if let Ok(stream) = stream.into_std() {
            tokio::spawn(lightning_net_tokio::setup_inbound(
                node.peers.clone(),
                stream,
            ));
        }
    }
}

/// What LDK's background processor does for LiquidityManager.
async fn send_what_is_queued(node: Node) {
    loop {
        node.liquidity
            .get_pending_msgs_or_needs_persist_future()
            .await;
        let _ = node.liquidity.persist().await;
        node.peers.process_events();
    }
}

async fn tell_events(node: Node) {
    loop {
        let event = node.liquidity.next_event_async().await;
        emit(events::to_json(event));
    }
}

async fn tick(node: Node) {
    loop {
        tokio::time::sleep(TICK).await;
        node.peers.timer_tick_occurred();
    }
}
