//! Documents about changes of flags that others must agree to, and about flags on their way out.

use crate::flags::words;
pub use crate::flags::{
    Agreement, Difference, PassedStage, Request, RequestState, Requested, RetireStage, Retirement,
    Scanned,
};
use crate::flags::{differences, seconds};
use serde::{Deserialize, Serialize};

/// Something that others must agree to, `GET /api/v1/flag-requests/{id}`; also the answer, with
/// status 202, to a change that has to wait.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagRequest {
    /// `serin.flag-request/v1`.
    pub schema: String,
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// What would be done, as a sentence.
    pub says: String,
    /// How many more must agree.
    pub lacking: u32,
    /// What would be different, field by field.
    pub differences: Vec<Difference>,
    /// Whether the data plane has it on its disk, once it is done.
    #[serde(default)]
    pub pushed: bool,
}

/// Requests of a set, the newest first, `GET /api/v1/flag-requests`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlagRequests {
    /// `serin.flag-requests/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// Those that wait; all of them when that was asked for.
    pub requests: Vec<FlagRequest>,
}

impl FlagRequest {
    /// A request as people look at it.
    pub(crate) fn of(request: Request) -> Self {
        let (says, differences) = told(&request);
        Self {
            schema: super::schema_of("flag-request"),
            says,
            differences,
            lacking: request.lacking(),
            pushed: false,
            request,
        }
    }
}

fn told(request: &Request) -> (String, Vec<Difference>) {
    match &request.what {
        Requested::Change { verb, before, after } => {
            let serving = |flag: &Option<Box<serin_flags::Definition>>| {
                flag.as_ref().map_or_else(|| "there is no flag".into(), |flag| words::serving(flag))
            };
            let (old, new) = (serving(before), serving(after));
            let says = if old == new { old } else { format!("{old} -> {new}") };
            (format!("{verb}: {says}"), differences(before, after))
        }
        Requested::Set { before, after } => {
            ("what the set says of all its flags".into(), differences(before, after))
        }
        Requested::Schedule { due } => {
            let what = |due: &super::Due| {
                let when = due.trigger.as_ref().map(super::Trigger::words);
                let when = when.unwrap_or_else(|| due.at.to_string());
                format!("{} {when}", due.wish.verb())
            };
            (due.iter().map(what).collect::<Vec<_>>().join("; "), vec![])
        }
        Requested::Release { rollout } => {
            let to = rollout.to.as_deref().unwrap_or("the first variant");
            (format!("a guarded release of {to}, judged by {}", rollout.service), vec![])
        }
    }
}

/// Which requests are wanted.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct WantedRequests {
    /// Of one flag only.
    pub(crate) key: Option<String>,
    /// Also those that were answered.
    #[serde(default)]
    pub(crate) all: bool,
}

/// How far a flag is on its way out, `GET /api/v1/flags/{key}/retirement`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlagRetirement {
    /// `serin.flag-retirement/v1`.
    pub schema: String,
    /// The set.
    pub set: String,
    /// The flag.
    pub key: String,
    /// Whether it was put away.
    pub archived: bool,
    /// Where it is; none: it is not on its way out.
    pub retirement: Option<Retirement>,
    /// What comes next.
    pub next: String,
    /// Why that has to wait; nothing: it can be done now.
    pub waits: Vec<String>,
}

impl FlagRetirement {
    /// Of one flag.
    pub(crate) fn of(
        flags: &crate::flags::Flags,
        set: &str,
        key: &str,
    ) -> Result<Self, crate::flags::FlagError> {
        let (key, flag, _) = flags.flag(set, key)?;
        let retirement = flags.retirement(set, key.as_str()).cloned();
        let archived = flag.archived_at.is_some();
        let next = match &retirement {
            _ if archived => "nothing: it was put away".to_owned(),
            Some(one) => one.next(),
            None => format!("everybody gets `{}`, for good", flag.off_variant),
        };
        let waits = flags.retirement_waits(set, key.as_str());
        let (schema, set, key) =
            (super::schema_of("flag-retirement"), set.to_owned(), key.to_string());
        Ok(Self { schema, set, key, archived, retirement, next, waits })
    }

    /// How long the present stage has lasted, in seconds.
    pub fn lasted_s(&self) -> Option<i64> {
        self.retirement.as_ref().map(|one| seconds().0 - one.since.0)
    }
}

/// `POST /api/v1/flags/{key}/retirement`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RetireRequest {
    /// Who and why.
    #[serde(flatten)]
    pub asking: super::Asking,
    /// `start`, `next`, `cancel`; none: only what was found in the code is told.
    #[serde(rename = "do", skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// `start`: the variant whose code stays; the off variant unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<String>,
    /// `start`: flags that drive its work in the background.
    pub background: Vec<String>,
    /// `start`: seconds that each stage is watched; a day unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_s: Option<u32>,
    /// Mentions of the flag in the code, if somebody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<u64>,
}
