//! How `log` prints a commit: in one of its own forms, or in one that was written down with placeholders.

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
}

/// Fills a format, as git's `--format`: `%H %h %T %P %p %an %ae %ad %aI %cn %ce %cd %cI %s %b %B %d %D %n %%`, and
/// `%(NAME)` for what the commit says of itself by that name.
pub fn filled(format: &str, printed: &Printed<'_>) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        rest = placeholder(after, printed, &mut text);
    }
    text + rest
}

/// Appends what the placeholder at the beginning stands for, and returns what is behind it.
fn placeholder<'f>(after: &'f str, printed: &Printed<'_>, text: &mut String) -> &'f str {
    if let Some((name, rest)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
        text.push_str(printed.commit.metadata.get(name).map(String::as_str).unwrap_or_default());
        return rest;
    }
    for len in [2, 1] {
        if let Some((name, rest)) = after.split_at_checked(len)
            && let Some(value) = value(name, printed)
        {
            text.push_str(&value);
            return rest;
        }
    }
    text.push('%');
    after
}

fn value(name: &str, printed: &Printed<'_>) -> Option<String> {
    let Printed { id, commit, names, dates, now } = printed;
    let ids = |length: usize| {
        let ids = commit.parents.iter().map(|id| id.to_string()[..length].to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    let date = |who: &Signature| when::styled(who, *dates);
    Some(match name {
        "H" => id.to_string(),
        "h" => id.to_string()[..10].to_owned(),
        "T" => commit.tree.to_string(),
        "t" => commit.tree.to_string()[..10].to_owned(),
        "P" => ids(64),
        "p" => ids(10),
        "an" => commit.author.name.clone(),
        "ae" => commit.author.email.clone(),
        "ad" => date(&commit.author),
        "ar" => when::styled(&commit.author, DateStyle::Relative(*now)),
        "at" => commit.author.time.seconds.to_string(),
        "aI" => when::rfc3339_there(commit.author.time, commit.author.offset_minutes),
        "cn" => commit.committer.name.clone(),
        "ce" => commit.committer.email.clone(),
        "cd" => date(&commit.committer),
        "cr" => when::styled(&commit.committer, DateStyle::Relative(*now)),
        "ct" => commit.committer.time.seconds.to_string(),
        "cI" => when::rfc3339_there(commit.committer.time, commit.committer.offset_minutes),
        "s" => commit.subject().to_owned(),
        "b" => {
            commit.message.split_once('\n').map_or("", |(_, body)| body.trim_start_matches('\n')).to_owned()
        }
        "B" => commit.message.clone(),
        "d" if names.is_empty() => String::new(),
        "d" => format!(" ({})", names.join(", ")),
        "D" => names.join(", "),
        "n" => "\n".into(),
        "%" => "%".into(),
        _ => return None,
    })
}

/// The headers of a commit behind its first line.
pub fn headers(printed: &Printed<'_>, with_committer: bool) -> Vec<String> {
    let commit = printed.commit;
    let mut lines = Vec::new();
    if commit.parents.len() > 1 {
        let parents: Vec<String> = commit.parents.iter().map(|id| id.to_string()[..10].to_owned()).collect();
        lines.push(format!("Merge:  {}", parents.join(" ")));
    }
    lines.push(format!("Author: {}", person(&commit.author)));
    lines.push(format!("Date:   {}", when::styled(&commit.author, printed.dates)));
    if with_committer {
        lines.push(format!("Commit: {}", person(&commit.committer)));
        lines.push(format!("Date:   {}", when::styled(&commit.committer, printed.dates)));
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
    fn placeholders_are_filled_and_what_is_none_stays() {
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
        let printed = Printed { id, commit: &commit, names: &names, dates: DateStyle::Iso, now: at(3600) };
        let fill = |format: &str| filled(format, &printed);
        assert_eq!(fill("%h %s%d %(loss)%(none)|%an <%ae>"), "ababababab subject (main) 0.5|Ada <a@b>");
        assert_eq!(fill("%p%n%b%%%x 100%"), "0202020202\nbody%%x 100%");
        assert_eq!(fill("%ar, %cr"), "1 hour ago, 1 hour ago");
        assert_eq!(fill("%ad %aI"), "2023-11-14 23:13:20 +0100 2023-11-14T23:13:20+01:00");
    }
}
