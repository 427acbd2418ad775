//! Flags that requests carry: evaluated once for each request, told to the app in a header, and
//! counted by arm where a release is judged by them.
//!
//! A release is counted under its own name and generation, apart from the service that carries it:
//! the two draws are independent, so neither says anything about the other. The unit is whoever
//! the flag is bucketed by, once in a window, as with affinity.

mod token;

use crate::affinity::{self, Salted, User};
use crate::count::ArmCount;
use crate::steer::Goal;
use crate::wire::{self, Generation, Role, Source, TextMatch, flag_header, folded_key};
use fastrand::Rng;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use serin_flags::{Arm, Context, Datum, Definition, FlagSet, PathTest, Release, SetDefinition};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Bytes of a value that count.
const MAX_VALUE: usize = 4096;
/// Longest window in which a user counts once, in seconds.
const MAX_WINDOW_S: u32 = wire::MAX_WINDOW_S;
/// Flags evaluated for one request; further ones are left out.
const MAX_FLAGS: usize = wire::MAX_CARRIED;

/// A set of flags, ready to be asked.
pub struct Compiled {
    /// As it was written.
    pub definition: Arc<SetDefinition>,
    /// As it is evaluated.
    pub flags: Arc<FlagSet>,
}

/// All sets, by name.
pub type Sets = BTreeMap<String, Compiled>;

/// A release that is judged by a service's requests.
pub struct Watched<'a> {
    /// Key of the flag.
    pub key: &'a str,
    /// Where it is counted.
    pub service: &'a str,
    /// Under which generation.
    pub generation: Generation,
    /// Treatment, then control.
    pub arms: [wire::Arm; 2],
    /// Seconds in which a user counts once.
    pub window_s: u64,
    /// The attribute that is bucketed, where it is not the targeting key.
    bucket_by: Option<&'a str>,
    /// What counts as success.
    goal: Option<&'a serin_flags::Goal>,
    /// Its evidence is what apps report.
    pub reported: bool,
}

/// Releases of `set` that are judged by the requests of `carrier`.
pub fn watched<'a>(
    set: &'a SetDefinition,
    carrier: &'a str,
) -> impl Iterator<Item = Watched<'a>> + 'a {
    let all = set.flags.iter().filter_map(move |(key, flag)| watch(key.as_str(), flag, carrier));
    all.filter(|watched| !watched.reported)
}

/// Keys of flags that were released by the requests of `carrier`, over or not: the app relies on
/// being told of them.
pub fn carried_by<'a>(
    set: &'a SetDefinition,
    carrier: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let mine = |flag: &Definition| flag.carried_by.as_deref() == Some(carrier);
    set.flags.iter().filter(move |(_, flag)| mine(flag)).map(|(key, _)| key.to_string())
}

/// The release of one flag, whoever's requests it is judged by.
pub fn watched_one<'a>(key: &'a str, flag: &'a Definition) -> Option<Watched<'a>> {
    let judged = flag.release.as_ref()?.judged.as_ref()?;
    watch(key, flag, &judged.carrier)
}

fn watch<'a>(key: &'a str, flag: &'a Definition, carrier: &str) -> Option<Watched<'a>> {
    let release = flag.release.as_ref()?;
    let judged = release.judged.as_ref().filter(|judged| judged.carrier == carrier)?;
    let (epoch, n) = release.generation.split_once('.')?;
    let arm = |revision: &str, role, weight| wire::Arm {
        revision: revision.to_owned(),
        role,
        weight,
        backends: Vec::new(),
    };
    Some(Watched {
        key,
        service: &judged.service,
        generation: Generation { epoch: epoch.parse().ok()?, n: n.parse().ok()? },
        arms: [
            arm(&judged.on, Role::Candidate, part(release)),
            arm(&judged.off, Role::Stable, wire::WEIGHT_TOTAL.saturating_sub(part(release))),
        ],
        window_s: u64::from(judged.window_s.clamp(1, MAX_WINDOW_S)),
        bucket_by: flag.bucket_by.as_deref(),
        goal: judged.goal.as_ref(),
        reported: judged.reported,
    })
}

fn part(release: &Release) -> u32 {
    release.arm.min(wire::WEIGHT_TOTAL)
}

/// Where the two arms of a release are counted in one worker.
pub struct Counted {
    treatment: Rc<ArmCount>,
    control: Rc<ArmCount>,
    salt: Salted,
    bucket_by: Option<String>,
    goal: Option<Rc<Goal>>,
}

impl Watched<'_> {
    /// The treatment or the control.
    pub fn arm(&self, arm: Arm) -> &wire::Arm {
        let [treatment, control] = &self.arms;
        match arm {
            Arm::Treatment => treatment,
            Arm::Control => control,
        }
    }

    /// The attribute that is bucketed, where it is not the targeting key.
    pub fn bucket_by(&self) -> Option<&str> {
        self.bucket_by
    }

    /// Whether users are drawn by what they are called.
    pub fn is_by_user(&self) -> bool {
        self.bucket_by.is_none()
    }
}

impl Counted {
    /// The counters of `watched`, as `count` finds them.
    pub fn new(watched: &Watched<'_>, mut count: impl FnMut(&wire::Arm) -> Rc<ArmCount>) -> Self {
        let [treatment, control] = watched.arms.each_ref().map(&mut count);
        let bucket_by = watched.bucket_by.map(str::to_owned);
        let goal = watched.goal.and_then(|goal| Goal::new(&wired(goal))).map(Rc::new);
        Self { treatment, control, salt: Salted::new(watched.service), bucket_by, goal }
    }

    fn part(&self, arm: Arm, context: &Context<'_>) -> Option<Part> {
        let who = context.targeting_key();
        let unit = unit(self.bucket_by.as_deref(), context)?;
        let count = match arm {
            Arm::Treatment => &self.treatment,
            Arm::Control => &self.control,
        };
        let user = self.salt.user(unit.as_bytes());
        let who = who.map_or(user, |who| self.salt.user(who.as_bytes()));
        Some(Part { count: count.clone(), user, who, goal: self.goal.clone() })
    }
}

/// Whom a flag is drawn for: the value of `bucket_by`, else the targeting key.
pub fn unit<'a>(bucket_by: Option<&str>, context: &'a Context<'_>) -> Option<Cow<'a, str>> {
    let value = bucket_by.and_then(|name| context.get(name)).and_then(plain);
    value.or_else(|| context.targeting_key().map(Cow::Borrowed))
}

/// A goal of a flag as one of a route.
fn wired(goal: &serin_flags::Goal) -> wire::Goal {
    let path = match goal.path.clone() {
        PathTest::Exact(text) => TextMatch::Exact(text),
        PathTest::Prefix(text) => TextMatch::Prefix(text),
        PathTest::Regex(text) => TextMatch::Regex(text),
        PathTest::Present => TextMatch::Present,
    };
    wire::Goal { method: goal.method.clone(), path }
}

fn plain<'a>(datum: &'a Datum<'_>) -> Option<Cow<'a, str>> {
    match datum {
        Datum::Text(text) => Some(Cow::Borrowed(text)),
        Datum::Int(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// A request's part in a release.
pub struct Part {
    /// The arm.
    pub count: Rc<ArmCount>,
    /// Who counts once.
    pub user: User,
    /// Who must not be seen in both arms.
    pub who: User,
    /// What counts as success there.
    pub goal: Option<Rc<Goal>>,
}

struct One {
    key: String,
    header: HeaderName,
    counted: Option<Counted>,
}

/// The flags of one service, in one worker.
pub struct Carried {
    flags: Arc<FlagSet>,
    all: Vec<One>,
    user: Source,
    attributes: Vec<(String, Source)>,
    token: Option<HeaderName>,
}

impl Carried {
    /// Of the flags of `carrier`, each with the counters it may have. `None` when there is nothing to
    /// carry.
    pub fn new(
        carrier: &str,
        wire: &wire::Flags,
        set: &Compiled,
        mut counted: BTreeMap<String, Counted>,
    ) -> Option<Self> {
        let mut keys: Vec<String> = counted.keys().cloned().collect();
        keys.extend(wire.keys.iter().cloned());
        keys.extend(carried_by(&set.definition, carrier));
        // Those under release come first; each is told once, and of two that an app could not tell
        // apart, one.
        let mut seen = BTreeSet::new();
        let one = |key: String| {
            let header = flag_header(&key).filter(|_| seen.insert(folded_key(&key)))?;
            let counted = counted.remove(&key);
            Some(One { key, header, counted })
        };
        let all: Vec<One> = keys.into_iter().filter_map(one).take(MAX_FLAGS).collect();
        let claims = wire.attributes.values().chain([&wire.user]);
        let claims = claims.into_iter().any(|source| matches!(source, Source::Claim(_)));
        let attributes = wire.attributes.iter();
        (!all.is_empty()).then(|| Self {
            flags: set.flags.clone(),
            all,
            user: wire.user.clone(),
            attributes: attributes.map(|(name, from)| (name.clone(), from.clone())).collect(),
            token: wire.token.parse().ok().filter(|_| claims),
        })
    }

    /// The cookie for a user who has none yet, where users are told apart by one. `held` is the
    /// one that affinity gives already.
    pub fn welcome(
        &self,
        headers: &HeaderMap,
        held: Option<&HeaderValue>,
        rng: &mut Rng,
    ) -> Option<HeaderValue> {
        let Source::Cookie(name) = &self.user else { return None };
        let known = affinity::cookie(headers, name).is_some();
        let coming = held.is_some_and(|held| affinity::given(held, name).is_some());
        if known || coming { None } else { affinity::cookie_for(name, &affinity::new_id(rng)) }
    }

    /// Adds a newcomer's cookie to the response.
    pub fn give(&self, cookie: HeaderValue, headers: &mut HeaderMap) {
        if let Source::Cookie(name) = &self.user {
            affinity::give(name, cookie, headers);
        }
    }

    /// Evaluates every flag, tells the app, and says where the request counts. `newcomer` is the
    /// cookie that the response will give.
    pub fn evaluate(
        &self,
        headers: &mut HeaderMap,
        newcomer: Option<&HeaderValue>,
        now_s: i64,
    ) -> Vec<Part> {
        let mut told = Vec::with_capacity(self.all.len());
        let mut parts = Vec::new();
        let claims = self.token.as_ref().and_then(|token| token::claims(headers.get(token)?));
        let context = self.context(headers, newcomer, claims.as_ref());
        for one in &self.all {
            let Ok(resolved) = self.flags.evaluate(&one.key, &context, now_s) else { continue };
            let variant = resolved.variant.and_then(|name| HeaderValue::from_str(name).ok());
            told.extend(variant.map(|variant| (one.header.clone(), variant)));
            let counted = one.counted.as_ref().zip(resolved.arm);
            parts.extend(counted.and_then(|(counted, arm)| counted.part(arm, &context)));
        }
        drop(context);
        headers.extend(told);
        parts
    }

    fn context<'a>(
        &self,
        headers: &'a HeaderMap,
        newcomer: Option<&'a HeaderValue>,
        claims: Option<&'a Value>,
    ) -> Context<'a> {
        let mut context = Context::new();
        let from = |source: &Source| value(source, headers, claims);
        for (name, source) in &self.attributes {
            if let Some(datum) = from(source) {
                context.set(name.clone(), datum);
            }
        }
        let new = || match &self.user {
            Source::Cookie(name) => text(affinity::given(newcomer?, name)?).map(Datum::Text),
            _ => None,
        };
        if let Some(key) = from(&self.user).or_else(new).as_ref().and_then(plain) {
            context.set_targeting_key(key.into_owned());
        }
        context
    }
}

fn value<'a>(
    source: &Source,
    headers: &'a HeaderMap,
    claims: Option<&'a Value>,
) -> Option<Datum<'a>> {
    match source {
        Source::Header(name) => {
            let value = headers.get(name)?.as_bytes().trim_ascii();
            text(value).map(Datum::Text)
        }
        Source::Cookie(name) => text(affinity::cookie(headers, name)?).map(Datum::Text),
        Source::Claim(name) => Datum::from_value(claims?.get(name)?),
    }
}

fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let short = Some(value).filter(|value| !value.is_empty() && value.len() <= MAX_VALUE)?;
    std::str::from_utf8(short).ok().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests;
