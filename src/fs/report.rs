//! What the mount tells people: each line is one line that commands no terminal, and all of it ends somewhere, whatever it
//! tells of.

use std::fmt::Display;

use crate::history::TreePath;
use crate::quote;

/// Lines of one list; of the rest it is said how many there are.
const LISTED: usize = 1000;
/// Bytes of a line.
const LINE_MAX: usize = 4096;
/// Bytes from which on nothing is listed any more.
const BYTES_MAX: usize = 1 << 20;

/// A text that is being made.
#[derive(Debug, Default)]
pub(super) struct Report(String);

impl Report {
    /// Adds a line. Names in it are quoted before.
    pub fn line(&mut self, line: impl Display) {
        self.0.push_str(&quote::clipped(&quote::text(&line.to_string()), LINE_MAX));
        self.0.push('\n');
    }

    /// Adds a line for each of some things, or for the first of them and how many more there are.
    pub fn list<T>(&mut self, things: &[T], show: impl Fn(&T) -> String) {
        let mut rest = things;
        while let [first, others @ ..] = rest
            && things.len() - rest.len() < LISTED
            && !self.is_full()
        {
            self.line(show(first));
            rest = others;
        }
        if !rest.is_empty() {
            self.line(format_args!("  ... and {} more", rest.len()));
        }
    }

    /// Whether it is long enough.
    pub fn is_full(&self) -> bool {
        self.0.len() >= BYTES_MAX
    }

    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// A path as people read it.
pub(super) fn shown(path: &TreePath) -> String {
    quote::name(&path.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_ends() {
        let mut report = Report::default();
        report.line("bad\nname \u{1b}[31m");
        report.line("x".repeat(1 << 20));
        let text = report.into_text();
        assert!(text.starts_with("bad\\nname \\033[31m\nxxx"), "{}", &text[..40]);
        assert_eq!(text.lines().count(), 2);
        assert!(text.len() < LINE_MAX + 100 && text.ends_with("x ...\n"));
    }

    #[test]
    fn a_list_says_how_much_it_leaves_out() {
        let mut report = Report::default();
        report.list(&[1, 2, 3], |number| format!("  {number}"));
        report.list(&[(); 5 * LISTED], |()| "x".repeat(2 * LINE_MAX));
        report.list(&[1, 2], |number| format!("  {number}"));
        let text = report.into_text();
        assert!(text.starts_with("  1\n  2\n  3\nxxx"));
        assert!(
            text.ends_with("  ... and 2 more\n") && text.len() < BYTES_MAX + 2 * LINE_MAX,
            "{}",
            text.len()
        );
        let told: usize = text.lines().filter(|line| line.starts_with('x')).count();
        assert!(text.contains(&format!("  ... and {} more\n", 5 * LISTED - told)));
    }
}
