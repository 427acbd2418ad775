use super::*;
use serin_core::{Limits, LogLimits, Millis, Probe, ProbeKind};

fn vars() -> Vars {
    Vars {
        service: "shop".parse().unwrap(),
        revision: "v2@ab12cd".parse().unwrap(),
        colour: Colour::Green,
        role: Role::Candidate,
        instance: "shop-v2-ab12-7".into(),
        port: 8101,
        flags: None,
    }
}

fn run(dir: &Path) -> RunSpec {
    RunSpec {
        command: vec!["./shop".into(), "--port=$(PORT)".into(), "$$(PORT) $(HOME) $(".into()],
        env: BTreeMap::new(),
        env_files: Vec::new(),
        working_directory: dir.display().to_string(),
        user: None,
        limits: Limits::default(),
        readiness: Probe {
            kind: ProbeKind::Tcp,
            period: Millis(1000),
            timeout: Millis(1000),
            failure_threshold: 3,
            success_threshold: 1,
            initial_delay: Millis(0),
        },
        liveness: None,
        grace: Millis(1000),
        log: LogLimits::default(),
        metrics: None,
        database: None,
    }
}

fn nobody(_: &str) -> Option<String> {
    None
}

#[test]
fn variables_are_filled_in_and_escapes_and_strangers_stay() {
    let dir = tempfile::tempdir().unwrap();
    let command = vars().command(&run(dir.path()));
    assert_eq!(command, ["./shop", "--port=8101", "$(PORT) $(HOME) $("]);
    assert_eq!(vars().fill("$(ROLE)/$(REVISION)/$(INSTANCE)$"), "candidate/v2/shop-v2-ab12-7$");
    assert_eq!(vars().fill("jobs-$(COLOUR) jobs-$(COLOR)"), "jobs-green jobs-green");
    assert_eq!(vars().fill("5$ $$ $()"), "5$ $$ $()");
}

#[test]
fn an_instance_knows_where_the_flags_are() {
    let dir = tempfile::tempdir().unwrap();
    let told = |at: &str, name: &str| {
        let vars = Vars { flags: Some(at.parse().unwrap()), ..vars() };
        vars.environment(&run(dir.path()), &nobody).unwrap().remove(name).unwrap()
    };
    assert_eq!(told("127.0.0.1:8016", "FEATURE_FLAGS_URL"), "http://127.0.0.1:8016");
    assert_eq!(told("0.0.0.0:8016", "OFREP_ENDPOINT"), "http://127.0.0.1:8016");
    assert_eq!(told("[::]:8016", "FEATURE_FLAGS_URL"), "http://[::1]:8016");
    assert_eq!(told("[::1]:8013", "FLAGD_HOST"), "::1");
    assert_eq!(told("10.0.0.1:8013", "FLAGD_PORT"), "8013");
    let mut own = run(dir.path());
    own.env.insert("FLAGD_PORT".into(), EnvValue::Literal("1".into()));
    let vars = Vars { flags: Some("127.0.0.1:8016".parse().unwrap()), ..vars() };
    // What the specification says wins.
    assert_eq!(vars.environment(&own, &nobody).unwrap()["FLAGD_PORT"], "1");
}

#[test]
fn an_instance_knows_itself_and_a_little_of_the_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = |name: &str| (name == "PATH" || name == "SECRET").then(|| "x".to_string());
    let env = vars().environment(&run(dir.path()), &server).unwrap();
    let pairs: Vec<String> = env.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let expected = [
        "PATH=x",
        "PORT=8101",
        "REVISION=v2",
        "SERIN_COLOUR=green",
        "SERIN_INSTANCE=shop-v2-ab12-7",
        "SERIN_REVISION=v2@ab12cd",
        "SERIN_ROLE=candidate",
        "SERIN_SERVICE=shop",
    ];
    assert_eq!(pairs, expected);
}

#[test]
fn files_and_variables_are_read_and_the_specification_wins() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(".env"), "# c\n\nexport A=1\nB=\"two words\"\nC=file\n")
        .unwrap();
    std::fs::write(dir.path().join("token"), "se$(PORT)cret\n\n").unwrap();
    let mut run = run(dir.path());
    run.env_files = vec![".env".into()];
    run.env.insert("C".into(), EnvValue::Literal("$(PORT)".into()));
    run.env.insert("T".into(), EnvValue::FromFile("token".into()));
    run.env.insert("U".into(), EnvValue::FromEnv("USERNAME".into()));
    let server = |name: &str| (name == "USERNAME").then(|| "ann$(PORT)".to_string());
    let env = vars().environment(&run, &server).unwrap();
    let get = |name: &str| env[name].as_str();
    assert_eq!((get("A"), get("B"), get("C")), ("1", "two words", "8101"));
    assert_eq!((get("T"), get("U")), ("se$(PORT)cret\n", "ann$(PORT)"), "taken as it is");
}

#[test]
fn what_is_missing_is_named_and_no_value_is() {
    let dir = tempfile::tempdir().unwrap();
    let check = |change: &dyn Fn(&mut RunSpec), expected: &str| {
        let mut run = run(dir.path());
        change(&mut run);
        let error = vars().environment(&run, &nobody).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    };
    check(
        &|r| drop(r.env.insert("T".into(), EnvValue::FromEnv("TOKEN".into()))),
        "env `T` is taken from variable `TOKEN`",
    );
    check(
        &|r| drop(r.env.insert("T".into(), EnvValue::FromFile("none".into()))),
        "the file of env `T`",
    );
    check(&|r| r.env_files.push("none.env".into()), "none.env");
    std::fs::write(dir.path().join("bad.env"), "A=1\nhunter2\n").unwrap();
    check(&|r| r.env_files.push("bad.env".into()), "line 2 of");
    std::fs::write(dir.path().join("odd.env"), "9A=hunter2\n").unwrap();
    check(&|r| r.env_files.push("odd.env".into()), "line 1 of");
}
