//! Walks the tree of a document: each read reports what is wrong with it and goes on, so that all
//! problems of a file are found at once.

use crate::{
    across::Claims,
    field::Field,
    nearest::nearest,
    place::{Lines, Mark, Span},
    problem::Problem,
    yaml::{Entry, Node, Value, shown},
};
use std::{cell::RefCell, collections::BTreeMap};

/// What all readers of one file share.
pub(crate) struct Context<'s> {
    pub(crate) text: &'s str,
    pub(crate) lines: Lines<'s>,
    problems: RefCell<Vec<Problem>>,
    /// Path of each value read since the last [`Self::take_marks`], and its place.
    marks: RefCell<BTreeMap<String, Mark>>,
    claims: RefCell<Claims>,
}

impl<'s> Context<'s> {
    pub(crate) fn new(text: &'s str) -> Self {
        Self {
            text,
            lines: Lines::new(text),
            problems: RefCell::default(),
            marks: RefCell::default(),
            claims: RefCell::default(),
        }
    }

    pub(crate) fn report(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem.placed(&self.lines));
    }

    pub(crate) fn remember(&self, path: &str, span: &Span) {
        self.marks.borrow_mut().insert(path.into(), self.lines.mark(span));
    }

    pub(crate) fn take_marks(&self) -> BTreeMap<String, Mark> {
        self.marks.take()
    }

    /// Takes what only one service of the file may have.
    pub(crate) fn claim(&self, take: impl FnOnce(&mut Claims) -> Option<Problem>) {
        let problem = take(&mut self.claims.borrow_mut());
        if let Some(problem) = problem {
            self.report(problem);
        }
    }

    /// All problems in the order of the file.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.span.start, problem.severity));
        problems
    }
}

/// Reads the keys of one map. Each key is asked for once; [`Self::finish`] reports the others.
pub(crate) struct Reader<'a> {
    cx: &'a Context<'a>,
    /// How messages call the map: `` `pause` ``.
    what: String,
    path: String,
    /// The key the map stands under, for what is missing in it.
    at: Span,
    entries: &'a [Entry],
    known: Vec<&'static str>,
    /// Keys that were refused with words of their own.
    refused: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// A reader of `node`, which stands under the key at `at`; reports when it is no map.
    pub(crate) fn new(field: &Field<'a>) -> Option<Self> {
        let Value::Map(entries) = &field.node.value else {
            field.wrong_type("a map");
            return None;
        };
        Some(Self::of(field, entries))
    }

    pub(crate) fn of(field: &Field<'a>, entries: &'a [Entry]) -> Self {
        let (what, path, at) = (field.what.clone(), field.path.clone(), field.key.clone());
        Self { cx: field.cx, what, path, at, entries, known: Vec::new(), refused: Vec::new() }
    }

    /// The whole document.
    pub(crate) fn root(cx: &'a Context<'a>, node: &'a Node) -> Option<Self> {
        let what = "the document".into();
        let path = String::new();
        Self::new(&Field { cx, what, path, key: first_word(node), node })
    }

    /// The value of `key`, if it is there.
    pub(crate) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.field(entry))
    }

    /// The value of a key that is known only to be refused, and not named among those allowed.
    pub(crate) fn take_silently(&mut self, key: &'static str) -> Option<Field<'a>> {
        let field = self.peek(key)?;
        self.refused.push(key);
        Some(field)
    }

    /// The value of `key`, without counting it as read.
    pub(crate) fn peek(&self, key: &str) -> Option<Field<'a>> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| self.field(entry))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Number of keys that are written.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// All entries, for maps whose keys are the user's.
    pub(crate) fn all(self) -> impl Iterator<Item = (&'a Entry, Field<'a>)> {
        let entries = self.entries;
        entries.iter().map(move |entry| (entry, self.field(entry)))
    }

    fn field(&self, entry: &'a Entry) -> Field<'a> {
        let dot = if self.path.is_empty() { "" } else { "." };
        let path = format!("{}{dot}{}", self.path, entry.key);
        self.cx.remember(&path, &entry.value.span);
        let what = format!("`{}`", shown(&entry.key));
        Field { cx: self.cx, what, path, key: entry.key_span.clone(), node: &entry.value }
    }

    /// What `read` makes of `key`; `None` when it is absent, empty or wrong.
    pub(crate) fn maybe<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(Field<'a>) -> Option<T>,
    ) -> Option<T> {
        let field = self.take(key)?;
        if field.node.is_null() {
            field.empty("give it a value, or remove it");
            return None;
        }
        read(field)
    }

    /// As [`Self::maybe`], with a default. After an error the default only stands in: the file
    /// is refused anyway.
    pub(crate) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Field<'a>) -> Option<T>,
    ) -> T {
        self.maybe(key, read).unwrap_or(default)
    }

    /// What `read` makes of `key`; reports when it is missing.
    pub(crate) fn need<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(Field<'a>) -> Option<T>,
    ) -> Option<T> {
        let Some(field) = self.take(key) else {
            let message = format!("{} has no `{key}`", self.what);
            let problem = Problem::error("missing-key", self.at.clone(), message);
            self.cx.report(problem.hint(format!("add `{key}: {example}`")));
            return None;
        };
        if field.node.is_null() {
            field.empty(&format!("write for example `{key}: {example}`"));
            return None;
        }
        read(field)
    }

    /// A problem with the map as a whole, at its key.
    pub(crate) fn key_problem(&self, code: &'static str, message: impl Into<String>) -> Problem {
        Problem::error(code, self.at.clone(), message)
    }

    pub(crate) fn report(&self, problem: Problem) {
        self.cx.report(problem);
    }

    /// Reports every key that was not asked for.
    pub(crate) fn finish(self) {
        for entry in self.entries.iter().filter(|e| !self.was_read(&e.key)) {
            self.cx.report(self.unknown(entry));
        }
    }

    fn was_read(&self, key: &str) -> bool {
        self.known.contains(&key) || self.refused.contains(&key)
    }

    fn allowed(&self) -> String {
        match self.known.as_slice() {
            [] => format!("{} has no keys: `{{}}`", self.what),
            keys => format!("keys of {}: {}", self.what, keys.join(", ")),
        }
    }

    fn unknown(&self, entry: &Entry) -> Problem {
        let message = format!("`{}` is not a key of {}", shown(&entry.key), self.what);
        let problem = Problem::error("unknown-key", entry.key_span.clone(), message);
        let problem = problem.hint(self.allowed());
        if let Some((_, why)) = FOREIGN.iter().find(|(key, _)| *key == entry.key) {
            return problem.label(*why);
        }
        match nearest(&entry.key, self.known.iter().copied()) {
            Some(name) => problem.label(format!("did you mean `{name}`?")),
            None => problem,
        }
    }
}

/// Keys people know from elsewhere.
const FOREIGN: [(&str, &str); 29] = [
    ("<<", "merge keys are not read; write the keys out"),
    ("port", "Serin chooses the port of each instance and passes it as `$(PORT)`"),
    ("image", "on one machine a service is a `command`, not an image"),
    ("exec", "a probe is `httpGet` or `tcp`"),
    ("tcpSocket", "write `tcp: {}`"),
    ("namespace", "write `spec.environment`"),
    // Argo Rollouts.
    ("abortScaleDownDelaySeconds", "write `keepFailed: 30s`"),
    ("activeService", "users come in at `traffic.listen`, whichever version is live"),
    ("antiAffinity", "on one machine there is nothing to spread over"),
    ("autoPromotionEnabled", "write `autoPromotion`"),
    ("autoPromotionSeconds", "write `autoPromotionAfter: 30s`"),
    ("canaryService", "users come in at `traffic.listen`, whichever version is live"),
    ("failureLimit", "Argo's `failureLimit: 3` is `failures: { total: 4 }`"),
    ("minReadySeconds", "write `warmUp: 5s`"),
    ("plugin", "write `run: { command: [...] }`"),
    ("postPromotionAnalysis", "write `postPromotion: { analysis: { checks: [...] } }`"),
    ("prePromotionAnalysis", "write `prePromotion: { analysis: { checks: [...] } }`"),
    ("previewReplicaCount", "write `previewReplicas`"),
    ("previewService", "write `preview: \"127.0.0.1:8081\"` in `traffic`"),
    ("progressDeadlineSeconds", "write `progressDeadline: 60s`"),
    ("scaleDownDelaySeconds", "write `keepOld: 30s`"),
    ("stableService", "users come in at `traffic.listen`, whichever version is live"),
    ("successCondition", "write the limit: `max: 5%` or `min: 95%`"),
    ("templates", "write `checks: [...]`; in an experiment `variants: [...]`"),
    ("trafficRouting", "Serin is the load balancer: there is nothing to choose"),
    // Flagger.
    ("iterations", "write how long: `duration: 10m`"),
    ("sessionAffinity", "write `affinity: { cookie: serin }` in `traffic`"),
    ("threshold", "Flagger's `threshold: 5` is `failures: { total: 5 }` of a check"),
    ("webhooks", "write `run: { http: { url: ... } }`"),
];

/// Something short to point at for a whole document: its first key, or its start.
fn first_word(node: &Node) -> Span {
    match &node.value {
        Value::Map(entries) => entries.first().map(|entry| entry.key_span.clone()),
        _ => None,
    }
    .unwrap_or_else(|| node.span.clone())
}
