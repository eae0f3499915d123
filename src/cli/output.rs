//! What a command prints: text with colour on a terminal, plain text in a pipe, or one JSON value.

use super::error::Result;
use super::quote;
use serde_json::Value;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// The standard output of a command.
pub struct Output {
    /// Whether to print JSON instead of text.
    pub json: bool,
    colour: bool,
    stdout: Mutex<BufWriter<io::Stdout>>,
}

/// Colours with a meaning.
#[derive(Debug, Clone, Copy)]
pub enum Colour {
    /// What is new or well.
    Green,
    /// What is gone or wrong.
    Red,
    /// What changed; ids.
    Yellow,
    /// Names of refs.
    Cyan,
}

impl Output {
    /// Prints to the standard output.
    pub fn new(json: bool) -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { json, colour, stdout: Mutex::new(BufWriter::new(io::stdout())) }
    }

    /// Prints a line, and only one: what could do harm in it is escaped. Names are quoted before.
    ///
    /// # Errors
    /// If nobody reads it any more, or the disk behind it is full.
    pub fn line(&self, text: impl Display) -> Result<()> {
        self.lines(&self.harmless(&text.to_string()))
    }

    /// The text with nothing in it that commands a terminal, but for the colours of [`Output::paint`].
    fn harmless(&self, text: &str) -> String {
        if !self.colour {
            return quote::text(text);
        }
        let pieces = text.split('\x1b').enumerate().map(|(at, piece)| {
            let colour = COLOURS.iter().find(|colour| at > 0 && piece.starts_with(&colour[1..]));
            match (colour, at) {
                (Some(colour), _) => format!("{colour}{}", quote::text(&piece[colour.len() - 1..])),
                (None, 0) => quote::text(piece),
                (None, _) => quote::text(&format!("\x1b{piece}")),
            }
        });
        pieces.collect()
    }

    fn lines(&self, text: &str) -> Result<()> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(stdout, "{text}")?;
        Ok(stdout.flush()?)
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        let mut stdout = self.stdout.lock().unwrap_or_else(PoisonError::into_inner);
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// Prints a JSON value.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn value(&self, value: &Value) -> Result<()> {
        self.lines(&format!("{value:#}"))
    }

    /// A text in a colour, if the output is a terminal.
    pub fn paint(&self, colour: Colour, text: impl Display) -> String {
        let code = match colour {
            Colour::Red => RED,
            Colour::Green => GREEN,
            Colour::Yellow => YELLOW,
            Colour::Cyan => CYAN,
        };
        if self.colour { format!("{code}{text}{PLAIN}") } else { text.to_string() }
    }
}

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";
const COLOURS: [&str; 5] = [RED, GREEN, YELLOW, CYAN, PLAIN];

/// Says something on the error output that is neither result nor failure.
pub fn note(text: impl Display) {
    say("note", Colour::Cyan, text);
}

/// Says a line on the error output. That nobody can hear it is no reason to fail, or to do anything else.
pub fn say(what: &str, colour: Colour, text: impl Display) {
    let text = quote::text(&text.to_string());
    let mut stderr = io::stderr().lock();
    let _ = match (stderr.is_terminal(), colour) {
        (true, Colour::Red) => writeln!(stderr, "{RED}{what}:{PLAIN} {text}"),
        (true, Colour::Cyan | Colour::Green | Colour::Yellow) => {
            writeln!(stderr, "{CYAN}{what}:{PLAIN} {text}")
        }
        (false, _) => writeln!(stderr, "{what}: {text}"),
    };
}

/// Says what went wrong after a change was made, which therefore stands.
pub fn warn(warnings: &[impl Display]) {
    warnings.iter().for_each(note);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_colours_of_coral_reach_a_terminal() {
        let out = |colour| Output { json: false, colour, stdout: Mutex::new(BufWriter::new(io::stdout())) };
        let painted = out(true).paint(Colour::Green, "a\x1b]0;title\x07b");
        assert_eq!(out(true).harmless(&painted), "\x1b[32ma\\033]0;title\\ab\x1b[0m");
        assert_eq!(out(true).harmless("\x1b[2Jx\n"), "\\033[2Jx\\n");
        assert_eq!(out(false).harmless("\x1b[32mx"), "\\033[32mx");
    }
}
