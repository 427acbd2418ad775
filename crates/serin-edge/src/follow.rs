//! What another Serin follows: the whole table, one line of JSON each time it changes, or for who
//! asks so the one flag that changed. Unlike the documents of flagd's sync service it has
//! everything, also what only Serin evaluates.

use crate::access::Grant;
use crate::body::Body;
use crate::edge::Seat;
use crate::revision::Revision;
use crate::routes::{Call, denied, query, too_many};
use crate::serve::Streaming;
use crate::set::Source;
use crate::table::{Table, Upsert};
use crate::world::World;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use serde::Serialize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// Where it is.
pub const PATH: &str = "/serin/v1/flags/follow";
/// In the query: a change of one flag is sent as that ([`Upsert`]), for who has what was before.
pub const CHANGES: &str = "changes";
/// An empty line is sent at least so often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Opens a stream of tables.
pub fn answer(call: &Call<'_>) -> Response<Body> {
    if let Err(why) = call.grant.backend() {
        return denied(why);
    }
    let Some(seat) = call.worker.edge.seat() else { return too_many() };
    let asked = call.parts.uri.query().unwrap_or_default();
    let stream = Stream {
        news: call.worker.edge.watch(),
        grant: call.grant.clone(),
        seen: None,
        wants_changes: query(asked, CHANGES).next().is_some(),
        _seat: seat,
        _life: Streaming::begin(call.life),
    };
    let mut response = Response::new(Body::unfold(stream, Stream::next));
    let kind = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

struct Stream {
    news: watch::Receiver<Arc<World>>,
    grant: Grant,
    seen: Option<Revision>,
    /// Whether it takes one flag for what it is.
    wants_changes: bool,
    _seat: Seat,
    _life: Streaming,
}

impl Stream {
    async fn next(mut self) -> Option<(Frame<Bytes>, Self)> {
        loop {
            let world = self.news.borrow_and_update().clone();
            if world.closing || !world.access.still_holds(&self.grant) {
                return None;
            }
            let seen = self.seen.replace(world.revision);
            if seen != Some(world.revision) {
                let line = self.line(&world, seen)?;
                return Some((Frame::data(line), self));
            }
            drop(world);
            match tokio::time::timeout(KEEP_ALIVE, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some((Frame::data(Bytes::from_static(b"\n")), self)),
            }
        }
    }
}

impl Stream {
    /// What a follower who has `seen` a revision is sent.
    fn line(&self, world: &World, seen: Option<Revision>) -> Option<Bytes> {
        if self.grant.only.is_some() {
            return written(&shown(world, &self.grant));
        }
        let step = world.lines.change.as_ref().filter(|_| self.wants_changes);
        if let Some((change, line)) = step.filter(|(change, _)| Some(change.base) == seen) {
            return line.get_or_init(|| written(change)).clone();
        }
        world.lines.whole.get_or_init(|| written(&shown(world, &self.grant))).clone()
    }
}

/// A line of JSON.
fn written(what: &impl Serialize) -> Option<Bytes> {
    let mut line = serde_json::to_vec(what).ok()?;
    line.push(b'\n');
    Some(line.into())
}

/// What followers who may see everything are sent, written once for all of them.
#[derive(Default)]
pub struct Lines {
    whole: OnceLock<Option<Bytes>>,
    /// The one flag that changed.
    change: Option<(Upsert, OnceLock<Option<Bytes>>)>,
}

impl Lines {
    /// After one flag was changed.
    pub fn after(change: &Upsert) -> Self {
        Self { whole: OnceLock::new(), change: Some((change.clone(), OnceLock::new())) }
    }
}

/// What the holder of a token may have: the hashes of tokens only with one for every set.
fn shown(world: &World, grant: &Grant) -> Table {
    let may = |name: &str| grant.only.as_deref().is_none_or(|only| only == name);
    let sets = world.sets.values().filter(|set| may(set.name()));
    let sets = sets.filter_map(|set| match &set.source {
        Source::Written(definition) => Some(definition.clone()),
        Source::Document { .. } => None,
    });
    let tokens = if grant.only.is_none() { world.frame.tokens.clone() } else { Vec::new() };
    Table { sets: sets.collect(), tokens, listen: Vec::new(), ..Table::clone(&world.frame) }
}
