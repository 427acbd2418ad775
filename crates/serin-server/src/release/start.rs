//! Begins the release of a flag.

use crate::api::error::ApiError;
use crate::api::view::{AppliedService, FlagRequest, FlagRollout};
use crate::api::write::actor;
use crate::control::{Core, Handle, now};
use crate::flags::{Act, Who, on_variant, seconds};
use axum::http::StatusCode;
use serin_core::{
    Actor, Ask, DeployAsk, Digest, Event, FlagEvidence, FlagSpec, IdError, Millis, RevisionId,
    Schedule, Service, ServiceName, ServiceSpec, Step, Version,
};
use serin_flags::{Definition, FlagKey, State};
use serin_local::wire;
use serin_spec::Source;
use std::path::Path;

/// Time in which a user counts once unless said.
const WINDOW: Millis = Millis::secs(60);
/// What a strategy stands in while it is read.
const FRAME: &str = "apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: flag }
spec:
  run: { command: [\"/bin/true\", \"$(PORT)\"] }
  traffic: { listen: \"127.0.0.1:1\", affinity: { cookie: serin } }
  strategy:
";

/// `POST /api/v1/flag-rollouts`.
///
/// # Errors
/// When the flag, the service or the steps are not fit for it; then nothing was changed.
pub(crate) async fn start(handle: &Handle, request: FlagRollout) -> Result<Begun, ApiError> {
    let schedule = schedule(&request.strategy)?;
    let begun = handle.ask(move |core| match core.waits_for_approval(&request, &schedule)? {
        Some(id) => Ok(Begun::Waits(Box::new(core.flags.request_view(id)?))),
        None => core.begin_release(&request, schedule).map(Begun::Started),
    });
    begun.await.ok_or_else(ApiError::ending)?
}

/// What became of the wish for a release.
pub(crate) enum Begun {
    /// It is under way, or waits for the one before.
    Started(AppliedService),
    /// Others must agree first.
    Waits(Box<FlagRequest>),
}

/// The steps of a strategy, in the words of a service's file.
fn schedule(strategy: &str) -> Result<Schedule, ApiError> {
    let mut text = FRAME.to_owned();
    for line in strategy.lines() {
        text.push_str("    ");
        text.push_str(line);
        text.push('\n');
    }
    let source = Source { name: "strategy", text: &text, base_dir: Path::new("/") };
    let loaded = serin_spec::load(&source).map_err(|problems| {
        let title = "the steps of the release cannot be read";
        ApiError::invalid(title)
            .detail(problems.render(&source, false))
            .hint("write them as under `strategy` in serin.yaml: `canary: { steps: [...] }`")
    })?;
    let spec = loaded.services.into_iter().next().map(|service| service.value);
    let schedule = spec.map(|spec| spec.schedule).ok_or_else(ApiError::ending)?;
    let unfit = schedule.steps().find_map(|(_, step)| needs_instances(step));
    match unfit {
        Some(word) => {
            let title = format!("a flag cannot take the step `{word}`: no instance runs it");
            let hint = "use setWeight, bake, pause, expose, approval, and experiment between two \
                        variants";
            Err(ApiError::invalid(title).hint(hint))
        }
        None if !schedule.only.is_empty() => {
            let title = "a flag's release cannot pick users by a header";
            Err(ApiError::invalid(title).hint("leave out `by: header` and `match`"))
        }
        None => Ok(Schedule { warm_up: Millis(0), keep_old: Millis(0), ..schedule.into_inner() }),
    }
}

fn needs_instances(step: &Step) -> Option<&'static str> {
    match step {
        Step::SetScale(_) => Some("setCanaryScale"),
        Step::SetHeaderRoute(_) => Some("setHeaderRoute"),
        Step::SetMirror(_) => Some("setMirrorRoute"),
        Step::Run(_) => Some("run"),
        Step::Experiment(trial) if !trial.variants.is_empty() => Some("experiment: { variants }"),
        _ => None,
    }
}

/// What is to be released, found to be fit.
struct Wanted {
    key: FlagKey,
    flag: Definition,
    spec: ServiceSpec,
    revision: RevisionId,
}

impl Core {
    /// Remembers a release that others must agree to; none: nobody has to. What is not fit is
    /// refused now.
    fn waits_for_approval(
        &mut self,
        request: &FlagRollout,
        schedule: &Schedule,
    ) -> Result<Option<u64>, ApiError> {
        if request.dry_run || !self.flags.demands(&request.set, &request.key) {
            return Ok(None);
        }
        self.fit(request, schedule.clone())?;
        let by = actor(request.asking.actor.as_deref());
        let who = Who { by: &by.0, reason: request.asking.reason.as_deref(), at: seconds() };
        Ok(Some(self.ask_for_release(request, who)?))
    }

    /// Begins a release that others agreed to.
    ///
    /// # Errors
    /// When it is not fit any more; then nothing was changed.
    pub(crate) fn begin_agreed(
        &mut self,
        request: &FlagRollout,
        approved_by: &str,
    ) -> Result<(), ApiError> {
        let schedule = schedule(&request.strategy)?;
        let mut request = request.clone();
        let why = request.asking.reason.map(|why| format!("{why}; ")).unwrap_or_default();
        request.asking.reason = Some(format!("{why}approved by {approved_by}"));
        self.begin_release(&request, schedule).map(drop)
    }

    fn begin_release(
        &mut self,
        request: &FlagRollout,
        schedule: Schedule,
    ) -> Result<AppliedService, ApiError> {
        let Wanted { key, flag, spec, revision } = self.fit(request, schedule)?;
        let everybody = spec.flag.as_ref().map(|flag| flag.off.version.to_string());
        let name = spec.name.clone();
        let by = actor(request.asking.actor.as_deref());
        let reason = request.asking.reason.clone();
        let deploy = DeployAsk {
            spec,
            revision: revision.clone(),
            allow_bad: request.allow_bad,
            departure: None,
            skips: serin_core::Skips::Nothing,
        };
        let ask = Ask::Deploy(Box::new(deploy));
        let event = Event::Asked { by: by.clone(), reason: reason.clone(), ask };
        let before = self.executor.service(&name).cloned();
        if !request.dry_run {
            self.let_in(&name, &by, before.as_ref(), &revision);
        }
        let next = self.executor.preview(&name, &event, now())?.next;
        if !request.dry_run {
            self.open(request, &key, (&flag, everybody.as_deref()), &by)?;
            self.submit(&name, &event)?;
        }
        let rollout = next.rollout.as_ref().filter(|r| r.candidate == revision).map(|r| r.id);
        let waits = next.queued.as_ref().is_some_and(|queued| queued.deploy.revision == revision);
        let action = match (before, waits) {
            (_, true) => "queued",
            (Some(before), _) if before.next_rollout == next.next_rollout => "unchanged",
            _ => "rollout-started",
        };
        let (action, warnings) = (action.to_owned(), warnings(&flag));
        let departs = None;
        Ok(AppliedService { service: name, action, revision, rollout, departs, warnings })
    }

    /// Everything that speaks against it.
    fn fit(&self, request: &FlagRollout, schedule: Schedule) -> Result<Wanted, ApiError> {
        let (key, flag, _) = self.flags.flag(&request.set, &request.key)?;
        let (key, flag) = (key.clone(), flag.clone());
        let current = current(&flag);
        releasable(&key, &flag)?;
        let (carrier, evidence) = self.carrier(request, &key)?;
        if let Some(why) = self.lacks_code(&flag) {
            let hint = "bring that version out first; the flag can wait";
            return Err(conflict("code-missing", format!("{key}: {why}")).hint(hint));
        }
        let on = match &request.to {
            Some(named) if flag.variants.names().any(|name| name == named) => named.clone(),
            Some(named) => return Err(no_variant(&key, named)),
            None => on_variant(&flag).map(str::to_owned).ok_or_else(|| no_variant(&key, "on"))?,
        };
        if current == Some(on.as_str()) {
            let title = format!("{key} cannot be released: everybody gets `{on}` already");
            return Err(
                conflict("not-releasable", title).hint("switch it off first: `serin flag off`")
            );
        }
        let code = carrier.stable.as_ref().map(ToString::to_string).unwrap_or_default();
        let of = |variant: &str| revision(request, &flag, variant, &code);
        let name = ServiceName::flag(&request.set, &request.key).map_err(|e| unfit(&e))?;
        let known = self.executor.service(&name);
        let everybody = current.unwrap_or(&flag.off_variant);
        let off = match known_as(known, everybody) {
            Some(id) => id,
            None => of(everybody)?,
        };
        let (set, carrier) = (request.set.clone(), carrier.name.clone());
        let spec = FlagSpec { set, key: request.key.clone(), carrier, off, evidence };
        let window = request.window_ms.map_or(WINDOW, Millis);
        let spec = spec.service(schedule, window).map_err(|e| unfit(&e))?;
        let revision = of(&on)?;
        Ok(Wanted { key, flag, spec, revision })
    }

    /// The service whose users are judged, and what says how they fare.
    fn carrier(
        &self,
        request: &FlagRollout,
        key: &FlagKey,
    ) -> Result<(&Service, FlagEvidence), ApiError> {
        let name: ServiceName = request.service.parse().map_err(|e: IdError| unfit(&e))?;
        let service = self.executor.service(&name);
        let service = service.ok_or_else(|| crate::api::unknown_service(self, &name))?;
        let usual = match service.spec.traffic.listen {
            Some(_) => FlagEvidence::Traffic,
            // No request of a worker's users passes.
            None => FlagEvidence::Reported,
        };
        let evidence = request.evidence.unwrap_or(usual);
        if evidence == FlagEvidence::Traffic {
            self.carries(service, request, key)?;
        }
        Ok((service, evidence))
    }

    /// What speaks against requests of the service that carry the flag.
    fn carries(
        &self,
        service: &Service,
        request: &FlagRollout,
        key: &FlagKey,
    ) -> Result<(), ApiError> {
        let name = &service.name;
        let carried = service.spec.traffic.flags.as_ref().filter(|flags| flags.set == request.set);
        if carried.is_none() {
            let title = format!("requests of {name} carry no flags of {}", request.set);
            let hint = format!(
                "say in its file who they are evaluated for: `traffic: {{ flags: {{ set: {}, \
                 targetingKey: {{ cookie: serin }} }} }}`, and apply it; or have the app report \
                 outcomes: `--evidence reported`",
                request.set
            );
            return Err(conflict("not-carried", title).hint(hint));
        }
        if wire::flag_header(key.as_str()).is_none() {
            let title = format!("{key} cannot be told to the app: it makes no name of a header");
            return Err(ApiError::invalid(title).hint("use a key of a-z, 0-9, `.`, `_` and `-`"));
        }
        if let Some(other) = self.alike(service, &request.set, key.as_str()) {
            let title = format!("an app may take {key} for {other}: their headers are alike");
            let hint = "give one of them a key that differs in more than case, `.`, `_` or `-`";
            return Err(conflict("alike", title).hint(hint));
        }
        Ok(())
    }

    /// Another flag that requests of the service carry or have carried, with a header that an app
    /// may take for that of `key`.
    fn alike(&self, carrier: &Service, set: &str, key: &str) -> Option<String> {
        let listed = carrier.spec.traffic.flags.iter().flat_map(|flags| flags.keys.iter());
        let specs = self.executor.services().filter_map(|service| service.spec.flag.as_ref());
        let here = specs.filter(|spec| spec.set == set && spec.carrier == carrier.name);
        let mut others = listed.chain(here.map(|spec| &spec.key)).filter(|other| *other != key);
        others.find(|other| wire::folded_key(other) == wire::folded_key(key)).cloned()
    }

    /// Whoever asks for the very flag means it: what was held after a way back is let in again.
    /// What evidence decided against stays refused.
    fn let_in(
        &mut self,
        name: &ServiceName,
        by: &Actor,
        before: Option<&Service>,
        revision: &RevisionId,
    ) {
        if before.is_some_and(|service| service.is_held(revision)) {
            let event = Event::Asked { by: by.clone(), reason: None, ask: Ask::Release };
            let _ = self.submit(name, &event);
        }
    }

    /// The flag decides again, and nobody gets anything new by it.
    fn open(
        &mut self,
        request: &FlagRollout,
        key: &FlagKey,
        (flag, everybody): (&Definition, Option<&str>),
        by: &Actor,
    ) -> Result<(), ApiError> {
        let default_variant = everybody.map(str::to_owned);
        let next = Definition { state: State::On, default_variant, ..flag.clone() };
        if next == *flag {
            return Ok(());
        }
        let who = Who { by: &by.0, reason: request.asking.reason.as_deref(), at: seconds() };
        let act = Act { set: &request.set, key, who, verb: "release" };
        self.change_flag(act, Some(next))?;
        Ok(())
    }
}

/// The variant that everybody gets whom no list and no rule fits, as long as nothing is released;
/// none: what the app's code says.
fn current(flag: &Definition) -> Option<&str> {
    match flag.state {
        State::On => flag.default_variant.as_deref(),
        State::Off | State::Disabled => Some(&flag.off_variant),
    }
}

/// The engine's name for a variant that it trusts already.
fn known_as(service: Option<&Service>, variant: &str) -> Option<RevisionId> {
    let service = service?;
    let off = service.spec.flag.as_ref().map(|flag| &flag.off);
    let mut trusted = service.stable.iter().chain(off);
    trusted.find(|id| id.version.as_str() == variant).cloned()
}

/// What its owner should know.
fn warnings(flag: &Definition) -> Vec<String> {
    let first = (!flag.rules.is_empty() || !flag.targets.is_empty()).then(|| {
        "users whom its lists or rules fit get what those say and are not judged".to_owned()
    });
    first.into_iter().collect()
}

fn conflict(code: &str, title: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, code, title)
}

fn unfit(error: &IdError) -> ApiError {
    ApiError::invalid(error.to_string())
}

fn no_variant(key: &FlagKey, name: &str) -> ApiError {
    ApiError::invalid(format!("{key} has no variant `{name}` to release"))
        .hint("`serin flag get` lists its variants")
}

fn releasable(key: &FlagKey, flag: &Definition) -> Result<(), ApiError> {
    let catches_all = flag.rules.iter().any(|r| r.segments.is_empty() && r.clauses.is_empty());
    let (why, hint) = if let Some(killed) = &flag.killed {
        let why = format!("it was killed by {}: {}", killed.by, killed.reason);
        (why, "take the kill back first: `serin flag on`")
    } else if flag.archived_at.is_some() {
        ("it is archived".to_owned(), "take it back first: `serin flag archive KEY --undo`")
    } else if flag.raw.is_some() {
        let why = "its targeting is kept word for word from a flagd file".to_owned();
        (why, "write it in Serin's own words, or put the release into its file")
    } else if catches_all {
        let why = "a rule without a condition decides for everybody before the release".to_owned();
        (why, "take the rule away: `serin flag set KEY --none`")
    } else if current(flag).is_none() {
        let why = "everybody gets what the app's code says".to_owned();
        (why, "give everybody a variant first: `serin flag set KEY --none`")
    } else {
        return Ok(());
    };
    Err(conflict("not-releasable", format!("{key} cannot be released: {why}")).hint(hint))
}

/// A variant under this code: with other code behind it, it is tried anew.
fn revision(
    request: &FlagRollout,
    flag: &Definition,
    variant: &str,
    code: &str,
) -> Result<RevisionId, ApiError> {
    let version: Version = variant.parse().map_err(|_| {
        ApiError::invalid(format!("the variant `{variant}` cannot be released step by step"))
            .hint("name it with A-Z, a-z, 0-9, `.`, `_` and `-`")
    })?;
    let value = flag.variants.get(variant).map(ToString::to_string).unwrap_or_default();
    let parts = [request.set.as_str(), &request.key, variant, &value, code];
    Ok(RevisionId { version, digest: Digest::from_hash(&fnv(&parts).to_be_bytes()) })
}

/// FNV-1a of 64 bits over the parts, each ended by a byte that no text has.
fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
