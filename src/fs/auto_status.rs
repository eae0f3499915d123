//! What is known of the commits that a mount makes by itself, for whoever asks: on what it commits, what waits, the last one,
//! and what last went wrong.

use std::sync::{Mutex, PoisonError};

use crate::checkpoint::When;
use crate::units::Timestamp;

use super::namespace::date_names;
use super::report::Report;

/// It is written by the one who commits.
#[derive(Debug, Default)]
pub(super) struct AutoStatus(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    when: When,
    waits: Vec<String>,
    last: Option<(Timestamp, String)>,
    trouble: Option<(Timestamp, String)>,
}

impl AutoStatus {
    /// The mount commits by itself from now on.
    pub fn begin(&self, when: When) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Known { when, waits: Vec::new(), last: None, trouble: None });
    }

    /// This is what waits now.
    pub fn wait_for(&self, waits: Vec<String>) {
        self.change(|known| known.waits = waits);
    }

    /// A commit was made.
    pub fn committed(&self, at: Timestamp, what: String) {
        self.change(|known| known.last = Some((at, what)));
    }

    /// One could not be made.
    pub fn failed(&self, at: Timestamp, why: String) {
        self.change(|known| known.trouble = Some((at, why)));
    }

    /// Tells it to people.
    pub fn tell(&self, report: &mut Report) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = &*known else { return report.line("auto-commit: off") };
        match known.when {
            When::Sentinel => report.line("auto-commit: on, when a checkpoint is complete"),
            When::Quiet(quiet) => report
                .line(format_args!("auto-commit: on, when nothing changed for {} s", quiet.as_secs_f64())),
            When::Close => report.line("auto-commit: on, when a file is closed"),
        }
        match known.waits.is_empty() {
            true => report.line("  nothing waits"),
            false => report.list(&known.waits, |waits| format!("  waits: {waits}")),
        }
        for (what, said) in [("last commit", &known.last), ("last trouble", &known.trouble)] {
            if let Some((at, text)) = said {
                let (day, time) = date_names(*at).unwrap_or_default();
                report.line(format_args!("  {what} {day} {} UTC: {text}", time.replace('-', ":")));
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        if let Some(known) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            change(known);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn told(status: &AutoStatus) -> String {
        let mut report = Report::default();
        status.tell(&mut report);
        report.into_text()
    }

    #[test]
    fn what_waits_what_was_done_and_what_failed_is_told() {
        let status = AutoStatus::default();
        status.wait_for(vec!["nobody listens".into()]);
        assert_eq!(told(&status), "auto-commit: off\n");
        status.begin(When::Quiet(Duration::from_millis(1500)));
        assert_eq!(told(&status), "auto-commit: on, when nothing changed for 1.5 s\n  nothing waits\n");
        status.wait_for(vec!["a".into(), "b".into()]);
        let at = Timestamp { seconds: 0, nanoseconds: 0 };
        status.committed(at, "out".into());
        status.failed(at, "no\nroom".into());
        assert_eq!(
            told(&status),
            "auto-commit: on, when nothing changed for 1.5 s\n  waits: a\n  waits: b\n  last commit 1970-01-01 00:00:00 UTC: out\n  last trouble 1970-01-01 00:00:00 UTC: no\\nroom\n"
        );
    }
}
