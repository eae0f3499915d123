//! YAML as a person writes a recipe in it: maps, lists and scalars. Anchors, aliases and tags are refused, so that a text
//! means no more than it says; its length, its depth and its parts are bounded.
//!
//! The parser gives events; what they make up is kept flat, so that depth costs no stack.

use saphyr_parser::{Event, Parser};

/// The longest text, in bytes.
const LEN_MAX: usize = 1 << 20;
/// Lists in lists.
const DEPTH_MAX: usize = 16;
/// Scalars, lists and maps.
const PARTS_MAX: usize = 100_000;

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(pub String);

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Scalar(String),
    List(Vec<Yaml>),
    /// In the order of the text, each key once.
    Map(Vec<(String, Yaml)>),
}

/// A list or a map that is not at its end.
enum Open {
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>, Option<String>),
}

/// Reads a text of one document.
pub(super) fn parse(text: &str) -> Result<Yaml, YamlError> {
    let refused = |why: &str| Err(YamlError(why.to_owned()));
    if text.len() > LEN_MAX {
        return refused("a recipe is at most 1 MiB long");
    }
    let (mut open, mut whole, mut parts): (Vec<Open>, Option<Yaml>, usize) = (Vec::new(), None, 0);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError(error.to_string()))?;
        let line = span.start.line();
        let at = |why: &str| YamlError(format!("line {line}: {why}"));
        let done = match event {
            Event::Alias(_) => return Err(at("aliases are not read")),
            Event::Scalar(_, _, anchor, ref tag)
            | Event::SequenceStart(anchor, ref tag)
            | Event::MappingStart(anchor, ref tag)
                if anchor != 0 || tag.is_some() =>
            {
                return Err(at("anchors and tags are not read"));
            }
            Event::Scalar(text, ..) => Some(Yaml::Scalar(text.into_owned())),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Some(Yaml::List(list)),
                Some(Open::Map(map, _)) => Some(Yaml::Map(map)),
                None => return Err(at("an end without a beginning")),
            },
            Event::DocumentStart(_) if whole.is_some() => return Err(at("a second document")),
            _ => continue,
        };
        parts += 1;
        if open.len() > DEPTH_MAX || parts > PARTS_MAX {
            return Err(at("too deep or too much"));
        }
        let Some(done) = done else { continue };
        match open.last_mut() {
            None => whole = Some(done),
            Some(Open::List(list)) => list.push(done),
            Some(Open::Map(map, key)) => match (key.take(), done) {
                (Some(name), value) if map.iter().all(|(known, _)| *known != name) => map.push((name, value)),
                (Some(name), _) => return Err(at(&format!("`{name}` is said twice"))),
                (None, Yaml::Scalar(name)) => *key = Some(name),
                (None, _) => return Err(at("a name is one word")),
            },
        }
    }
    whole.ok_or_else(|| YamlError("there is nothing in it".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(text: &str) -> Yaml {
        Yaml::Scalar(text.into())
    }

    #[test]
    fn maps_lists_and_scalars_are_read() {
        let read = parse("a: 1\nb:\n  - x\n  - [0.5, y]\nc: {d: 'e f'}\n").expect("a map");
        let list = Yaml::List(vec![scalar("x"), Yaml::List(vec![scalar("0.5"), scalar("y")])]);
        let map = Yaml::Map(vec![("d".into(), scalar("e f"))]);
        assert_eq!(read, Yaml::Map(vec![("a".into(), scalar("1")), ("b".into(), list), ("c".into(), map)]));
    }

    #[test]
    fn what_means_more_than_it_says_is_refused() {
        let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        let deep = "[".repeat(100) + &"]".repeat(100);
        let wide = format!("[{}]", "a,".repeat(200_000));
        let long = "a".repeat(LEN_MAX + 1);
        for text in [
            laughs,
            "a: *x",
            "a: !!int 1",
            "a: 1\na: 2",
            "",
            "a: 1\n---\nb: 2",
            "[a",
            "? [a]\n: b",
            &deep,
            &wide,
            &long,
        ] {
            assert!(parse(text).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }
}
