//! NumPy arrays in pickles: what `pickle.dump` and PaddlePaddle (`.pdparams`, `.pdopt`) write.
//!
//! An array is a call of `_reconstruct` that is told its shape, its type and its bytes (`numpy/core/multiarray`), or since protocol 5
//! one of `_frombuffer` with these. The bytes may be gigabytes: a pickle is read forward once, bytes are passed over, and what is
//! left of it is walked.

use std::io;

use super::Bytes;
use super::bytes::{Read, Trouble};
use super::cursor::Cursor;
use super::msgpack;
use super::npy::Header;
use super::pickle::{Id, LEFT_OUT, Pickle, Value};
use super::pickle_walk::named;
use super::region::{Findings, Found, Region};
use crate::tensor::Dtype;

/// What is left of a pickle without its bytes, at most: half a million arrays.
const CONDENSED_MAX: usize = 64 << 20;
/// No line is longer, in bytes.
const LINE_MAX: usize = 64 << 10;
/// Texts of Python 2 with so many bytes are arrays' bytes.
const OLD_BYTES: u64 = 256;
/// NumPy has no more axes.
const RANK_MAX: usize = 64;
/// The name of no type of numbers is longer, in bytes; it is copied for each array.
const DESCR_MAX: usize = 16;

/// The arrays of a pickle; `None` if it has none, or is none.
pub(super) fn parse(file: &dyn Bytes) -> io::Result<Option<Findings>> {
    match condensed(file) {
        Ok(bytes) => Ok(Pickle::read_condensed(&bytes).and_then(|pickle| findings(&pickle))),
        Err(Trouble::None) => Ok(None),
        Err(Trouble::Medium(error)) => Err(error),
    }
}

/// What follows an opcode.
enum Operand {
    Fixed(u64),
    Lines(u8),
    /// A length of so many bytes, and as many bytes as it says.
    Text(u64),
    /// The same of bytes.
    Bytes(u64),
}

/// What follows the opcodes that are known (`Lib/pickletools.py`).
const fn operand(opcode: u8) -> Option<Operand> {
    Some(match opcode {
        b'.' | b'(' | b'0' | b'1' | b'2' | b'N' | b')' | b']' | b't' | b'l' | b'a' | b'e' | b'}' | b'd'
        | b's' => Operand::Fixed(0),
        b'u' | b'R' | b'o' | b'b' | b'Q' | 0x81 | 0x85..=0x89 | 0x8f..=0x94 | 0x97 | 0x98 => {
            Operand::Fixed(0)
        }
        b'K' | b'q' | b'h' | 0x80 | 0x82 => Operand::Fixed(1),
        b'M' | 0x83 => Operand::Fixed(2),
        b'J' | b'r' | b'j' | 0x84 => Operand::Fixed(4),
        b'G' | 0x95 => Operand::Fixed(8),
        b'F' | b'I' | b'L' | b'S' | b'V' | b'P' | b'p' | b'g' => Operand::Lines(1),
        b'c' | b'i' => Operand::Lines(2),
        b'U' | 0x8a | 0x8c => Operand::Text(1),
        b'T' | b'X' | 0x8b => Operand::Text(4),
        0x8d => Operand::Text(8),
        b'C' => Operand::Bytes(1),
        b'B' => Operand::Bytes(4),
        0x8e | 0x96 => Operand::Bytes(8),
        _ => return None,
    })
}

/// The pickle that a file begins with, with [`LEFT_OUT`] for each run of bytes.
fn condensed(file: &dyn Bytes) -> Read<Vec<u8>> {
    let mut cursor = Cursor::new(file);
    let [0x80, 2..=5] = cursor.array()? else { return Err(Trouble::None) };
    let mut out = Vec::new();
    loop {
        if out.len() > CONDENSED_MAX {
            return Err(Trouble::None);
        }
        let opcode = cursor.byte()?;
        match operand(opcode).ok_or(Trouble::None)? {
            Operand::Fixed(len) => {
                out.push(opcode);
                out.extend(cursor.take(len)?);
            }
            Operand::Lines(count) => {
                out.push(opcode);
                for _ in 0..count {
                    let before = out.len();
                    while out.len() == before || out.last() != Some(&b'\n') {
                        if out.len() - before > LINE_MAX {
                            return Err(Trouble::None);
                        }
                        out.push(cursor.byte()?);
                    }
                }
            }
            Operand::Text(width) => {
                let len = length(&mut cursor, width)?;
                if opcode == b'T' && len >= OLD_BYTES {
                    leave_out(&mut cursor, len, &mut out)?;
                    continue;
                }
                if len > CONDENSED_MAX as u64 {
                    return Err(Trouble::None);
                }
                out.push(opcode);
                out.extend(&len.to_le_bytes()[..width as usize]);
                out.extend(cursor.take(len)?);
            }
            Operand::Bytes(width) => {
                let len = length(&mut cursor, width)?;
                leave_out(&mut cursor, len, &mut out)?;
            }
        }
        if opcode == b'.' {
            return Ok(out);
        }
    }
}

/// A length of so many bytes.
fn length(cursor: &mut Cursor<'_>, width: u64) -> Read<u64> {
    let mut wide = [0; 8];
    wide[..width as usize].copy_from_slice(cursor.take(width)?);
    Ok(u64::from_le_bytes(wide))
}

fn leave_out(cursor: &mut Cursor<'_>, len: u64, out: &mut Vec<u8>) -> Read<()> {
    out.push(LEFT_OUT);
    out.extend(cursor.at.to_le_bytes());
    out.extend(len.to_le_bytes());
    cursor.skip(len)
}

/// An array as a pickle describes it.
struct Array {
    header: Header,
    start: u64,
    len: u64,
    /// A type that NumPy itself does not have.
    dtype: Option<Dtype>,
}

fn findings(pickle: &Pickle<'_>) -> Option<Findings> {
    let mut findings = Findings::default();
    for (name, array) in named(pickle, |id| array_of(pickle, id), |array| array.header.shape.len()) {
        let Array { header, start, len, dtype } = array;
        match (header.found(start, len, &name).filter(|found| found.len == len), dtype) {
            (Some(found), Some(dtype)) if found.declared.is_none() => {
                findings.add_tensor(Found { dtype, ..found });
            }
            (Some(found), _) => findings.add_tensor(found),
            (None, _) => findings.pass_over(name),
        }
    }
    // One that is known by several names is one payload.
    let payload = |found: &Found| Region { start: found.start, len: found.len, dtype: Some(found.dtype) };
    findings.regions = findings.tensors().iter().map(payload).collect();
    (!findings.tensors().is_empty()).then_some(findings)
}

/// The array that a value is.
fn array_of(pickle: &Pickle<'_>, id: Id) -> Option<Array> {
    let Value::Called(call) = pickle.get(id) else { return None };
    let Value::Global(module, function) = *pickle.get(call.callable) else { return None };
    let is_in = |last: &str| module.starts_with("numpy.") && module.ends_with(last);
    let (shape, dtype, is_fortran, bytes) = match function {
        "_reconstruct" if is_in(".multiarray") => match *pickle.sequence(call.state?)? {
            [_, shape, dtype, order, bytes] | [shape, dtype, order, bytes] => {
                (shape, dtype, matches!(pickle.get(order), Value::Integer(1)), bytes)
            }
            _ => return None,
        },
        "_frombuffer" if is_in(".numeric") => match *pickle.sequence(call.arguments)? {
            [bytes, dtype, shape, order] => (shape, dtype, pickle.text(order) == Some("F"), bytes),
            _ => return None,
        },
        _ => return None,
    };
    let Value::Bytes { start, len } = *pickle.get(bytes) else { return None };
    // What is of no known type is an array all the same.
    let (descr, dtype) = described(pickle, dtype).unwrap_or_default();
    let shape = pickle.sizes(shape, RANK_MAX)?;
    Some(Array { header: Header { descr, fortran_order: is_fortran, shape }, start, len, dtype })
}

/// What an `.npy` file would call a type, and which one it is if that says too little.
fn described(pickle: &Pickle<'_>, id: Id) -> Option<(String, Option<Dtype>)> {
    let Value::Called(call) = pickle.get(id) else { return None };
    let Value::Global("numpy", "dtype") = *pickle.get(call.callable) else { return None };
    let name = *pickle.sequence(call.arguments)?.first()?;
    if let Value::Global(_, name) = *pickle.get(name) {
        let dtype = msgpack::dtype_of(name)?;
        // Of as many bytes, little-endian.
        let descr = match dtype.bits() {
            8 => "|u1",
            16 => "<u2",
            _ => return None,
        };
        return Some((descr.to_owned(), Some(dtype)));
    }
    // A pickle names the types of `ml_dtypes` by their classes: here, `V2` is two bytes of whatever is in them.
    let name = pickle.text(name).filter(|name| name.len() <= DESCR_MAX && !name.starts_with('V'))?;
    let order = call.state.and_then(|state| pickle.text(*pickle.sequence(state)?.get(1)?));
    let order = order.filter(|order| matches!(*order, "<" | ">" | "|")).unwrap_or("<");
    Some((format!("{order}{name}"), None))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::testing::{filled_tensors_of, for_mutations, proposal, tensors_of};
    use super::*;
    use crate::tensor::Element;

    fn text(text: &str) -> Vec<u8> {
        [&[0x8c, text.len() as u8], text.as_bytes()].concat()
    }

    fn dtype(name: &str, order: &str) -> Vec<u8> {
        [
            &b"cnumpy\ndtype\n("[..],
            &text(name),
            b"\x89\x88tR(K\x03",
            &text(order),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
        ]
        .concat()
    }

    fn shape(shape: &[u8]) -> Vec<u8> {
        [b"(".to_vec(), shape.iter().flat_map(|extent| [b'K', *extent]).collect(), b"t".to_vec()].concat()
    }

    fn reconstructed(extents: &[u8], dtype: &[u8], is_fortran: bool, bytes: &[u8]) -> Vec<u8> {
        let order = if is_fortran { 0x88 } else { 0x89 };
        [
            &b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01"[..],
            &shape(extents),
            dtype,
            &[order, b'B'],
            &(bytes.len() as u32).to_le_bytes(),
            bytes,
            b"tb",
        ]
        .concat()
    }

    /// What NumPy and PaddlePaddle pickle.
    pub fn sample() -> Vec<u8> {
        let buffer = [
            &b"cnumpy._core.numeric\n_frombuffer\n(\x96"[..],
            &6u64.to_le_bytes(),
            &[3; 6],
            &dtype("i2", "<"),
            &shape(&[3]),
            &text("C"),
            b"tR",
        ]
        .concat();
        let bfloat = b"cnumpy\ndtype\n(cml_dtypes\nbfloat16\n\x89\x88tR";
        [
            b"\x80\x04}(".to_vec(),
            text("linear.weight"),
            reconstructed(&[2, 200], &dtype("f4", "<"), false, &[1; 1600]),
            text("turned"),
            reconstructed(&[2, 3], &dtype("f4", ">"), true, &[2; 24]),
            text("list"),
            [b"](".to_vec(), buffer, reconstructed(&[2], bfloat, false, &[4; 4]), b"e".to_vec()].concat(),
            text("name"),
            text("of a run"),
            b"u.".to_vec(),
        ]
        .concat()
    }

    #[test]
    fn arrays_have_the_names_that_lead_to_them() {
        let file = sample();
        let found = filled_tensors_of(&file);
        let expected = [
            (1, Dtype::F32, vec![2, 200], "linear.weight"),
            (2, Dtype::U8, vec![24], "turned"),
            (3, Dtype::I16, vec![3], "list.0"),
            (4, Dtype::Bf16, vec![2], "list.1"),
        ];
        assert_eq!(found, expected.map(|(byte, dtype, shape, name)| (byte, dtype, shape, name.to_owned())));
        let turned = proposal(&file).tensors[1].declared.clone().expect("it is declared");
        assert_eq!((turned.element, turned.strides), (Element::BigEndian(Dtype::F32), Some(vec![1, 2])));
    }

    /// A pickle with arrays of records and of texts.
    pub fn partly_understood() -> Vec<u8> {
        [
            b"\x80\x04}(".to_vec(),
            text("whole"),
            reconstructed(&[2], &dtype("f4", "<"), false, &[1; 8]),
            text("pair"),
            reconstructed(&[2], &dtype("V2", "|"), false, &[2; 4]),
            text("text"),
            reconstructed(&[1], &dtype("U3", "<"), false, &[3; 12]),
            b"u.".to_vec(),
        ]
        .concat()
    }

    #[test]
    fn a_type_of_a_long_name_is_none_however_many_arrays_have_it() {
        let long = [&b"X\x00\x00\x10\x00"[..], &[b'f'; 1 << 20]].concat();
        let dtype = [&b"cnumpy\ndtype\n("[..], &long, b"tR"].concat();
        let array = reconstructed(&[1], &dtype, false, &[1; 4]);
        let good = reconstructed(&[1], &super::tests::dtype("f4", "<"), false, &[2; 4]);
        let file = [&b"\x80\x04("[..], &good, &array, b"q\x00", &b"h\x00".repeat(100_000), b"l."].concat();
        let findings = parse(&file).expect("memory").expect("an array");
        assert_eq!(findings.tensors().len(), 1);
        let Ok(pickle) = condensed(&file) else { panic!("no pickle") };
        let pickle = Pickle::read_condensed(&pickle).expect("a pickle");
        let arrays = named(&pickle, |id| array_of(&pickle, id), |_| 0);
        assert!(arrays.len() > 100_000 && arrays.iter().all(|(_, array)| array.header.descr.len() <= 17));
    }

    #[test]
    fn what_is_in_itself_is_looked_into_a_few_times_and_not_copied() {
        // A list of itself, twice, and of many numbers.
        let file = [&b"\x80\x04]q\x00(h\x00h\x00"[..], &b"K\x01".repeat(100_000), b"e."].concat();
        assert_eq!(tensors_of(&file), []);
        let array = reconstructed(&[1], &dtype("f4", "<"), false, &[2; 4]);
        let file = [&b"\x80\x04]q\x00("[..], &array, b"h\x00e."].concat();
        assert!(tensors_of(&file).len() > 1);
    }

    #[test]
    fn pickles_without_arrays_and_what_is_none_are_plain() {
        for file in
            [&b"\x80\x04}."[..], b"\x80\x04\xff.", b"\x80\x02", b"\x80\x04B\xff\xff\xff\xff", b"\x80\x09."]
        {
            assert_eq!(tensors_of(file), [], "{file:?}");
        }
        // That bytes were left out is nothing that a pickle says.
        let said = [&b"\x80\x02\xff"[..], &[0; 16], b"."].concat();
        assert!(Pickle::read(&said).is_none() && tensors_of(&said).is_empty());
    }

    #[test]
    fn mutated_pickles_are_tiled_or_plain() {
        for_mutations(&sample(), 8000, |mutated| drop(proposal(mutated)));
    }
}
