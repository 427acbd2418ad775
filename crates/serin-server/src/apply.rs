//! From a user's file, or a wish for a revision, to deploys the engine can take. Everything that
//! can be refused is refused here, before anything has changed.

use crate::api::error::ApiError;
use crate::api::view::{Applied, AppliedService, ApplyRequest, VerbRequest, schema_of};
use crate::control::{Core, Handle, now};
use crate::schema::read_migrations;
use crate::{machine, train};
use serin_core::{
    Actor, Ask, DeployAsk, Event, RevisionId, Service, ServiceName, ServiceSpec, Skips, Train,
    Version,
};
use serin_spec::{Located, Problem, Problems, Severity, Source};
use std::net::SocketAddr;
use std::path::Path;

/// One deploy, fit to be asked.
#[derive(Debug, Clone)]
struct Wanted {
    spec: ServiceSpec,
    /// The spec it was made from, when that was the service's own.
    from: Option<ServiceSpec>,
    revision: RevisionId,
    warnings: Vec<String>,
}

/// What goes with every deploy of one request.
#[derive(Debug, Clone)]
struct Terms {
    by: Actor,
    reason: Option<String>,
    allow_bad: bool,
    dry_run: bool,
    /// Without waiting for a train.
    past_train: bool,
    /// Steps that are left out.
    skips: Skips,
}

impl Terms {
    /// Who leaves steps out says why: it is kept with the rollout.
    fn check(&self) -> Result<(), ApiError> {
        let silent = self.reason.as_deref().is_none_or(|why| why.trim().is_empty());
        if self.skips == Skips::Nothing || !silent {
            return Ok(());
        }
        Err(ApiError::invalid("steps are left out only for a reason").hint("add `--reason TEXT`"))
    }
}

/// `POST /api/v1/apply`.
pub(crate) async fn apply(
    handle: &Handle,
    by: Actor,
    request: ApplyRequest,
) -> Result<Applied, ApiError> {
    let terms = Terms {
        by,
        reason: request.reason.clone(),
        allow_bad: request.allow_bad,
        dry_run: request.dry_run,
        past_train: request.now || request.skips == Skips::Waits,
        skips: request.skips,
    };
    terms.check()?;
    let wanted = read(handle, &request).await?;
    deploy_all(handle, wanted, &terms).await
}

/// What a file would deploy: each service with its revision, nothing changed.
pub(crate) async fn wishes(
    handle: &Handle,
    request: &ApplyRequest,
) -> Result<Vec<(ServiceSpec, RevisionId)>, ApiError> {
    let wanted = read(handle, request).await?;
    Ok(wanted.into_iter().map(|one| (one.spec, one.revision)).collect())
}

/// Reads a file; everything that is wrong with it is said at once.
async fn read(handle: &Handle, request: &ApplyRequest) -> Result<Vec<Wanted>, ApiError> {
    let source = Source {
        name: &request.source,
        text: &request.text,
        base_dir: Path::new(&request.base_dir),
    };
    let mut loaded = serin_spec::load(&source).map_err(|p| invalid_file(&p, &source))?;
    let taken = addresses(handle).await?;
    let mut problems = clashes(&loaded.services, &taken);
    problems.extend(tokio::task::block_in_place(|| read_migrations(&mut loaded.services)));
    problems.extend(machine::problems(&loaded.services));
    problems.extend(loaded.services.iter().filter_map(unknown_zone));
    let lacking = !problems.is_empty();
    let mut wanted = Vec::new();
    for service in &loaded.services {
        match want(service, request.revision.as_deref()).await {
            Ok(one) => wanted.push(one),
            // Said already, with its place, when the machine lacks it.
            Err(problem) if lacking && problem.code == "run" => {}
            Err(problem) => problems.push(*problem),
        }
    }
    if !problems.is_empty() {
        return Err(invalid_file(&Problems(problems), &source));
    }
    let waits = crate::automatic::contracts_that_wait(&loaded.services);
    let warnings = loaded.warnings.iter().chain(&waits);
    let warnings: Vec<_> = warnings.map(|warning| warning.message.clone()).collect();
    if let Some(first) = wanted.first_mut() {
        first.warnings.extend(warnings);
    }
    Ok(wanted)
}

/// `POST /api/v1/services/{name}:deploy`: the service as it is, with another revision.
pub(crate) async fn deploy(
    handle: &Handle,
    by: Actor,
    name: ServiceName,
    request: VerbRequest,
) -> Result<Applied, ApiError> {
    let Some(version) = request.revision.as_deref() else {
        return Err(ApiError::invalid("no revision is named").hint("add `--revision NAME`"));
    };
    let version = asked(version).map_err(ApiError::invalid)?;
    let spec = spec_of(handle, &name).await?;
    let revision = revision_id(&spec, version)
        .await
        .map_err(|why| ApiError::invalid(format!("{name} cannot be deployed: {why}")))?;
    let wanted = Wanted { from: Some(spec.clone()), spec, revision, warnings: vec![] };
    let terms = Terms {
        by,
        reason: request.reason,
        allow_bad: request.allow_bad,
        dry_run: request.dry_run,
        past_train: request.now || request.skips == Skips::Waits,
        skips: request.skips,
    };
    terms.check()?;
    deploy_all(handle, vec![wanted], &terms).await
}

/// Deploys `version` of a spec that Serin made itself.
pub(crate) async fn deploy_made(
    handle: &Handle,
    by: Actor,
    spec: ServiceSpec,
    version: Version,
    reason: Option<String>,
) -> Result<Applied, ApiError> {
    let revision = revision_id(&spec, version)
        .await
        .map_err(|why| ApiError::invalid(format!("{} cannot be deployed: {why}", spec.name)))?;
    let wanted = Wanted { spec, from: None, revision, warnings: vec![] };
    let terms = Terms {
        by,
        reason,
        allow_bad: true,
        dry_run: false,
        past_train: true,
        skips: Skips::Nothing,
    };
    deploy_all(handle, vec![wanted], &terms).await
}

/// The spec of a known service.
pub(crate) async fn spec_of(handle: &Handle, name: &ServiceName) -> Result<ServiceSpec, ApiError> {
    let wanted = name.clone();
    let found = handle
        .ask(move |core| {
            let spec = core.executor.service(&wanted).map(|service| service.spec.clone());
            spec.ok_or_else(|| crate::api::unknown_service(core, &wanted))
        })
        .await;
    found.ok_or_else(ApiError::ending)?
}

/// The version a person names for a deploy. Numbers behind the name are Serin's.
pub(crate) fn asked(text: &str) -> Result<Version, String> {
    let version: Version = text.parse().map_err(|e: serin_core::IdError| e.to_string())?;
    let name = version.name();
    if version.make() == 1 {
        return Ok(version);
    }
    Err(format!(
        "`{version}` is Serin's number for a configuration of {name}, which is kept: go to it with \
         `serin rollback --to {version}`, or deploy `{name}` as its files are now"
    ))
}

/// The id of `version` of a service: its digest covers the template and the artefact files.
pub(crate) async fn revision_id(
    spec: &ServiceSpec,
    version: Version,
) -> Result<RevisionId, serin_local::Error> {
    let (run, wanted) = (spec.run.clone(), version.clone());
    let hashed = tokio::task::spawn_blocking(move || serin_local::digest(&run, &wanted)).await;
    let artefact = hashed.map_err(|_| serin_local::Error::Ended)??;
    Ok(RevisionId { version, digest: artefact.digest })
}

async fn want(
    service: &Located<ServiceSpec>,
    revision: Option<&str>,
) -> Result<Wanted, Box<Problem>> {
    let spec = service.value.clone();
    let error = |path: &str, code, text: String| {
        Box::new(service.problem(Severity::Error, code, path, text))
    };
    let version = match revision.or(spec.version.as_ref().map(Version::as_str)).map(asked) {
        Some(Ok(version)) => version,
        Some(Err(why)) => return Err(error("spec", "revision", why)),
        None => {
            let text = format!("{} names no revision", spec.name);
            let problem = *error("spec", "no-revision", text);
            return Err(Box::new(problem.hint("write `revision:` or add `--revision NAME`")));
        }
    };
    let revision = revision_id(&spec, version).await;
    let revision = revision.map_err(|why| error("spec.run.command[0]", "run", why.to_string()))?;
    Ok(Wanted { spec, from: None, revision, warnings: vec![] })
}

async fn addresses(handle: &Handle) -> Result<Vec<(ServiceName, SocketAddr)>, ApiError> {
    let all = handle.ask(|core| {
        let all = core.executor.services();
        let of =
            |s: &Service| s.spec.addresses().map(|at| (s.name.clone(), at)).collect::<Vec<_>>();
        all.flat_map(of).collect()
    });
    all.await.ok_or_else(ApiError::ending)
}

/// A timetable in a time zone that this machine does not know.
fn unknown_zone(service: &Located<ServiceSpec>) -> Option<Problem> {
    let Some(Train::At(table)) = &service.value.train else { return None };
    let text = format!("this machine knows no time zone `{}`", table.zone);
    let problem = || service.problem(Severity::Error, "time-zone", "spec.train.timeZone", text);
    let hint = "see `timedatectl list-timezones`, or install the time zone database (tzdata)";
    train::zone(table).is_none().then(|| problem().hint(hint))
}

/// Addresses that another running service has.
fn clashes(services: &[Located<ServiceSpec>], taken: &[(ServiceName, SocketAddr)]) -> Vec<Problem> {
    let clash = |service: &Located<ServiceSpec>| {
        let (name, wanted) = (&service.value.name, &service.value);
        let is_wanted = |at: &SocketAddr| wanted.addresses().any(|mine| mine == *at);
        let (owner, at) = taken.iter().find(|(other, at)| is_wanted(at) && other != name)?;
        let field = if wanted.traffic.listen == Some(*at) { "listen" } else { "preview" };
        let text = format!("{at} belongs to service `{owner}`");
        let path = format!("spec.traffic.{field}");
        Some(service.problem(Severity::Error, "address", &path, text))
    };
    services.iter().filter_map(clash).collect()
}

/// Claims every address, then asks the engine for every service; all or nothing up to there.
async fn deploy_all(
    handle: &Handle,
    wanted: Vec<Wanted>,
    terms: &Terms,
) -> Result<Applied, ApiError> {
    let checked = check(handle, wanted.clone(), terms.clone()).await?;
    if terms.dry_run {
        return Ok(Applied { schema: schema_of("applied"), services: checked });
    }
    keep(handle, &wanted).await?;
    let before = addresses(handle).await?;
    let fresh = reserve_all(handle, &wanted, &before).await?;
    let kept: Vec<_> = wanted.iter().flat_map(|w| w.spec.addresses()).collect();
    let names: Vec<_> = wanted.iter().map(|w| w.spec.name.clone()).collect();
    let terms = terms.clone();
    let done = handle.ask(move |core| submit_all(core, wanted, &terms));
    let done = done.await.ok_or_else(ApiError::ending)?;
    let moved =
        |(name, old): &(ServiceName, SocketAddr)| names.contains(name) && !kept.contains(old);
    let unused: Vec<_> = match &done {
        Ok(_) => before.iter().filter(|one| moved(one)).map(|(_, old)| *old).collect(),
        Err(_) => fresh,
    };
    for address in unused {
        // Kept too long is harmless; the keeper drops it when it ends.
        let _ = handle.local().release(address).await;
    }
    Ok(Applied { schema: schema_of("applied"), services: done? })
}

/// Puts the programs aside, so that there is a way back whatever becomes of their files.
async fn keep(handle: &Handle, wanted: &[Wanted]) -> Result<(), ApiError> {
    let needed = handle.ask(|core| (core.data().to_owned(), digests(core)));
    let (data, mut known) = needed.await.ok_or_else(ApiError::ending)?;
    let all: Vec<_> = wanted.iter().map(|w| (w.spec.run.clone(), w.revision.clone())).collect();
    let work = tokio::task::spawn_blocking(move || {
        for (run, revision) in &all {
            serin_local::keep(&data, run, revision)?;
            known.insert(revision.digest.as_str().to_owned());
        }
        serin_local::sweep(&data, &known);
        Ok(())
    });
    let kept: Result<(), serin_local::Error> = work.await.map_err(|_| ApiError::ending())?;
    kept.map_err(|why| {
        ApiError::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "storage", why.to_string())
            .hint("nothing was changed; see to it and deploy again")
    })
}

/// Digests of all revisions that are known.
fn digests(core: &Core) -> std::collections::BTreeSet<String> {
    let queued = |s: &Service| s.queued.as_ref().map(|q| q.deploy.revision.clone());
    let boarded = |s: &Service| s.boarded.iter().map(|b| b.deploy.revision.clone()).collect();
    let of = |s: &Service| {
        let waiting: Vec<_> = boarded(s);
        s.revisions.keys().cloned().chain(queued(s)).chain(waiting).collect::<Vec<_>>()
    };
    core.executor.services().flat_map(of).map(|id| id.digest.as_str().to_owned()).collect()
}

/// Claims the addresses; gives back those nobody held before.
async fn reserve_all(
    handle: &Handle,
    wanted: &[Wanted],
    before: &[(ServiceName, SocketAddr)],
) -> Result<Vec<SocketAddr>, ApiError> {
    let held = |at: SocketAddr| before.iter().any(|(_, held)| *held == at);
    let mut fresh = Vec::new();
    let all = wanted.iter().flat_map(|one| one.spec.addresses().map(|at| (&one.spec.name, at)));
    for (name, listen) in all {
        if let Err(error) = handle.local().reserve(listen).await {
            for address in fresh {
                let _ = handle.local().release(address).await;
            }
            let title = format!("{name} cannot listen: {error}");
            return Err(ApiError::invalid(title));
        }
        if !held(listen) {
            fresh.push(listen);
        }
    }
    Ok(fresh)
}

/// The only place where deploys reach the engine. What may have changed since the request was
/// checked is checked again here, where nothing else happens at the same time.
fn submit_all(
    core: &mut Core,
    wanted: Vec<Wanted>,
    terms: &Terms,
) -> Result<Vec<AppliedService>, ApiError> {
    wanted.iter().try_for_each(|one| unchanged(core, one))?;
    let mut done: Vec<AppliedService> = Vec::new();
    for one in wanted {
        let name = one.spec.name.clone();
        match submit(core, one, terms) {
            Ok(applied) => done.push(applied),
            Err(error) if done.is_empty() => return Err(error),
            Err(error) => {
                let names: Vec<_> = done.iter().map(|d| d.service.to_string()).collect();
                let title = format!("{name}: {}; done before: {}", error.0.title, names.join(", "));
                return Err(ApiError(crate::api::view::Problem { title, ..error.0 }));
            }
        }
    }
    Ok(done)
}

fn unchanged(core: &Core, one: &Wanted) -> Result<(), ApiError> {
    let name = &one.spec.name;
    let clash = |s: &Service| {
        let at = s.spec.addresses().find(|at| one.spec.addresses().any(|mine| mine == *at))?;
        (s.name != *name).then(|| (s.name.clone(), at))
    };
    if let Some((other, listen)) = core.executor.services().find_map(clash) {
        let title = format!("{listen} belongs to service `{other}`");
        return Err(ApiError::invalid(title).hint("choose another `traffic.listen`"));
    }
    let present = core.executor.service(name).map(|service| &service.spec);
    if one.from.is_some() && one.from.as_ref() != present {
        let title = format!("{name} was changed while this was being prepared");
        return Err(ApiError::new(axum::http::StatusCode::CONFLICT, "changed", title)
            .hint("look at it with `serin status` and try again"));
    }
    Ok(())
}

async fn check(
    handle: &Handle,
    wanted: Vec<Wanted>,
    terms: Terms,
) -> Result<Vec<AppliedService>, ApiError> {
    let checked = handle.ask(move |core| {
        let check = |one: Wanted| {
            let one = called(core, one);
            let before = core.executor.service(&one.spec.name).cloned();
            let event = event(&one, &terms);
            let next = core.executor.preview(&one.spec.name, &event, now())?.next;
            Ok(outcome(before.as_ref(), &next, one))
        };
        wanted.into_iter().map(check).collect::<Result<Vec<_>, ApiError>>()
    });
    checked.await.ok_or_else(ApiError::ending)?
}

/// With its number, when something else of the service has its name.
fn called(core: &Core, one: Wanted) -> Wanted {
    let revision = match core.executor.service(&one.spec.name) {
        Some(service) => service.called(one.revision),
        None => one.revision,
    };
    Wanted { revision, ..one }
}

fn submit(core: &mut Core, one: Wanted, terms: &Terms) -> Result<AppliedService, ApiError> {
    let name = one.spec.name.clone();
    let one = called(core, one);
    let before = core.executor.service(&name).cloned();
    core.submit(&name, &event(&one, terms))?;
    let after = core.executor.service(&name).cloned();
    let after = after.ok_or_else(ApiError::ending)?;
    Ok(outcome(before.as_ref(), &after, one))
}

fn event(one: &Wanted, terms: &Terms) -> Event {
    let ask = DeployAsk {
        spec: one.spec.clone(),
        revision: one.revision.clone(),
        allow_bad: terms.allow_bad,
        departure: train::departure(&one.spec, now(), terms.past_train),
        skips: terms.skips,
    };
    let ask = Ask::Deploy(Box::new(ask));
    Event::Asked { by: terms.by.clone(), reason: terms.reason.clone(), ask }
}

fn outcome(before: Option<&Service>, after: &Service, one: Wanted) -> AppliedService {
    let rollout = after.rollout.as_ref().filter(|r| r.candidate == one.revision).map(|r| r.id);
    let started = before.is_some_and(|b| b.next_rollout != after.next_rollout);
    let waits = after.queued.as_ref().is_some_and(|q| q.deploy.revision == one.revision);
    let boarded = after.boarded.iter().find(|b| b.deploy.revision == one.revision);
    let action = match before {
        None => "created",
        Some(_) if waits => "queued",
        Some(_) if boarded.is_some() => "boarded",
        Some(_) if started => "rollout-started",
        Some(before) if before.spec != after.spec => "configured",
        Some(_) => "unchanged",
    };
    AppliedService {
        service: one.spec.name,
        action: action.into(),
        revision: one.revision,
        rollout,
        departs: boarded.map(|boarded| boarded.departs),
        warnings: one.warnings,
    }
}

fn invalid_file(problems: &Problems, source: &Source<'_>) -> ApiError {
    let count = problems.0.iter().filter(|p| p.severity == Severity::Error).count();
    let title = format!("{} has {count} error{}", source.name, if count == 1 { "" } else { "s" });
    ApiError::new(axum::http::StatusCode::UNPROCESSABLE_ENTITY, "invalid-file", title)
        .detail(problems.render(source, false))
        .hint("check it with `serin check`")
}
