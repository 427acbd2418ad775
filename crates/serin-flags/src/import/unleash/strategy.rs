//! Strategies.

use super::{Source, constraint, list, texts};
use crate::{Clause, Operator, Scalar, Serve, Share, import::values::Values, strategy::share};
use serde_json::Value;

/// What is hashed together with whom.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Group {
    pub salt: String,
    pub stickiness: String,
}

/// A strategy.
#[derive(Debug)]
pub(super) struct Piece {
    /// Whom it fits: one of these lists holds whole.
    pub alternatives: Vec<Vec<Clause>>,
    pub percent: u32,
    /// How its percentage is found; none: it takes everybody.
    pub group: Option<Group>,
    pub salt: String,
    pub variants: Vec<Value>,
}

impl Piece {
    /// A strategy for everybody.
    pub fn everybody() -> Self {
        let (alternatives, salt) = (vec![Vec::new()], String::new());
        Self { alternatives, percent: 100, group: None, salt, variants: Vec::new() }
    }

    pub fn switch(&self) -> Serve {
        if self.group.is_none() {
            return Serve::Variant(if self.percent == 0 { "off" } else { "on" }.to_owned());
        }
        share("on".to_owned(), "off".to_owned(), self.percent * 1_000)
    }
}

pub(super) fn pieces(source: &Source<'_>) -> Result<Vec<Piece>, String> {
    source.strategies().into_iter().map(|written| piece(source, written)).collect()
}

fn piece(source: &Source<'_>, written: &Value) -> Result<Piece, String> {
    let parameters = &written["parameters"];
    let mut piece = Piece::everybody();
    piece.salt = text(&parameters["groupId"]).unwrap_or_else(|| source.key.to_owned());
    piece.variants = list(&written["variants"]).cloned().collect();
    match written["name"].as_str().unwrap_or_default() {
        "default" => {}
        "userWithId" => {
            let users = text(&parameters["userIds"]).unwrap_or_default();
            piece.alternatives = vec![vec![listed("targetingKey", &users)]];
        }
        "remoteAddress" => {
            let addresses = text(&parameters["IPs"]).unwrap_or_default();
            let clause = listed("remoteAddress", &addresses);
            piece.alternatives = vec![vec![Clause { operator: Operator::InNetwork, ..clause }]];
        }
        "flexibleRollout" => rollout(&mut piece, parameters)?,
        other => return Err(format!("the strategy {other:?} has no counterpart")),
    }
    for list in &mut piece.alternatives {
        list.extend(constraint::all(&written["constraints"])?);
        list.extend(segments(source, written)?);
    }
    Ok(piece)
}

fn rollout(piece: &mut Piece, parameters: &Value) -> Result<(), String> {
    let percent = match &parameters["rollout"] {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().and_then(|percent| u32::try_from(percent).ok()),
    };
    piece.percent =
        percent.filter(|percent| *percent <= 100).ok_or("a rollout that is no percent")?;
    let stickiness = text(&parameters["stickiness"]).unwrap_or_else(|| "default".to_owned());
    if stickiness == "random" {
        return Err("it gives every call a random answer".to_owned());
    }
    if piece.percent < 100 {
        piece.group = Some(Group { salt: piece.salt.clone(), stickiness });
    } else if stickiness != "default" {
        // All of them, but only who has the attribute.
        let exists = Clause { operator: Operator::Exists, ..listed("", "") };
        piece.alternatives =
            vec![vec![Clause { attribute: constraint::attribute(&stickiness), ..exists }]];
    }
    Ok(())
}

fn listed(attribute: &str, list: &str) -> Clause {
    let values = list.split(',').map(str::trim).filter(|one| !one.is_empty()).map(Scalar::from);
    Clause {
        attribute: attribute.to_owned(),
        operator: Operator::In,
        values: values.collect(),
        inverted: false,
        ignore_case: false,
    }
}

/// Constraints of the segments a strategy names. An export of the admin API has only their names.
fn segments(source: &Source<'_>, written: &Value) -> Result<Vec<Clause>, String> {
    let mut all = Vec::new();
    for id in list(&written["segments"]) {
        let segment = list(&source.document["segments"]).find(|segment| segment["id"] == *id);
        let constraints = segment.map(|segment| &segment["constraints"]);
        match constraints.filter(|constraints| constraints.is_array()) {
            Some(constraints) => all.extend(constraint::all(constraints)?),
            None => return Err(format!("the constraints of segment {id} are not in the document")),
        }
    }
    Ok(all)
}

/// Variants with their payloads as a split.
pub(super) fn variants(
    variants: &[&Value],
    values: &mut Values,
    group: &Group,
) -> Result<Serve, String> {
    let mut shares = Vec::new();
    for variant in variants {
        if list(&variant["overrides"]).count() > 0 {
            return Err("a variant with overrides".to_owned());
        }
        let name = text(&variant["name"]).ok_or("a variant without a name")?;
        let value = payload(&name, &variant["payload"])?;
        let known = values.value_of(&name).is_some_and(|known| *known == value);
        let name = if known { name } else { values.add(name, &value)? };
        let weight = variant["weight"].as_u64().filter(|weight| *weight <= 1_000);
        let weight = weight.ok_or("a variant without a weight")? as u32 * 100;
        shares.push(Share { variant: name, weight });
    }
    let sum: u32 = shares.iter().map(|share| share.weight).sum();
    if sum != crate::WHOLE {
        return Err("weights of variants that do not sum to 1000".to_owned());
    }
    if let [one] = shares.as_slice() {
        return Ok(Serve::Variant(one.variant.clone()));
    }
    if !matches!(group.stickiness.as_str(), "default" | "userId") {
        return Ok(Serve::Split {
            shares,
            by: Some(constraint::attribute(&group.stickiness)),
            salt: Some(group.salt.clone()),
        });
    }
    Ok(Serve::Split { shares, by: None, salt: Some(group.salt.clone()) })
}

fn payload(name: &str, payload: &Value) -> Result<Value, String> {
    let Some(written) = payload["value"].as_str() else { return Ok(name.into()) };
    match payload["type"].as_str() {
        Some("json" | "number") => serde_json::from_str(written)
            .map_err(|_| format!("the payload of {name:?} is not what it says")),
        _ => Ok(written.into()),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Array(_) => Some(texts(value).join(",")),
        _ => None,
    }
}
