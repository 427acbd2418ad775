//! Instances that fill places together: a revision's own, or its fresh baseline. They are started,
//! counted, routed and let go each for themselves.

use serin_core::{Colour, Plan, RevisionId, RevisionPlan, Role, RunSpec, Weight};
use serin_proxy::wire;

/// Whose places an instance may fill.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crew {
    /// What its instances run.
    pub revision: RevisionId,
    /// Whether they were started beside a candidate, to be compared with it.
    pub baseline: bool,
}

/// What a plan wants of a crew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wanted<'a> {
    /// The revision's role.
    pub role: Role,
    /// Instances that shall run.
    pub replicas: u32,
    /// Their share of requests.
    pub weight: Weight,
    /// How they run.
    pub run: &'a RunSpec,
    /// Which resources are theirs.
    pub colour: Colour,
}

impl Crew {
    /// A revision's own instances.
    pub fn own(revision: &RevisionId) -> Self {
        Self { revision: revision.clone(), baseline: false }
    }

    /// A revision's fresh baseline.
    pub fn baseline(revision: &RevisionId) -> Self {
        Self { revision: revision.clone(), baseline: true }
    }

    /// What `plan` wants of it; nothing when the plan does not name it.
    pub fn wanted<'a>(&self, plan: &'a Plan) -> Option<Wanted<'a>> {
        let revision = plan.revisions.get(&self.revision)?;
        if self.baseline { fresh(revision) } else { Some(own(revision)) }
    }

    /// The data plane's word for its role.
    pub(crate) fn wire_role(&self, role: Role) -> wire::Role {
        match role {
            _ if self.baseline => wire::Role::Baseline,
            Role::Stable => wire::Role::Stable,
            Role::Candidate => wire::Role::Candidate,
            Role::Variant => wire::Role::Variant,
            Role::Kept => wire::Role::Kept,
        }
    }
}

/// Every crew that `plan` names, each revision's own first.
pub fn crews(plan: &Plan) -> impl Iterator<Item = (Crew, Wanted<'_>)> {
    plan.revisions.iter().flat_map(|(id, revision)| {
        let baseline = fresh(revision).map(|wanted| (Crew::baseline(id), wanted));
        [(Crew::own(id), own(revision))].into_iter().chain(baseline)
    })
}

fn own(revision: &RevisionPlan) -> Wanted<'_> {
    let RevisionPlan { role, replicas, weight, run, colour, .. } = revision;
    Wanted { role: *role, replicas: *replicas, weight: *weight, run, colour: *colour }
}

fn fresh(revision: &RevisionPlan) -> Option<Wanted<'_>> {
    let fresh = revision.fresh.as_ref()?;
    Some(Wanted { replicas: fresh.replicas, weight: fresh.weight, ..own(revision) })
}
