//! What a command prints: text with colour on a terminal, plain text in a pipe, or one JSON value.

use super::error::Result;
use crate::repo::Warning;
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

    /// Prints a line.
    ///
    /// # Errors
    /// If nobody reads it any more, or the disk behind it is full.
    pub fn line(&self, text: impl Display) -> Result<()> {
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
        self.line(format_args!("{value:#}"))
    }

    /// A text in a colour, if the output is a terminal.
    pub fn paint(&self, colour: Colour, text: impl Display) -> String {
        let code = match colour {
            Colour::Red => 31,
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Cyan => 36,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Says something on the error output that is neither result nor failure.
pub fn note(text: impl Display) {
    eprintln!("note: {text}");
}

/// Says what went wrong after a change was made, which therefore stands.
pub fn warn(warnings: &[Warning]) {
    warnings.iter().for_each(note);
}
