//! What a judge was given, for whoever wants to judge again.

use super::error::ApiError;
use super::read::{ask, named};
use crate::control::{Core, Handle};
use crate::export::Export;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serin_core::{RecordedTick, Service, ServiceName, Timestamp};
use serin_stats::{Assessment, Rung};
use serin_store::TicksKept;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tokio_stream::Stream;

/// Ticks read from the store at a time.
const PAGE: u32 = 500;

/// What is on record of a rollout's judge.
struct Said {
    verdict: Option<Assessment>,
    /// The rung it was asked for.
    rung: Option<Rung>,
    /// Since when what it was given is kept no longer.
    gone: Option<Timestamp>,
}

/// `GET /api/v1/services/{name}/rollouts/{id}/ticks`: JSON lines, see [`crate::export`].
pub(super) async fn ticks(
    State(handle): State<Handle>,
    Path((name, id)): Path<(String, u64)>,
) -> Result<Response, ApiError> {
    let name = named(&name)?;
    // What is not there is refused before the answer has begun.
    ask(&handle, name.clone(), move |core, service| said(core, service, id)).await?;
    let (out, pages) = mpsc::channel(4);
    tokio::spawn(send(handle, name, id, out));
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(Pages(pages))).into_response())
}

fn said(core: &Core, service: &Service, id: u64) -> Result<Said, ApiError> {
    if let Some(running) = service.rollout.as_ref().filter(|r| r.id == id) {
        let (verdict, rung) = (running.assessment.clone(), running.assessed_at);
        return Ok(Said { verdict, rung, gone: None });
    }
    let record = core.executor.store().record(&service.name, id)?;
    let record = record.ok_or_else(|| unknown(&service.name, id))?;
    let gone = match core.executor.store().ticks_kept(&service.name, id)? {
        TicksKept::All => None,
        TicksKept::GoneSince(at) => Some(at),
    };
    Ok(Said { verdict: record.assessment, rung: record.assessed_at, gone })
}

/// The next ticks; when there are none left, what is on record.
fn page(core: &Core, service: &Service, id: u64, after: u64) -> Result<Page, ApiError> {
    let said = said(core, service, id)?;
    // While they are being removed a part of them would be there.
    if said.gone.is_some() {
        return Ok((vec![], Some(said)));
    }
    let ticks = core.executor.store().ticks(&service.name, id, after, PAGE)?;
    let said = ticks.is_empty().then_some(said);
    Ok((ticks, said))
}

/// Ticks with their numbers, and what stands at their end.
type Page = (Vec<(u64, RecordedTick)>, Option<Said>);

fn unknown(name: &ServiceName, id: u64) -> ApiError {
    let title = format!("{name} has no rollout {id}");
    ApiError::new(StatusCode::NOT_FOUND, "unknown-rollout", title).hint("see `serin history`")
}

async fn send(handle: Handle, name: ServiceName, id: u64, out: mpsc::Sender<String>) {
    let mut export = Export::new(name.as_str(), id);
    let mut after = 0;
    loop {
        // The verdict is read with the end of the ticks: of a rollout under way more may come.
        let read = ask(&handle, name.clone(), move |core, service| page(core, service, id, after));
        let text = match read.await {
            Ok((page, None)) => {
                after = page.last().map_or(after, |(number, _)| *number);
                lines(&mut export, &page)
            }
            Ok((_, Some(said))) => {
                // A client that has gone needs no last line.
                let line = export.end(said.verdict.as_ref(), said.rung, said.gone);
                let _ = out.send(line.unwrap_or_default() + "\n").await;
                return;
            }
            Err(_) => return,
        };
        if out.send(text).await.is_err() {
            return;
        }
    }
}

fn lines(export: &mut Export, page: &[(u64, RecordedTick)]) -> String {
    let lines = page.iter().filter_map(|(_, tick)| export.line(tick).ok());
    lines.map(|line| line + "\n").collect()
}

struct Pages(mpsc::Receiver<String>);

impl Stream for Pages {
    type Item = Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|page| page.map(Ok))
    }
}
