//! Aliases: what a word that somebody made up stands for.
//!
//! Owns which names they may have and how their text is taken apart; does not know which commands there are.

use super::ConfigError;

/// What every alias is called before its own name.
pub const SECTION: &str = "alias.";

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alias {
    /// Words of a command line, one at least; what is given with the alias comes behind them.
    Words(Vec<String>),
    /// A command of the shell.
    Shell(String),
}

/// The name of an alias that a setting is, if it is one.
///
/// # Errors
/// [`ConfigError::Alias`] if it is no name that somebody can type as a command.
pub(super) fn name_of(setting: &str) -> Result<Option<&str>, ConfigError> {
    let Some(name) = setting.strip_prefix(SECTION) else { return Ok(None) };
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    match is_word && name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric) {
        true => Ok(Some(name)),
        false => Err(wrong(name, "its name is of letters, digits, `-` and `_`")),
    }
}

/// What the text of an alias says: the command of a shell behind `!`, or words with blanks between them, where `'`, `"` and
/// `\` keep blanks as in a shell.
///
/// # Errors
/// [`ConfigError::Alias`] if it says nothing, or a quote has no end.
pub fn alias(name: &str, text: &str) -> Result<Alias, ConfigError> {
    if let Some(command) = text.trim_start().strip_prefix('!') {
        return match command.trim().is_empty() {
            true => Err(wrong(name, "it stands for nothing")),
            false => Ok(Alias::Shell(command.to_owned())),
        };
    }
    match words(text).ok_or_else(|| wrong(name, "a quote in it has no end"))? {
        words if words.is_empty() => Err(wrong(name, "it stands for nothing")),
        words => Ok(Alias::Words(words)),
    }
}

fn wrong(name: &str, what: &'static str) -> ConfigError {
    ConfigError::Alias { name: name.to_owned(), what }
}

/// The words of a line; `None` if it ends within one that is quoted.
fn words(text: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut within = None;
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (within, letter) {
            (Some(quote), letter) if letter == quote => within = None,
            (None, '\'' | '"') => {
                within = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => word.get_or_insert_default().push(letters.next()?),
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    within.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_as_in_a_shell() {
        let said = |text| match alias("x", text) {
            Ok(Alias::Words(words)) => words.join("|"),
            other => format!("{other:?}"),
        };
        assert_eq!(said(" log  --oneline\t-5 "), "log|--oneline|-5");
        assert_eq!(
            said(r#"log --format '%h "%s"' "a \"b\" $c" d\ e '' "#),
            r#"log|--format|%h "%s"|a "b" $c|d e|"#
        );
        assert_eq!(alias("x", " !echo 'a"), Ok(Alias::Shell("echo 'a".into())));
        for wrong in ["", "  ", "!", "! ", "log 'x", "log \"x", "log x\\"] {
            assert!(matches!(alias("x", wrong), Err(ConfigError::Alias { .. })), "{wrong:?}");
        }
    }
}
