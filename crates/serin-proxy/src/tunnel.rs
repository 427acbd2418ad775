//! Upgraded connections: bytes both ways until one side ends. A tunnel stays on its instance
//! whatever happens to weights and table.

use crate::pool::Line;
use crate::route::{Backend, Held};
use crate::session::Session;
use crate::websocket::{Frames, Watched};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::rc::Rc;
use std::task::Poll;
use tokio::io::AsyncWriteExt;

/// An instance's upgraded connections, one of them.
struct Upgraded(Rc<Backend>);

impl Upgraded {
    fn new(backend: Rc<Backend>) -> Self {
        backend.upgraded.set(backend.upgraded.get() + 1);
        Self(backend)
    }
}

impl Drop for Upgraded {
    fn drop(&mut self) {
        self.0.upgraded.set(self.0.upgraded.get() - 1);
    }
}

/// Joins client and instance once the client's side has been answered.
/// `frames` where they speak in WebSocket frames.
pub fn spawn(
    session: Rc<Session>,
    client: OnUpgrade,
    line: Box<Line>,
    held: Held,
    frames: Option<Frames>,
) {
    tokio::task::spawn_local(async move {
        let _upgraded = Upgraded::new(held.0.clone());
        // Whichever side fails first, the other is closed by dropping it.
        let _ = run(client, line, frames).await;
        drop((held, session));
    });
}

async fn run(
    client: OnUpgrade,
    mut line: Box<Line>,
    mut frames: Option<Frames>,
) -> std::io::Result<()> {
    let client = client.await.map_err(std::io::Error::other)?;
    std::future::poll_fn(|cx| if line.poll(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
    let Some(parts) = line.into_parts() else {
        return Err(std::io::Error::other("the instance's connection ended before its upgrade"));
    };
    let mut client = TokioIo::new(client);
    if let Some(frames) = &mut frames {
        frames.see(&parts.read_buf);
    }
    let mut instance = Watched::new(parts.io.into_inner(), frames);
    client.write_all(&parts.read_buf).await?;
    tokio::io::copy_bidirectional(&mut client, &mut instance).await.map(|_| ())
}
