//! Columns that move to another table: each side writes the other.

use super::Context;
use crate::shape::{Cross, short};
use crate::trigger::{differs, is_new};
use crate::{Action, Ident, Stage, Step, literal};

/// Statements that hold both tables in step, for columns that come to `target`.
pub fn create(context: &Context<'_>, target: &Ident) -> Vec<String> {
    let all = context.shape.crosses.iter();
    let here = all.filter(|cross| context.shape.tables[cross.target].physical == *target);
    here.flat_map(|cross| [forth(context, cross), back(context, cross)].concat()).collect()
}

/// Tables they come from, whose locks are needed too.
pub fn sources(context: &Context<'_>, target: &Ident) -> Vec<Ident> {
    let all = context.shape.crosses.iter();
    let here = all.filter(|cross| context.shape.tables[cross.target].physical == *target);
    here.map(|cross| context.shape.tables[cross.source].physical.clone()).collect()
}

/// Takes it away, whether or not it is there.
pub fn drop(context: &Context<'_>) -> Vec<String> {
    let names = context
        .shape
        .crosses
        .iter()
        .flat_map(|cross| [name(context, cross, "forth"), name(context, cross, "back")]);
    names.map(|name| format!("DROP FUNCTION IF EXISTS {}() CASCADE", context.of(&name))).collect()
}

fn name(context: &Context<'_>, cross: &Cross, side: &str) -> Ident {
    let table = |at: usize| context.shape.tables[at].physical.as_str();
    let parts = [table(cross.source), cross.was.as_str(), table(cross.target), side];
    short("zzz_serin_x_", &parts)
}

/// What old clients write where it was goes where it will be.
fn forth(context: &Context<'_>, cross: &Cross) -> Vec<String> {
    let pairs: Vec<(&Ident, &Ident)> = cross.keys.iter().map(|(near, far)| (far, near)).collect();
    let when = format!("NOT ({})", is_new(context.sides()));
    written(
        context,
        (cross, "forth"),
        (cross.source, &cross.was),
        (cross.target, &cross.new),
        (&pairs, &when),
    )
}

/// What new clients write where it will be goes where it was.
fn back(context: &Context<'_>, cross: &Cross) -> Vec<String> {
    let pairs: Vec<(&Ident, &Ident)> = cross.keys.iter().map(|(near, far)| (near, far)).collect();
    let when = is_new(context.sides());
    written(
        context,
        (cross, "back"),
        (cross.target, &cross.new),
        (cross.source, &cross.was),
        (&pairs, &when),
    )
}

/// A trigger on one table that writes the other; pairs are columns there and here.
fn written(
    context: &Context<'_>,
    (cross, side): (&Cross, &str),
    (from, column): (usize, &Ident),
    (to, target): (usize, &Ident),
    (pairs, when): (&[(&Ident, &Ident)], &str),
) -> Vec<String> {
    let [from, to] = [from, to].map(|at| context.of(&context.shape.tables[at].physical));
    let name = name(context, cross, side);
    let function = context.of(&name);
    let same: Vec<String> =
        pairs.iter().map(|(there, here)| format!("_serin_to.{there} = NEW.{here}")).collect();
    let other = differs(&format!("_serin_to.{target}"), &format!("NEW.{column}"), &cross.data_type);
    let body = format!(
        "BEGIN IF {when} THEN UPDATE {to} AS _serin_to SET {target} = NEW.{column} \
         WHERE {} AND {other}; END IF; RETURN NULL; END",
        same.join(" AND ")
    );
    let mut watched: Vec<String> = pairs.iter().map(|(_, here)| here.to_string()).collect();
    watched.push(column.to_string());
    let body = crate::ident::block(&body);
    vec![
        format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS {body}"
        ),
        format!(
            "CREATE TRIGGER {name} AFTER INSERT OR UPDATE OF {} ON {from} FOR EACH ROW \
             EXECUTE FUNCTION {function}()",
            watched.join(", ")
        ),
    ]
}

/// Values that have no row to go to.
pub fn lost(context: &Context<'_>, stage: Stage) -> Vec<Step> {
    let all = context.shape.crosses.iter();
    all.map(|cross| {
        let (source, target) =
            (&context.shape.tables[cross.source], &context.shape.tables[cross.target]);
        let same: Vec<String> =
            cross.keys.iter().map(|(near, far)| format!("f.{far} = t.{near}")).collect();
        let condition = format!(
            "t.{} IS NOT NULL AND NOT EXISTS (SELECT FROM {} f WHERE {})",
            cross.was,
            context.of(&target.physical),
            same.join(" AND ")
        );
        let shown: Vec<usize> = source
            .columns
            .iter()
            .position(|column| *column.physical() == cross.was)
            .into_iter()
            .collect();
        let query = super::constraints::query(context, source, &condition, &shown);
        let rule = format!("a row of {} for each value of {}", target.name, cross.was);
        let title =
            format!("look for values of {} that have no row to go to", literal(cross.was.as_str()));
        Step { stage, title, action: Action::Violations { rule, query } }
    })
    .collect()
}
