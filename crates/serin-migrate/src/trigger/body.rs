//! The function that the trigger runs.

use super::{Sides, expression::differs, quoted_block};
use crate::{Derive, Ident, LossyDown, TableSync, literal};
use std::fmt::Write;

/// Names inside the function. Columns can have any name, `new` and `old` too; these cannot be
/// taken for one.
const NEW: &str = "_serin_n";
const OLD: &str = "_serin_o";

/// The statement that makes the function.
pub fn function(sync: &TableSync, sides: Sides<'_>) -> String {
    let declared: String = sync
        .up
        .iter()
        .enumerate()
        .map(|(at, derive)| variable("up", at, derive))
        .chain(sync.down.iter().enumerate().map(|(at, derive)| variable("down", at, derive)))
        .collect();
    let body = format!(
        "\n#variable_conflict use_variable\nDECLARE\n  {NEW} ALIAS FOR NEW;\n  {OLD} ALIAS FOR \
         OLD;\n  _serin_count bigint;\n  _serin_path text;\n{declared}BEGIN\n  IF {} THEN\n{}{}  ELSE\n    \
         _serin_count := pg_catalog.nextval({}::regclass);\n{}  END IF;\n  {NEW}.{} := true;\n  RETURN \
         {NEW};\nEND\n",
        is_new(sides),
        fill(sync),
        side(sync, "down", &sync.down),
        literal(&format!("serin.{}", sync.trigger)),
        side(sync, "up", &sync.up),
        sync.done,
    );
    let (schema, name) = (sides.schema, &sync.trigger);
    format!(
        "CREATE OR REPLACE FUNCTION {schema}.{name}() RETURNS trigger LANGUAGE plpgsql AS {}",
        quoted_block(&body),
    )
}

fn variable(side: &str, at: usize, derive: &Derive) -> String {
    format!("  _serin_{side}_{at} {};\n", derive.data_type)
}

/// Whether a new client writes: it says so, or its views come before those of old clients in its
/// path. Looked at as Postgres resolved it, not as it was written.
///
/// Functions are named with their schema: all this runs as whoever writes, and somebody else may
/// have made one of the same name that fits better.
pub fn is_new(sides: Sides<'_>) -> String {
    let (old, new) = (literal(sides.old.as_str()), literal(sides.new.as_str()));
    let at = |schema: &str| {
        format!("pg_catalog.array_position(pg_catalog.current_schemas(false), {schema}::name)")
    };
    format!(
        "coalesce(nullif(pg_catalog.current_setting('serin.version', true), '') = {new}, \
         {new}::name = ANY (pg_catalog.current_schemas(false)) AND coalesce({} > {}, true))",
        at(&old),
        at(&new),
    )
}

/// A new client changes a row that was never filled in: what it leaves alone comes from the old
/// values.
fn fill(sync: &TableSync) -> String {
    let mut text = format!("    IF TG_OP = 'UPDATE' AND {NEW}.{} IS NOT TRUE THEN\n", sync.done);
    for (at, derive) in sync.up.iter().enumerate() {
        let kept = format!("NOT ({})", changed(&derive.target, &derive.data_type));
        text += &guarded(&kept, &assignment(sync, "up", at, derive));
    }
    text + "    END IF;\n"
}

fn side(sync: &TableSync, side: &str, derives: &[Derive]) -> String {
    let one = |(at, derive): (usize, &Derive)| {
        guarded(&condition(sync, side, derive), &assignment(sync, side, at, derive))
    };
    derives.iter().enumerate().map(one).collect()
}

fn guarded(condition: &str, then: &str) -> String {
    format!("    IF {condition} THEN\n{then}    END IF;\n")
}

/// When a value is worked out again. The flag of a row that moves to another partition is set
/// already when it comes in there: nothing of it changes.
fn condition(sync: &TableSync, side: &str, derive: &Derive) -> String {
    let unfilled = format!("{NEW}.{} IS NOT TRUE", sync.done);
    let first = match side {
        "up" => unfilled,
        _ => format!("TG_OP = 'INSERT' AND {unfilled}"),
    };
    if derive.volatile || derive.inputs.is_empty() {
        return first;
    }
    let inputs = derive.inputs.iter();
    let any: Vec<String> = inputs.map(|input| changed(&input.physical, &input.data_type)).collect();
    format!("{first} OR TG_OP = 'UPDATE' AND ({})", any.join(" OR "))
}

fn changed(column: &Ident, data_type: &str) -> String {
    differs(&format!("{NEW}.{column}"), &format!("{OLD}.{column}"), data_type)
}

/// One value: its expression sees its inputs under their logical names, bare and qualified.
fn assignment(sync: &TableSync, side: &str, at: usize, derive: &Derive) -> String {
    let mut block = format!("      <<{}>>\n      DECLARE\n", derive.scope);
    for input in &derive.inputs {
        let (logical, physical) = (&input.logical, &input.physical);
        let _ = writeln!(block, "        {logical} {} := {NEW}.{physical};", input.data_type);
    }
    let value = format!("_serin_{side}_{at}");
    let _ = write!(
        block,
        "      BEGIN\n        {value} := ({}\n        );\n      END;\n      {NEW}.{} := {value};\n",
        derive.expression, derive.target,
    );
    if let Some(path) = &derive.path {
        block = looked_up(path, &block);
    }
    if side == "down" && sync.lossy == LossyDown::Quarantine {
        return caught(sync, derive, &block);
    }
    block
}

/// Names are looked up where they were when the migration was planned, whatever the client's path
/// is. What fails takes the path back with everything else.
fn looked_up(path: &str, block: &str) -> String {
    format!(
        "      _serin_path := pg_catalog.current_setting('search_path');\n      \
         PERFORM pg_catalog.set_config('search_path', {}, true);\n{block}      \
         PERFORM pg_catalog.set_config('search_path', _serin_path, true);\n",
        literal(path)
    )
}

/// A value that the old shape cannot hold is noted, and the old column keeps what it had.
fn caught(sync: &TableSync, derive: &Derive, block: &str) -> String {
    let inputs = derive.inputs.iter();
    let inputs: Vec<String> = inputs
        .map(|input| format!("{}, {NEW}.{}", literal(input.logical.as_str()), input.physical))
        .collect();
    format!(
        "      BEGIN\n{block}      EXCEPTION WHEN data_exception OR integrity_constraint_violation \
         OR datatype_mismatch OR raise_exception THEN\n        PERFORM serin.quarantine({}, {}, {}, \
         pg_catalog.jsonb_build_object({}), SQLERRM);\n      END;\n",
        literal(sync.trigger.as_str()),
        key(sync),
        literal(derive.target.as_str()),
        inputs.join(", "),
    )
}

fn key(sync: &TableSync) -> String {
    let crate::Key::Columns { columns } = &sync.key else {
        return format!("pg_catalog.to_jsonb({NEW})");
    };
    let parts: Vec<String> = columns
        .iter()
        .map(|(name, _)| format!("{}, {NEW}.{name}", literal(name.as_str())))
        .collect();
    format!("pg_catalog.jsonb_build_object({})", parts.join(", "))
}
