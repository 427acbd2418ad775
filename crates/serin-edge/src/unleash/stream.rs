//! Changes as they happen: everything first, then only what is new.

use crate::access::Grant;
use crate::body::Body;
use crate::edge::Seat;
use crate::revision::Revision;
use crate::routes::{Call, denied, events, too_many};
use crate::serve::Streaming;
use crate::set::Set;
use crate::world::World;
use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::Frame;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Opens a stream.
pub fn open(call: &Call<'_>) -> Response<Body> {
    let set = match call.grant.set(None, &call.world.fallback) {
        Ok(set) => set.to_owned(),
        Err(why) => return denied(why),
    };
    let Some(seat) = call.worker.edge.seat() else { return too_many() };
    let stream = Stream {
        news: call.worker.edge.watch(),
        set,
        grant: call.grant.clone(),
        seen: None,
        _seat: seat,
        _life: Streaming::begin(call.life),
    };
    events(Body::unfold(stream, Stream::next))
}

struct Stream {
    news: watch::Receiver<Arc<World>>,
    set: String,
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
            let set = world.sets.get(&self.set).map(Arc::as_ref);
            let since = set.map_or(world.revision, |set| set.since);
            match self.seen.replace(since) {
                None => {
                    let all = event("unleash-connected", since, &[hydration(set)]);
                    return Some((Frame::data(all), self));
                }
                Some(seen) if seen < since => {
                    let new = set.map_or_else(
                        || event("unleash-updated", since, &[hydration(None)]),
                        |set| set.told.unleash.get(seen, || updated(set, seen)),
                    );
                    return Some((Frame::data(new), self));
                }
                Some(_) => drop(world),
            }
            match tokio::time::timeout(KEEP_ALIVE, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some((Frame::data(Bytes::from_static(b":\n\n")), self)),
            }
        }
    }
}

fn updated(set: &Set, seen: Revision) -> Bytes {
    event("unleash-updated", set.since, &updates(set, seen))
}

fn event(name: &str, since: Revision, events: &[Vec<u8>]) -> Bytes {
    let head = format!("id: {}\nevent: {name}\ndata: ", since.n);
    [head.as_bytes(), &listed(events), b"\n\n"].concat().into()
}

/// Events in a document.
pub fn listed(events: &[Vec<u8>]) -> Vec<u8> {
    [b"{\"events\":[", &*events.join(&b","[..]), b"]}"].concat()
}

/// What a client of this tag has: its revision.
pub fn seen(headers: &HeaderMap) -> Option<Revision> {
    let text = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    text.trim_matches('"').split(':').nth(1)?.parse().ok()
}

/// Everything.
pub fn hydration(set: Option<&Set>) -> Vec<u8> {
    let id = set.map_or(0, |set| set.since.n);
    let features = set.and_then(Set::features).unwrap_or(Bytes::from_static(b"[]"));
    let head = format!("{{\"type\":\"hydration\",\"eventId\":{id},\"features\":");
    [head.as_bytes(), &features, b",\"segments\":[]}"].concat()
}

/// What is new since a revision. Segments never are: features carry theirs.
pub fn updates(set: &Set, seen: Revision) -> Vec<Vec<u8>> {
    let (id, news) = (set.since.n, set.news.after(seen, &set.flags));
    let (changed, gone): (Vec<_>, Vec<_>) =
        news.keys().map(|name| (*name, set.feature(name))).partition(|(_, now)| now.is_some());
    let gone = gone.into_iter().map(|(name, _)| {
        let event = json!({
            "type": "feature-removed", "eventId": id, "featureName": name, "project": "default"
        });
        event.to_string().into_bytes()
    });
    let changed = changed.into_iter().filter_map(|(_, feature)| {
        let head = format!("{{\"type\":\"feature-updated\",\"eventId\":{id},\"feature\":");
        Some([head.as_bytes(), feature?.as_bytes(), b"}"].concat())
    });
    gone.chain(changed).collect()
}
