//! The stream of changes: which flags to forget.

use super::frame::{self, Code, Status};
use super::wire::{Event, Kind, Struct, Value};
use super::{refused, selected};
use crate::access::Grant;
use crate::body::Body;
use crate::edge::Seat;
use crate::revision::Revision;
use crate::routes::Call;
use crate::serve::Streaming;
use crate::set::Change;
use crate::world::World;
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Clients are told so often that nothing has happened.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Stands for "never".
const FAR: Duration = Duration::from_hours(365 * 24);

/// What wakes a stream of gRPC.
pub enum Wake {
    /// Something is new.
    News,
    /// Nothing has happened for a while.
    Idle,
    /// It is over, and why.
    End(Status),
}

/// What every stream of gRPC has.
pub struct Line {
    pub news: watch::Receiver<Arc<World>>,
    pub set: String,
    pub seen: Option<Revision>,
    grant: Grant,
    deadline: Instant,
    ended: bool,
    _seat: Seat,
    _life: Streaming,
}

impl Line {
    /// A stream of a call; `body` is the selector in its message.
    pub fn open(call: &Call<'_>, body: &str) -> Result<Self, Status> {
        let set = selected(call, body)?;
        let set = call.grant.set(set.as_deref(), &call.world.fallback).map_err(refused)?;
        let seat = call.worker.edge.seat().ok_or_else(|| {
            Status::new(Code::ResourceExhausted, "too many streams are open; come back later")
        })?;
        Ok(Self {
            news: call.worker.edge.watch(),
            set: set.to_owned(),
            seen: None,
            grant: call.grant.clone(),
            deadline: Instant::now() + frame::timeout(&call.parts.headers).unwrap_or(FAR),
            ended: false,
            _seat: seat,
            _life: Streaming::begin(call.life),
        })
    }

    /// Waits for something to say.
    pub async fn wait(&mut self) -> Wake {
        let idle = Instant::now() + KEEP_ALIVE;
        let until = idle.min(self.deadline);
        match tokio::time::timeout_at(until, self.news.changed()).await {
            Ok(Ok(())) => Wake::News,
            Ok(Err(_)) => Wake::End(going()),
            Err(_) if until == self.deadline => {
                let what = "the deadline of the stream is over; open another";
                Wake::End(Status::new(Code::DeadlineExceeded, what))
            }
            Err(_) => Wake::Idle,
        }
    }

    /// Whether the process ends, or the client may not listen any more.
    pub fn is_closing(&self) -> bool {
        let world = self.news.borrow();
        world.closing || !world.access.still_holds(&self.grant)
    }

    /// The last frame, once.
    pub fn end(mut self, status: &Status) -> Option<(Frame<Bytes>, Self)> {
        let first = !std::mem::replace(&mut self.ended, true);
        first.then(|| (status.end(), self))
    }

    /// Whether the last frame has gone.
    pub fn is_over(&self) -> bool {
        self.ended
    }
}

/// Why a stream ends that did nothing wrong.
pub fn going() -> Status {
    Status::new(Code::Unavailable, "the server is going; connect again")
}

/// Opens a stream of changes.
pub fn open(call: &Call<'_>) -> Result<Response<Body>, Status> {
    Ok(frame::response(Body::unfold(Line::open(call, "")?, next)))
}

async fn next(mut line: Line) -> Option<(Frame<Bytes>, Line)> {
    if line.is_over() {
        return None;
    }
    loop {
        if line.is_closing() {
            return line.end(&going());
        }
        if let Some(event) = news(&mut line) {
            return Some((Frame::data(event), line));
        }
        match line.wait().await {
            Wake::News => {}
            Wake::Idle => {
                return Some((Frame::data(event("keep_alive", None)), line));
            }
            Wake::End(status) => return line.end(&status),
        }
    }
}

/// What the client does not know yet.
fn news(line: &mut Line) -> Option<Bytes> {
    let world = line.news.borrow_and_update().clone();
    let held = world.sets.get(&line.set);
    let since = held.map_or(world.revision, |set| set.since);
    let seen = line.seen.replace(since);
    let Some(seen) = seen else {
        return Some(event("provider_ready", None));
    };
    if since <= seen {
        return None;
    }
    let change =
        |changes: &BTreeMap<&str, Change>| event("configuration_change", Some(changed(changes)));
    Some(match held {
        None => change(&BTreeMap::new()),
        // Written once for all who have seen the same.
        Some(set) => set.told.flagd.get(seen, || change(&set.news.after(seen, &set.flags))),
    })
}

fn event(kind: &str, data: Option<Struct>) -> Bytes {
    frame::encode(&Event { kind: kind.to_owned(), data })
}

/// `{"flags": {key: {"type": "update"}}}`
fn changed(changes: &BTreeMap<&str, Change>) -> Struct {
    let one = |name: &str, value: Value| Struct { fields: [(name.to_owned(), value)].into() };
    let word = |change: &Change| Value::of(Kind::Text(change.as_str().to_owned()));
    let kinds = changes.iter().map(|(key, change)| {
        let kind = Value::of(Kind::Struct(one("type", word(change))));
        ((*key).to_owned(), kind)
    });
    let flags = Struct { fields: kinds.collect() };
    one("flags", Value::of(Kind::Struct(flags)))
}
