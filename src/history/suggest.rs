//! The name that somebody probably meant.

/// The nearest of the known names, if one is near: at most a third of its letters differ.
pub(super) fn nearest(wanted: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let distance = |name: &String| strsim::damerau_levenshtein(wanted, name);
    let best = known.into_iter().min_by_key(distance)?;
    (distance(&best) * 3 <= best.chars().count().max(3)).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name_and_a_stranger_finds_none() {
        let known = || ["main", "feature/x", "v1.0"].map(String::from);
        assert_eq!(nearest("mian", known()), Some("main".into()));
        assert_eq!(nearest("featur/x", known()), Some("feature/x".into()));
        assert_eq!(nearest("experiment", known()), None);
    }
}
