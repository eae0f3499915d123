//! What a user calls a commit, a range of commits or a file of one: text in, values out.
//!
//! Pure and total: knows no repository, so that what is well said may still name nothing (`resolve.rs`). The grammar is
//! git's: a base (`HEAD`, `@`, a branch, a tag, `heads/x`, `tags/x`, a prefix of at least four hexadecimal digits, what
//! `describe` prints, `-`, `@{-n}`, `NAME@{n}`, `NAME@{time}`, `:/text`), then any number of `~n`, `^`, `^n`, `^{commit}`,
//! `^{/text}`. Ranges: `a..b`, `a...b`, `^a`, `a^!`, `a^@`, `a^-n`. Files: `REF:path`, and `:path` for the worktree.

/// A name of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// As it was said.
    pub text: String,
    pub(super) base: Base,
    pub(super) steps: Vec<Step>,
}

/// Where a name begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    /// What HEAD says.
    Head,
    /// A branch, a tag, or a prefix of an id.
    Named(String),
    /// Where a ref was; the current branch if none is named.
    Logged { name: Option<String>, at: At },
    /// Where HEAD was before it was switched, so many switches ago.
    Previous(usize),
    /// The newest commit of any branch or tag whose message has a text.
    Message(String),
}

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum At {
    /// So many moves ago.
    Entry(usize),
    /// At an instant, as it was said.
    Time(String),
}

/// One step from a commit to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `~n`: n times the first parent.
    Ancestor(u32),
    /// `^n`: the n-th parent; 0 is the commit itself.
    Parent(u32),
    /// `^{/text}`: the newest one that it reaches whose message has a text.
    Message(String),
}

/// One or several commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Range {
    /// A commit, and what it reaches.
    Only(Revision),
    /// `^a`: nothing that it reaches.
    Without(Revision),
    /// `a..b`: what `b` reaches and `a` does not.
    Between(Revision, Revision),
    /// `a...b`: what one of them reaches and the other does not.
    Apart(Revision, Revision),
    /// `a^!`: the commit alone.
    Itself(Revision),
    /// `a^@`: what its parents reach.
    Parents(Revision),
    /// `a^-n`: what it reaches and its n-th parent does not.
    Since(Revision, u32),
}

/// Which of a repository's trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// That of a commit.
    Revision(String),
    /// The worktree that somebody stands in.
    Worktree,
}

/// A revision or the worktree, perhaps with a path in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub side: Side,
    /// The path behind the colon, as it was said; `None` without a colon.
    pub path: Option<Vec<u8>>,
}

impl Revision {
    /// Reads a name; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, rest) = parse_base(text)?;
        Some(Self { text: text.to_owned(), base, steps: parse_steps(rest)? })
    }

    /// What stands before the steps, to find what may have been meant.
    pub(super) fn stem(text: &str) -> &str {
        text.split(['~', '^', '@', ':']).next().unwrap_or(text)
    }
}

fn parse_base(text: &str) -> Option<(Base, &str)> {
    if text == "-" {
        return Some((Base::Previous(1), ""));
    }
    if let Some(wanted) = text.strip_prefix(":/") {
        return (!wanted.is_empty()).then(|| (Base::Message(wanted.to_owned()), ""));
    }
    let (steps, log) = (text.find(['~', '^']).unwrap_or(text.len()), text.find("@{").unwrap_or(text.len()));
    if log < steps {
        let (selector, rest) = text[log + 2..].split_once('}')?;
        return Some((logged(&text[..log], selector)?, rest));
    }
    let (name, rest) = text.split_at(steps);
    match name {
        "" => None,
        "HEAD" | "@" => Some((Base::Head, rest)),
        // A colon leads to a path, two dots to another commit.
        name => (!name.contains(':') && !name.contains("..")).then(|| (Base::Named(name.to_owned()), rest)),
    }
}

fn logged(name: &str, selector: &str) -> Option<Base> {
    if let (Some(back), "") = (selector.strip_prefix('-'), name) {
        return back.parse().ok().filter(|back| *back > 0).map(Base::Previous);
    }
    let is_number = !selector.is_empty() && selector.bytes().all(|byte| byte.is_ascii_digit());
    let at = match is_number {
        true => At::Entry(selector.parse().ok()?),
        false => At::Time(selector.to_owned()),
    };
    Some(Base::Logged { name: (!name.is_empty()).then(|| name.to_owned()), at })
}

fn parse_steps(mut rest: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(braced) = rest.strip_prefix("^{") {
            let (what, after) = braced.split_once('}')?;
            match (what, what.strip_prefix('/')) {
                // Everything that is named here is a commit.
                ("" | "commit" | "object", _) => {}
                (_, Some(wanted)) if !wanted.is_empty() => steps.push(Step::Message(wanted.to_owned())),
                _ => return None,
            }
            rest = after;
            continue;
        }
        let after = rest.strip_prefix(['~', '^'])?;
        let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (number, behind) = after.split_at(digits);
        let number = if number.is_empty() { 1 } else { number.parse().ok()? };
        steps.push(if rest.starts_with('~') { Step::Ancestor(number) } else { Step::Parent(number) });
        rest = behind;
    }
    Some(steps)
}

impl Range {
    /// Reads a range or a single commit; `None` for what is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(hidden) = text.strip_prefix('^') {
            return Revision::parse(hidden).map(Range::Without);
        }
        if let Some(of) = text.strip_suffix("^!") {
            return Revision::parse(of).map(Range::Itself);
        }
        if let Some(of) = text.strip_suffix("^@") {
            return Revision::parse(of).map(Range::Parents);
        }
        if let Some((of, number)) = text.rsplit_once("^-")
            && number.bytes().all(|byte| byte.is_ascii_digit())
        {
            let number = if number.is_empty() { 1 } else { number.parse().ok()? };
            return Some(Range::Since(Revision::parse(of)?, number));
        }
        let Some(dots) = dots(text) else { return Revision::parse(text).map(Range::Only) };
        let (from, behind) = (&text[..dots], &text[dots + 2..]);
        let (to, is_apart) = match behind.strip_prefix('.') {
            Some(to) => (to, true),
            None => (behind, false),
        };
        if from.is_empty() && to.is_empty() {
            return None;
        }
        let side = |text: &str| Revision::parse(if text.is_empty() { "HEAD" } else { text });
        let (from, to) = (side(from)?, side(to)?);
        Some(if is_apart { Range::Apart(from, to) } else { Range::Between(from, to) })
    }
}

/// Where two dots are that no braces and no text of a message are around.
fn dots(text: &str) -> Option<usize> {
    let open = outside_braces(text.as_bytes());
    match text.starts_with(":/") {
        true => None,
        false => text.match_indices("..").map(|(at, _)| at).find(|at| open(*at)),
    }
}

/// Whether a byte stands in no pair of braces.
fn outside_braces(text: &[u8]) -> impl Fn(usize) -> bool + '_ {
    move |at| {
        let count = |wanted: u8| text[..at].iter().filter(|byte| **byte == wanted).count();
        count(b'{') <= count(b'}')
    }
}

impl Target {
    /// Reads `REF`, `REF:path`, `:path`, `REF^{tree}`; `None` if the revision is no text.
    pub fn parse(text: impl AsRef<[u8]>) -> Option<Self> {
        let text = text.as_ref();
        let revision =
            |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(|text| Side::Revision(text.to_owned()));
        if text.starts_with(b":/") {
            return Some(Self { side: revision(text)?, path: None });
        }
        if let Some(of) = text.strip_suffix(b"^{tree}") {
            return Some(Self { side: revision(of)?, path: Some(Vec::new()) });
        }
        let open = outside_braces(text);
        let Some(colon) = (0..text.len()).find(|&at| text[at] == b':' && open(at)) else {
            return Some(Self { side: revision(text)?, path: None });
        };
        let side = if colon == 0 { Side::Worktree } else { revision(&text[..colon])? };
        Some(Self { side, path: Some(text[colon + 1..].to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> (Base, Vec<Step>) {
        let revision = Revision::parse(text).unwrap_or_else(|| panic!("`{text}` is none"));
        (revision.base, revision.steps)
    }

    #[test]
    fn a_base_is_followed_by_steps_from_left_to_right() {
        use Step::{Ancestor, Message, Parent};
        let named = |name: &str| Base::Named(name.to_owned());
        let logged = |name: Option<&str>, at| Base::Logged { name: name.map(str::to_owned), at };
        let time = |text: &str| At::Time(text.to_owned());
        let cases = [
            ("HEAD~3^2~", Base::Head, vec![Ancestor(3), Parent(2), Ancestor(1)]),
            ("@", Base::Head, vec![]),
            ("@~2", Base::Head, vec![Ancestor(2)]),
            ("v1^{commit}^{}", named("v1"), vec![]),
            ("v1-3-gabcdef0^0", named("v1-3-gabcdef0"), vec![Parent(0)]),
            ("-", Base::Previous(1), vec![]),
            ("@{-2}~1", Base::Previous(2), vec![Ancestor(1)]),
            ("@{0}", logged(None, At::Entry(0)), vec![]),
            ("HEAD@{3}^", logged(Some("HEAD"), At::Entry(3)), vec![Parent(1)]),
            ("main@{2 days ago}^", logged(Some("main"), time("2 days ago")), vec![Parent(1)]),
            ("main@{2026-11-23 07:31}", logged(Some("main"), time("2026-11-23 07:31")), vec![]),
            (":/fix~1", Base::Message("fix~1".into()), vec![]),
            ("main^{/fix it}~1", named("main"), vec![Message("fix it".into()), Ancestor(1)]),
        ];
        for (text, base, steps) in cases {
            assert_eq!(parsed(text), (base, steps), "{text}");
        }
        for none in
            ["", "~1", "^", "a~1x", "a~99999999999", "a^{tree}", "a^{", "a@{1", "@{-0}", ":/", "a:b", "a^{/}"]
        {
            assert_eq!(Revision::parse(none), None, "{none}");
        }
    }

    #[test]
    fn ranges_are_said_as_in_git() {
        let one = |text: &str| Revision::parse(text).expect("valid");
        let cases = [
            ("a", Range::Only(one("a"))),
            ("a..b", Range::Between(one("a"), one("b"))),
            ("..b", Range::Between(one("HEAD"), one("b"))),
            ("a~1..", Range::Between(one("a~1"), one("HEAD"))),
            ("a...b^2", Range::Apart(one("a"), one("b^2"))),
            ("...b", Range::Apart(one("HEAD"), one("b"))),
            ("^a~2", Range::Without(one("a~2"))),
            ("a^!", Range::Itself(one("a"))),
            ("a^@", Range::Parents(one("a"))),
            ("a^-", Range::Since(one("a"), 1)),
            ("a^-2", Range::Since(one("a"), 2)),
            (":/a..b", Range::Only(one(":/a..b"))),
            ("a^{/x..y}", Range::Only(one("a^{/x..y}"))),
        ];
        for (text, range) in cases {
            assert_eq!(Range::parse(text), Some(range), "{text}");
        }
        for none in ["", "..", "...", "^", "a..b..c", "a^-x"] {
            assert_eq!(Range::parse(none), None, "{none}");
        }
    }

    #[test]
    fn a_target_is_a_revision_or_the_worktree_with_a_path() {
        let at = |revision: &str, path: &[u8]| Target {
            side: Side::Revision(revision.into()),
            path: Some(path.to_vec()),
        };
        assert_eq!(Target::parse("main~1:run/a:b"), Some(at("main~1", b"run/a:b")));
        assert_eq!(Target::parse("main@{12:30}:x"), Some(at("main@{12:30}", b"x")));
        assert_eq!(Target::parse("main^{tree}"), Some(at("main", b"")));
        assert_eq!(Target::parse(b"main:a\xff"), Some(at("main", b"a\xff")));
        assert_eq!(Target::parse(":x"), Some(Target { side: Side::Worktree, path: Some(b"x".to_vec()) }));
        assert_eq!(Target::parse(":/x:y"), Some(Target { side: Side::Revision(":/x:y".into()), path: None }));
        assert_eq!(Target::parse(b"ma\xffin:a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a@{}~^:/.!0-9 é-]{0,12}") {
            let revision = Revision::parse(&text);
            prop_assert!(revision.is_none_or(|revision| revision.text == text));
            let _ = (Range::parse(&text), Target::parse(&text));
        }
    }
}
