//! What a good file becomes.

use crate::{SERVICE, loaded, said};
use serin_core::{
    Analysis, Bake, EnvValue, Limits, LogLimits, Millis, OnInconclusive, Probe, ProbeKind,
    ServiceSpec, Step, Weight,
};
use serin_stats::Metric;

fn one(text: &str) -> ServiceSpec {
    let mut services = loaded(text).services;
    assert_eq!(services.len(), 1);
    services.remove(0).value
}

fn weight(percent: u32) -> Step {
    Step::SetWeight(Weight::percent(percent).unwrap())
}

fn steps(spec: &ServiceSpec) -> Vec<Step> {
    spec.schedule.steps().map(|(_, step)| step.clone()).collect()
}

const TCP: Probe = Probe {
    kind: ProbeKind::Tcp,
    period: Millis(1000),
    timeout: Millis(1000),
    failure_threshold: 3,
    success_threshold: 1,
    initial_delay: Millis(0),
};

#[test]
fn a_short_file_gets_the_defaults() {
    let spec = one(SERVICE);
    assert_eq!(spec.name.as_str(), "shop");
    assert_eq!(spec.environment, "production");
    assert_eq!((spec.replicas, &spec.version), (2, &None));
    assert_eq!(spec.run.command, ["./shop", "$(PORT)"]);
    assert!(spec.run.env.is_empty() && spec.run.env_files.is_empty());
    assert_eq!(spec.run.working_directory, "/srv/app");
    assert_eq!((&spec.run.user, &spec.run.limits), (&None, &Limits::default()));
    assert_eq!((&spec.run.readiness, &spec.run.liveness), (&TCP, &None));
    assert_eq!(spec.run.grace, Millis::secs(30));
    assert_eq!(spec.run.log, LogLimits { max_bytes: 10 << 20, keep: 2 });
    assert_eq!(spec.traffic.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(spec.traffic.request_timeout, Millis::secs(60));
    assert_eq!(spec.schedule, serin_spec::guarded());
}

#[test]
fn without_a_strategy_the_rollout_is_guarded() {
    let schedule = serin_spec::guarded();
    assert_eq!((schedule.strategy.as_str(), schedule.rungs()), ("guarded", 0));
    assert_eq!(schedule.analysis, Some(Analysis::default()));
    let bake = Step::Bake(Bake {
        at_least: Millis::secs(30),
        requests: 0,
        until_evidence: false,
        deadline: Millis::secs(3600),
    });
    let steps: Vec<_> = schedule.steps().map(|(_, step)| step.clone()).collect();
    assert_eq!(steps, [weight(25), bake.clone(), weight(50), bake, weight(100)]);
}

#[test]
fn the_reference_says_nothing_but_defaults_where_it_says_so() {
    let text = serin_spec::reference();
    assert_eq!(said(text), "");
    let spec = one(text);
    let short = one(SERVICE);
    assert_eq!(spec.environment, short.environment);
    assert_eq!(spec.replicas, short.replicas);
    assert_eq!(spec.run.working_directory, short.run.working_directory);
    assert_eq!((spec.run.grace, &spec.run.log), (short.run.grace, &short.run.log));
    assert_eq!(Probe { kind: ProbeKind::Tcp, ..spec.run.readiness }, TCP);
    assert_eq!(spec.traffic, short.traffic);
    assert_eq!(spec.schedule.analysis, Some(Analysis::default()));
    let times = |spec: &ServiceSpec| {
        let s = &spec.schedule;
        (s.warm_up, s.progress_deadline, s.keep_warm)
    };
    assert_eq!(times(&spec), times(&short));
}

/// Everything written, nothing at its default.
const FULL: &str = r#"
apiVersion: serin.dev/v1alpha1
kind: Service
metadata: { name: shop }
spec:
  environment: staging
  replicas: 3
  revision: v2
  run:
    command: ["./shop", "--port", "$(PORT)"]
    env: { VERSION: "$(REVISION)", KEY: { fromFile: keys/k }, R: { fromEnv: REGION } }
    envFiles: [./shop.env, /etc/shop.env]
    workingDirectory: ../work
    user: www-data
    limits: { openFiles: 1024, memory: 512Mi, processes: 64 }
    readiness: { httpGet: { path: /ready }, periodSeconds: 0.25, timeoutSeconds: 2 }
    liveness:  { httpGet: { path: "/health?deep=1" }, failureThreshold: 5 }
    terminationGracePeriodSeconds: 10
    logs: { maxSize: 1Mi, keep: 5 }
  traffic: { listen: "127.0.0.1:8080", requestTimeout: 1m30s }
  strategy:
    canary:
      steps:
        - setWeight: 0.1
        - bake: { atLeast: 30s, requests: 2000, until: evidence }
        - setWeight: 25
        - pause: { duration: 5m }
        - pause: {}
        - setWeight: 100
      analysis:
        preset: cautious
        beta: 0.02
        metrics: [errors]
        harm: { ratio: 3, floor: "1%" }
        latencyTolerance: 20%
        onInconclusive: rollback
      warmUp: 1s
      progressDeadline: 2m
      keepWarm: 0s
"#;

#[test]
fn what_is_written_about_instances_holds() {
    let spec = one(FULL);
    assert_eq!((spec.environment.as_str(), spec.replicas), ("staging", 3));
    assert_eq!(spec.version.as_ref().unwrap().as_str(), "v2");
    let run = &spec.run;
    assert_eq!(run.env["VERSION"], EnvValue::Literal("$(REVISION)".into()));
    assert_eq!(run.env["KEY"], EnvValue::FromFile("/srv/app/keys/k".into()));
    assert_eq!(run.env["R"], EnvValue::FromEnv("REGION".into()));
    assert_eq!(run.env_files, ["/srv/app/shop.env", "/etc/shop.env"]);
    assert_eq!(run.working_directory, "/srv/app/../work");
    assert_eq!(run.user.as_deref(), Some("www-data"));
    let limits =
        Limits { open_files: Some(1024), memory_bytes: Some(512 << 20), processes: Some(64) };
    assert_eq!(run.limits, limits);
    let http = |path: &str| ProbeKind::HttpGet { path: path.into() };
    let readiness =
        Probe { kind: http("/ready"), period: Millis(250), timeout: Millis(2000), ..TCP };
    assert_eq!(run.readiness, readiness);
    let liveness = Probe {
        kind: http("/health?deep=1"),
        period: Millis::secs(10),
        failure_threshold: 5,
        ..TCP
    };
    assert_eq!(run.liveness, Some(liveness));
    assert_eq!(
        (run.grace, &run.log),
        (Millis::secs(10), &LogLimits { max_bytes: 1 << 20, keep: 5 })
    );
    assert_eq!(spec.traffic.request_timeout, Millis::secs(90));
}

#[test]
fn what_is_written_about_the_rollout_holds() {
    let spec = one(FULL);
    let bake = Step::Bake(Bake {
        at_least: Millis::secs(30),
        requests: 2000,
        until_evidence: true,
        deadline: Millis::secs(3600),
    });
    let tenth = Step::SetWeight(Weight::try_from(100).unwrap());
    let pause = |span| Step::Pause(span);
    assert_eq!(
        steps(&spec),
        [tenth, bake, weight(25), pause(Some(Millis::secs(300))), pause(None), weight(100)]
    );
    let analysis = Analysis {
        alpha: 0.05,
        beta: 0.02,
        harm_ratio: 3.0,
        harm_floor: 0.01,
        metrics: vec![Metric::Errors.into()],
        latency_tolerance: 0.2,
        on_inconclusive: OnInconclusive::Rollback,
        ..Analysis::default()
    };
    assert_eq!(spec.schedule.analysis, Some(analysis));
    assert_eq!(spec.schedule.strategy, "canary");
    let s = &spec.schedule;
    assert_eq!(s.warm_up, Millis::secs(1));
    assert_eq!((s.progress_deadline, s.keep_warm), (Millis::secs(120), Millis(0)));
}

#[test]
fn no_metric_means_no_analysis() {
    let text = format!(
        "{SERVICE}  strategy: {{ canary: {{ steps: [setWeight: 100], analysis: {{ metrics: [] }} }} }}\n"
    );
    assert_eq!(one(&text).schedule.analysis, None);
}

#[test]
fn a_canary_is_judged_unless_said_otherwise() {
    let text = format!("{SERVICE}  strategy: {{ canary: {{ steps: [setWeight: 100] }} }}\n");
    assert_eq!(one(&text).schedule.analysis, Some(Analysis::default()));
}

#[test]
fn several_documents_keep_their_order_and_windows_line_ends_are_fine() {
    let second = SERVICE.replace("name: shop", "name: till").replace("8080", "8081");
    let text = format!("---\n{SERVICE}---\n{second}...\n").replace('\n', "\r\n");
    let names: Vec<_> =
        loaded(&text).services.iter().map(|service| service.value.name.to_string()).collect();
    assert_eq!(names, ["shop", "till"]);
}
