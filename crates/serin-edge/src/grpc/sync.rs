//! `flagd.sync.v1`: whole documents for clients that evaluate themselves.

use super::events::{Line, Wake, going};
use super::frame::{self, Code, Status};
use super::wire::{SyncRequest, SyncResponse};
use super::{chosen, refused, unimplemented};
use crate::body::Body;
use crate::routes::Call;
use crate::set::Set;
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use std::sync::Arc;

/// A set without flags.
const EMPTY: &[u8] = br#"{"flags":{}}"#;

/// Answers a call.
pub fn answer(call: &Call<'_>, method: &str, body: &Bytes) -> Result<Response<Body>, Status> {
    call.grant.backend().map_err(refused)?;
    match method {
        "SyncFlags" => follow(call, body),
        "FetchAllFlags" => fetch(call, body),
        // Deprecated. Clients take this status for "there is none"; an answer without its one
        // field ends the thread of a client that reads it.
        "GetMetadata" => {
            let what = "GetMetadata is gone; the document has the metadata";
            Err(Status::new(Code::Unimplemented, what))
        }
        _ => Err(unimplemented(call.parts.uri.path())),
    }
}

fn fetch(call: &Call<'_>, body: &Bytes) -> Result<Response<Body>, Status> {
    let request: SyncRequest = frame::decode(body)?;
    let set = chosen(call, &request.selector)?;
    let document = whole(set.map(Arc::as_ref));
    let document = document.ok_or_else(|| {
        Status::new(Code::Unavailable, "the set cannot be written for clients; ask over OFREP")
    })?;
    Ok(frame::answer(document))
}

fn follow(call: &Call<'_>, body: &Bytes) -> Result<Response<Body>, Status> {
    let request: SyncRequest = frame::decode(body)?;
    let line = Line::open(call, &request.selector)?;
    Ok(frame::response(Body::unfold(line, next)))
}

async fn next(mut line: Line) -> Option<(Frame<Bytes>, Line)> {
    if line.is_over() {
        return None;
    }
    loop {
        if line.is_closing() {
            return line.end(&going());
        }
        if let Some(document) = news(&mut line) {
            return Some((Frame::data(document), line));
        }
        match line.wait().await {
            // HTTP/2 itself asks whether the client is there.
            Wake::News | Wake::Idle => {}
            Wake::End(status) => return line.end(&status),
        }
    }
}

/// The whole document, whenever it is another.
fn news(line: &mut Line) -> Option<Bytes> {
    let world = line.news.borrow_and_update().clone();
    let held = world.sets.get(&line.set);
    let since = held.map_or(world.revision, |set| set.since);
    if line.seen.replace(since) == Some(since) {
        return None;
    }
    whole(held.map(Arc::as_ref))
}

fn whole(set: Option<&Set>) -> Option<Bytes> {
    set.map_or_else(|| Some(message(&Bytes::from_static(EMPTY))), |set| set.sync(message))
}

fn message(document: &Bytes) -> Bytes {
    let text = String::from_utf8_lossy(document).into_owned();
    frame::encode(&SyncResponse { flag_configuration: text, sync_context: None })
}
