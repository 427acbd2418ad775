//! Data formats: which revisions may run beside each other.

use crate::{Capacity, DataFormats, RevisionId, Service, ServiceSpec};

/// Why `revision`, as `spec` describes it, cannot run beside the stable revision.
pub(crate) fn clash(
    service: &Service,
    spec: &ServiceSpec,
    revision: &RevisionId,
) -> Option<String> {
    if !runs_beside(spec) {
        return None;
    }
    let stable = service.stable.as_ref().filter(|id| *id != revision)?;
    let known = service.revisions.get(revision).and_then(|r| r.data.as_ref());
    let new = spec.data.as_ref().or(known)?;
    let old = service.revisions.get(stable)?.data.as_ref()?;
    if !new.reads_from(old) {
        return Some(cannot_read(revision, new, stable, old));
    }
    (!old.reads_from(new)).then(|| cannot_read(stable, old, revision, new))
}

/// Whether both revisions write at the same time. They do not when all of stable is stopped first.
fn runs_beside(spec: &ServiceSpec) -> bool {
    let Capacity::Replace { max_surge, max_unavailable } = spec.schedule.capacity else {
        return true;
    };
    max_surge.up(spec.replicas) > 0 || max_unavailable.down(spec.replicas) < spec.replicas
}

pub(super) fn cannot_read(
    reader: &RevisionId,
    reads: &DataFormats,
    writer: &RevisionId,
    writes: &DataFormats,
) -> String {
    let list: Vec<_> = reads.reads.iter().map(ToString::to_string).collect();
    let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let (reader, writer, format) = (&reader.version, &writer.version, writes.writes);
    format!("{reader} cannot read data format {format}, which {writer} writes (it reads {list})")
}
