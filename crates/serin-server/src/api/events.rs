//! The journal as a stream, resumed where a listener left off.

use super::error::ApiError;
use super::read::named;
use super::view::JournalLine;
use crate::control::Handle;
use crate::views;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use serde::Deserialize;
use serin_core::ServiceName;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::Stream;

/// Lines read from the store at a time.
const PAGE: u32 = 500;

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    service: Option<String>,
    after: Option<u64>,
}

/// `GET /api/v1/events`: journal lines after `after` or `Last-Event-ID`, then live ones. Without
/// either it begins with what happens next.
pub(super) async fn events(
    State(handle): State<Handle>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let service = query.service.as_deref().map(named).transpose()?;
    let resumed = headers.get("last-event-id").and_then(|v| v.to_str().ok()?.parse().ok());
    let end = handle.ask(|core| core.executor.store().journal_end());
    let end = end.await.ok_or_else(ApiError::ending)??;
    let after = query.after.or(resumed).unwrap_or(end);
    let (out, lines) = mpsc::channel(64);
    tokio::spawn(follow(handle, service, after, out));
    let stream = Lines(lines);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// Sends pages from the store; a live line is only the signal to read on, so that nothing is
/// missed or told twice however slow the listener is.
async fn follow(
    handle: Handle,
    service: Option<ServiceName>,
    mut after: u64,
    out: mpsc::Sender<JournalLine>,
) {
    let mut live = handle.listen();
    loop {
        let wanted = service.clone();
        let page = handle.ask(move |core| {
            let store = core.executor.store();
            store.journal(wanted.as_ref(), after, PAGE).unwrap_or_default()
        });
        let Some(page) = page.await else { return };
        let full = page.len() == PAGE as usize;
        for row in page {
            after = row.seq;
            let line = views::journal_line(row.seq, row.service, row.entry);
            if out.send(line).await.is_err() {
                return;
            }
        }
        if !full {
            tokio::select! {
                signal = live.recv() => {
                    if matches!(signal, Err(tokio::sync::broadcast::error::RecvError::Closed)) {
                        return;
                    }
                }
                () = out.closed() => return,
            }
        }
    }
}

struct Lines(mpsc::Receiver<JournalLine>);

impl Stream for Lines {
    type Item = Result<Event, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|line| line.map(|line| Ok(sse(&line))))
    }
}

fn sse(line: &JournalLine) -> Event {
    let data = serde_json::to_string(line).unwrap_or_default();
    Event::default().id(line.seq.to_string()).data(data)
}
