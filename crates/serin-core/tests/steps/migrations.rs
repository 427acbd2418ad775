//! The schema of the database, which comes before the code and goes back behind it.

use crate::support::{World, percent, revision};
use crate::{ALL, cause, finish, settle, told};
use serin_core::*;

const VIEW: &str = "public_02_rename";
const DAY: Millis = Millis::secs(86_400);

fn database(migration: Option<&str>) -> DatabaseSpec {
    DatabaseSpec {
        url: EnvValue::FromEnv("DATABASE_URL".into()),
        schema: "public".into(),
        inject: Inject::default(),
        migration: migration.map(Into::into),
        view: None,
    }
}

fn migrate() -> Step {
    let file =
        MigrationFile { name: "02_rename".into(), text: "operations: []".into(), sql: false };
    Step::Migrate(MigrateStep { path: "/srv/02_rename.yaml".into(), files: vec![file].into() })
}

fn steps() -> Vec<Step> {
    vec![migrate(), Step::SetWeight(percent(25)), Step::Pause(None), ALL]
}

/// Deploys `version`, which brings a migration or none.
pub fn deploy(world: &mut World, version: &str, brings: bool) -> Result<(), Refusal> {
    let mut spec = world.service.spec.clone();
    let hash = if version == "v4" { "77aa" } else { "5ba3" };
    spec.run.database = Some(database(brings.then_some(hash)));
    let steps = if brings { steps() } else { vec![Step::SetWeight(percent(25)), ALL] };
    spec.schedule.stages = Schedule::of("canary", steps).stages;
    let ask = DeployAsk {
        spec,
        revision: revision(version),
        allow_bad: true,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask)))?;
    settle(world);
    Ok(())
}

/// v1 stable on the tables themselves.
fn on_tables() -> World {
    let mut world = World::on_v1(vec![ALL]);
    world.service.spec.run.database = Some(database(None));
    let v1 = world.service.revisions.get_mut(&revision("v1")).unwrap();
    v1.run.database = Some(database(None));
    settle(&mut world);
    world
}

/// v1 stable on the tables themselves, v2 waiting for its schema.
pub fn begun() -> World {
    let mut world = on_tables();
    deploy(&mut world, "v2", true).unwrap();
    world
}

/// The same, with another way to change the fleet, and other steps behind the schema.
pub fn begun_with(capacity: Capacity, steps: Vec<Step>) -> World {
    let mut world = on_tables();
    let mut spec = world.service.spec.clone();
    spec.run.database = Some(database(Some("5ba3")));
    spec.schedule.stages = Schedule::of("fleet", [vec![migrate()], steps].concat()).stages;
    spec.schedule.capacity = capacity;
    let ask = DeployAsk {
        spec,
        revision: revision("v2"),
        allow_bad: false,
        departure: None,
        skips: Skips::Nothing,
    };
    world.ask(Ask::Deploy(Box::new(ask))).unwrap();
    settle(&mut world);
    world
}

fn order(world: &World) -> MigrationOrder {
    migrations_wanted(&world.service).into_iter().next().expect("something is owed")
}

/// Says what became of what is owed, twice.
pub fn say(world: &mut World, news: MigrationNews) {
    let event = Event::Migrated { order: Box::new(order(world)), news };
    world.event(&event).unwrap();
    let (before, lines) = (world.service.clone(), world.told.len());
    world.event(&event).unwrap();
    assert_eq!((before, lines), (world.service.clone(), world.told.len()), "said twice is once");
    settle(world);
}

pub fn ready(by_hand: bool) -> MigrationNews {
    let (name, view) = ("02_rename".into(), VIEW.into());
    MigrationNews::Ready { name, view, after: DAY, by_hand }
}

/// v2 at its pause with a quarter of the traffic.
pub fn on_trial() -> World {
    let mut world = begun();
    say(&mut world, ready(true));
    finish(&mut world);
    assert_eq!(world.rollout().step.index, 2, "{}", world.waiting);
    world
}

/// v2 is stable, both shapes are in use.
pub fn promoted() -> World {
    let mut world = on_trial();
    world.ask(Ask::Promote { full: false }).unwrap();
    finish(&mut world);
    world.advance(30);
    settle(&mut world);
    assert_eq!(world.service.stable, Some(revision("v2")), "{}", world.waiting);
    assert!(world.service.rollout.is_none(), "{}", world.waiting);
    world
}

pub fn contract(world: &mut World, override_reason: Option<&str>) -> Result<(), Refusal> {
    let override_reason = override_reason.map(Into::into);
    world.ask(Ask::Contract { override_reason, backup: None })
}

pub fn contracted() -> World {
    let mut world = promoted();
    world.now = world.now.plus(DAY);
    contract(&mut world, None).unwrap();
    say(&mut world, MigrationNews::Contracted);
    world
}

fn view_of(world: &World, version: &str) -> Option<String> {
    let planned = world.plan().revisions.get(&revision(version)).expect("a plan for it");
    planned.run.database.as_ref().unwrap().view.clone()
}

#[test]
fn no_instance_starts_before_its_schema_is_ready() {
    let mut world = begun();
    assert_eq!(world.replicas("v2"), 0);
    assert!(matches!(order(&world).goal, MigrationGoal::Ready { first: false, .. }));
    let refused = world.ask(Ask::Promote { full: true }).unwrap_err();
    assert_eq!(refused.code, RefusalCode::NothingToSkip);
    world.advance(600);
    assert_eq!((world.replicas("v2"), world.rollout().step.index), (0, 0));
    say(&mut world, ready(true));
    assert!(world.replicas("v2") > 0);
    assert_eq!(view_of(&world, "v2").as_deref(), Some(VIEW));
    assert_eq!(view_of(&world, "v1"), None);
    assert!(migrations_wanted(&world.service).is_empty());
}

#[test]
fn the_way_is_told_with_rows_and_time() {
    let mut world = begun();
    let progress = MigrationProgress {
        state: "backfilling".into(),
        step: "fill in orders".into(),
        rows: Some((250_000, 1_000_000)),
        rate: 50_000,
        left: Some(Millis::secs(15)),
        waiting: None,
    };
    say(&mut world, MigrationNews::Progress(progress));
    assert_eq!(
        world.waiting,
        "migration 02_rename: fill in orders: 25 % (250,000 of 1,000,000 rows, 50,000/s, 15 s left)"
    );
    let why = "the database does not answer";
    say(&mut world, MigrationNews::Stopped { why: why.into() });
    assert_eq!(
        (world.waiting.clone(), told(&world, why)),
        (format!("migration 02_rename: {why}"), 1)
    );
}

#[test]
fn what_is_held_is_not_owed() {
    let mut world = begun();
    world.ask(Ask::Pause).unwrap();
    assert!(migrations_wanted(&world.service).is_empty());
    world.ask(Ask::Resume).unwrap();
    assert_eq!(migrations_wanted(&world.service).len(), 1);
}

#[test]
fn a_way_back_during_the_backfill_reverts_it_at_once() {
    let mut world = begun();
    let late = order(&world);
    world.ask(Ask::Abort).unwrap();
    settle(&mut world);
    assert!(matches!(order(&world).goal, MigrationGoal::Back { .. }));
    let event = Event::Migrated { order: Box::new(late), news: ready(true) };
    world.event(&event).unwrap();
    assert!(
        matches!(order(&world).goal, MigrationGoal::Back { .. }),
        "what comes too late is none"
    );
    say(&mut world, MigrationNews::Back);
    assert!(world.service.schemas.is_plain());
}

#[test]
fn the_schema_goes_back_when_the_code_has_drained() {
    let mut world = on_trial();
    world.ask(Ask::Abort).unwrap();
    let mut seen = world.perfect();
    let draining = RevisionObservation { stopping: 1, ..RevisionObservation::default() };
    seen.revisions.insert(revision("v2"), draining);
    world.observe(seen);
    assert_eq!(world.weight("v1"), 100);
    assert!(migrations_wanted(&world.service).is_empty(), "v2 still answers its last requests");
    settle(&mut world);
    assert!(matches!(order(&world).goal, MigrationGoal::Back { .. }));
    say(&mut world, MigrationNews::Stopped { why: "no database".into() });
    assert_eq!(order(&world).goal, MigrationGoal::Back { name: "02_rename".into() });
    say(&mut world, MigrationNews::Back);
    deploy(&mut world, "v2", true).unwrap();
    assert!(matches!(order(&world).goal, MigrationGoal::Ready { .. }), "it can be tried again");
}

#[test]
fn a_migration_that_cannot_be_planned_goes_back_and_says_why() {
    let mut world = begun();
    say(&mut world, MigrationNews::Refused { why: "there is no column nmae".into() });
    assert_eq!(
        world
            .records
            .last()
            .and_then(|r| r.cause.clone())
            .map_or_else(|| cause(&world).text, |cause| cause.text),
        "migration 02_rename: there is no column nmae"
    );
    let standing = world.service.revisions[&revision("v2")].standing;
    assert_eq!(standing, RevisionStanding::Untried, "the database may be another one tomorrow");
}

#[test]
fn both_shapes_stay_for_the_window_and_a_person() {
    let mut world = promoted();
    let early = contract(&mut world, None).unwrap_err();
    assert_eq!(early.code, RefusalCode::Schema);
    assert!(early.message.contains("the way back stays open for 2"), "{}", early.message);
    assert!(migrations_wanted(&world.service).is_empty());
    world.now = world.now.plus(DAY);
    world.event(&Event::Woke).unwrap();
    assert!(migrations_wanted(&world.service).is_empty(), "a person says when");
    contract(&mut world, None).unwrap();
    assert!(matches!(order(&world).goal, MigrationGoal::Contract { .. }));
    say(&mut world, MigrationNews::Refused { why: "shop/v1 is connected".into() });
    assert_eq!(told(&world, "the old shape stays: shop/v1 is connected"), 1);
    contract(&mut world, None).unwrap();
    say(&mut world, MigrationNews::Contracted);
    let schemas = &world.service.schemas;
    assert_eq!((schemas.settled.as_deref(), schemas.open.is_none()), (Some(VIEW), true));
}

#[test]
fn the_window_can_be_set_aside_and_old_instances_cannot() {
    let mut world = promoted();
    let mut seen = world.perfect();
    seen.revisions
        .insert(revision("v1"), RevisionObservation { ready: 2, ..RevisionObservation::default() });
    world.observe(seen);
    let refused = contract(&mut world, Some("no room")).unwrap_err();
    assert_eq!(refused.message, "2 instances of v1 use the old shape");
    settle(&mut world);
    contract(&mut world, Some("no room")).unwrap();
    assert_eq!(told(&world, "although the way back would stay open for 2"), 1);
}

#[test]
fn where_it_says_so_the_old_shape_goes_by_itself() {
    let mut world = begun();
    say(&mut world, ready(false));
    finish(&mut world);
    world.ask(Ask::Promote { full: true }).unwrap();
    finish(&mut world);
    world.advance(30);
    settle(&mut world);
    assert!(world.service.rollout.is_none(), "{}", world.waiting);
    assert_eq!(world.wake_at, world.service.schemas.open.as_ref().unwrap().window_ends());
    world.now = world.wake_at.unwrap();
    world.event(&Event::Woke).unwrap();
    say(&mut world, MigrationNews::Refused { why: "old clients wrote".into() });
    assert!(migrations_wanted(&world.service).is_empty());
    world.advance(60);
    assert!(matches!(order(&world).goal, MigrationGoal::Contract { .. }), "it is tried again");
    say(&mut world, MigrationNews::Contracted);
}

#[test]
fn before_the_contract_the_old_revision_is_a_step_away() {
    let mut world = promoted();
    world.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap();
    assert!(contract(&mut world, Some("now")).is_err(), "not while somebody goes there");
    finish(&mut world);
    assert!(migrations_wanted(&world.service).is_empty(), "v2 still serves or drains");
    world.advance(30);
    world.close();
    assert_eq!(world.service.stable, Some(revision("v1")), "{}", world.waiting);
    assert!(matches!(order(&world).goal, MigrationGoal::Back { .. }));
    say(&mut world, MigrationNews::Back);
    let refused = world.ask(Ask::Rollback { to: Some(revision("v2")) }).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Schema);
}

#[test]
fn after_the_contract_the_old_revision_is_refused_with_the_reason() {
    let mut world = contracted();
    let refused = world.ask(Ask::Rollback { to: Some(revision("v1")) }).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Schema);
    let gone = "the schema that v1 uses is gone since the contract of 02_rename";
    assert_eq!(refused.message, gone);
    assert_eq!(world.service.rollback_target(), None);
    assert_eq!(deploy(&mut world, "v1", false).unwrap_err().message, gone);
}

#[test]
fn the_next_revision_uses_the_shape_of_stable() {
    let mut world = promoted();
    deploy(&mut world, "v3", false).unwrap();
    assert_eq!(view_of(&world, "v3").as_deref(), Some(VIEW));
    world.ask(Ask::Abort).unwrap();
    world.close();
    assert_eq!(
        world.service.schemas.open.as_ref().map(|open| open.name.as_str()),
        Some("02_rename")
    );
}

#[test]
fn the_next_migration_waits_for_the_contract() {
    let mut world = promoted();
    deploy(&mut world, "v4", true).unwrap();
    assert_eq!(world.replicas("v4"), 0);
    assert_eq!(
        world.waiting,
        "migration 02_rename: one at a time, and 02_rename of v2 has both shapes in use: `serin \
         migrate contract shop` ends it"
    );
    world.now = world.now.plus(DAY);
    contract(&mut world, None).unwrap();
    say(&mut world, MigrationNews::Contracted);
    assert!(matches!(order(&world).goal, MigrationGoal::Ready { .. }), "{}", world.waiting);
}

#[test]
fn a_contract_that_comes_by_itself_is_not_kept_by_the_migration_that_waits_for_it() {
    let mut world = begun();
    say(&mut world, ready(false));
    finish(&mut world);
    world.ask(Ask::Promote { full: false }).unwrap();
    finish(&mut world);
    world.advance(30);
    settle(&mut world);
    deploy(&mut world, "v4", true).unwrap();
    assert!(world.waiting.ends_with("its contract comes by itself"), "{}", world.waiting);
    world.now = world.now.plus(DAY);
    settle(&mut world);
    let goal = order(&world).goal;
    assert!(matches!(goal, MigrationGoal::Contract { .. }), "{goal:?}");
    say(&mut world, MigrationNews::Contracted);
    assert!(matches!(order(&world).goal, MigrationGoal::Ready { .. }), "{}", world.waiting);
}

#[test]
fn what_needs_a_migration_is_not_retried_without_it() {
    let mut world = begun();
    say(&mut world, ready(true));
    deploy(&mut world, "v1", false).unwrap();
    assert!(told(&world, "goes back once nothing uses the new shape") > 0, "{:?}", world.told);
    let refused = world.ask(Ask::Retry { allow_bad: true }).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Schema, "{refused:?}");
    assert_eq!(world.replicas("v2"), 0);
}

#[test]
fn a_migration_that_is_there_already_is_used_as_it_is() {
    let mut world = begun();
    let (name, view) = ("02_rename".into(), VIEW.into());
    say(&mut world, MigrationNews::Applied { name, view });
    finish(&mut world);
    assert_eq!(view_of(&world, "v2").as_deref(), Some(VIEW));
    world.ask(Ask::Abort).unwrap();
    world.close();
    assert!(migrations_wanted(&world.service).is_empty(), "what was not begun is not taken back");
    assert!(world.service.misfit(&revision("v1")).is_none());
}

#[test]
fn a_service_that_goes_takes_its_trial_back_and_leaves_the_rest() {
    let mut world = begun();
    world.ask(Ask::Remove).unwrap();
    settle(&mut world);
    assert!(!world.service.is_gone(), "the database is owed its old shape");
    say(&mut world, MigrationNews::Back);
    let mut world = promoted();
    world.ask(Ask::Remove).unwrap();
    assert_eq!(told(&world, "is left open in the database"), 0, "a deploy may take it back");
    settle(&mut world);
    assert!(world.service.is_gone(), "{}", world.waiting);
    assert_eq!(told(&world, "is left open in the database"), 1);
}

#[test]
fn a_deploy_that_takes_the_removal_back_has_the_migration_as_it_was() {
    let mut world = promoted();
    let open = |world: &World| world.service.schemas.open.as_ref().map(|open| open.name.clone());
    let before = open(&world);
    assert!(before.is_some());
    world.ask(Ask::Remove).unwrap();
    deploy(&mut world, "v2", false).unwrap();
    settle(&mut world);
    assert_eq!(open(&world), before);
    assert!(world.service.misfit(&revision("v2")).is_none());
}

#[test]
fn what_ran_with_a_shape_that_was_taken_back_is_not_deployed_again() {
    let mut world = promoted();
    deploy(&mut world, "v3", false).unwrap();
    finish(&mut world);
    (0..2).for_each(|_| {
        world.advance(30);
        settle(&mut world);
    });
    assert_eq!(view_of(&world, "v3").as_deref(), Some(VIEW), "as stable does");
    deploy(&mut world, "v1", false).unwrap();
    finish(&mut world);
    (0..2).for_each(|_| {
        world.advance(30);
        settle(&mut world);
    });
    say(&mut world, MigrationNews::Back);
    assert!(world.service.schemas.is_plain(), "{:?}", world.service.schemas);
    let refused = deploy(&mut world, "v3", false).unwrap_err();
    assert_eq!(refused.code, RefusalCode::Schema, "{refused:?}");
    assert!(world.service.misfit(&revision("v1")).is_none());
}

#[test]
fn a_later_revision_with_the_same_migration_uses_it_as_it_is() {
    let mut world = promoted();
    deploy(&mut world, "v3", true).unwrap();
    assert_eq!(view_of(&world, "v3").as_deref(), Some(VIEW), "{}", world.waiting);
    assert!(migrations_wanted(&world.service).is_empty());
}
