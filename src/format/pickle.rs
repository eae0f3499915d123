//! Python's pickle format, walked and never executed: what a program of its opcodes would build, as inert values.
//!
//! The opcodes of protocols 0 to 5 (`Lib/pickletools.py`); of numbers that are not whole, of bytes and of what an extension
//! registry has only that they are there, and escapes in the texts of protocol 0 stay what they are. A global is a text
//! and a call is a node that keeps what it was to be called with, so that values inside of classes that nobody here knows
//! are found all the same. Total on hostile bytes: no recursion, lengths are checked against what is left, and values,
//! what is in them, the stack and the memo are bounded.

use std::collections::HashMap;

/// Values of one pickle at most: a checkpoint has some 30 for each of its tensors, a value some 50 bytes.
const VALUES_MAX: usize = 4 << 20;
/// What is in all collections together, at most.
const ITEMS_MAX: usize = 16 << 20;
/// Values on the stack at most.
const STACK_MAX: usize = 4 << 20;

/// Which value of a pickle one is.
pub(super) type Id = u32;

/// A value, as far as anybody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// Nothing, a number that is not whole, bytes, what an extension registry has.
    Other,
    /// A whole number of 64 bits; no is 0, yes is 1.
    Integer(i64),
    Text(&'a str),
    /// Bytes that were left out, and where in the file they are: [`Pickle::read_condensed`].
    Bytes {
        start: u64,
        len: u64,
    },
    /// A name in a module.
    Global(&'a str, &'a str),
    /// A tuple, a list or a set.
    Sequence(Vec<Id>),
    /// Keys and values.
    Dict(Vec<(Id, Id)>),
    /// What stands outside of the pickle, under this name.
    Persistent(Id),
    /// What a call would give.
    Called(Box<Call>),
}

/// A call that is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// What is called, and with what.
    pub callable: Id,
    pub arguments: Id,
    /// What the result is told afterwards.
    pub state: Option<Id>,
    pub items: Vec<(Id, Id)>,
    pub elements: Vec<Id>,
}

/// What a pickle builds.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    items: usize,
    pub root: Id,
    /// Bytes up to the end of the pickle.
    pub len: usize,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle that `bytes` begin with; `None` if they begin with none, or with one that is too large.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        Self::run(bytes, false)
    }

    /// The same of one in which [`LEFT_OUT`] and two numbers of 64 bits stand for bytes of the file: where they begin, and how
    /// many they are.
    pub fn read_condensed(bytes: &'a [u8]) -> Option<Self> {
        Self::run(bytes, true)
    }

    fn run(bytes: &'a [u8], is_condensed: bool) -> Option<Self> {
        let mut machine =
            Machine { rest: bytes, values: CONSTANTS.to_vec(), is_condensed, ..Machine::default() };
        loop {
            if let Step::Stop(root) = machine.step()? {
                let len = bytes.len() - machine.rest.len();
                return Some(Self { values: machine.values, items: machine.items, root, len });
            }
        }
    }

    pub fn get(&self, id: Id) -> &Value<'a> {
        &self.values[id as usize]
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// How much is in all collections together; what is in several counts in each.
    pub fn items(&self) -> usize {
        self.items
    }

    pub fn text(&self, id: Id) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number that is not negative.
    pub fn size(&self, id: Id) -> Option<u64> {
        match self.get(id) {
            Value::Integer(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    pub fn sequence(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Value::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// Whole numbers that are not negative, if they are no more than so many.
    pub fn sizes(&self, id: Id, most: usize) -> Option<Vec<u64>> {
        let items = self.sequence(id).filter(|items| items.len() <= most)?;
        items.iter().map(|&item| self.size(item)).collect()
    }
}

enum Step {
    On,
    Stop(Id),
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value<'a>>,
    /// How much is in them.
    items: usize,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    /// Whether bytes may have been left out.
    is_condensed: bool,
}

/// What stands for bytes that were left out; no opcode of any protocol.
pub(super) const LEFT_OUT: u8 = 0xff;

/// The values that are there before any other: the one that stands for all that are of no interest, no and yes.
const CONSTANTS: [Value<'static>; 3] = [Value::Other, Value::Integer(0), Value::Integer(1)];
const OTHER: Id = 0;
const FALSE: Id = 1;
const TRUE: Id = 2;

impl<'a> Machine<'a> {
    fn step(&mut self) -> Option<Step> {
        match self.byte()? {
            b'.' => return Some(Step::Stop(self.pop()?)),
            b'(' => {
                (self.marks.len() < STACK_MAX).then_some(())?;
                self.marks.push(self.stack.len());
            }
            b'0' => self.pop_or_mark()?,
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.push(*self.stack.last()?)?,
            // Numbers.
            b'N' => self.push(OTHER)?,
            0x88 => self.push(TRUE)?,
            0x89 => self.push(FALSE)?,
            b'F' => {
                self.line()?;
                self.push(OTHER)?;
            }
            b'G' => self.other(8)?,
            b'I' | b'L' => {
                let digits = std::str::from_utf8(self.line()?).ok()?;
                let value =
                    digits.strip_suffix('L').unwrap_or(digits).parse().map_or(Value::Other, Value::Integer);
                self.make(value)?;
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.make(Value::Integer(value.into()))?;
            }
            b'K' => {
                let value = self.byte()?;
                self.make(Value::Integer(value.into()))?;
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.make(Value::Integer(value.into()))?;
            }
            0x8a => {
                let len = self.byte()?;
                self.long(len.into())?;
            }
            0x8b => {
                let len = self.len4()?;
                self.long(len)?;
            }
            // Texts and bytes.
            b'S' | b'V' => {
                let line = self.line()?;
                let line = line.strip_prefix(b"'").and_then(|rest| rest.strip_suffix(b"'")).unwrap_or(line);
                self.text(line)?;
            }
            b'T' | b'X' => {
                let len = self.len4()?;
                let text = self.take(len)?;
                self.text(text)?;
            }
            b'U' | 0x8c => {
                let len = self.byte()?;
                let text = self.take(len.into())?;
                self.text(text)?;
            }
            0x8d => {
                let len = self.len8()?;
                let text = self.take(len)?;
                self.text(text)?;
            }
            b'C' => {
                let len = self.byte()?;
                self.other(len.into())?;
            }
            b'B' => {
                let len = self.len4()?;
                self.other(len)?;
            }
            0x8e | 0x96 => {
                let len = self.len8()?;
                self.other(len)?;
            }
            0x97 => self.push(OTHER)?,
            0x98 => {}
            // Collections.
            b')' | b']' | 0x8f => self.make(Value::Sequence(Vec::new()))?,
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.make(Value::Sequence(items))?;
            }
            count @ 0x85..=0x87 => {
                let items = self.pop_many(usize::from(count - 0x84))?;
                self.make(Value::Sequence(items))?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b'}' => self.make(Value::Dict(Vec::new()))?,
            b'd' => {
                let items = pairs(&self.pop_to_mark()?);
                self.make(Value::Dict(items))?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(&self.pop_to_mark()?);
                self.set(items)?;
            }
            // Names, calls.
            b'c' => {
                let (module, name) = (self.name()?, self.name()?);
                self.make(Value::Global(module, name))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = match (&self.values[module as usize], &self.values[name as usize]) {
                    (Value::Text(module), Value::Text(name)) => Value::Global(module, name),
                    _ => return None,
                };
                self.make(global)?;
            }
            b'R' | 0x81 => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            0x92 => {
                let (_, arguments, callable) = (self.pop()?, self.pop()?, self.pop()?);
                self.call(callable, arguments)?;
            }
            b'i' => {
                let (module, name) = (self.name()?, self.name()?);
                let arguments = self.pop_to_mark()?;
                let arguments = self.keep(Value::Sequence(arguments))?;
                let callable = self.keep(Value::Global(module, name))?;
                self.call(callable, arguments)?;
            }
            b'o' => {
                let mut arguments = self.pop_to_mark()?;
                let callable = (!arguments.is_empty()).then(|| arguments.remove(0))?;
                let arguments = self.keep(Value::Sequence(arguments))?;
                self.call(callable, arguments)?;
            }
            b'b' => {
                let (state, target) = (self.pop()?, *self.stack.last()?);
                if let Value::Called(call) = &mut self.values[target as usize] {
                    call.state = Some(state);
                }
            }
            b'P' => {
                let line = self.name()?;
                let name = self.keep(Value::Text(line))?;
                self.make(Value::Persistent(name))?;
            }
            b'Q' => {
                let name = self.pop()?;
                self.make(Value::Persistent(name))?;
            }
            0x82 => self.other(1)?,
            0x83 => self.other(2)?,
            0x84 => self.other(4)?,
            // The memo.
            b'p' => {
                let at = self.number_line()?;
                self.memoize(at)?;
            }
            b'q' => {
                let at = self.byte()?;
                self.memoize(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(self.array()?);
                self.memoize(at)?;
            }
            0x94 => {
                let at = u32::try_from(self.memo.len()).ok()?;
                self.memoize(at)?;
            }
            b'g' => {
                let at = self.number_line()?;
                self.recall(at)?;
            }
            b'h' => {
                let at = self.byte()?;
                self.recall(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.array()?);
                self.recall(at)?;
            }
            LEFT_OUT if self.is_condensed => {
                let (start, len) = (u64::from_le_bytes(self.array()?), u64::from_le_bytes(self.array()?));
                self.make(Value::Bytes { start, len })?;
            }
            // Framing.
            0x80 => self.take(1).map(drop)?,
            0x95 => self.take(8).map(drop)?,
            _ => return None,
        }
        Some(Step::On)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A value of so many bytes that nobody asks for.
    fn other(&mut self, len: usize) -> Option<()> {
        self.take(len)?;
        self.push(OTHER)
    }

    fn byte(&mut self) -> Option<u8> {
        Some(self.array::<1>()?[0])
    }

    fn len4(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn len8(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).ok()
    }

    /// What is before the next line feed, which is passed over.
    fn line(&mut self) -> Option<&'a [u8]> {
        let len = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(len)?;
        self.take(1)?;
        Some(line)
    }

    fn name(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.line()?).ok()
    }

    fn number_line(&mut self) -> Option<u32> {
        self.name()?.parse().ok()
    }

    fn push(&mut self, id: Id) -> Option<()> {
        (self.stack.len() < STACK_MAX).then(|| self.stack.push(id))
    }

    fn pop(&mut self) -> Option<Id> {
        let is_above_mark = self.marks.last().is_none_or(|mark| self.stack.len() > *mark);
        is_above_mark.then(|| self.stack.pop()).flatten()
    }

    fn pop_or_mark(&mut self) -> Option<()> {
        match self.marks.last() {
            Some(mark) if *mark == self.stack.len() => self.marks.pop().map(drop),
            _ => self.pop().map(drop),
        }
    }

    /// The topmost values, the lowest first. They are above the mark, as with [`Machine::pop`].
    fn pop_many(&mut self, count: usize) -> Option<Vec<Id>> {
        let first = self.stack.len().checked_sub(count)?;
        self.marks.last().is_none_or(|mark| *mark <= first).then(|| self.stack.split_off(first))
    }

    fn pop_to_mark(&mut self) -> Option<Vec<Id>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }

    /// Counts what is put into a collection.
    fn count(&mut self, more: usize) -> Option<()> {
        self.items = self.items.checked_add(more).filter(|items| *items <= ITEMS_MAX)?;
        Some(())
    }

    /// Keeps a value.
    fn keep(&mut self, value: Value<'a>) -> Option<Id> {
        if value == Value::Other {
            return Some(OTHER);
        }
        match &value {
            Value::Sequence(items) => self.count(items.len())?,
            Value::Dict(items) => self.count(items.len())?,
            _ => {}
        }
        let id = Id::try_from(self.values.len()).ok()?;
        (self.values.len() < VALUES_MAX).then(|| self.values.push(value))?;
        Some(id)
    }

    /// Keeps a value and puts it on the stack.
    fn make(&mut self, value: Value<'a>) -> Option<()> {
        let id = self.keep(value)?;
        self.push(id)
    }

    fn text(&mut self, bytes: &'a [u8]) -> Option<()> {
        // Texts may have surrogates, which no name of a tensor has.
        self.make(std::str::from_utf8(bytes).map_or(Value::Other, Value::Text))
    }

    /// A whole number of any length, little-endian.
    fn long(&mut self, len: usize) -> Option<()> {
        let bytes = self.take(len)?;
        let value = match bytes.last() {
            None => Value::Integer(0),
            Some(last) if len <= 8 => {
                let mut wide = [if last & 0x80 == 0 { 0 } else { 0xff }; 8];
                wide[..len].copy_from_slice(bytes);
                Value::Integer(i64::from_le_bytes(wide))
            }
            Some(_) => Value::Other,
        };
        self.make(value)
    }

    fn call(&mut self, callable: Id, arguments: Id) -> Option<()> {
        let (state, items, elements) = (None, Vec::new(), Vec::new());
        self.make(Value::Called(Box::new(Call { callable, arguments, state, items, elements })))
    }

    /// Adds elements to what is on top of the stack.
    fn extend(&mut self, more: Vec<Id>) -> Option<()> {
        self.count(more.len())?;
        let target = *self.stack.last()?;
        match &mut self.values[target as usize] {
            Value::Sequence(items) => items.extend(more),
            Value::Called(call) => call.elements.extend(more),
            _ => {}
        }
        Some(())
    }

    /// Sets items of what is on top of the stack.
    fn set(&mut self, more: Vec<(Id, Id)>) -> Option<()> {
        self.count(more.len())?;
        let target = *self.stack.last()?;
        match &mut self.values[target as usize] {
            Value::Dict(items) => items.extend(more),
            Value::Called(call) => call.items.extend(more),
            _ => {}
        }
        Some(())
    }

    fn memoize(&mut self, at: u32) -> Option<()> {
        let top = *self.stack.last()?;
        let fits = self.memo.len() < VALUES_MAX || self.memo.contains_key(&at);
        fits.then(|| self.memo.insert(at, top))?;
        Some(())
    }

    fn recall(&mut self, at: u32) -> Option<()> {
        let id = *self.memo.get(&at)?;
        self.push(id)
    }
}

/// Keys and values that alternate.
fn pairs(items: &[Id]) -> Vec<(Id, Id)> {
    items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_protocols_are_read_and_nothing_is_called() {
        // {'a': (1, 258, -1)} by protocols 0, 2 and 4, with a call in the last.
        let first = b"(dp0\nVa\np1\n(I1\nI258\nI-1\ntp2\ns.";
        let second = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01M\x02\x01J\xff\xff\xff\xff\x87q\x02s.";
        for bytes in [&first[..], &second[..]] {
            let pickle = Pickle::read(bytes).expect("a pickle");
            assert_eq!(pickle.len, bytes.len());
            let Value::Dict(items) = pickle.get(pickle.root) else { panic!("no dictionary") };
            let [(key, value)] = items[..] else { panic!("not one item") };
            assert_eq!(pickle.text(key), Some("a"));
            let numbers = pickle.sequence(value).expect("a tuple").iter().map(|&id| pickle.get(id).clone());
            assert_eq!(numbers.collect::<Vec<_>>(), [1, 258, -1].map(Value::Integer));
        }
        let called = b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94\x93\x94\x8c\x02ls\x94\x85\x94R\x94.";
        let pickle = Pickle::read(called).expect("a pickle");
        let Value::Called(call) = pickle.get(pickle.root) else { panic!("no call") };
        assert_eq!(pickle.get(call.callable), &Value::Global("os", "system"));
        let arguments = pickle.sequence(call.arguments).expect("a tuple");
        assert_eq!(pickle.text(arguments[0]), Some("ls"));
    }

    #[test]
    fn long_integers_have_their_sign() {
        for (bytes, value) in [
            (&b"\x8a\x00."[..], Value::Integer(0)),
            (b"\x8a\x01\xff.", Value::Integer(-1)),
            (b"\x8a\x02\xff\x00.", Value::Integer(255)),
            (b"\x8b\x03\x00\x00\x00\x00\x00\x01.", Value::Integer(1 << 16)),
            (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.", Value::Other),
            (b"L12L\n.", Value::Integer(12)),
        ] {
            let pickle = Pickle::read(bytes).expect("a pickle");
            assert_eq!(pickle.get(pickle.root), &value);
        }
    }

    #[test]
    fn broken_pickles_are_none() {
        let broken: [&[u8]; 12] = [
            b"",
            b".",
            b"(.",
            b"t.",
            b"h\x00.",
            b"q\x00.",
            b"\x87.",
            b"X\xff\xff\xff\xffa.",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
            b"K\x01K\x02\x93.",
            b"cos\nsystem",
            b"N\xff.",
        ];
        for bytes in broken {
            assert!(Pickle::read(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn tuples_take_nothing_from_below_a_mark() {
        for last in [&b"t"[..], b"1", b"e", b"u", b"d", b"l", b"ia\nb\n", b"o"] {
            for tuple in [&b"N(\x85"[..], b"N(N\x86", b"NN(\x86", b"NN(N\x87"] {
                assert!(Pickle::read(&[tuple, last, b"."].concat()).is_none(), "{tuple:?} {last:?}");
            }
        }
        assert!(Pickle::read(b"N(NN\x86t\x86.").is_some());
    }

    #[test]
    fn the_memo_and_what_is_in_collections_are_bounded() {
        let memo = [vec![b'N'], vec![0x94; VALUES_MAX + 1], vec![b'.']].concat();
        assert!(Pickle::read(&memo).is_none());
        let few = [vec![b'N'], vec![0x94; 1000], b"r\x01\0\0\0.".to_vec()].concat();
        assert!(Pickle::read(&few).is_some());
        let items = [vec![b']'], b"Na".repeat(ITEMS_MAX + 1), vec![b'.']].concat();
        assert!(Pickle::read(&items).is_none());
    }

    /// Opcodes with what they need, so that many a program of them goes on for long.
    fn program() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::prelude::*;
        let plain = b"(012N)]}t\x85\x86\x87laeds.uRob\x81\x88\x8f\x90\x91\x92\x93\x94\x97Q";
        let long: [&[u8]; 10] = [
            b"K\x01",
            b"h\x00",
            b"q\x00",
            b"X\x01\0\0\0a",
            b"ca\nb\n",
            b"ia\nb\n",
            b"I1\n",
            b"p1\n",
            b"g1\n",
            b"C\x01a",
        ];
        let opcode = prop_oneof![
            6 => proptest::sample::select(&plain[..]).prop_map(|byte| vec![byte]),
            2 => proptest::sample::select(long.to_vec()).prop_map(<[u8]>::to_vec),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        proptest::collection::vec(opcode, 0..60).prop_map(|opcodes| opcodes.concat())
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_program_ends_in_a_pickle_or_in_none(program in program()) {
            if let Some(pickle) = Pickle::read(&program) {
                assert!(pickle.len <= program.len() && (pickle.root as usize) < pickle.count());
            }
        }
    }

    #[test]
    fn deep_values_and_indices_of_any_size_cost_what_their_bytes_do() {
        let deep = [vec![b']'; 100_000], vec![b'a'; 99_999], vec![b'.']].concat();
        assert_eq!(Pickle::read(&deep).expect("a pickle").count(), 100_003);
        assert!(Pickle::read(b"Nr\xff\xff\xff\xffj\xff\xff\xff\xff.").is_some());
        let endless = [vec![b']'; VALUES_MAX + 1], vec![b'.']].concat();
        assert!(Pickle::read(&endless).is_none());
    }
}
