//! References that go in circles, or too deep.

use super::{Check, References, limit};
use crate::{Definition, FlagKey, Problem};
use std::collections::{BTreeMap, BTreeSet};

impl Check<'_> {
    pub(super) fn segment_cycles(&mut self) {
        let segments = self.set.segments.iter();
        let graph = segments.map(|(name, segment)| {
            (name.as_str(), segment.segments.iter().map(String::as_str).collect())
        });
        self.references("segments", &graph.collect());
    }

    pub(super) fn prerequisite_cycles(&mut self) {
        let flags = self.set.flags.iter();
        let graph = flags.map(|(key, flag)| (key.as_str(), self.needed_by(flag)));
        self.references("flags", &graph.collect());
    }

    /// The same for these flags and all they need.
    pub(super) fn prerequisite_cycles_below(&mut self, keys: &BTreeSet<FlagKey>) {
        let set = self.set;
        let mut graph = References::new();
        let mut waiting: Vec<&str> = keys.iter().map(FlagKey::as_str).collect();
        while let Some(name) = waiting.pop() {
            let Some((key, flag)) = set.flags.get_key_value(name) else { continue };
            if !graph.contains_key(key.as_str()) {
                let needed = self.needed_by(flag);
                waiting.extend(&needed);
                graph.insert(key.as_str(), needed);
            }
        }
        self.references("flags", &graph);
    }

    fn needed_by<'d>(&self, flag: &'d Definition) -> Vec<&'d str> {
        let needed = flag.prerequisites.iter().filter(|_| self.reads_rules(flag));
        needed.map(|needs| needs.flag.as_str()).collect()
    }

    fn references(&mut self, of: &str, graph: &References<'_>) {
        let depths = depths(graph);
        for (name, depth) in depths.iter().filter(|(_, depth)| **depth > limit::DEPTH) {
            let found = format!("its references are {depth} deep");
            let problem = Problem::new(format!("{of}.{name}"), found);
            self.add(problem.allowed(format!("a depth of {}", limit::DEPTH)));
        }
        for circle in circles(graph, &depths) {
            let found = format!("refers to itself: {}", circle.join(" -> "));
            let problem = Problem::new(format!("{of}.{}", circle[0]), found);
            self.add(problem.allowed("references that end; take one of these away"));
        }
    }
}

/// How deep each name's references go; names in a circle or leading to one are missing. Leaf by
/// leaf, without recursion: a hostile chain may be as long as the set.
fn depths<'a>(graph: &References<'a>) -> BTreeMap<&'a str, usize> {
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut above: References<'a> = BTreeMap::new();
    for (name, below) in graph {
        let below: BTreeSet<&str> =
            below.iter().copied().filter(|other| graph.contains_key(other)).collect();
        waiting.insert(name, below.len());
        for other in below {
            above.entry(other).or_default().push(name);
        }
    }
    let leaves = waiting.iter().filter(|(_, count)| **count == 0);
    let mut ready: Vec<&str> = leaves.map(|(name, _)| *name).collect();
    let mut depths: BTreeMap<&str, usize> = ready.iter().map(|name| (*name, 0)).collect();
    while let Some(name) = ready.pop() {
        let depth = depths.get(name).copied().unwrap_or(0) + 1;
        for upper in above.get(name).into_iter().flatten() {
            let known = depths.entry(upper).or_default();
            *known = depth.max(*known);
            if let Some(count) = waiting.get_mut(upper) {
                *count -= 1;
                if *count == 0 {
                    ready.push(upper);
                }
            }
        }
    }
    depths.retain(|name, _| waiting.get(name) == Some(&0));
    depths
}

/// One circle for every group of names that cannot be ordered; its first name comes again at the end.
fn circles<'a>(graph: &References<'a>, ordered: &BTreeMap<&str, usize>) -> Vec<Vec<&'a str>> {
    let unordered = |name: &&&str| graph.contains_key(**name) && !ordered.contains_key(**name);
    let next = |name: &str| graph.get(name)?.iter().find(unordered).copied();
    let (mut walked, mut circles) = (BTreeSet::new(), Vec::new());
    for start in graph.keys().filter(|name| unordered(name)) {
        let mut path: Vec<&str> = Vec::new();
        let mut at = Some(*start);
        while let Some(name) = at.filter(|name| walked.insert(*name)) {
            path.push(name);
            at = next(name);
        }
        let Some(again) = at else { continue };
        if let Some(from) = path.iter().position(|name| *name == again) {
            circles.push(path[from..].iter().copied().chain([again]).collect());
        }
    }
    circles
}

#[cfg(test)]
mod tests {
    use super::{circles, depths};
    use crate::check::References;

    fn graph<'a>(edges: &[(&'a str, &[&'a str])]) -> References<'a> {
        edges.iter().map(|(name, below)| (*name, below.to_vec())).collect()
    }

    #[test]
    fn depth_is_the_longest_way_down() {
        let graph = graph(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &["missing"]), ("d", &[])]);
        let depths = depths(&graph);
        assert_eq!(
            depths.into_iter().collect::<Vec<_>>(),
            [("a", 2), ("b", 1), ("c", 0), ("d", 0)]
        );
    }

    #[test]
    fn every_circle_is_named_once_and_what_leads_to_it_is_not() {
        let graph = graph(&[
            ("a", &["b"]),
            ("b", &["c"]),
            ("c", &["b"]),
            ("self", &["self"]),
            ("twice", &["leaf", "leaf"]),
            ("leaf", &[]),
        ]);
        let depths = depths(&graph);
        assert_eq!(circles(&graph, &depths), [vec!["b", "c", "b"], vec!["self", "self"]]);
        assert_eq!(depths.get("twice"), Some(&1));
    }

    #[test]
    fn a_chain_as_long_as_a_set_takes_no_stack() {
        let names: Vec<String> = (0..50_000).map(|at| format!("f{at}")).collect();
        let edges = names.windows(2).map(|pair| (pair[0].as_str(), vec![pair[1].as_str()]));
        let graph: References<'_> = edges.chain([("f49999", vec![])]).collect();
        assert_eq!(depths(&graph).get("f0"), Some(&49_999));
    }
}
