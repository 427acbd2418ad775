//! Which variant of a flag reaches a goal more often.

use crate::crowd::Crowd;
use crate::support::{Said, Server};
use crate::{FLAG, last_change, site};

/// A tenth of what users ask for is to buy, which only those with `variant` can.
fn experiment(variant: &str) -> (Server, String, Said) {
    let (server, listen) = site(&format!("BUYS_FLAG: new_checkout={variant}"));
    let paths = &["/", "/", "/", "/", "/", "/", "/", "/", "/", "/buy"];
    let crowd = Crowd::going(listen, 2_000, 0, paths);
    let words = ["flag", "rollout", "new_checkout", "--service", "shop", "--steps", "50,100"];
    let goal = ["--goal", "GET /buy", "--bake", "1s", "--window", "1s", "--detach"];
    server.ok(&[&words[..], &goal].concat());
    server.ok(&["wait", FLAG, "--for", "step=2", "--timeout", "1m"]);
    let during = server.ok(&["explain", FLAG]).out;
    let said = server.run(&["wait", FLAG, "--timeout", "9m"]);
    crowd.end();
    (server, during, said)
}

#[test]
fn the_variant_by_which_more_users_buy_wins() {
    let (server, during, said) = experiment("on");
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(during.contains("experiment"), "{during}");
    server.journal_until(0, "on won the experiment: goal reached by on ");
    let flag = server.json(&["flag", "get", "new_checkout"]);
    assert_eq!(flag["definition"]["defaultVariant"], "on", "{flag:#}");
}

#[test]
fn the_present_variant_may_win_and_stays() {
    let (server, _, said) = experiment("off");
    assert_eq!(said.code, Some(3), "{said:?}");
    let record = server.json(&["history", FLAG])["rollouts"][0].clone();
    let text = record["cause"]["text"].as_str().unwrap_or_default();
    assert!(text.starts_with("off won the experiment: goal reached by off "), "{record:#}");
    assert!(last_change(&server).2.contains("off won the experiment"), "{record:#}");
    let flag = server.json(&["flag", "get", "new_checkout"]);
    assert_eq!(flag["definition"]["defaultVariant"], "off", "{flag:#}");
}
