//! How `log` prints a commit: in one of its own forms, or in one that was written down with placeholders.

use super::output::colour_code;
use super::when::{self, DateStyle};
use crate::history::{Commit, Signature};
use crate::id::CommitId;
use crate::units::Timestamp;

/// A commit as it is printed.
pub struct Printed<'a> {
    pub id: CommitId,
    pub commit: &'a Commit,
    /// What refs call it.
    pub names: &'a [String],
    pub dates: DateStyle,
    /// What `%ar` and `%cr` count from.
    pub now: Timestamp,
    /// Whether there are colours.
    pub is_painted: bool,
}

/// How a commit is printed.
#[derive(Debug)]
pub enum Form {
    /// One line.
    Oneline,
    /// The author, and the first line of the message.
    Short,
    /// The author, and the message.
    Medium,
    /// Also who committed.
    Full,
    /// The same with names that tell the dates apart.
    Fuller,
    /// What somebody wrote down.
    Own(Format),
}

impl Form {
    /// The form that `--format` means: one of these names, or a text with placeholders.
    ///
    /// # Errors
    /// In words, with the name or the placeholder that is none.
    pub fn parse(said: &str) -> Result<Self, String> {
        Ok(match said {
            "oneline" => Self::Oneline,
            "short" => Self::Short,
            "medium" => Self::Medium,
            "full" => Self::Full,
            "fuller" => Self::Fuller,
            _ => match said.strip_prefix("format:").or(said.strip_prefix("tformat:")) {
                Some(text) => Self::Own(Format::parse(text)?),
                None if said.contains('%') => Self::Own(Format::parse(said)?),
                None => return Err(format!("`{said}` is no form of a log")),
            },
        })
    }

    /// Whether it has the whole message.
    pub fn has_message(&self) -> bool {
        matches!(self, Self::Medium | Self::Full | Self::Fuller)
    }
}

/// A text with placeholders, as git's `--format`: those of [`placeholders`], `%n`, `%%`, `%xHH` for a character of ASCII, `%C(red)`
/// and the like for colours, and `%(NAME)` for what the commit says of itself by that name.
#[derive(Debug)]
pub struct Format(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Field(Field),
    Fact(String),
    /// How a terminal is told of a colour.
    Colours(Vec<&'static str>),
}

type Field = fn(&Printed<'_>) -> String;

/// What placeholders stand for.
const FIELDS: [(&str, Field); 32] = [
    ("H", |of| of.id.to_string()),
    ("h", |of| of.id.to_string()[..SHORT].to_owned()),
    ("T", |of| of.commit.tree.to_string()),
    ("t", |of| of.commit.tree.to_string()[..SHORT].to_owned()),
    ("P", |of| parents(of, 64)),
    ("p", |of| parents(of, SHORT)),
    ("an", |of| of.commit.author.name.clone()),
    ("aN", |of| of.commit.author.name.clone()),
    ("ae", |of| of.commit.author.email.clone()),
    ("aE", |of| of.commit.author.email.clone()),
    ("ad", |of| when::styled(&of.commit.author, of.dates)),
    ("ar", |of| when::styled(&of.commit.author, DateStyle::Relative(of.now))),
    ("at", |of| of.commit.author.time.seconds.to_string()),
    ("ai", |of| when::styled(&of.commit.author, DateStyle::Iso)),
    ("as", |of| when::styled(&of.commit.author, DateStyle::Short)),
    ("aI", |of| when::rfc3339_there(of.commit.author.time, of.commit.author.offset_minutes)),
    ("cn", |of| of.commit.committer.name.clone()),
    ("cN", |of| of.commit.committer.name.clone()),
    ("ce", |of| of.commit.committer.email.clone()),
    ("cE", |of| of.commit.committer.email.clone()),
    ("cd", |of| when::styled(&of.commit.committer, of.dates)),
    ("cr", |of| when::styled(&of.commit.committer, DateStyle::Relative(of.now))),
    ("ct", |of| of.commit.committer.time.seconds.to_string()),
    ("ci", |of| when::styled(&of.commit.committer, DateStyle::Iso)),
    ("cs", |of| when::styled(&of.commit.committer, DateStyle::Short)),
    ("cI", |of| when::rfc3339_there(of.commit.committer.time, of.commit.committer.offset_minutes)),
    ("s", |of| of.commit.subject().to_owned()),
    ("f", |of| as_file_name(of.commit.subject())),
    ("b", |of| body(of.commit).to_owned()),
    ("B", |of| of.commit.message.clone()),
    ("d", |of| if of.names.is_empty() { String::new() } else { format!(" ({})", of.names.join(", ")) }),
    ("D", |of| of.names.join(", ")),
];

/// Digits of an id that is abbreviated.
const SHORT: usize = 10;

/// All placeholders that stand for something of a commit.
pub fn placeholders() -> String {
    FIELDS.map(|(name, _)| format!("%{name}")).join(" ")
}

impl Format {
    fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('%') {
            pieces.push(Piece::Text(before.to_owned()));
            let unknown = || format!("`%{}` is no placeholder", beginning(after));
            let (piece, behind) = placeholder(after).ok_or_else(unknown)?;
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Self(pieces))
    }

    /// The text with what the placeholders stand for.
    pub fn filled(&self, printed: &Printed<'_>) -> String {
        let fill = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Field(field) => field(printed),
            Piece::Fact(name) => printed.commit.metadata.get(name).cloned().unwrap_or_default(),
            Piece::Colours(codes) if printed.is_painted => codes.concat(),
            Piece::Colours(_) => String::new(),
        };
        self.0.iter().map(fill).collect()
    }
}

/// The placeholder at the beginning, and what is behind it.
fn placeholder(after: &str) -> Option<(Piece, &str)> {
    let text = |text: &str| Piece::Text(text.to_owned());
    if let Some((name, rest)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
        return Some((Piece::Fact(name.to_owned()), rest));
    }
    if let Some(rest) = after.strip_prefix('%') {
        return Some((text("%"), rest));
    }
    if let Some(rest) = after.strip_prefix('n') {
        return Some((text("\n"), rest));
    }
    if let Some(rest) = after.strip_prefix('x') {
        let (digits, rest) = rest.split_at_checked(2)?;
        let byte = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii)?;
        return Some((text(char::from(byte).encode_utf8(&mut [0; 4])), rest));
    }
    if let Some(rest) = after.strip_prefix('C') {
        return colours(rest);
    }
    [2, 1].into_iter().find_map(|len| {
        let (name, rest) = after.split_at_checked(len)?;
        let (_, field) = FIELDS.iter().find(|(known, _)| *known == name)?;
        Some((Piece::Field(*field), rest))
    })
}

/// `red`, or `(bold red)`; `auto` says that it depends on the terminal, as it always does here.
fn colours(after: &str) -> Option<(Piece, &str)> {
    let (words, rest) = match after.strip_prefix('(') {
        Some(after) => after.split_once(')')?,
        None => {
            let word = ["red", "green", "blue", "reset"].into_iter().find(|word| after.starts_with(word))?;
            after.split_at(word.len())
        }
    };
    let words = words.split([' ', ',']).filter(|word| !matches!(*word, "auto" | "always" | ""));
    Some((Piece::Colours(words.map(colour_code).collect::<Option<_>>()?), rest))
}

/// So much of what stands behind `%` as somebody took for a placeholder.
fn beginning(after: &str) -> &str {
    let until = |c: char| after.find(c).map_or(after.len(), |at| at + 1);
    let count = match after.chars().next() {
        Some('C') if after.starts_with("C(") => return &after[..until(')')],
        Some('a' | 'c' | 'g' | 'G') => 2,
        Some('x') => 3,
        Some(_) => 1,
        None => 0,
    };
    after.char_indices().nth(count).map_or(after, |(at, _)| &after[..at])
}

fn parents(of: &Printed<'_>, length: usize) -> String {
    let ids = of.commit.parents.iter().map(|id| id.to_string()[..length].to_owned());
    ids.collect::<Vec<_>>().join(" ")
}

fn body(commit: &Commit) -> &str {
    commit.message.split_once('\n').map_or("", |(_, body)| body.trim_start_matches('\n'))
}

/// A subject as the name of a file, as git's `%f`.
fn as_file_name(subject: &str) -> String {
    let mut name = String::new();
    for c in subject.chars() {
        match c {
            '.' if name.ends_with('.') => {}
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' => name.push(c),
            _ if name.is_empty() || name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.trim_end_matches(['-', '.']).to_owned()
}

/// The headers of a commit behind its first line.
pub fn headers(printed: &Printed<'_>, form: &Form) -> Vec<String> {
    let commit = printed.commit;
    let mut lines = Vec::new();
    if commit.parents.len() > 1 {
        lines.push(format!("Merge:  {}", parents(printed, SHORT)));
    }
    let date = |who: &Signature| when::styled(who, printed.dates);
    let (author, committer) = (&commit.author, &commit.committer);
    match form {
        Form::Fuller => lines.extend([
            format!("Author:     {}", person(author)),
            format!("AuthorDate: {}", date(author)),
            format!("Commit:     {}", person(committer)),
            format!("CommitDate: {}", date(committer)),
        ]),
        Form::Oneline | Form::Short | Form::Medium | Form::Full | Form::Own(_) => {
            lines.extend([format!("Author: {}", person(author)), format!("Date:   {}", date(author))]);
        }
    }
    if matches!(form, Form::Full) {
        lines.extend([format!("Commit: {}", person(committer)), format!("Date:   {}", date(committer))]);
    }
    lines.extend(commit.metadata.iter().map(|(key, value)| format!("{key}: {value}")));
    lines
}

/// A person with an address, if there is one.
pub fn person(who: &Signature) -> String {
    if who.email.is_empty() { who.name.clone() } else { format!("{} <{}>", who.name, who.email) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TreeId;
    use crate::units::Timestamp;

    #[test]
    fn placeholders_are_filled_and_what_is_none_is_named() {
        let who = Signature {
            name: "Ada".into(),
            email: "a@b".into(),
            time: Timestamp { seconds: 1_700_000_000, nanoseconds: 0 },
            offset_minutes: 60,
        };
        let commit = Commit {
            tree: TreeId::from_bytes([1; 32]),
            parents: vec![CommitId::from_bytes([2; 32])],
            author: who.clone(),
            committer: who,
            message: "subject\n\nbody".into(),
            metadata: [("loss".to_owned(), "0.5".to_owned())].into(),
        };
        let names = ["main".to_owned()];
        let at = |later: i64| Timestamp { seconds: 1_700_000_000 + later, nanoseconds: 0 };
        let id = CommitId::from_bytes([0xab; 32]);
        let (dates, now) = (DateStyle::Iso, at(3600));
        let printed = Printed { id, commit: &commit, names: &names, dates, now, is_painted: false };
        let fill = |format: &str| Format::parse(format).map(|format| format.filled(&printed)).expect(format);
        assert_eq!(fill("%h %s%d %(loss)%(none)|%an <%ae>"), "ababababab subject (main) 0.5|Ada <a@b>");
        assert_eq!(fill("%p%n%b%%%x09100%x25"), "0202020202\nbody%\t100%");
        assert_eq!(fill("%ar, %cr"), "1 hour ago, 1 hour ago");
        assert_eq!(fill("%C(auto)%C(bold red)%f%Creset|%ci"), "subject|2023-11-14 23:13:20 +0100");
        let painted = Printed { is_painted: true, ..printed };
        let format = Format::parse("%C(bold red)x%Creset").expect("a format");
        assert_eq!(format.filled(&painted), "\x1b[1m\x1b[31mx\x1b[0m");
        for (said, named) in [
            ("%h %Q", "`%Q`"),
            ("%aX", "`%aX`"),
            ("%C(mauve) %h", "`%C(mauve)`"),
            ("%x8z", "`%x8z`"),
            ("100%", "`%`"),
            ("%\u{fc}b", "`%\u{fc}`"),
            ("onelin", "`onelin`"),
        ] {
            let error = Form::parse(said).expect_err(said);
            assert!(error.contains(named), "{error}");
        }
        assert_eq!(as_file_name("a: b..c [wip] \u{e9}."), "a-b.c-wip");
        assert_eq!(fill("%ad %aI"), "2023-11-14 23:13:20 +0100 2023-11-14T23:13:20+01:00");
    }
}
