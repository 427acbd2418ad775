//! The journal of one service as it grows, however often the connection is lost.

use crate::client::{Client, escaped};
use crate::context::query;
use serin_server::api::view::JournalLine;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Pause before a lost connection is made again.
const PAUSE: Duration = Duration::from_millis(500);

/// Journal lines after a known one. Ends with its owner.
#[derive(Debug)]
pub struct Feed {
    lines: Receiver<JournalLine>,
    _reader: JoinSet<()>,
}

impl Feed {
    /// Lines of `service` after number `after`.
    pub fn open(client: Client, service: &str, after: u64) -> Self {
        let (sender, lines) = channel(256);
        let mut reader = JoinSet::new();
        reader.spawn(read(client, escaped(service), after, sender));
        Self { lines, _reader: reader }
    }

    /// The next line.
    pub async fn next(&mut self) -> Option<JournalLine> {
        self.lines.recv().await
    }

    /// The next line if it is here already.
    pub fn ready(&mut self) -> Option<JournalLine> {
        self.lines.try_recv().ok()
    }
}

async fn read(client: Client, service: String, mut after: u64, sender: Sender<JournalLine>) {
    loop {
        let query =
            query(&[("service", Some(service.clone())), ("after", Some(after.to_string()))]);
        if let Ok(mut events) = client.events(&format!("/api/v1/events{query}")).await {
            while let Some(line) = events.next().await {
                after = after.max(line.seq);
                if sender.send(line).await.is_err() {
                    return;
                }
            }
        }
        sleep(PAUSE).await;
    }
}
