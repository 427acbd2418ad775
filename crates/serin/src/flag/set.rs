//! `serin flag set`: the words of a command as one change.

use super::args::{FlagKind, SetArgs};
use super::change::{asking, changed, put};
use super::eval::read_file;
use super::look::path_of;
use super::people;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use clap::ValueEnum as _;
use http::Method;
use serde_json::{Map, Value, json};
use serin_flags::{Definition, Timestamp};
use serin_server::api::view::{FlagPatch, FlagPut};
use std::path::Path;

/// `serin flag set`.
pub async fn set(context: &Context<'_>, args: SetArgs) -> Result<Exit, Failure> {
    let path = path_of(&args.key, "", &args.set.set);
    if let Some(file) = &args.file {
        let definition = read(file)?;
        let request = FlagPut { asking: asking(args.why.reason.clone()), definition };
        return changed(context, &put(context, &path, &request).await?);
    }
    let now = Timestamp(jiff::Timestamp::now().as_second());
    let request = FlagPatch {
        patch: patch(&args, now)?,
        strategies: strategies(&args)?,
        // Without an owner it is rather a slip of the pen than a new flag.
        create: args.owner.is_some(),
        asking: asking(args.why.reason.clone()),
    };
    if request.patch.is_empty() && request.strategies.is_empty() {
        return Err(Failure::usage("nothing-to-set", "nothing is said about the flag")
            .hint("`serin flag set --help` has examples"));
    }
    let document = context.client.send(Method::PATCH, &path, &request, args.if_at).await;
    changed(context, &document.map_err(|failure| new(failure, &args.key))?)
}

/// Of a flag that is not there: how to make it.
fn new(mut failure: Failure, key: &str) -> Failure {
    if failure.code == "unknown-flag" {
        let make = format!("to make it, say `serin flag set {key} --owner TEAM --expires 40d`");
        failure.hint = Some(failure.hint.map_or(make.clone(), |hint| format!("{hint}; {make}")));
    }
    failure
}

fn read(path: &Path) -> Result<Definition, Failure> {
    serde_json::from_slice(&read_file(path)?).map_err(|error| {
        Failure::usage("invalid-flag", format!("`{}` is no flag: {error}", path.display()))
            .hint("`serin flag get KEY --json` shows one: its `definition`")
    })
}

fn patch(args: &SetArgs, now: Timestamp) -> Result<Map<String, Value>, Failure> {
    let kind = args.kind.as_ref().and_then(FlagKind::to_possible_value);
    let kind = kind.map(|kind| Value::from(kind.get_name()));
    let requires = args.requires.as_deref().map(requires).transpose()?;
    let values = args.values.as_deref().map(values).transpose()?;
    let off = values.as_ref().and_then(|all| all.last()).map(|last| last["name"].clone());
    let fields = [
        ("kind", kind),
        ("owner", args.owner.clone().map(Value::from)),
        ("expiresAt", args.expires.map(|end| Value::from(end.at(now).to_string()))),
        ("description", args.description.clone().map(Value::from)),
        ("tags", args.tags.clone().map(Value::from)),
        ("bucketBy", args.bucket_by.clone().map(Value::from)),
        ("requires", requires),
        ("variants", values.map(Value::from)),
        ("offVariant", off.clone()),
        ("defaultVariant", off),
        ("approval", people::demand(&args.demand)),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Ok(given.collect())
}

fn requires(text: &str) -> Result<Value, Failure> {
    match text.split_once('@') {
        Some((service, version)) if !service.is_empty() && !version.is_empty() => {
            Ok(json!({ "service": service, "version": version }))
        }
        _ => Err(Failure::usage("usage", format!("`{text}` names no code"))
            .hint("write it as `shop@v42`")),
    }
}

/// `red` is a text of that name; `small=10` names a number. What is no JSON is a text.
fn values(words: &[String]) -> Result<Vec<Value>, Failure> {
    if words.len() < 2 {
        let few = Failure::usage("usage", "a flag needs at least two values");
        return Err(few.hint("write them as `--values red,blue,off`; the last is the off variant"));
    }
    let value = |word: &String| {
        let (name, text) = word.split_once('=').unwrap_or((word, word));
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
        json!({ "name": name, "value": value })
    };
    Ok(words.iter().map(value).collect())
}

fn strategies(args: &SetArgs) -> Result<Vec<Value>, Failure> {
    let attribute = args.attribute.as_deref().map(attribute).transpose()?;
    let shares = args.variants.as_deref().map(shares).transpose()?;
    let users = args
        .users
        .as_ref()
        .map(|users| users.iter().filter(|user| !user.is_empty()).cloned().collect::<Vec<_>>());
    let all = [
        args.all.then(|| json!({ "strategy": "all" })),
        args.none.then(|| json!({ "strategy": "none" })),
        args.percent.map(|percent| json!({ "strategy": "percentage", "value": percent })),
        shares.map(|shares| json!({ "strategy": "variants", "value": shares })),
        users.map(|users| json!({ "strategy": "user_list", "value": users })),
        attribute.map(|one| json!({ "strategy": "attribute", "value": one })),
    ];
    Ok(all.into_iter().flatten().collect())
}

fn attribute(text: &str) -> Result<Value, Failure> {
    let Some((name, list)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        let message = format!("`{text}` is no attribute with its value");
        return Err(Failure::usage("usage", message).hint("write it as `plan=pro,team`"));
    };
    let values: Vec<&str> = list.split(',').collect();
    Ok(json!({ "attribute": name, "operator": "in", "value": values }))
}

fn shares(words: &[String]) -> Result<Map<String, Value>, Failure> {
    let share = |word: &String| {
        let (name, percent) = word.split_once('=')?;
        let percent: f64 = percent.trim_end_matches('%').parse().ok()?;
        Some((name.to_owned(), Value::from(percent)))
    };
    let found = words.iter().map(share).collect::<Option<Map<_, _>>>();
    found.ok_or_else(|| {
        Failure::usage("usage", "the variants cannot be read")
            .hint("write `--variants red=50,off=50`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(Into::into).collect()
    }

    #[test]
    fn values_are_texts_unless_they_are_json() {
        let found = values(&words("small=10,large=2.5,on=true,red,x={\"a\"")).unwrap();
        let only: Vec<_> = found.iter().map(|one| one["value"].clone()).collect();
        assert_eq!(only, [json!(10), json!(2.5), json!(true), json!("red"), json!("{\"a\"")]);
        assert!(values(&words("on")).is_err());
    }

    #[test]
    fn shares_and_attributes_are_read() {
        let found = shares(&words("red=50,off=50%")).unwrap();
        assert_eq!(Value::from(found), json!({"red": 50.0, "off": 50.0}));
        assert!(shares(&words("red")).is_err() && shares(&words("red=x")).is_err());
        let wanted = json!({"attribute": "plan", "operator": "in", "value": ["pro", "team"]});
        assert_eq!(attribute("plan=pro,team").unwrap(), wanted);
        assert!(attribute("plan").is_err() && attribute("=x").is_err());
        assert!(requires("shop").is_err() && requires("@v1").is_err());
    }
}
