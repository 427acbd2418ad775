//! How problems are drawn, and what a program gets.

use crate::{SERVICE, loaded, problems, source};
use serin_spec::{Problems, Severity};

fn drawn(text: &str) -> String {
    problems(text).render(&source(text), false)
}

fn with_spec(text: &str) -> String {
    SERVICE.replace("spec:\n", &format!("spec:\n{text}"))
}

#[test]
fn a_typo_is_drawn_where_it_is() {
    let text = format!(
        "{SERVICE}  strategy:\n    canary:\n      steps:\n        - setWeight: 5\n        - pause: {{ durasion: 5m }}\n        - setWeight: 100\n"
    );
    let expected = "\
error[unknown-key]: `durasion` is not a key of `pause`
  --> serin.yaml:12:20
   |
12 |         - pause: { durasion: 5m }
   |                    ^^^^^^^^ did you mean `duration`?
   |
   = help: keys of `pause`: duration";
    assert_eq!(drawn(&text), expected);
}

#[test]
fn both_places_of_a_double_are_drawn() {
    let text = with_spec("  replicas: 1\n  environment: test\n  replicas: 2\n");
    let expected = "\
error[duplicate-key]: `replicas` is written twice in one map
 --> serin.yaml:7:3
  |
7 |   replicas: 2
  |   ^^^^^^^^ second time
  |
 ::: serin.yaml:5:3
  |
5 |   replicas: 1
  |   -------- first time
  |
  = help: keep one of the two";
    assert_eq!(drawn(&text), expected);
}

#[test]
fn all_problems_are_drawn_in_the_order_of_the_file() {
    let text = with_spec("  replicas: 0\n  environment: É\n");
    let drawn = drawn(&text);
    let titles: Vec<_> = drawn.lines().filter(|line| line.starts_with("error")).collect();
    assert_eq!(titles.len(), 2, "{drawn}");
    assert!(titles[0].contains("`replicas` is 0"), "{drawn}");
    assert!(titles[1].contains("`É` is not the name of an environment"), "{drawn}");
}

fn drawn_value(pair: &str) -> String {
    drawn(&SERVICE.replace("  run:\n", &format!("  run:\n    env: {{ {pair}, A-B: x }}\n")))
}

#[test]
fn secrets_of_the_file_are_not_drawn() {
    let text = SERVICE.replace(
        "  run:\n",
        "  run:\n    env: { DB_PASSWORD: hunter2, api_token: \"s3cret, too\", A-B: x }\n",
    );
    let drawn = drawn(&text);
    assert!(drawn.contains("DB_PASSWORD: *******, api_token: *************, A-B: x }"), "{drawn}");
    let block = SERVICE.replace(
        "  run:\n",
        "  run:\n    env:\n      db-secret: hun,ter2\n      TOKEN: \"a\\\"b, c\"\n",
    );
    let drawn = self::drawn(&block);
    assert!(drawn.contains("db-secret: ********\n"), "{drawn}");
    assert!(drawn.contains("TOKEN: *********\n"), "{drawn}");
    let quoted = drawn_value("TOKEN: 'a''b, c'");
    assert!(quoted.contains("TOKEN: *********, A-B: x }"), "{quoted}");
    let over_lines = self::drawn("env:\n  PRIVATE_KEY: \"MIIE\n hunter2\nhunter3\n");
    assert!(!over_lines.contains("hunter"), "{over_lines}");
    let address = "database: { url: postgres://ann:hunter2@db/shop }\n";
    let address = self::drawn(&SERVICE.replace("  traffic", &format!("  {address}  traffic")));
    assert!(address.contains("postgres://ann:*******@db/shop"), "{address}");
    for (written, shown) in [
        ("postgres://ann:hun/ter2@db/shop", "postgres://ann:********@db/shop"),
        ("postgres://ann:hun?ter2@db", "postgres://ann:********@db"),
        ("postgres://db:5432/shop?options=a@b", "postgres://db:5432/shop?options=a@b"),
        ("postgres://db/a:b@c", "postgres://db/a:b@c"),
    ] {
        let address = self::drawn(&format!("database: {{ url: {written} }}\n"));
        assert!(address.contains(shown), "{address}");
    }
    let broken = "env: { DB_PASSWORD: \"hunter2 }\n";
    assert!(!self::drawn(broken).contains("hunter2"));
    let json = serde_json::to_string(&problems(&text)).unwrap();
    assert!(!json.contains("hunter2") && !json.contains("s3cret"), "{json}");
}

#[test]
fn colour_is_only_given_when_asked_for() {
    let text = with_spec("  replicas: 0\n");
    let problems = problems(&text);
    assert!(problems.render(&source(&text), true).contains("\u{1b}["));
    assert!(!problems.render(&source(&text), false).contains('\u{1b}'));
}

#[test]
fn control_characters_of_the_file_do_not_reach_the_terminal() {
    let text = with_spec("  \"rep\\e[31mlicas\": 0\n");
    assert!(!drawn(&text).contains('\u{1b}'));
    let json = serde_json::to_string(&problems(&text)).unwrap();
    assert!(!json.contains('\u{1b}'));
}

#[test]
fn a_program_gets_places_and_codes() {
    let text = with_spec("  replicaz: 0\n");
    let found: serde_json::Value = serde_json::to_value(problems(&text)).unwrap();
    let expected = serde_json::json!([{
        "severity": "error",
        "code": "unknown-key",
        "message": "`replicaz` is not a key of `spec`",
        "line": 5,
        "column": 3,
        "span": { "start": 78, "end": 86 },
        "label": "did you mean `replicas`?",
        "hint": "keys of `spec`: environment, replicas, revision, run, database, traffic, migrate, strategy, \
                 onNewRevision, rollback, data, clients, train, notify, revisionHistoryLimit, instanceHourCost",
    }]);
    assert_eq!(found, expected);
}

#[test]
fn the_summary_names_the_first_and_counts_the_rest() {
    let text = with_spec("  replicas: 0\n  environment: É\n");
    assert_eq!(
        problems(&text).to_string(),
        "line 5, column 13: `replicas` is 0; allowed are 1 to 100 (and 1 more problems)"
    );
}

#[test]
fn others_can_point_into_the_file() {
    let service = &loaded(SERVICE).services[0];
    let problem =
        service.problem(Severity::Error, "port-in-use", "spec.traffic.listen", "8080 is in use");
    assert_eq!((problem.line, problem.column), (7, 22));
    let unwritten = service.problem(Severity::Error, "x", "spec.run.liveness.httpGet", "y");
    assert_eq!((unwritten.line, unwritten.column), (6, 5), "falls back to `run`");
    let nowhere = service.problem(Severity::Error, "x", "elsewhere", "y");
    assert_eq!((nowhere.line, nowhere.column), (3, 19), "falls back to the name");
    assert_eq!(
        Problems(vec![problem]).render(&source(SERVICE), false),
        "\
error[port-in-use]: 8080 is in use
 --> serin.yaml:7:22
  |
7 |   traffic: { listen: \"127.0.0.1:8080\" }
  |                      ^^^^^^^^^^^^^^^^"
    );
}
