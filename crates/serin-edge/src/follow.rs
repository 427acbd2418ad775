//! What another Serin follows: the whole table, one line of JSON each time it changes. Unlike the
//! documents of flagd's sync service it has everything, also what only Serin evaluates.

use crate::access::Grant;
use crate::body::Body;
use crate::edge::Seat;
use crate::revision::Revision;
use crate::routes::{Call, denied, too_many};
use crate::serve::Streaming;
use crate::set::Source;
use crate::table::Table;
use crate::world::World;
use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body::Frame;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where it is.
pub const PATH: &str = "/serin/v1/flags/follow";
/// An empty line is sent at least so often.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Opens a stream of tables.
pub fn answer(call: &Call<'_>) -> Response<Body> {
    if let Err(why) = call.grant.backend() {
        return denied(why);
    }
    let Some(seat) = call.worker.edge.seat() else { return too_many() };
    let stream = Stream {
        news: call.worker.edge.watch(),
        grant: call.grant.clone(),
        seen: None,
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
            if self.seen.replace(world.revision) != Some(world.revision) {
                let table = shown(&world, &self.grant);
                let mut line = serde_json::to_vec(&table).ok()?;
                line.push(b'\n');
                return Some((Frame::data(line.into()), self));
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
