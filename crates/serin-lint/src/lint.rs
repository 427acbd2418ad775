//! SQL in, findings out. Pure.

use crate::parse::{self, Parsed};
use crate::rules::weight_of;
use crate::{Finding, allow, own};
use serin_migrate::Phase;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// SQL longer than this is not looked at.
const MAX_BYTES: usize = 1 << 20;

/// What is known about where SQL is run.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The part of the migration it belongs to; `None` for SQL that an app sends.
    pub phase: Option<Phase>,
    /// It is run inside a transaction.
    pub in_transaction: bool,
    /// Clients see the tables through views.
    pub views: bool,
    /// Major version of the server.
    pub major: u32,
    /// Rows of tables, about, where the database was asked.
    pub rows: BTreeMap<String, u64>,
    /// Tables and the first column of each of their indexes, where the database was asked.
    pub indexes: BTreeSet<(String, String)>,
    /// What is asked before it is run.
    pub pre_check: Option<String>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            phase: Some(Phase::Expand),
            in_transaction: true,
            views: true,
            major: 15,
            rows: BTreeMap::new(),
            indexes: BTreeSet::new(),
            pre_check: None,
        }
    }
}

/// Everything that the rules find in SQL, in its order.
pub fn lint(text: &str, setting: &Setting) -> Vec<Finding> {
    if text.len() > MAX_BYTES {
        let message = format!("the SQL has {} bytes; {MAX_BYTES} are looked at", text.len());
        return vec![own::finding("syntax", message).hint("split it into several migrations")];
    }
    let parsed = parse::parse(text);
    let mut findings = own::all(text, &parsed, setting);
    if setting.phase.is_some() {
        findings.extend(foreign(text, &parsed, setting, &findings));
    }
    allow::apply(text, &parsed, &mut findings);
    for finding in &mut findings {
        finding.sql = statement_of(text, &parsed, finding);
    }
    findings.sort_by_key(|finding| finding.place.as_ref().map_or(0, |place| place.span.start));
    findings
}

fn statement_span<'a>(parsed: &'a Parsed, finding: &Finding) -> Option<&'a Range<usize>> {
    let at = finding.place.as_ref()?.span.start;
    let inside = |span: &&Range<usize>| span.start <= at && at <= span.end;
    parsed.statements.iter().map(|statement| &statement.span).find(inside)
}

/// The statement that a finding is in, as the server gets it.
fn statement_of(text: &str, parsed: &Parsed, finding: &Finding) -> Option<String> {
    let span = statement_span(parsed, finding)?;
    Some(text.get(span.clone())?.trim().trim_end_matches(';').trim().to_owned())
}

/// What squawk finds, but for what a rule of ours says better.
fn foreign(text: &str, parsed: &Parsed, setting: &Setting, own: &[Finding]) -> Vec<Finding> {
    if !parsed.errors.is_empty() {
        return Vec::new();
    }
    let said = |at: usize| {
        own.iter().any(|finding| {
            let place = finding.place.as_ref().map_or(0..0, |place| place.span.clone());
            finding.rule == "destructive-in-expand" && place.contains(&at)
        })
    };
    let found = parse::violations(text, setting.in_transaction, setting.major).into_iter();
    let finding = |violation: parse::Violation| {
        let severity = weight_of(&violation.rule, setting.phase)?;
        let repeated = severity < crate::Severity::Block && said(violation.span.start);
        let finding =
            Finding::new(&violation.rule, severity, violation.message).at(text, &violation.span);
        let hinted = Finding { hint: violation.help, ..finding };
        (!repeated).then_some(hinted)
    };
    let mut told = BTreeSet::new();
    // One statement that drops two columns breaks the rule once.
    found
        .filter_map(finding)
        .filter(|finding| {
            let statement = statement_span(parsed, finding).map(|span| span.start);
            told.insert((finding.rule.clone(), finding.message.clone(), statement))
        })
        .collect()
}
