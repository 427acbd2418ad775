//! `setHeaderRoute` and `setMirrorRoute`, with the words of Argo Rollouts.

use super::{Ladder, percentage};
use crate::{affinity::is_token, field::Field, nearest::nearest, reader::Reader, yaml::shown};
use serin_core::{HeaderMatch, HeaderRoute, MirrorRoute, RequestMatch, Step, TextMatch, Weight};

/// Methods whose copies do their work a second time.
const UNSAFE: [&str; 4] = ["POST", "PUT", "PATCH", "DELETE"];
const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];
const EXAMPLE: &str = "[{ headerName: x-tester, headerValue: { exact: \"yes\" } }]";

impl<'a> Ladder<'a, '_> {
    pub(super) fn header_route(&mut self, field: &Field<'a>) -> Option<Step> {
        self.needs_users(field, "setHeaderRoute");
        let mut reader = field.map()?;
        let name = reader.need("name", "testers", |f| name(&f));
        let matches = reader.or("match", Some(Vec::new()), |f| Some(header_matches(&f)));
        reader.finish();
        let (name, matches) = (name?, matches?);
        if matches.is_empty() {
            self.takes_away(field, &name, self.routes.contains(&name));
            self.routes.remove(&name);
        } else {
            self.needs_instances(field, "setHeaderRoute");
            self.routes.insert(name.clone());
        }
        Some(Step::SetHeaderRoute(HeaderRoute { name, matches }))
    }

    pub(super) fn mirror_route(&mut self, field: &Field<'a>) -> Option<Step> {
        self.needs_users(field, "setMirrorRoute");
        let mut reader = field.map()?;
        let name = reader.need("name", "copies", |f| name(&f));
        let matches = reader.or("match", Some(Vec::new()), |f| Some(request_matches(&f)));
        let share = reader.or("percentage", Weight::ALL, |f| percentage(&f));
        let named_share = reader.has("percentage");
        let (name, matches) = (name?, matches?);
        if matches.is_empty() && named_share {
            let message = "a `percentage` without `match`: an empty `match` takes the route away";
            let hint = "write `match: [{ path: { prefix: / } }]` to copy everything, or remove \
                        `percentage`";
            reader.report(reader.key_problem("wrong-choice", message).hint(hint));
        }
        reader.finish();
        if matches.is_empty() {
            self.takes_away(field, &name, self.mirrored.as_ref() == Some(&name));
            self.mirrored = None;
            return Some(Step::SetMirror(MirrorRoute { name, matches, share: Weight::NONE }));
        }
        self.needs_instances(field, "setMirrorRoute");
        self.mirrored = Some(name.clone());
        Some(Step::SetMirror(MirrorRoute { name, matches, share }))
    }

    /// Routes lead requests.
    fn needs_users(&self, field: &Field<'a>, word: &str) {
        if self.around.worker {
            let message = format!("`{word}` leads requests, and a worker has none");
            let hint = "remove it, or add `traffic: { listen: ... }` to the service";
            field.report(field.key_problem("worker", message).hint(hint));
        }
    }

    fn takes_away(&self, field: &Field<'a>, name: &str, there: bool) {
        if there || !self.complete {
            return;
        }
        let message = format!(
            "this takes the route `{}` away, and no step before made one of this name",
            shown(name)
        );
        let known = self.routes.iter().chain(&self.mirrored).map(String::as_str);
        let problem = field.key_problem("unknown-route", message);
        field.report(match nearest(name, known) {
            Some(near) => problem.label(format!("did you mean `{}`?", shown(near))),
            None => problem.hint("give it a `match`, or remove the step"),
        });
    }
}

fn name(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    let inside = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    if text.len() <= 50 && text.bytes().all(inside) {
        return Some(text.into());
    }
    let message = format!("`{}` cannot be a name here", shown(text));
    field.report(
        field.problem("bad-name", message).hint("use 1 to 50 of A-Z, a-z, 0-9, `-` and `_`"),
    );
    None
}

/// A list of headers and what they must be; `None` when one of them is wrong.
pub(crate) fn header_matches(field: &Field<'_>) -> Option<Vec<HeaderMatch>> {
    let found: Vec<_> = field.list()?.iter().map(header_match).collect();
    found.into_iter().collect()
}

fn header_match(field: &Field<'_>) -> Option<HeaderMatch> {
    let mut reader = field.map()?;
    let header = reader.need("headerName", "x-tester", |f| header_name(&f));
    let value = reader.or("headerValue", Some(TextMatch::Present), |f| Some(text_match(&f, false)));
    reader.finish();
    Some(HeaderMatch { header: header?, value: value? })
}

/// The lower-case name of a header.
pub(crate) fn header_name(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    if is_token(text) {
        return Some(text.to_ascii_lowercase());
    }
    let message = format!("`{}` cannot be the name of a header", shown(text));
    field.report(field.problem("bad-name", message).hint("use 1 to 64 of A-Z, a-z, 0-9 and `-`"));
    None
}

/// `{ exact: ... }`, `{ prefix: ... }` or `{ regex: ... }`.
pub(crate) fn text_match(field: &Field<'_>, path: bool) -> Option<TextMatch> {
    let mut reader = field.map()?;
    let text = |f: Field<'_>| f.string().map(str::to_owned);
    let exact = reader.maybe("exact", text).map(TextMatch::Exact);
    let prefix = reader.maybe("prefix", text).map(TextMatch::Prefix);
    let regex = reader.maybe("regex", |f| regex(&f)).map(TextMatch::Regex);
    one_of(&reader, &["exact", "prefix", "regex"]);
    for key in ["exact", "prefix"] {
        if let Some(field) = reader.peek(key).filter(|_| path)
            && field.scalar().is_some_and(|text| !text.starts_with('/'))
        {
            let message = format!("a path starts with `/`, and `{key}` does not: nothing matches");
            field.report(field.problem("bad-path", message).hint("write it from its `/` on"));
        }
    }
    reader.finish();
    exact.or(prefix).or(regex)
}

fn one_of(reader: &Reader<'_>, keys: &[&'static str]) {
    if keys.iter().filter(|key| reader.has(key)).count() != 1 {
        let names: Vec<_> = keys.iter().map(|key| format!("`{key}`")).collect();
        let message = format!("exactly one is needed of {}", names.join(", "));
        reader.report(reader.key_problem("wrong-choice", message).hint("keep one of them"));
    }
}

/// In the syntax of the data plane's own engine, so that it cannot be refused later.
fn regex(field: &Field<'_>) -> Option<String> {
    let text = field.word()?;
    match regex_lite::Regex::new(text) {
        Ok(_) => Some(text.into()),
        Err(why) => {
            let message =
                format!("`{}` is no regular expression: {}", shown(text), shown(&why.to_string()));
            field.report(field.problem("bad-regex", message));
            None
        }
    }
}

/// A list of requests; `None` when one of them is wrong.
pub(crate) fn request_matches(field: &Field<'_>) -> Option<Vec<RequestMatch>> {
    let found: Vec<_> = field.list()?.iter().map(request_match).collect();
    found.into_iter().collect()
}

fn request_match(field: &Field<'_>) -> Option<RequestMatch> {
    let mut reader = field.map()?;
    let methods = reader.or("method", Some(Vec::new()), |f| Some(methods(&f)));
    let path = reader.or("path", Some(None), |f| Some(text_match(&f, true).map(Some)));
    let headers = reader.or("headers", Some(Vec::new()), |f| Some(headers(&f)));
    if reader.len() == 0 {
        let hint = format!("write for example `path: {{ prefix: / }}` or {EXAMPLE}");
        reader.report(
            reader.key_problem("empty-value", format!("{} is empty", field.what)).hint(hint),
        );
    }
    reader.finish();
    Some(RequestMatch { methods: methods?, path: path?, headers: headers? })
}

/// `method: GET`, `method: [GET, POST]` or Argo's `method: { exact: GET }`.
fn methods(field: &Field<'_>) -> Option<Vec<String>> {
    let found = if field.is_map() {
        let mut reader = field.map()?;
        let exact = reader.need("exact", "GET", |f| method(&f));
        reader.finish();
        vec![exact]
    } else if field.scalar().is_some() {
        vec![method(field)]
    } else {
        field.list()?.iter().map(method).collect()
    };
    let found: Option<Vec<_>> = found.into_iter().collect();
    warn_unsafe(field, found.as_deref()?);
    found
}

/// A method, in capitals.
pub(crate) fn method(field: &Field<'_>) -> Option<String> {
    let choices: Vec<_> = METHODS.iter().map(|name| (*name, *name)).collect();
    field.choice(&choices).map(str::to_owned)
}

fn warn_unsafe(field: &Field<'_>, methods: &[String]) {
    let Some(method) = methods.iter().find(|m| UNSAFE.contains(&m.as_str())) else { return };
    let message = format!("copies of {method} do their work a second time: two orders, two mails");
    let hint = "copy GET and HEAD alone, unless the candidate writes elsewhere";
    field.report(field.problem("unsafe-copies", message).warning().hint(hint));
}

/// Argo's map of header names to what they must be.
fn headers(field: &Field<'_>) -> Option<Vec<HeaderMatch>> {
    let mut found = Vec::new();
    for (entry, value) in field.map()?.all() {
        if !is_token(&entry.key) {
            let message = format!("`{}` cannot be the name of a header", shown(&entry.key));
            field.report(value.key_problem("bad-name", message));
            return None;
        }
        found.push(HeaderMatch {
            header: entry.key.to_ascii_lowercase(),
            value: text_match(&value, false)?,
        });
    }
    Some(found)
}
