//! ONNX models: the tensors of their graphs.
//!
//! Layout per `onnx/onnx.proto`, in the wire format of Protocol Buffers: messages of fields, each with its number and its length,
//! so that payloads are passed over. Understood are the initializers of graphs, of graphs in nodes and of training steps, and
//! the tensors that nodes have as attributes; numbers as bytes (`raw_data`) or as packed floats. Numbers of which each takes as many
//! bytes as it needs are no payload, and what is kept in another file is left to that: these are passed over.
//! There is no magic number: the whole file has to be fields that a model has.

use std::io;

use super::Bytes;
use super::bytes::{Read, Trouble};
use super::cursor::Cursor;
use super::region::{Findings, Found, Region};
use crate::tensor::Dtype;

/// Fields of one file that are looked at.
const FIELDS_MAX: u64 = 16 << 20;
/// Messages in messages in messages, at most.
const DEPTH_MAX: usize = 64;
/// No name is longer, in bytes.
const NAME_MAX: u64 = 4096;
/// More axes than any framework has.
const RANK_MAX: usize = 64;

/// The tensors of an ONNX model; `None` if it is none.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    let mut walk = Walk { cursor: Cursor::new(file), fields: 0, findings: Findings::default() };
    match walk.model(file.len()) {
        Ok(()) => Ok((!walk.findings.regions.is_empty()).then_some(walk.findings)),
        Err(Trouble::None) => Ok(None),
        Err(Trouble::Medium(error)) => Err(error),
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Kind {
    /// The message that a field with a length is; `None` if nobody looks into it.
    const fn inner(self, number: u64) -> Option<Kind> {
        match (self, number) {
            (Kind::Model, 7) | (Kind::Attribute, 6 | 11) | (Kind::Training, 1 | 2) => Some(Kind::Graph),
            (Kind::Model, 20) => Some(Kind::Training),
            (Kind::Model, 25) => Some(Kind::Function),
            (Kind::Graph, 1) | (Kind::Function, 7) => Some(Kind::Node),
            (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => Some(Kind::Tensor),
            (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => Some(Kind::Sparse),
            (Kind::Node, 5) => Some(Kind::Attribute),
            _ => None,
        }
    }
}

/// A field of a message.
enum Field {
    Number(u64),
    /// Its bytes begin where the cursor is.
    Bytes(u64),
    Fixed,
}

/// A message that is being read.
struct Open {
    kind: Kind,
    end: u64,
    /// Of a node: its first result, which its tensors are called after if they have no name.
    result: String,
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    fields: u64,
    findings: Findings,
}

impl Walk<'_> {
    fn model(&mut self, end: u64) -> Read<()> {
        // Every writer puts fields in the order of their numbers, and the first says which version of the format it is.
        if self.cursor.array::<1>()? != [1 << 3] {
            return Err(Trouble::None);
        }
        self.cursor.at = 0;
        let mut open = vec![Open { kind: Kind::Model, end, result: String::new() }];
        while let Some(message) = open.last_mut() {
            if self.cursor.at == message.end {
                open.pop();
                continue;
            }
            let (number, field) = self.field(message.end)?;
            let Field::Bytes(len) = field else { continue };
            let (kind, inner_end) = (message.kind, self.cursor.at + len);
            match kind.inner(number) {
                Some(Kind::Tensor) => {
                    let mut results = open.iter().rev().map(|message| &message.result[..]);
                    let result = results.find(|result| !result.is_empty()).unwrap_or("tensor");
                    self.tensor(inner_end, result)?;
                }
                Some(inner) => {
                    if open.len() == DEPTH_MAX {
                        return Err(Trouble::None);
                    }
                    open.push(Open { kind: inner, end: inner_end, result: String::new() });
                }
                None if kind == Kind::Node && number == 2 && message.result.is_empty() && len <= NAME_MAX => {
                    message.result = self.cursor.text(len, NAME_MAX)?;
                }
                // A graph is what makes a model of a file that happens to be fields.
                None if kind == Kind::Model && number > 26 => return Err(Trouble::None),
                None => self.cursor.skip(len)?,
            }
        }
        Ok(())
    }

    /// The next field of a message that ends at `end`: its number, and what it is.
    fn field(&mut self, end: u64) -> Read<(u64, Field)> {
        self.fields += 1;
        if self.fields > FIELDS_MAX || self.findings.is_full() {
            return Err(Trouble::None);
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                self.cursor.skip(8)?;
                Field::Fixed
            }
            2 => Field::Bytes(self.varint()?),
            5 => {
                self.cursor.skip(4)?;
                Field::Fixed
            }
            _ => return Err(Trouble::None),
        };
        let len = if let Field::Bytes(len) = field { len } else { 0 };
        let fits = self.cursor.at.checked_add(len).is_some_and(|stop| stop <= end);
        if number == 0 || !fits { Err(Trouble::None) } else { Ok((number, field)) }
    }

    fn varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.cursor.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Trouble::None)
    }

    /// A tensor, which is called after a result if it has no name.
    fn tensor(&mut self, end: u64, result: &str) -> Read<()> {
        let (mut shape, mut kind, mut payload, mut name) = (Vec::new(), 0, None, String::new());
        while self.cursor.at < end {
            match self.field(end)? {
                (1, Field::Number(extent)) => shape.push(extent),
                (1, Field::Bytes(len)) => {
                    let stop = self.cursor.at + len;
                    while self.cursor.at < stop && shape.len() <= RANK_MAX {
                        shape.push(self.varint()?);
                    }
                    self.cursor.skip(stop.checked_sub(self.cursor.at).ok_or(Trouble::None)?)?;
                }
                (2, Field::Number(number)) => kind = number,
                (8, Field::Bytes(len)) if (1..=NAME_MAX).contains(&len) => {
                    name = self.cursor.text(len, NAME_MAX)?;
                }
                // Packed floats are what bytes would be.
                (4 | 9 | 10, Field::Bytes(len)) => {
                    payload = Some((self.cursor.at, len));
                    self.cursor.skip(len)?;
                }
                (_, Field::Bytes(len)) => self.cursor.skip(len)?,
                (_, Field::Number(_) | Field::Fixed) => {}
            }
            if shape.len() > RANK_MAX {
                return Err(Trouble::None);
            }
        }
        if name.is_empty() {
            result.clone_into(&mut name);
        }
        // One without elements may say nothing of its bytes.
        let (start, len) = payload.unwrap_or((end, 0));
        match dtype_of(kind).filter(|dtype| dtype.byte_len(&shape) == Some(len)) {
            Some(dtype) => self.findings.add(Found { start, len, name, dtype, shape, declared: None }),
            None => {
                if len > 0 {
                    self.findings.regions.push(Region { start, len, dtype: Some(Dtype::Opaque) });
                }
                self.findings.pass_over(name);
            }
        }
        Ok(())
    }
}

/// The type with this code (`TensorProto.DataType`).
fn dtype_of(kind: u64) -> Option<Dtype> {
    Some(match kind {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        4 => Dtype::U16,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::Bool,
        10 => Dtype::F16,
        11 => Dtype::F64,
        12 => Dtype::U32,
        13 => Dtype::U64,
        14 => Dtype::C64,
        15 => Dtype::C128,
        16 => Dtype::Bf16,
        17 => Dtype::F8E4M3,
        18 => Dtype::F8E4M3Fnuz,
        19 => Dtype::F8E5M2,
        20 => Dtype::F8E5M2Fnuz,
        23 => Dtype::F4,
        24 => Dtype::F8E8M0,
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{filled_tensors_of, for_mutations, proposal, tensors_of};
    use super::*;

    fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let rest = value >> 7;
            bytes.push((value & 0x7f) as u8 | if rest > 0 { 0x80 } else { 0 });
            if rest == 0 {
                return bytes;
            }
            value = rest;
        }
    }

    fn number(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }

    fn bytes(field: u64, bytes: &[u8]) -> Vec<u8> {
        [varint(field << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
    }

    fn tensor(name: &str, kind: u64, shape: &[u64], field: u64, payload: &[u8]) -> Vec<u8> {
        let dims = shape.iter().flat_map(|extent| varint(*extent)).collect::<Vec<u8>>();
        [bytes(1, &dims), number(2, kind), bytes(8, name.as_bytes()), bytes(field, payload)].concat()
    }

    /// A model with tensors of every kind.
    pub fn sample() -> Vec<u8> {
        let weight = tensor("w", 1, &[2, 300], 9, &[1; 2400]);
        let floats = tensor("f", 1, &[3], 4, &[2; 12]);
        let half = [number(1, 2), number(1, 2), number(2, 16), bytes(8, b"h"), bytes(9, &[3; 8])].concat();
        let constant = tensor("", 7, &[], 9, &[4; 8]);
        let attribute = [bytes(1, b"value"), bytes(5, &constant)].concat();
        let deep = bytes(5, &tensor("deep", 2, &[5], 9, &[5; 5]));
        let branch = [bytes(1, b"then"), bytes(6, &deep)].concat();
        let node =
            [bytes(2, b"out"), bytes(4, b"Constant"), bytes(5, &attribute), bytes(5, &branch)].concat();
        let outside =
            [number(1, 9), number(2, 1), bytes(8, b"external"), bytes(13, b"location"), number(14, 1)];
        let graph = [
            bytes(1, &node),
            bytes(2, b"graph"),
            bytes(5, &weight),
            bytes(5, &floats),
            bytes(5, &half),
            bytes(5, &outside.concat()),
        ];
        let version = [bytes(1, b""), number(2, 21)].concat();
        [number(1, 10), bytes(2, b"tests"), bytes(7, &graph.concat()), bytes(8, &version)].concat()
    }

    /// A model with tensors of which the bytes are nowhere, elsewhere, or no numbers.
    pub fn partly_understood() -> Vec<u8> {
        let external =
            [number(1, 9), number(2, 1), bytes(8, b"external"), bytes(13, b"place"), number(14, 1)];
        let tensors = [
            tensor("whole", 1, &[2], 9, &[1; 8]),
            tensor("varints", 7, &[3], 7, &[1, 2, 3]),
            external.concat(),
            tensor("text", 8, &[1], 6, b"word"),
        ];
        let graph = tensors.map(|tensor| bytes(5, &tensor)).concat();
        [number(1, 10), bytes(2, b"tests"), bytes(7, &graph)].concat()
    }

    #[test]
    fn tensors_without_elements_need_no_bytes() {
        let graph =
            [bytes(5, &tensor("w", 1, &[2], 9, &[1; 8])), bytes(5, &tensor("none", 1, &[0, 3], 3, b""))];
        let found = tensors_of(&[number(1, 10), bytes(7, &graph.concat())].concat());
        let found: Vec<_> = found.into_iter().map(|(_, len, _, shape, name)| (len, shape, name)).collect();
        assert_eq!(found, [(8, vec![2], "w".to_owned()), (0, vec![0, 3], "none".to_owned())]);
    }

    #[test]
    fn a_name_that_stands_for_many_tensors_costs_no_more_than_all_names_may() {
        // Of a node with a long result, an attribute with many tensors without names.
        let scalar = bytes(10, &[number(2, 1), bytes(9, &[7; 4])].concat());
        let of = |count: usize| {
            let node = [bytes(2, &[b'n'; NAME_MAX as usize]), bytes(5, &scalar.repeat(count))].concat();
            [number(1, 10), bytes(7, &bytes(1, &node))].concat()
        };
        let most = super::super::region::NAMES_MAX / NAME_MAX as usize;
        assert_eq!(parse(&of(most - 1)).expect("memory").expect("a model").tensors().len(), most - 1);
        assert_eq!(parse(&of(2 * most)).expect("memory"), None);
    }

    #[test]
    fn tensors_of_graphs_and_of_their_nodes_have_names_types_and_shapes() {
        let file = sample();
        let found = filled_tensors_of(&file);
        let expected = [
            (4, Dtype::I64, vec![], "out"),
            (5, Dtype::U8, vec![5], "deep"),
            (1, Dtype::F32, vec![2, 300], "w"),
            (2, Dtype::F32, vec![3], "f"),
            (3, Dtype::Bf16, vec![2, 2], "h"),
        ];
        assert_eq!(found, expected.map(|(byte, dtype, shape, name)| (byte, dtype, shape, name.to_owned())));
    }

    #[test]
    fn fields_that_are_no_model_are_plain() {
        for file in [
            number(1, 10),
            [number(1, 10), bytes(2, b"tests")].concat(),
            [number(1, 10), bytes(99, &tensor("w", 1, &[1], 9, &[0; 4]))].concat(),
            [sample(), vec![0]].concat(),
            b"\x08".to_vec(),
        ] {
            assert_eq!(tensors_of(&file), [], "{file:?}");
        }
        // Graphs in nodes in graphs.
        let mut graph = bytes(5, &tensor("w", 1, &[1], 9, &[0; 4]));
        for _ in 0..40 {
            graph = bytes(1, &bytes(5, &bytes(6, &graph)));
        }
        assert_eq!(tensors_of(&[number(1, 10), bytes(7, &graph)].concat()), []);
    }

    #[test]
    fn mutated_models_are_tiled_or_plain() {
        for_mutations(&sample(), 8000, |mutated| drop(proposal(mutated)));
    }
}
