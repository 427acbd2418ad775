//! Bugs made by hand in what a migration does to the database: the model must see each.

use serin_migrate::{Action, Plan, Stage, Step};

/// A bug: what it is, and how it comes into a plan.
pub struct Bug {
    pub name: &'static str,
    pub put: fn(&mut Plan),
}

pub const BUGS: [Bug; 14] = [
    Bug { name: "the trigger works from what is there, not from what changed", put: unconditional },
    Bug { name: "rows that are inserted are flagged and not filled in", put: no_insert },
    Bug { name: "new clients are taken for old ones", put: all_old },
    Bug { name: "old clients are taken for new ones", put: all_new },
    Bug { name: "what new clients write is worked out again", put: again },
    Bug { name: "what new clients write does not reach old ones", put: no_down },
    Bug { name: "the way down is wrong by one", put: wrong_down },
    Bug { name: "a column is missing in the trigger's list", put: column_missing },
    Bug { name: "the trigger comes after the backfill", put: trigger_late },
    Bug { name: "the flag column begins with true", put: done_at_once },
    Bug { name: "rows that are written are not flagged", put: never_done },
    Bug { name: "the backfill works out something else than the trigger", put: other_backfill },
    Bug { name: "the new views show the old column", put: old_in_view },
    Bug { name: "the contract works all rows out once more", put: last_pass },
];

fn edit(steps: &mut [Step], from: &str, to: &str) {
    let mut edited = 0;
    for step in steps.iter_mut() {
        if let Action::Transaction { sql, .. } = &mut step.action {
            for statement in sql {
                edited += statement.matches(from).count();
                *statement = statement.replace(from, to);
            }
        }
    }
    assert!(edited > 0, "the bug does not fit the plan any more: {from}");
}

/// The runner's own look at the new rule is left out, so that the model has to see it.
fn without_rule(plan: &mut Plan) {
    let is_rule = |step: &Step| matches!(step.action, Action::Violations { .. });
    plan.forward.retain(|step| !is_rule(step));
    edit(&mut plan.forward, "CHECK (\"_serin_new_amount\" IS NOT NULL)", "CHECK (true)");
}

fn unconditional(plan: &mut Plan) {
    edit(&mut plan.forward, "TG_OP = 'UPDATE' AND (", "TG_OP = 'UPDATE' OR (");
}

fn no_insert(plan: &mut Plan) {
    let condition = "IF _serin_n.\"_serin_done\" IS NOT TRUE OR TG_OP = 'UPDATE' AND";
    edit(&mut plan.forward, condition, "IF TG_OP = 'UPDATE' AND");
    without_rule(plan);
}

fn all_old(plan: &mut Plan) {
    edit(&mut plan.forward, "IF coalesce(", "IF false AND coalesce(");
}

fn all_new(plan: &mut Plan) {
    edit(&mut plan.forward, "IF coalesce(", "IF true OR coalesce(");
}

fn again(plan: &mut Plan) {
    let unfilled = "IF TG_OP = 'UPDATE' AND _serin_n.\"_serin_done\" IS NOT TRUE THEN";
    edit(&mut plan.forward, unfilled, "IF TG_OP = 'UPDATE' THEN");
}

fn no_down(plan: &mut Plan) {
    edit(&mut plan.forward, "_serin_n.\"amount\" := _serin_down_1;", "");
}

fn wrong_down(plan: &mut Plan) {
    edit(&mut plan.forward, "(amount - 1) / 2", "amount / 2 + 1");
}

fn column_missing(plan: &mut Plan) {
    edit(&mut plan.forward, "UPDATE OF \"_serin_new_amount\", ", "UPDATE OF ");
}

/// The trigger's step goes behind the backfill; nobody looks whether anything is left over.
fn trigger_late(plan: &mut Plan) {
    let makes = |sql: &String| sql.contains("CREATE OR REPLACE TRIGGER");
    let steps = plan.forward.iter_mut().find_map(|step| match &mut step.action {
        Action::Transaction { sql, tables } if sql.iter().any(makes) => Some((sql, tables)),
        _ => None,
    });
    let (sql, tables) = steps.expect("a step makes the trigger");
    let (late, early): (Vec<_>, Vec<_>) = sql.drain(..).partition(makes);
    *sql = early;
    let action = Action::transaction(late, tables.clone());
    plan.forward.retain(|step| !matches!(step.action, Action::AllDone { .. }));
    let last = plan.forward.iter().rposition(|step| step.stage <= Stage::Backfill).unwrap_or(0);
    let title = "the trigger, late".into();
    plan.forward.insert(last + 1, Step { stage: Stage::Verify, title, action });
}

fn done_at_once(plan: &mut Plan) {
    edit(&mut plan.forward, "\"_serin_done\" boolean", "\"_serin_done\" boolean DEFAULT true");
    without_rule(plan);
}

fn never_done(plan: &mut Plan) {
    edit(&mut plan.forward, "\"_serin_done\" := true", "\"_serin_done\" := NULL");
    plan.forward.retain(|step| !matches!(step.action, Action::AllDone { .. }));
}

fn other_backfill(plan: &mut Plan) {
    plan.syncs[0].up[0].expression = "amount::bigint * 2".into();
}

fn old_in_view(plan: &mut Plan) {
    let column = "t.\"_serin_new_amount\" AS \"amount\"";
    edit(&mut plan.forward, column, "t.\"amount\"::bigint AS \"amount\"");
}

fn last_pass(plan: &mut Plan) {
    let first = "DROP FUNCTION IF EXISTS";
    let pass = "UPDATE public.t SET _serin_new_flag = 'f' || _serin_new_amount; DROP FUNCTION IF \
                EXISTS";
    edit(&mut plan.contract, first, pass);
}
