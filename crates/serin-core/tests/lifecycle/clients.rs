//! Which clients revisions serve, in the plan and in words.

use super::*;

fn only(range: &str) -> Clients {
    Clients { header: "x-client".into(), serves: range.parse().unwrap(), assume: None }
}

fn planned(world: &World) -> Vec<(String, String)> {
    let clients = world.plan().clients.iter();
    clients.map(|(id, c)| (id.version.to_string(), c.serves.to_string())).collect()
}

#[test]
fn a_plan_says_who_serves_whom_while_there_is_a_choice() {
    let mut world = World::on_v1(by_hand());
    world.service.spec.schedule.analysis = None;
    world.service.spec.clients = Some(only(">=2"));
    world.deploy("v1").unwrap();
    world.settle();
    assert_eq!(planned(&world), [], "one revision alone");
    world.service.spec.clients = Some(only(">=3"));
    world.deploy("v2").unwrap();
    catch_up(&mut world);
    let both = [("v1".to_owned(), ">=2".to_owned()), ("v2".to_owned(), ">=3".to_owned())];
    assert_eq!(planned(&world), both);
    world.ask(Ask::Promote { full: true }).unwrap();
    catch_up(&mut world);
    assert_eq!((world.weight("v2"), planned(&world)), (100, both.to_vec()), "while v1 is there");
    run_out(&mut world);
    assert_eq!((planned(&world), world.service.stable.clone()), (vec![], Some(revision("v2"))));
}

#[test]
fn what_nobody_said_is_all() {
    let mut world = World::on_v1(by_hand());
    world.service.spec.schedule.analysis = None;
    world.deploy("v2").unwrap();
    catch_up(&mut world);
    assert_eq!(planned(&world), []);
}
