//! What a command prints: text with colour on a terminal, plain text in a pipe, or one JSON value.

use super::closed::stdout_was_closed;
use super::error::{CommandError, Failed, Result};
use super::json::{Said, Text};
use super::quote;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The standard output of a command.
pub struct Output {
    /// Whether to print JSON instead of text.
    pub json: bool,
    colour: bool,
    /// Whether success says nothing.
    quiet: bool,
    /// The verb, for the name of what is printed as JSON.
    verb: String,
    /// What was said in words where JSON is wanted.
    said: Mutex<Vec<String>>,
    has_value: AtomicBool,
    sink: Mutex<Sink>,
}

/// How somebody wants a command to print.
#[derive(Debug, Clone, Default)]
pub struct Printing {
    /// One JSON object instead of text.
    pub json: bool,
    /// Colours: `None` if the terminal decides.
    pub colour: Option<bool>,
    /// Success says nothing.
    pub quiet: bool,
    /// The pager, if what is printed is to go through one.
    pub pager: Option<String>,
}

/// Where text goes.
enum Sink {
    Stdout(BufWriter<io::Stdout>),
    /// Kept for whoever shows it.
    Memory(Vec<u8>),
    Pager {
        writer: Option<BufWriter<ChildStdin>>,
        child: Child,
    },
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Stdout(_) if stdout_was_closed() => Err(io::Error::from_raw_os_error(libc::EBADF)),
            Sink::Stdout(stdout) => stdout.write(bytes),
            Sink::Memory(kept) => kept.write(bytes),
            Sink::Pager { writer: Some(writer), .. } => writer.write(bytes),
            Sink::Pager { writer: None, .. } => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Stdout(stdout) => stdout.flush(),
            Sink::Memory(_) => Ok(()),
            Sink::Pager { writer: Some(writer), .. } => writer.flush(),
            Sink::Pager { writer: None, .. } => Ok(()),
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Sink::Pager { writer, child } = self {
            // At its end the pager shows what is left, and is left when somebody has read it.
            drop(writer.take());
            let _ = child.wait();
        }
    }
}

/// The name and the version of what a verb prints. Fields may come without another version, none goes or means something else.
pub fn schema_name(verb: &str) -> String {
    format!("coral.{verb}/1")
}

/// A JSON object under the name and version of what it is.
#[derive(Serialize)]
struct Named<'v, T> {
    schema: String,
    #[serde(flatten)]
    value: &'v T,
}

/// Starts a pager. That there is none is no reason to print nothing.
fn page(pager: &str) -> Option<Sink> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(pager).stdin(Stdio::piped());
    // What fits is printed, colours stay, and the screen is not cleared.
    if std::env::var_os("LESS").is_none() {
        command.env("LESS", "FRX");
    }
    let mut child = command.spawn().ok()?;
    let writer = child.stdin.take().map(BufWriter::new);
    Some(Sink::Pager { writer, child })
}

/// Whether a terminal is to be painted: `NO_COLOR` that says something and a dumb one are not.
fn may_paint() -> bool {
    let says = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    says("NO_COLOR").is_none() && says("TERM").is_none_or(|term| term != "dumb")
}

/// What notes and errors look like; a process runs one command.
static NOTES: OnceLock<(bool, bool)> = OnceLock::new();

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
    /// Prints to the standard output, as somebody wants it.
    pub fn new(verb: &str, printing: &Printing) -> Self {
        let Printing { json, colour, quiet, pager } = printing;
        let paints = |is_terminal: bool| colour.unwrap_or_else(|| is_terminal && may_paint());
        let _ = NOTES.set((paints(io::stderr().is_terminal()), *quiet));
        let is_terminal = io::stdout().is_terminal();
        let pager = pager.as_deref().filter(|_| is_terminal && !json).and_then(page);
        let sink = pager.unwrap_or_else(|| Sink::Stdout(BufWriter::new(io::stdout())));
        Self {
            json: *json,
            colour: paints(is_terminal),
            quiet: *quiet,
            verb: verb.to_owned(),
            said: Mutex::default(),
            has_value: AtomicBool::new(false),
            sink: Mutex::new(sink),
        }
    }

    /// Keeps what is printed, plain, and gives it back.
    ///
    /// # Errors
    /// As what prints.
    pub fn kept(print: impl FnOnce(&Self) -> Result<()>) -> Result<String> {
        let out = Self {
            json: false,
            colour: false,
            quiet: false,
            verb: String::new(),
            said: Mutex::default(),
            has_value: AtomicBool::new(false),
            sink: Mutex::new(Sink::Memory(Vec::new())),
        };
        print(&out)?;
        match &*out.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            Sink::Memory(kept) => Ok(String::from_utf8_lossy(kept).into_owned()),
            Sink::Stdout(_) | Sink::Pager { .. } => Ok(String::new()),
        }
    }

    /// Whether a person reads it.
    pub fn is_terminal(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Prints a line, and only one: what could do harm in it is escaped. Names are quoted before.
    ///
    /// # Errors
    /// If nobody reads it any more, or the disk behind it is full.
    pub fn line(&self, text: impl Display) -> Result<()> {
        let text = self.harmless(&text.to_string());
        match (self.json, self.quiet) {
            (true, _) => {
                self.said.lock().unwrap_or_else(PoisonError::into_inner).push(text);
                Ok(())
            }
            (false, true) => Ok(()),
            (false, false) => self.lines(&text),
        }
    }

    /// Prints what was only said in words where JSON is wanted: every command that succeeds has an object.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn finish(&self) -> Result<()> {
        if !self.json || self.has_value.load(Ordering::Relaxed) {
            return Ok(());
        }
        let said = std::mem::take(&mut *self.said.lock().unwrap_or_else(PoisonError::into_inner));
        self.value(&Said { message: said.join("\n") })
    }

    /// Prints an error as JSON.
    pub fn failure(&self, error: &CommandError) {
        let failed = Named { schema: schema_name("error"), value: &Failed { error: error.into() } };
        // Whoever does not listen hears the error output.
        let _ = serde_json::to_string_pretty(&failed).map(|text| self.lines(&text));
    }

    /// The text with nothing in it that commands a terminal, but for the colours of [`Output::paint`].
    fn harmless(&self, text: &str) -> String {
        if !self.colour {
            return quote::text(text);
        }
        let pieces = text.split('\x1b').enumerate().map(|(at, piece)| {
            let mut codes = COLOURS.iter().map(|(_, code)| code);
            let colour = codes.find(|code| at > 0 && piece.starts_with(&code[1..]));
            match (colour, at) {
                (Some(colour), _) => format!("{colour}{}", quote::text(&piece[colour.len() - 1..])),
                (None, 0) => quote::text(piece),
                (None, _) => quote::text(&format!("\x1b{piece}")),
            }
        });
        pieces.collect()
    }

    fn lines(&self, text: &str) -> Result<()> {
        self.write(format!("{text}\n").as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> Result<()> {
        let mut sink = self.sink.lock().unwrap_or_else(PoisonError::into_inner);
        let written = sink.write_all(bytes).and_then(|()| sink.flush());
        written.map_err(|error| CommandError::unprintable(&error))
    }

    /// Prints bytes as they are.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.has_value.store(true, Ordering::Relaxed);
        self.write(bytes)
    }

    /// Prints a JSON object, under the name and version of what it is.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn value<T: Serialize + JsonSchema>(&self, value: &T) -> Result<()> {
        self.lines(&serde_json::to_string_pretty(&self.named(value)).map_err(CommandError::new)?)
    }

    /// Prints one of many JSON objects, on a line of its own.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn record<T: Serialize + JsonSchema>(&self, value: &T) -> Result<()> {
        self.lines(&serde_json::to_string(&self.named(value)).map_err(CommandError::new)?)
    }

    fn named<'v, T>(&self, value: &'v T) -> Named<'v, T> {
        self.has_value.store(true, Ordering::Relaxed);
        Named { schema: schema_name(&self.verb), value }
    }

    /// Prints a text as it is; where JSON is wanted, in an object.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn text(&self, text: String) -> Result<()> {
        if self.json { self.value(&Text { text }) } else { self.bytes(text.as_bytes()) }
    }

    /// Whether there are colours.
    pub fn paints(&self) -> bool {
        self.colour
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

/// Colours, and manners of writing, by the names that git has for them, and how a terminal is told (ECMA-48, SGR).
const COLOURS: [(&str, &str); 15] = [
    ("reset", PLAIN),
    ("normal", PLAIN),
    ("red", RED),
    ("green", GREEN),
    ("yellow", YELLOW),
    ("cyan", CYAN),
    ("black", "\x1b[30m"),
    ("blue", "\x1b[34m"),
    ("magenta", "\x1b[35m"),
    ("white", "\x1b[37m"),
    ("bold", "\x1b[1m"),
    ("dim", "\x1b[2m"),
    ("italic", "\x1b[3m"),
    ("ul", "\x1b[4m"),
    ("reverse", "\x1b[7m"),
];

/// How a terminal is told of a colour of this name.
pub fn colour_code(name: &str) -> Option<&'static str> {
    COLOURS.iter().find(|(known, _)| *known == name).map(|(_, code)| *code)
}

/// Says something on the error output that is neither result nor failure.
pub fn note(text: impl Display) {
    if !NOTES.get().is_some_and(|(_, quiet)| *quiet) {
        say("note", Colour::Cyan, text);
    }
}

/// Says a line on the error output. That nobody can hear it is no reason to fail, or to do anything else.
pub fn say(what: &str, colour: Colour, text: impl Display) {
    let text = quote::text(&text.to_string());
    let mut stderr = io::stderr().lock();
    let paints = NOTES.get().map_or_else(|| stderr.is_terminal() && may_paint(), |(paints, _)| *paints);
    let _ = match (paints, colour) {
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
        let out = |colour| Output::new("test", &Printing { colour: Some(colour), ..Printing::default() });
        let painted = out(true).paint(Colour::Green, "a\x1b]0;title\x07b");
        assert_eq!(out(true).harmless(&painted), "\x1b[32ma\\033]0;title\\ab\x1b[0m");
        assert_eq!(out(true).harmless("\x1b[2Jx\n"), "\\033[2Jx\\n");
        assert_eq!(out(false).harmless("\x1b[32mx"), "\\033[32mx");
    }
}
