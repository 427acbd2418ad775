//! What somebody asked for and others must agree to. Pure.

use super::Due;
use crate::api::view::FlagRollout;
use serde::{Deserialize, Serialize};
use serin_flags::{Definition, SetDefinition, Timestamp};

/// Something that was asked for and needs others to agree.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// Its number.
    pub id: u64,
    /// The set.
    pub set: String,
    /// The flag; empty for the set itself.
    pub key: String,
    /// Who asked for it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// When it lapses if nobody answers.
    pub ends: Timestamp,
    /// How many must agree.
    pub count: u32,
    /// Whether the one who asked may be one of them.
    #[serde(default)]
    pub own: bool,
    /// Who agreed.
    #[serde(default)]
    pub agreed: Vec<Agreement>,
    /// What became of it.
    #[serde(flatten)]
    pub state: RequestState,
    /// What was asked for.
    pub what: Requested,
}

/// That somebody agreed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum RequestState {
    /// It waits.
    Pending,
    /// It was done.
    Approved {
        /// The number of the change, where it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<u64>,
    },
    /// Somebody refused it, or whoever asked took it back.
    Rejected {
        /// Who, when and why.
        answer: Agreement,
    },
    /// Nobody answered in time.
    Lapsed,
    /// The flag was changed meanwhile: it is not what people would agree to any more.
    Outdated,
}

/// What was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Requested {
    /// A flag becomes another.
    Change {
        /// The word in the history.
        verb: String,
        /// The flag as it was; none: there was none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<Box<Definition>>,
        /// The flag as it shall be; none: it goes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Box<Definition>>,
    },
    /// Changes to come.
    Schedule {
        /// By time.
        due: Vec<Due>,
    },
    /// A guarded release.
    Release {
        /// As it was asked for.
        rollout: Box<FlagRollout>,
    },
    /// Something of the set beside its flags.
    Set {
        /// The set without its flags as it was.
        before: Box<SetDefinition>,
        /// As it shall be.
        after: Box<SetDefinition>,
    },
}

impl Request {
    /// Whether it waits.
    pub fn is_pending(&self) -> bool {
        self.state == RequestState::Pending
    }

    /// How many more must agree.
    pub fn lacking(&self) -> u32 {
        self.count.saturating_sub(self.agreed.len() as u32)
    }

    /// Why this person cannot agree to it, if so.
    pub fn refuses(&self, by: &str) -> Option<(String, &'static str)> {
        if let Some(why) = self.over() {
            return Some((why, "`serin flag pending` lists what waits"));
        }
        if by == self.by && !self.own {
            let why = format!("{by} asked for it, and somebody else has to agree");
            return Some((why, "ask another person"));
        }
        let twice = self.agreed.iter().any(|one| one.by == by);
        twice.then(|| (format!("{by} has agreed already"), "ask another person"))
    }

    /// What became of it, if it does not wait any more.
    pub fn over(&self) -> Option<String> {
        let what = match &self.state {
            RequestState::Pending => return None,
            RequestState::Approved { .. } => "was approved already".to_owned(),
            RequestState::Rejected { answer } => format!("was rejected by {}", answer.by),
            RequestState::Lapsed => format!("lapsed at {}: nobody answered in time", self.ends),
            RequestState::Outdated => "is outdated: the flag was changed meanwhile".to_owned(),
        };
        Some(format!("request {} {what}", self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            id: 7,
            set: "production".into(),
            key: "a".into(),
            by: "ada".into(),
            reason: None,
            at: Timestamp(0),
            ends: Timestamp(100),
            count: 2,
            own: false,
            agreed: vec![],
            state: RequestState::Pending,
            what: Requested::Schedule { due: vec![] },
        }
    }

    fn agreement(by: &str) -> Agreement {
        Agreement { by: by.into(), at: Timestamp(1), reason: None }
    }

    #[test]
    fn nobody_agrees_to_what_they_asked_for_or_twice() {
        let mut request = request();
        assert!(request.refuses("ada").unwrap().0.contains("somebody else"));
        assert_eq!((request.refuses("bob"), request.lacking()), (None, 2));
        request.agreed.push(agreement("bob"));
        assert!(request.refuses("bob").unwrap().0.contains("already"));
        assert_eq!((request.refuses("eve"), request.lacking()), (None, 1));
        request.own = true;
        assert_eq!(request.refuses("ada"), None);
    }

    #[test]
    fn what_is_over_takes_no_word_and_reads_back() {
        for state in [
            RequestState::Approved { change: Some(3) },
            RequestState::Rejected { answer: agreement("bob") },
            RequestState::Lapsed,
            RequestState::Outdated,
        ] {
            let request = Request { state: state.clone(), ..request() };
            assert!(request.refuses("eve").unwrap().0.starts_with("request 7 "), "{state:?}");
            let text = serde_json::to_string(&request).unwrap();
            let read: Request = serde_json::from_str(&text).unwrap();
            assert_eq!((read.state, read.id), (state, 7), "{text}");
        }
    }
}
