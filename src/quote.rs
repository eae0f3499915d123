//! Text from files, messages and users as it may be shown to a person: nothing in it moves the cursor, turns the line
//! round or makes two lines of one.
//!
//! Names are quoted as git quotes them (`core.quotePath=false`): left alone if they are plain, else between double quotes
//! with C's escapes, octal for bytes. Knows neither who shows them nor where.

use std::fmt::Write;
use std::path::Path;

/// A path on the user's disk.
pub fn file(path: &Path) -> String {
    name(path.as_os_str().as_encoded_bytes())
}

/// A name of anything.
pub fn name(bytes: &[u8]) -> String {
    let plain = std::str::from_utf8(bytes).ok().filter(|text| !text.contains(needs_quotes));
    match plain {
        Some(text) => text.to_owned(),
        None => format!("\"{}\"", escaped(bytes, needs_quotes)),
    }
}

/// A name as the argument of a command that somebody copies into a shell (POSIX.1-2024): one word, and no option.
pub fn argument(bytes: &[u8]) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+:@%,=".contains(byte) || *byte >= 0x80;
    let word = match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && bytes.iter().all(is_plain) && !text.contains(is_harmful) => {
            text.to_owned()
        }
        Ok(text) if !text.contains(|c| c == '\'' || c == '\t' || is_harmful(c)) => format!("'{text}'"),
        // In a word of this kind backslashes and single quotes are escaped, double quotes need not be.
        _ => format!("$'{}'", escaped(bytes, needs_quotes).replace('\'', "\\'")),
    };
    if bytes.starts_with(b"-") { format!("./{word}") } else { word }
}

/// A line of free text: what could do harm is escaped, the rest stays as somebody wrote it.
pub fn text(line: &str) -> String {
    escaped(line.as_bytes(), is_harmful)
}

/// The beginning of a text, at most so many bytes of it, and a sign that there is more if there is.
pub fn clipped(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{} ...", &text[..end])
}

fn escaped(bytes: &[u8], escapes: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if escapes(c) { push_escaped(&mut shown, c) } else { shown.push(c) }
        }
        chunk.invalid().iter().for_each(|byte| push_octal(&mut shown, *byte));
    }
    shown
}

fn push_escaped(shown: &mut String, c: char) {
    let letter = match c {
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '"' | '\\' => c,
        _ => return c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| push_octal(shown, byte)),
    };
    shown.extend(['\\', letter]);
}

fn push_octal(shown: &mut String, byte: u8) {
    // Writing into a string does not fail.
    let _ = write!(shown, "\\{byte:03o}");
}

fn needs_quotes(c: char) -> bool {
    matches!(c, '"' | '\\' | '\t') || is_harmful(c)
}

/// Control characters but the tab, line separators, what turns the direction of writing (Unicode TR9), and what nobody sees and no
/// script needs.
pub fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_as_git_quotes_them() {
        for plain in ["model.safetensors", "a b", "größe", "日本", "e\u{301}", "a'b", "-x", "🦀"] {
            assert_eq!(name(plain.as_bytes()), plain);
        }
        let quoted: [(&[u8], &str); 9] = [
            (b"nl\nname", r#""nl\nname""#),
            (b"esc\x1b[31mred", r#""esc\033[31mred""#),
            (b"tab\there", r#""tab\there""#),
            (br#"say "hi""#, r#""say \"hi\"""#),
            (br"back\slash", r#""back\\slash""#),
            (b"bad\xff\xfe.bin", r#""bad\377\376.bin""#),
            ("rtl\u{202e}txt".as_bytes(), r#""rtl\342\200\256txt""#),
            ("c1\u{9b}31m".as_bytes(), r#""c1\302\23331m""#),
            (".co\u{200b}ral".as_bytes(), r#"".co\342\200\213ral""#),
        ];
        for (bytes, shown) in quoted {
            assert_eq!(name(bytes), shown);
        }
    }

    #[test]
    fn what_is_copied_into_a_shell_is_the_one_word_that_it_was() {
        let words: [(&[u8], &str); 11] = [
            (b"run/model-1.safetensors", "run/model-1.safetensors"),
            ("größe".as_bytes(), "größe"),
            (b"a b", "'a b'"),
            (b"*", "'*'"),
            (b"x;rm $HOME", "'x;rm $HOME'"),
            (b"--all", "./--all"),
            (b"-a b", "./'-a b'"),
            (br"back\slash", r"'back\slash'"),
            (b"it's", r"$'it\'s'"),
            (b"nl\nx", r"$'nl\nx'"),
            (b"bad\xff", r"$'bad\377'"),
        ];
        for (bytes, word) in words {
            assert_eq!(argument(bytes), word);
        }
    }

    #[test]
    fn free_text_keeps_its_quotes_and_loses_its_teeth() {
        assert_eq!(text(r#"a "quoted" \ back	tab"#), r#"a "quoted" \ back	tab"#);
        assert_eq!(clipped("größe", 3), "gr ...");
        assert_eq!(clipped("größe", 7), "größe");
        assert_eq!(text("red \x1b[31m\r\nx\u{2066}"), r"red \033[31m\r\nx\342\201\246");
    }
}
