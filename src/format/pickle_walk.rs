//! What tensors in a pickle are called: the keys and numbers that lead to them.
//!
//! Total on hostile bytes: what is shared is looked at again, but no more often than a few times what there is, and names are
//! bounded.

use super::pickle::{Id, Pickle, Value};
use super::region::{NAMES_MAX, TENSORS_MAX};

/// Values that are looked at beyond four times those that there are: what is shared is looked at again. No more than what
/// a member of an archive costs, of which there may be many.
const EXTRA_VISITS: usize = 1000;
/// Dimensions of all tensors of one pickle.
const DIMENSIONS_MAX: usize = 4 << 20;
/// Values in values in values, at most.
const DEPTH_MAX: usize = 1000;
/// Bytes of one name.
const NAME_MAX: usize = 4096;

/// The values of a pickle that `find` takes for tensors, each with the names under which a program would find it. `rank` tells
/// how many axes one has.
pub(super) fn named<'a, T>(
    pickle: &Pickle<'a>,
    find: impl Fn(Id) -> Option<T>,
    rank: impl Fn(&T) -> usize,
) -> Vec<(String, T)> {
    Walk { pickle, path: Vec::new(), names: 0 }.tensors(find, rank)
}

/// A walk through the values of a pickle.
struct Walk<'p, 'a> {
    pickle: &'p Pickle<'a>,
    path: Vec<Step<'a>>,
    /// Bytes of all names so far.
    names: usize,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Number(i64),
    /// What an object is told belongs to the object.
    Same,
}

/// A value that is being looked into. What is in it is never copied: one that is large may be in itself.
struct Level {
    id: Id,
    /// The number of what is looked at next in it.
    next: usize,
}

impl<'a> Walk<'_, 'a> {
    fn tensors<T>(mut self, find: impl Fn(Id) -> Option<T>, rank: impl Fn(&T) -> usize) -> Vec<(String, T)> {
        let mut found = Vec::new();
        let there = self.pickle.count().saturating_add(self.pickle.items());
        let mut visits = there.saturating_mul(4).saturating_add(EXTRA_VISITS);
        let mut dimensions = 0;
        let mut levels: Vec<Level> = Vec::new();
        let mut first = Some((Step::Same, self.pickle.root));
        loop {
            let (step, id) = match (first.take(), levels.last_mut()) {
                (Some(root), _) => root,
                (None, None) => break,
                (None, Some(level)) => match self.child(level.id, level.next) {
                    Some(child) => {
                        level.next += 1;
                        child
                    }
                    None => {
                        levels.pop();
                        self.path.pop();
                        continue;
                    }
                },
            };
            if self.is_empty(id) {
                continue;
            }
            let Some(left) = visits.checked_sub(1) else { break };
            visits = left;
            self.path.push(step);
            if let Some(tensor) = find(id) {
                dimensions += rank(&tensor);
                if found.len() == TENSORS_MAX || dimensions > DIMENSIONS_MAX {
                    break;
                }
                match self.name() {
                    Some(name) => found.push((name, tensor)),
                    None => break,
                }
                self.path.pop();
                continue;
            }
            // Looking at many children costs what it costs, however few of them are ever taken.
            let Some(left) = visits.checked_sub(self.width(id)) else { break };
            visits = left;
            match levels.len() == DEPTH_MAX {
                true => drop(self.path.pop()),
                false => levels.push(Level { id, next: 0 }),
            }
        }
        found
    }

    /// How much is in a value, whatever it is.
    fn width(&self, id: Id) -> usize {
        match self.pickle.get(id) {
            Value::Sequence(items) => items.len(),
            Value::Dict(items) => items.len(),
            Value::Called(call) => {
                let arguments = self.pickle.sequence(call.arguments).unwrap_or_default();
                arguments.len() + call.items.len() + call.elements.len() + 1
            }
            Value::Other
            | Value::Integer(_)
            | Value::Text(_)
            | Value::Bytes { .. }
            | Value::Global(..)
            | Value::Persistent(_) => 0,
        }
    }

    /// What is in a value at this place, whatever it is; `None` behind the last.
    fn child(&self, id: Id, number: usize) -> Option<(Step<'a>, Id)> {
        let numbered = |items: &[Id], at: usize| Some((Step::Number(at as i64), *items.get(at)?));
        let keyed =
            |items: &[(Id, Id)], at: usize| items.get(at).map(|&(key, value)| (self.step(key), value));
        match self.pickle.get(id) {
            Value::Sequence(items) => numbered(items, number),
            Value::Dict(items) => keyed(items, number),
            Value::Called(call) => {
                let arguments = self.pickle.sequence(call.arguments).unwrap_or_default();
                let Some(at) = number.checked_sub(arguments.len()) else {
                    return numbered(arguments, number);
                };
                let Some(at) = at.checked_sub(call.items.len()) else { return keyed(&call.items, at) };
                let Some(at) = at.checked_sub(call.elements.len()) else {
                    return numbered(&call.elements, at);
                };
                call.state.filter(|_| at == 0).map(|state| (Step::Same, state))
            }
            Value::Other
            | Value::Integer(_)
            | Value::Text(_)
            | Value::Bytes { .. }
            | Value::Global(..)
            | Value::Persistent(_) => None,
        }
    }

    /// Whether nothing can be in a value.
    fn is_empty(&self, id: Id) -> bool {
        matches!(
            self.pickle.get(id),
            Value::Other | Value::Integer(_) | Value::Text(_) | Value::Bytes { .. } | Value::Global(..)
        )
    }

    fn step(&self, key: Id) -> Step<'a> {
        match self.pickle.get(key) {
            Value::Text(text) => Step::Key(text),
            Value::Integer(number) => Step::Number(*number),
            _ => Step::Key("?"),
        }
    }

    /// The name of what the path leads to; `None` if the names become too long.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        for step in &self.path {
            let text = match step {
                Step::Same => continue,
                Step::Key(key) => (*key).to_owned(),
                Step::Number(number) => number.to_string(),
            };
            if name.len() + text.len() > NAME_MAX {
                return None;
            }
            if !name.is_empty() {
                name.push('.');
            }
            name.push_str(&text);
        }
        if name.is_empty() {
            name.push_str("tensor");
        }
        self.names += name.len();
        (self.names <= NAMES_MAX).then_some(name)
    }
}
