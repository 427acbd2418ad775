//! `-- serin:allow RULE REASON`: what an author takes upon himself, kept with its reason.

use crate::parse::{Comment, Parsed};
use crate::rules::{OWN, own_weight};
use crate::{Finding, Severity};
use std::collections::BTreeSet;
use std::ops::Range;

/// What a comment begins with.
const WORD: &str = "serin:allow";

/// A comment of that kind.
#[derive(Debug)]
struct Allow<'a> {
    rule: &'a str,
    reason: &'a str,
    span: &'a Range<usize>,
    /// The statement it is for: the one it stands in or before.
    statement: Option<Range<usize>>,
}

/// Marks the findings that are allowed, and adds what is wrong with the comments themselves.
pub(crate) fn apply(text: &str, parsed: &Parsed, findings: &mut Vec<Finding>) {
    let mut said = Vec::new();
    for comment in &parsed.comments {
        if comment.text.contains("squawk-ignore") {
            said.push(foreign(text, comment));
        }
        let Some(allow) = read(comment, parsed) else { continue };
        said.extend(judged(text, &allow, findings));
    }
    findings.extend(said);
}

fn read<'a>(comment: &'a Comment, parsed: &Parsed) -> Option<Allow<'a>> {
    let rest = comment.text.trim_start().strip_prefix(WORD)?.trim();
    let (rule, reason) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let statement = parsed.statements.iter().map(|statement| &statement.span);
    let statement = statement.filter(|span| span.end >= comment.span.start).min_by_key(|s| s.end);
    let reason = reason.trim_start_matches(['-', ':', ' ']);
    Some(Allow { rule, reason, span: &comment.span, statement: statement.cloned() })
}

/// Takes the findings it is for; what is wrong with it otherwise.
fn judged(text: &str, allow: &Allow<'_>, findings: &mut [Finding]) -> Option<Finding> {
    let own = |rule: &'static str, message: String| {
        Finding::new(rule, own_weight(rule), message).at(text, allow.span)
    };
    if allow.reason.is_empty() {
        let message = format!("`{WORD} {}` gives no reason", allow.rule);
        let hint = format!("write `-- {WORD} RULE REASON`; the reason is kept with the run");
        return Some(own("allow-without-reason", message).hint(hint));
    }
    let mut used = false;
    for finding in findings.iter_mut().filter(|finding| is_for(allow, finding)) {
        finding.allowed = Some(allow.reason.to_owned());
        used = true;
    }
    if used {
        return None;
    }
    if !known().contains(allow.rule) {
        let message = format!("there is no rule `{}`", allow.rule);
        return Some(own("unknown-rule", message).hint("copy the name from the finding"));
    }
    let message = format!("`{}` finds nothing in this statement", allow.rule);
    Some(own("unused-allow", message).hint("remove the comment"))
}

fn is_for(allow: &Allow<'_>, finding: &Finding) -> bool {
    let inside = match (&finding.place, &allow.statement) {
        (Some(place), Some(statement)) => {
            statement.start <= place.span.start && place.span.start <= statement.end
        }
        (None, _) => true,
        (Some(_), None) => false,
    };
    inside && finding.rule == allow.rule
}

fn known() -> BTreeSet<String> {
    let own = OWN.iter().map(|(name, _)| (*name).to_owned());
    own.chain(crate::parse::rule_names()).collect()
}

fn foreign(text: &str, comment: &Comment) -> Finding {
    let message = "`squawk-ignore` has no effect here: what is allowed needs a reason";
    Finding::new("foreign-ignore", Severity::Warn, message)
        .hint(format!("write `-- {WORD} RULE REASON`"))
        .at(text, &comment.span)
}
