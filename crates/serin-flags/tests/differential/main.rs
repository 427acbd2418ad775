//! Random flags and contexts: Serin answers what other people's evaluators answer.
#![allow(clippy::unwrap_used)]
mod answer;
mod cases;
#[path = "../../../serin/tests/flag_clients/installed.rs"]
mod installed;
mod oracle;
mod rules;
use answer::*;
use cases::*;
use serin_flags::Bucketing;

#[test]
fn scratch() {
    let n: u64 = std::env::var("N").map_or(100, |n| n.parse().unwrap());
    let cases: Vec<Case> = (0..n).map(|n| Case::new(1, n)).collect();
    let t = std::time::Instant::now();
    let js = oracle::javascript(&cases).unwrap();
    println!("js {:?}", t.elapsed());
    let py = oracle::python(&cases).unwrap();
    println!("py {:?}", t.elapsed());
    let ar = oracle::arbiter(&cases).unwrap();
    println!("ar {:?}", t.elapsed());
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for (n, case) in cases.iter().enumerate() {
        let (v2, v3) = (ours(case, Bucketing::V2), ours(case, Bucketing::V3));
        for (f, key) in case.keys().iter().enumerate() {
            let rule = case.document["flags"][key]["targeting"].to_string();
            for c in 0..CONTEXTS {
                let all = [&v2[n * 0 + f][c], &v3[f][c], &js[n][f][c], &ar[n][f][c], &py[n][f][c]];
                let what = format!(
                    "v2{}arb v2{}js v3{}py frac={}",
                    if all[0] == all[3] { "=" } else { "/" },
                    if all[0] == all[2] { "=" } else { "/" },
                    if all[1] == all[4] { "=" } else { "/" },
                    rule.contains("fractional")
                );
                *counts.entry(what.clone()).or_default() += 1;
                if !what.starts_with("v2=arb v2=js v3=py") {
                    println!("CASE\t{what}\t{rule}\t{}\t{:?}", case.contexts[c],
                        all.map(|a| format!("{}{} {}", a.error.as_deref().unwrap_or(""), a.reason.as_deref().unwrap_or(""), a.variant.as_deref().unwrap_or("-"))));
                }
            }
        }
    }
    for (k, v) in counts { println!("{k}: {v}"); }
}
