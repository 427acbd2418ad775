//! What a good file becomes.

use crate::{SERVICE, loaded, said};
use serin_core::{
    AffinityKey, AffinitySpec, Analysis, Bake, Baseline, EnvValue, Expose, FlagSource, Limits,
    LogLimits, Millis, OnInconclusive, Probe, ProbeKind, ServiceSpec, Step, TrafficSpec, Weight,
};
use serin_stats::threshold::{Ceiling, Check, Failures, Population, Range, Signal, preset};
use serin_stats::{JudgeConfig, Kind, Metric, MetricSettings, Role};

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
    assert_eq!(spec.run.log, LogLimits::default());
    assert_eq!(spec.traffic.listen, "127.0.0.1:8080".parse().ok());
    assert_eq!(spec.traffic.request_timeout, Millis::secs(60));
    assert_eq!(*spec.schedule, serin_spec::guarded());
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
    // Affinity has no default and is worth a word wherever it is used.
    let words = said(text);
    assert!(words.contains("users-as-units") && words.lines().count() == 1, "{words}");
    let spec = one(text);
    let short = one(SERVICE);
    assert_eq!(spec.environment, short.environment);
    assert_eq!(spec.replicas, short.replicas);
    assert_eq!(spec.run.working_directory, short.run.working_directory);
    assert_eq!((spec.run.grace, &spec.run.log), (short.run.grace, &short.run.log));
    assert_eq!(Probe { kind: ProbeKind::Tcp, ..spec.run.readiness }, TCP);
    let traffic = TrafficSpec {
        affinity: None,
        override_header: None,
        preview: None,
        flags: None,
        ..spec.traffic.clone()
    };
    assert_eq!(traffic, short.traffic);
    let analysis = spec.schedule.analysis.clone().unwrap();
    assert_eq!(analysis.checks.len(), 5 + 7 + 2, "written, of `triggers`, and of a step");
    assert_eq!((&spec.rollback, spec.on_new_revision), (&short.rollback, short.on_new_revision));
    assert_eq!((spec.history_limit, spec.schedule.analysis_from), (short.history_limit, 0));
    assert_eq!((spec.schedule.keep_old, spec.schedule.keep_failed), (Millis(0), Millis(0)));
    // What has no default, and what depends on affinity.
    assert_eq!((analysis.tolerate, analysis.max_errors), (Some(0.001), Some(200)));
    assert_eq!(analysis.late_onset, Some(false));
    let analysis =
        Analysis { tolerate: None, max_errors: None, late_onset: None, checks: vec![], ..analysis };
    assert_eq!(analysis, Analysis::default());
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
        (Millis::secs(10), &LogLimits { max_bytes: 1 << 20, keep: 5, errors: vec![] })
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
    let text = format!("{SERVICE}  strategy: {{ rolling: {{ analysis: {{ metrics: [] }} }} }}\n");
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

/// An analysis with this text in it, of a service with these steps.
fn analysed(steps: &str, analysis: &str) -> ServiceSpec {
    one(&format!(
        "{SERVICE}  strategy: {{ canary: {{ steps: [{steps}], analysis: {{ {analysis} }} }} }}\n"
    ))
}

fn analysis(text: &str) -> Analysis {
    analysed("setWeight: 100", text).schedule.into_inner().analysis.unwrap()
}

#[test]
fn every_key_of_an_analysis_holds() {
    let found = analysis(
        "tolerate: 0.1%, latencyTolerance: 20%, latencyHarm: 50%, lateOnset: false, \
         baseline: fresh, afterPromotion: 30m, maxCanaryErrors: 200, reportOnly: true",
    );
    let wanted = Analysis {
        tolerate: Some(0.001),
        latency_tolerance: 0.2,
        latency_harm: 0.5,
        late_onset: Some(false),
        baseline: Baseline::Fresh,
        after_promotion: Millis::secs(1800),
        max_errors: Some(200),
        report_only: true,
        ..Analysis::default()
    };
    assert_eq!(found, wanted);
    assert!(found.judge_config(false).is_ok());
}

#[test]
fn metrics_have_roles() {
    let found =
        analysis("metrics: [errors, { name: latency, role: normal }, mean-latency, restarts]");
    let roles: Vec<_> = found.metrics.iter().map(|m| (m.metric.to_string(), m.role)).collect();
    let wanted = [
        ("errors", Role::Critical),
        ("latency", Role::Normal),
        ("mean-latency", Role::Normal),
        ("restarts", Role::Normal),
    ];
    assert_eq!(roles, wanted.map(|(name, role)| (name.to_owned(), role)));
    assert!(matches!(found.metrics[3].kind, Kind::Count { .. }));
    assert!(found.judge_config(false).is_ok(), "the judge takes what the file may say");
    let watched = analysis("metrics: [errors, { name: restarts, role: watch-only }]");
    let settings = |m: &MetricSettings| (m.metric.clone(), m.role);
    let restarts = Metric::Named("restarts".into());
    assert_eq!(settings(&watched.metrics[1]), (restarts, Role::WatchOnly));
}

#[test]
fn the_ends_of_all_ranges_make_a_judge() {
    for text in [
        "alpha: 0.000000001, beta: 0.000000001",
        "alpha: 0.4999, beta: 0.4999",
        "harm: { ratio: 1.05, floor: 0.001% }",
        "harm: { ratio: 100, floor: 50% }",
        "tolerate: 0.0001%",
        "tolerate: 50%, harm: { floor: 50% }",
        "latencyTolerance: 2.2%, latencyHarm: 4.5%",
        "latencyTolerance: 500%, latencyHarm: 1000%",
    ] {
        let config: Result<JudgeConfig, _> = analysis(text).judge_config(false);
        assert!(config.is_ok(), "{text}: {config:?}");
    }
}

#[test]
fn checks_are_lowered() {
    let found = analysis(
        "checks: [flagger, { name: slow, signal: p99, max: 500ms, interval: 30s, window: 5m, \
         minSamples: 50, warmUp: 1m, failures: { consecutive: 5 }, inconclusiveLimit: 3, \
         errorLimit: 2, count: 10, startingStep: 3, reportOnly: true, failure: { above: 2s } }, \
         { name: worse, of: ratio, signal: error-rate, below: 1.5, floor: 0.1% }, \
         { name: fell, of: difference, signal: success-rate, min: 1%, warmup: 5s }, \
         { name: promise, signal: error-rate, ceiling: { rate: 1% } }]",
    );
    let slow = Check {
        success: Some(Range::at_most(500.0)),
        failure: Some(Range::above(2000.0)),
        interval_ms: 30_000,
        window_ms: 300_000,
        min_samples: 50,
        initial_delay_ms: 60_000,
        failures: Failures::Consecutive(5),
        inconclusive_limit: 3,
        error_limit: 2,
        count: Some(10),
        starting_step: 2,
        report_only: true,
        ..Check::of("slow", Signal::Latency { quantile: 0.99 })
    };
    let worse = Check {
        population: Population::Ratio,
        success: Some(Range::below(1.5)),
        floor: 0.001,
        ..Check::of("worse", Signal::ErrorRate)
    };
    let fell = Check {
        population: Population::Difference,
        success: Some(Range::at_least(0.01)),
        initial_delay_ms: 5000,
        ..Check::of("fell", Signal::SuccessRate)
    };
    let ceiling = Some(Ceiling { p_max: 0.01, alpha: 0.01 });
    let promise = Check { ceiling, ..Check::of("promise", Signal::ErrorRate) };
    let wanted = [preset("flagger").unwrap(), vec![slow, worse, fell, promise]].concat();
    assert_eq!(found.checks, wanted);
    assert!(found.checks.iter().all(|check| check.validate().is_ok()));
}

#[test]
fn evidence_may_choose_the_weight() {
    let spec = analysed(
        "expose: auto, expose: { budget: 20.5, upTo: 80, deadline: 2h }, setWeight: 100",
        "metrics: [errors]",
    );
    let weight = |percent| Weight::percent(percent).unwrap();
    let usual = Expose { budget: 100.0, up_to: weight(50), deadline: Millis::secs(3600) };
    let own = Expose { budget: 20.5, up_to: weight(80), deadline: Millis::secs(7200) };
    let wanted = [Step::Expose(usual), Step::Expose(own), Step::SetWeight(weight(100))];
    assert_eq!(steps(&spec), wanted);
    assert_eq!(spec.schedule.rungs(), 2);
}

#[test]
fn users_may_stay_with_their_revision() {
    let affinity = |text: &str| {
        let text = SERVICE.replace("8080\"", &format!("8080\", affinity: {{ {text} }}"));
        one(&text).traffic.affinity.unwrap()
    };
    let cookie = |name: &str| AffinityKey::Cookie(name.into());
    let wanted = AffinitySpec { key: cookie("serin"), window: Millis::secs(60) };
    assert_eq!(affinity("cookie: serin"), wanted);
    let header = AffinityKey::Header("X-User".into());
    let wanted = AffinitySpec { key: header, window: Millis::secs(300) };
    assert_eq!(affinity("header: X-User, window: 5m"), wanted);
}

#[test]
fn checks_and_a_budget_are_an_analysis_of_their_own() {
    for (text, metrics) in
        [("metrics: [], checks: [flagger]", 0), ("metrics: [], maxCanaryErrors: 9", 0)]
    {
        let found = analysed("setWeight: 100", text).schedule.into_inner().analysis;
        assert_eq!(found.map(|a| a.metrics.len()), Some(metrics), "{text}");
    }
}

#[test]
fn flags_are_carried_for_the_environment_unless_a_set_is_named() {
    let of = |flags: &str| {
        let listen = "listen: \"127.0.0.1:8080\"";
        let text = SERVICE.replace(listen, &format!("{listen}, flags: {flags}"));
        one(&text.replace("spec:\n", "spec:\n  environment: staging\n")).traffic.flags.unwrap()
    };
    let flags = of(
        "{ pass: [a, b.c], targetingKey: { claim: sub }, attributes: { plan: { header: X-Plan } } }",
    );
    assert_eq!((flags.set.as_str(), flags.token.as_str()), ("staging", "authorization"));
    assert_eq!((flags.keys.len(), flags.user), (2, FlagSource::Claim("sub".into())));
    assert_eq!(flags.attributes["plan"], FlagSource::Header("X-Plan".into()));
    assert_eq!(of("{ set: eu, targetingKey: { cookie: s } }").set, "eu");
    for (flags, wanted) in [
        ("{ pass: [a, A], targetingKey: { cookie: s } }", "named twice"),
        ("{ pass: [\"a:b\"], targetingKey: { cookie: s } }", "cannot be the key of a flag"),
        ("{ targetingKey: { cookie: s, header: h } }", "one of `header`, `cookie` and `claim`"),
        ("{ pass: [a] }", "targetingKey"),
    ] {
        let listen = "listen: \"127.0.0.1:8080\"";
        let text = SERVICE.replace(listen, &format!("{listen}, flags: {flags}"));
        assert!(said(&text).contains(wanted), "{flags}: {}", said(&text));
    }
}
