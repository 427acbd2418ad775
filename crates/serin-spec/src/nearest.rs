//! "Did you mean": the valid name that looks most like a wrong one.

/// Names less alike than this are not proposed; between `cannary` and `canary` it is 0.97.
const ALIKE: f64 = 0.78;

/// The most similar of `names` by Jaro-Winkler, if any is close.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase();
    let alike = |name: &str| strsim::jaro_winkler(&wrong, &name.to_ascii_lowercase());
    names
        .map(|name| (alike(name), name))
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typos_find_their_word_and_strangers_none() {
        let keys = ["setWeight", "pause", "bake"];
        let cases = [
            ("setweight", Some("setWeight")),
            ("setWieght", Some("setWeight")),
            ("puase", Some("pause")),
            ("replicas", None),
            ("", None),
        ];
        for (wrong, right) in cases {
            assert_eq!(nearest(wrong, keys.into_iter()), right, "{wrong}");
        }
    }
}
