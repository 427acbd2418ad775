//! A wrong script is told with its line and what is allowed.

use serin_sim::script;

fn check(script: &str, expected: &str) {
    let error = script::run(script).expect_err("a wrong script").to_string();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn an_unknown_command_names_its_line_and_all_that_is_allowed() {
    let error = script::run("# one\nservice shop\nadvnce 5m\n").expect_err("a wrong script");
    assert_eq!(error.line, 3);
    let text = error.to_string();
    assert!(text.starts_with("line 3: `advnce 5m` is not a command; allowed: service"), "{text}");
    assert!(text.contains("advance TIME") && text.ends_with("show"), "{text}");
}

#[test]
fn words_that_do_not_fit_say_what_fits() {
    check(
        "service shop replica=3",
        "line 1: `replica` is not a setting; allowed: preset, replicas",
    );
    check("service shop replicas=0", "line 1: `0` is not a number from 1 to 100");
    check(
        "service shop steps=\"20 bakes(10s) 100\"",
        "line 1: `bakes(10s)` is not a step; allowed",
    );
    check("service shop steps=\"20 bake(10s,wait=5) 100\"", "line 1: `wait` is not of a bake");
    check("service shop steps=\"20 50\"", "line 1: the weights of `20 50` do not rise to 100");
    check("service shop steps=\"50 20 100\"", "line 1: the weights of `50 20 100` do not rise");
    check("service shop alpha=0.5", "line 1: `0.5` is not a chance above 0 and below 0.5");
    check("service Shop", "line 1: `Shop` is not a service name");
    check("advance 5", "line 1: `5` is not a time such as 200ms, 30s, 5m or 1h");
    check("advance 200ms", "line 1: `200ms` is not a time in whole seconds");
    check("truth v2 erors 4%", "line 1: `erors 4%` is not a truth; allowed: good, errors 4%");
    check("truth v2 errors 4", "line 1: `4` is not a share from 0% to 100%");
    check("drop next message", "line 1: `message` is not a message; allowed: apply, observation");
    check("clock 30s", "line 1: `30s` is not a move of the clock such as +30s or -5s");
    check("service shop steps=\"20 100", "line 1: a `\"` is not closed");
}

#[test]
fn commands_need_the_service_of_the_script() {
    check("deploy shop v1", "line 1: no service yet; begin with `service NAME`");
    check("service shop\ndeploy shp v1", "line 2: there is no service `shp`, only `shop`");
}

#[test]
fn a_script_gives_the_same_transcript_every_time() {
    let script = "service shop\ntraffic shop 100\ndeploy shop v1\nadvance 10s\n\
                  truth v2 crashes 10%\ndeploy shop v2\nadvance 1m\nshow\n";
    let first = script::run(script).expect("a sound script");
    assert!(first.contains("v2 crashed 3 times"), "{first}");
    assert_eq!(first, script::run(script).expect("a sound script"));
}
