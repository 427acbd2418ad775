//! The event stream: says that there is something new, not what.

use crate::body::Body;
use crate::clock::now_s;
use crate::edge::Seat;
use crate::revision::Revision;
use crate::routes::{denied, events, query, too_many};
use crate::serve::{Life, Streaming, Worker};
use crate::set::Set;
use crate::world::World;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use http_body::Frame;
use serde_json::json;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Where it is.
pub const PATH: &str = "/ofrep/v1/stream";
/// A word is said at least so often, so that nobody between thinks the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// What answers with all flags say of it: a path only, so that it works behind proxies.
pub fn offer(set: &Set, token: &str, inactivity_s: u32) -> String {
    let name = set.name().bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    });
    let uri = format!("{PATH}?set={name}&since={}&token={token}", set.since);
    format!(
        ",\"eventStreams\":[{{\"type\":\"sse\",\"endpoint\":{{\"requestUri\":\"{uri}\"}},\
         \"inactivityDelaySec\":{inactivity_s}}}]"
    )
}

/// Opens a stream.
pub fn answer(worker: &Rc<Worker>, life: &Rc<Life>, parts: &Parts) -> Response<Body> {
    let text = parts.uri.query().unwrap_or_default();
    let find = |name| query(text, name).next().unwrap_or_default();
    let (set, token) = (find("set"), find("token"));
    if !worker.edge.signer.is_good(&set, &token, now_s()) {
        return denied(crate::access::Denied::Unknown);
    }
    let Some(seat) = worker.edge.seat() else { return too_many() };
    // What a client had when it was cut off counts; one that never was has what it was given
    // together with the address.
    let seen = last_event(&parts.headers).or_else(|| find("since").parse().ok());
    let stream = Stream {
        news: worker.edge.watch(),
        set,
        seen: seen.unwrap_or_default(),
        begun: false,
        _seat: seat,
        _life: Streaming::begin(life),
    };
    events(Body::unfold(stream, Stream::next))
}

fn last_event(headers: &HeaderMap) -> Option<Revision> {
    Some(headers.get("last-event-id")?.to_str().ok()?.parse().unwrap_or_default())
}

struct Stream {
    news: watch::Receiver<Arc<World>>,
    set: String,
    seen: Revision,
    begun: bool,
    _seat: Seat,
    _life: Streaming,
}

impl Stream {
    async fn next(mut self) -> Option<(Frame<Bytes>, Self)> {
        loop {
            let ControlFlow::Continue(news) = self.look() else { return None };
            if let Some(event) = news {
                self.begun = true;
                return Some((Frame::data(event), self));
            }
            if !self.begun {
                self.begun = true;
                let hello = format!("id: {}\nretry: 1000\n\n", self.seen);
                return Some((Frame::data(hello.into()), self));
            }
            match tokio::time::timeout(KEEP_ALIVE, self.news.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some((Frame::data(Bytes::from_static(b":\n\n")), self)),
            }
        }
    }

    /// What is new; nothing more comes at the end of the process. The event is written once for all
    /// streams.
    fn look(&mut self) -> ControlFlow<(), Option<Bytes>> {
        let world = self.news.borrow_and_update();
        if world.closing {
            return ControlFlow::Break(());
        }
        let set = world.sets.get(&self.set);
        let since = set.map_or(world.revision, |set| set.since);
        if since <= self.seen {
            return ControlFlow::Continue(None);
        }
        self.seen = since;
        ControlFlow::Continue(Some(match set {
            None => refetch(since),
            Some(set) => set.told.ofrep.get((), || refetch(since)),
        }))
    }
}

fn refetch(since: Revision) -> Bytes {
    let data = json!({
        "type": "refetchEvaluation",
        "etag": format!("\"{since}\""),
        "lastModified": now_s(),
    });
    format!("id: {since}\nevent: message\ndata: {data}\n\n").into()
}
