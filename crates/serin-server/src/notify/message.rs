//! What people read: one JSON object whose `text` a chat shows as it is.

use crate::control::now;
use serde::Serialize;
use serin_core::{Notice, Occasion, Service, Timestamp};

/// The body of a message.
#[derive(Debug, Serialize)]
struct Message<'a> {
    text: &'a str,
    service: &'a str,
    environment: &'a str,
    event: &'static str,
    rollout: Option<u64>,
    revision: Option<&'a str>,
    reason: &'a str,
    at: String,
    command: &'a str,
    key: &'a str,
}

/// `notice` as JSON.
pub(super) fn body(service: &str, environment: &str, notice: &Notice) -> String {
    let message = Message {
        text: &notice.text,
        service,
        environment,
        event: notice.event.as_str(),
        rollout: notice.rollout,
        revision: notice.revision.as_ref().map(|id| id.version.as_str()),
        reason: &notice.reason,
        at: moment(notice.at),
        command: &notice.command,
        key: &notice.key,
    };
    // There is nothing in it that JSON cannot say.
    serde_json::to_string(&message).unwrap_or_default()
}

/// RFC 3339, in UTC.
fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// A message that says nothing but that messages arrive.
pub(crate) fn test_notice(service: &Service) -> Notice {
    let (at, name) = (now(), &service.name);
    let command = format!("serin status {name}");
    let reason = "a test: messages of this service arrive here".to_owned();
    Notice {
        key: format!("{name}//test/{}/0", at.0),
        to: vec![],
        event: Occasion::Test,
        at,
        rollout: service.rollout.as_ref().map(|rollout| rollout.id),
        revision: service.stable.clone(),
        text: format!("{name}: {reason}; look at it with `{command}`"),
        reason,
        command,
    }
}
