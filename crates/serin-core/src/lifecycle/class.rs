//! What going back would take, said before anybody has to know.

use super::formats;
use crate::engine::scale::Fleet;
use crate::{Revision, RevisionId, RollbackClass, RunSpec, Service, ServiceSpec};

/// What going back from what runs now to `to` takes, with the sentence for people.
pub fn rollback_class(service: &Service, to: &RevisionId) -> (RollbackClass, String) {
    class_between(service, service.running(), to)
}

/// What going from `running` to `to` takes.
pub(crate) fn class_between(
    service: &Service,
    running: Option<&RevisionId>,
    to: &RevisionId,
) -> (RollbackClass, String) {
    let version = &to.version;
    let of = |id: &RevisionId| service.revisions.get(id);
    let (from, target) = (running.and_then(of), of(to));
    if let Some(why) = unreadable(running, from, target, to) {
        return (RollbackClass::Data, why);
    }
    if let Some(why) = service.misfit(to) {
        return (RollbackClass::Data, why);
    }
    if is_ready(service, to) {
        return (
            RollbackClass::Routing,
            format!("instances of {version} are ready: only traffic moves"),
        );
    }
    let same_program = running.is_some_and(|id| id.version.name() == to.version.name())
        && from.zip(target).is_some_and(|(a, b)| is_config(&a.run.template(), &b.run.template()));
    if same_program {
        return (
            RollbackClass::Config,
            format!(
                "{version} is the same program in another configuration; it has to be started first"
            ),
        );
    }
    (RollbackClass::Redeploy, format!("instances of {version} have to be started first"))
}

/// What going back from `revision`, as `spec` describes it, to the present stable revision will
/// take, during its rollout and afterwards. Said before it begins.
pub fn way_back_before(
    service: &Service,
    spec: &ServiceSpec,
    revision: &RevisionId,
) -> (RollbackClass, String) {
    let Some(stable) = &service.stable else {
        let text = "there is no earlier version to go back to: it is stopped".to_owned();
        return (RollbackClass::Redeploy, text);
    };
    let version = &stable.version;
    let known = service.revisions.get(stable);
    let old = known.and_then(|r| r.data.as_ref());
    if let Some((old, new)) = old.zip(spec.data.as_ref()).filter(|(old, new)| !old.reads_from(new))
    {
        let why = formats::cannot_read(stable, old, revision, new);
        return (RollbackClass::Data, format!("{why}: what it wrote since is lost to it"));
    }
    if let Some(fleet) = Fleet::of(spec.schedule.capacity, spec.replicas) {
        return (RollbackClass::Redeploy, place_by_place(fleet, stable));
    }
    let keep = spec.schedule.keep_old;
    let after = match keep.0 {
        0 => format!("afterwards instances of {version} have to be started first"),
        _ => format!("for {keep} afterwards too, its instances are kept"),
    };
    let text = format!("traffic goes back to {version} at once during the rollout; {after}");
    (RollbackClass::Routing, text)
}

/// The way back where the new version takes the old one's places.
fn place_by_place(fleet: Fleet, stable: &RevisionId) -> String {
    let version = &stable.version;
    if fleet.may_be_down() {
        return format!(
            "the new version is stopped first and nobody answers until {version} is up"
        );
    }
    format!(
        "traffic goes back to {version} place by place, as its instances start again; at least {} \
         of {} answer meanwhile",
        fleet.least(),
        fleet.replicas
    )
}

fn unreadable(
    running: Option<&RevisionId>,
    from: Option<&Revision>,
    target: Option<&Revision>,
    to: &RevisionId,
) -> Option<String> {
    let new = from?.data.as_ref()?;
    let old = target?.data.as_ref()?;
    let why = || {
        let why = formats::cannot_read(to, old, running?, new);
        Some(format!("{why}: what {} wrote since has to be brought back first", running?.version))
    };
    if old.reads_from(new) { None } else { why() }
}

fn is_ready(service: &Service, id: &RevisionId) -> bool {
    let planned = service.plan.as_deref().is_some_and(|plan| plan.revisions.contains_key(id));
    let taken = |places: &crate::Places| places.stable < service.spec.replicas;
    let rollout = service.rollout.as_ref().filter(|r| r.baseline.as_ref() == Some(id));
    let whole = !rollout.and_then(|r| r.places.as_ref()).is_some_and(taken);
    planned && whole && service.ready(id) > 0
}

/// Whether two ways to run differ in environment alone.
pub(crate) fn is_config(a: &RunSpec, b: &RunSpec) -> bool {
    let same = RunSpec { env: b.env.clone(), env_files: b.env_files.clone(), ..a.clone() };
    same == *b && a != b
}
