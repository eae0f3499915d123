//! Arguments of which it is known what they may say: completions offer it, and whoever types something else is told by the words
//! of the argument's own parser.

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command, Error};
use std::ffi::OsStr;

/// A parser that knows words.
#[derive(Clone)]
pub struct Known<P> {
    words: fn() -> Vec<&'static str>,
    parser: P,
}

/// A parser, and words that it takes. It may take others as well.
pub fn known<P: TypedValueParser>(words: fn() -> Vec<&'static str>, parser: P) -> Known<P> {
    Known { words, parser }
}

impl<P: TypedValueParser> TypedValueParser for Known<P> {
    type Value = P::Value;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<P::Value, Error> {
        self.parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.words)().into_iter().map(PossibleValue::new)))
    }
}
