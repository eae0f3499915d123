//! How far a command is: bars on a terminal, a line now and then in a log, nothing in a pipe.
//!
//! Bars appear after a second and go when their step ends. `CORAL_PROGRESS` chooses: `bar`, `plain` or `none`; if it
//! does not, there are bars where the error output is a terminal. Nothing of it is on the standard output.

use super::error::{CommandError, Result};
use super::output::{Colour, say};
use super::signals::Signals;
use crate::task::{Meter, Progress, Silent, Step, Task, Unit};
use crate::units::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What is done sooner shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);
/// How long a log hears nothing of a step.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// What takes long for this command: signals stop it, and the terminal shows how far it is.
///
/// # Errors
/// If the environment asks for something that there is not.
pub fn task() -> Result<Task> {
    let progress: Arc<dyn Progress> = match std::env::var("CORAL_PROGRESS").as_deref() {
        Ok("bar") => Arc::new(Bars::default()),
        Ok("plain") => Arc::new(Lines),
        Ok("none") => Arc::new(Silent),
        Ok("") | Err(_) => match io::stderr().is_terminal() {
            true => Arc::new(Bars::default()),
            false => Arc::new(Silent),
        },
        Ok(other) => {
            return Err(CommandError::usage(format!("`CORAL_PROGRESS` cannot be `{other}`"))
                .hint("it is `bar`, `plain` or `none`"));
        }
    };
    Ok(Task::new(Arc::new(Signals::catch()), progress))
}

/// A bar for each step, on the error output.
#[derive(Debug, Default)]
struct Bars(MultiProgress);

impl Progress for Bars {
    fn begin(&self, step: Step) -> Box<dyn Meter> {
        Box::new(Bar::new(&step, self.0.clone(), Instant::now()))
    }
}

/// A bar that knows from the beginning how fast it goes, and is seen after a while.
struct Bar {
    bar: ProgressBar,
    all: MultiProgress,
    begun: Instant,
    shown: OnceLock<()>,
}

impl Bar {
    fn new(step: &Step, all: MultiProgress, begun: Instant) -> Self {
        Self { bar: new_bar(step), all, begun, shown: OnceLock::new() }
    }
}

impl Meter for Bar {
    fn advance(&self, more: u64) {
        self.bar.inc(more);
        if self.shown.get().is_none() && self.begun.elapsed() >= BAR_AFTER {
            self.shown.get_or_init(|| drop(self.all.add(self.bar.clone())));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn new_bar(step: &Step) -> ProgressBar {
    let (at, of, speed) = match step.unit {
        Unit::Bytes => ("{binary_bytes}", "{binary_total_bytes}", ", {binary_bytes_per_sec}"),
        Unit::Files | Unit::Objects | Unit::Commits | Unit::Tensors | Unit::Packs => {
            ("{human_pos}", "{human_len}", "")
        }
    };
    let unit = unit_name(step.unit);
    let template = match step.total {
        Some(_) => format!("{{msg:>17}} [{{bar:30}}] {at} of {of}{unit}{speed}, {{eta}} left"),
        None => format!("{{msg:>17}} {{spinner}} {at}{unit}{speed}"),
    };
    let style = ProgressStyle::with_template(&template).map(|style| style.progress_chars("=> "));
    // A template that does not parse would be a bar without words, and no reason to fail.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(step.total, ProgressDrawTarget::hidden());
    bar.with_style(style).with_message(step.doing)
}

/// The word after a number; bytes have their unit.
fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Bytes => "",
        Unit::Files => " files",
        Unit::Objects => " objects",
        Unit::Commits => " commits",
        Unit::Tensors => " tensors",
        Unit::Packs => " packs",
    }
}

/// A line when a step begins, and one every half minute.
#[derive(Debug)]
struct Lines;

impl Progress for Lines {
    fn begin(&self, step: Step) -> Box<dyn Meter> {
        if step.total != Some(0) {
            say_line(&step, 0);
        }
        Box::new(Line { step, done: AtomicU64::new(0), said: Mutex::new(Instant::now()) })
    }
}

struct Line {
    step: Step,
    done: AtomicU64,
    said: Mutex<Instant>,
}

impl Meter for Line {
    fn advance(&self, more: u64) {
        let done = self.done.fetch_add(more, Ordering::Relaxed) + more;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= LINE_EVERY {
            *said = Instant::now();
            say_line(&self.step, done);
        }
    }
}

fn say_line(step: &Step, done: u64) {
    say(step.doing, Colour::Cyan, line(step, done));
}

/// `12 MiB of 5 GiB`, `7 commits`.
fn line(step: &Step, done: u64) -> String {
    let number = |number: u64| match step.unit {
        Unit::Bytes => ByteSize(number).to_string(),
        Unit::Files | Unit::Objects | Unit::Commits | Unit::Tensors | Unit::Packs => number.to_string(),
    };
    let of = step.total.map(|total| format!(" of {}", number(total))).unwrap_or_default();
    format!("{}{of}{}", number(done), unit_name(step.unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_much_of_what_is_done() {
        let step = |unit, total| Step { doing: "storing", unit, total };
        assert_eq!(line(&step(Unit::Bytes, Some(5 << 30)), 12 << 20), "12.0 MiB of 5.00 GiB");
        assert_eq!(line(&step(Unit::Commits, None), 7), "7 commits");
        assert_eq!(line(&step(Unit::Packs, Some(3)), 2), "2 of 3 packs");
    }

    #[test]
    fn bars_have_their_words_and_appear_after_a_while() {
        for unit in [Unit::Bytes, Unit::Files] {
            for total in [Some(9), None] {
                let bar = new_bar(&Step { doing: "storing", unit, total });
                assert_eq!((bar.message().as_str(), bar.length()), ("storing", total));
            }
        }
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let step = Step { doing: "storing", unit: Unit::Bytes, total: Some(9) };
        let shown = |begun| {
            let meter = Bar::new(&step, all.clone(), begun);
            meter.advance(4);
            assert_eq!(meter.bar.position(), 4);
            meter.shown.get().is_some()
        };
        assert!(!shown(Instant::now() + BAR_AFTER));
        assert!(Instant::now().checked_sub(BAR_AFTER).is_none_or(shown));
    }
}
