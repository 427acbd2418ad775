//! Changes as they happen: everything first, then only what is new.

use crate::access::Grant;
use crate::body::Body;
use crate::edge::Seat;
use crate::revision::Revision;
use crate::routes::{Call, denied, events, too_many};
use crate::serve::Streaming;
use crate::set::{Change, Set};
use crate::world::World;
use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::Frame;
use serde_json::{Value, json};
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
                    let all = vec![hydration(set)];
                    return Some((event("unleash-connected", since, &all), self));
                }
                Some(seen) if seen < since => {
                    let new = set.map_or_else(|| vec![hydration(None)], |set| updates(set, seen));
                    return Some((event("unleash-updated", since, &new), self));
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

fn event(name: &str, since: Revision, events: &[Value]) -> Frame<Bytes> {
    let data = json!({ "events": events });
    Frame::data(format!("id: {}\nevent: {name}\ndata: {data}\n\n", since.n).into())
}

/// What a client of this tag has: its revision.
pub fn seen(headers: &HeaderMap) -> Option<Revision> {
    let text = headers.get(header::IF_NONE_MATCH)?.to_str().ok()?;
    text.trim_matches('"').split(':').nth(1)?.parse().ok()
}

/// Everything.
pub fn hydration(set: Option<&Set>) -> Value {
    let all = set.and_then(Set::unleash);
    let list = |key: &str| all.as_ref().map_or_else(|| json!([]), |all| all[key].clone());
    json!({
        "type": "hydration",
        "eventId": set.map_or(0, |set| set.since.n),
        "features": list("features"),
        "segments": list("segments"),
    })
}

/// What is new since a revision. Segments never are: features carry theirs.
pub fn updates(set: &Set, seen: Revision) -> Vec<Value> {
    let (id, news) = (set.since.n, set.news.after(seen));
    let Some(all) = set.unleash() else { return Vec::new() };
    let features = || all["features"].as_array().into_iter().flatten();
    let changed = features().filter(|feature| {
        let change = feature["name"].as_str().and_then(|name| news.get(name));
        matches!(change, Some(Change::Write | Change::Update))
    });
    let changed = changed
        .map(|feature| json!({"type": "feature-updated", "eventId": id, "feature": feature}));
    let has = |name: &str| features().any(|feature| feature["name"] == name);
    let gone = news.keys().filter(|name| !has(name)).map(|name| {
        json!({
            "type": "feature-removed", "eventId": id, "featureName": name, "project": "default"
        })
    });
    gone.chain(changed).collect()
}
