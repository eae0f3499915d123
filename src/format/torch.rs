//! PyTorch's checkpoints: which tensors a pickle describes, and where in their storages they lie.
//!
//! A storage is a run of bytes; a tensor is a storage with an offset, sizes and strides, all in elements, that the pickle
//! gives to functions of `torch._utils`. Several tensors may share one: tied weights, slices, transposes. Where their
//! bytes are apart each is stored as one payload, where they overlap the storage is. Knows no archive: where a storage
//! is, others tell.

use std::collections::BTreeMap;

use crate::tensor::{Declared, Dtype, Element, memory_order};

use super::pickle::{Call, Id, Pickle, Value};
use super::pickle_walk::named;
use super::region::{Findings, Found, Region};

/// What a tensor says of itself beside its numbers; PyTorch has a few.
const METADATA_MAX: usize = 64;
/// How often a tensor is wrapped: a parameter of a subclass of a subclass.
const WRAPPED_MAX: usize = 8;
/// PyTorch has no more dimensions.
const RANK_MAX: usize = 64;

/// Where a storage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Storage {
    pub start: u64,
    pub len: u64,
}

/// A tensor as a pickle describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Described<'a> {
    /// The name of its storage.
    storage: &'a str,
    dtype: Dtype,
    offset: u64,
    sizes: Vec<u64>,
    strides: Vec<u64>,
    conjugate: bool,
    negative: bool,
}

/// The names of storages with the type of their elements and how many there are, in the order in which they are met.
pub(super) fn storages<'a>(pickle: &Pickle<'a>) -> Vec<(&'a str, Dtype, u64)> {
    let mut found = Vec::new();
    for id in 0..pickle.count() as Id {
        if let Value::Persistent(name) = pickle.get(id)
            && let Some(storage) = storage(pickle, *name)
        {
            found.push(storage);
        }
    }
    found
}

/// The tensors of a pickle in storages that `place` finds.
pub(super) fn tensors(
    pickle: &Pickle<'_>,
    is_big_endian: bool,
    place: impl Fn(&str) -> Option<Storage>,
) -> Findings {
    let mut by_storage: BTreeMap<&str, (Storage, Dtype, Vec<Found>)> = BTreeMap::new();
    let mut findings = Findings::default();
    for (name, tensor) in named(pickle, |id| described(pickle, id), |tensor| tensor.sizes.len()) {
        let storage = place(tensor.storage);
        let found = storage.and_then(|storage| Some((storage, tensor.found(storage, is_big_endian, &name)?)));
        let Some((storage, found)) = found else {
            findings.pass_over(name);
            continue;
        };
        let dtype = if is_big_endian { Dtype::U8 } else { tensor.dtype };
        by_storage.entry(tensor.storage).or_insert_with(|| (storage, dtype, Vec::new())).2.push(found);
    }
    for (storage, dtype, tensors) in by_storage.into_values() {
        findings.regions.extend(payloads(storage, dtype, &tensors));
        tensors.into_iter().for_each(|tensor| findings.add_tensor(tensor));
    }
    findings
}

/// What is stored of a storage: the bytes of each tensor and what no tensor has, or all of it if tensors overlap.
fn payloads(storage: Storage, dtype: Dtype, tensors: &[Found]) -> Vec<Region> {
    let payload = |start, len, dtype| Region { start, len, dtype: Some(dtype) };
    let mut ranges: Vec<_> = tensors.iter().map(|found| (found.start, found.len, found.dtype)).collect();
    ranges.sort_unstable();
    ranges.dedup();
    let (mut regions, mut at) = (Vec::with_capacity(ranges.len()), storage.start);
    for (start, len, dtype_here) in ranges {
        if start < at {
            return vec![payload(storage.start, storage.len, dtype)];
        }
        if start > at {
            regions.push(payload(at, start - at, dtype));
        }
        regions.push(payload(start, len, dtype_here));
        at = start + len;
    }
    let end = storage.start + storage.len;
    if at < end {
        regions.push(payload(at, end - at, dtype));
    }
    regions
}

impl Described<'_> {
    /// The tensor in the file; `None` if it is not inside of its storage.
    fn found(&self, storage: Storage, is_big_endian: bool, name: &str) -> Option<Found> {
        let item = self.dtype.bits() / 8;
        let count = self.sizes.iter().try_fold(1u64, |product, size| product.checked_mul(*size))?;
        let order = memory_order(&self.sizes, &self.strides);
        let span = match count {
            0 => 0,
            _ => {
                let reach = self.sizes.iter().zip(&self.strides);
                reach
                    .map(|(size, stride)| (size - 1).checked_mul(*stride))
                    .try_fold(1u64, |sum, far| sum.checked_add(far?))?
            }
        };
        let (start, len) = (self.offset.checked_mul(item)?, span.checked_mul(item)?);
        start.checked_add(len).filter(|end| *end <= storage.len)?;
        let shape = match &order {
            _ if count == 0 => self.sizes.clone(),
            Some(order) => order.iter().map(|&axis| self.sizes[axis]).collect(),
            None => vec![span],
        };
        let is_c_order = count == 0
            || order.is_some_and(|order| order.into_iter().filter(|&axis| self.sizes[axis] != 1).is_sorted());
        let (dtype, shape, element) = match is_big_endian && item > 1 {
            true => (Dtype::U8, vec![len], Element::BigEndian(self.dtype)),
            false if is_c_order => (self.dtype, self.sizes.clone(), Element::Number(self.dtype)),
            false => (self.dtype, shape, Element::Number(self.dtype)),
        };
        let is_plain = is_c_order && dtype == self.dtype && !self.conjugate && !self.negative;
        let declared = || {
            Box::new(Declared {
                element,
                shape: self.sizes.clone(),
                strides: (!is_c_order).then(|| self.strides.clone()),
                conjugate: self.conjugate,
                negative: self.negative,
            })
        };
        let declared = (!is_plain).then(declared);
        let name = name.to_owned();
        Some(Found { start: storage.start + start, len, name, dtype, shape, declared })
    }
}

/// The tensor that a value is.
fn described<'a>(pickle: &Pickle<'a>, mut id: Id) -> Option<Described<'a>> {
    for _ in 0..WRAPPED_MAX {
        let Value::Called(call) = pickle.get(id) else { return None };
        let Call { callable, arguments, .. } = **call;
        let Value::Global(module, mut function) = *pickle.get(callable) else { return None };
        let mut arguments = pickle.sequence(arguments)?;
        if (module, function) == ("torch._tensor", "_rebuild_from_type_v2") {
            let (&inner, &wrapped) = (arguments.first()?, arguments.get(2)?);
            let Value::Global(_, name) = *pickle.get(inner) else { return None };
            (function, arguments) = (name, pickle.sequence(wrapped)?);
        } else if module != "torch._utils" {
            return None;
        }
        match function {
            "_rebuild_parameter" | "_rebuild_parameter_with_state" => id = *arguments.first()?,
            "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3" | "_rebuild_qtensor" => {
                return rebuilt(pickle, function, arguments);
            }
            _ => return None,
        }
    }
    None
}

/// The tensor that one of `torch._utils`' functions would make of these arguments.
fn rebuilt<'a>(pickle: &Pickle<'a>, function: &str, arguments: &[Id]) -> Option<Described<'a>> {
    let &[outside, offset, sizes, strides, ref more @ ..] = arguments else { return None };
    let Value::Persistent(name) = *pickle.get(outside) else { return None };
    let (storage, mut dtype, _) = storage(pickle, name)?;
    let metadata = match function {
        "_rebuild_tensor_v3" => {
            let Value::Global("torch", name) = *pickle.get(*more.get(2)?) else { return None };
            dtype = dtype_of(name)?;
            more.get(3)
        }
        "_rebuild_tensor_v2" => more.get(2),
        _ => None,
    };
    let metadata = match metadata.map(|&id| pickle.get(id)) {
        Some(Value::Dict(items)) if items.len() > METADATA_MAX => return None,
        Some(Value::Dict(items)) => &items[..],
        _ => &[],
    };
    let is_set = |name: &str| metadata.iter().any(|(key, _)| pickle.text(*key) == Some(name));
    let (sizes, strides) = (pickle.sizes(sizes, RANK_MAX)?, pickle.sizes(strides, RANK_MAX)?);
    if sizes.len() != strides.len() {
        return None;
    }
    let (conjugate, negative) = (is_set("conj"), is_set("neg"));
    Some(Described { storage, dtype, offset: pickle.size(offset)?, sizes, strides, conjugate, negative })
}

/// The storage that a persistent name means: `('storage', class, key, location, elements)`. What a sixth item says of a view
/// of another storage is not understood.
fn storage<'a>(pickle: &Pickle<'a>, name: Id) -> Option<(&'a str, Dtype, u64)> {
    let &[kind, class, key, _, count, ref view @ ..] = pickle.sequence(name)? else { return None };
    view.iter().all(|&id| pickle.get(id) == &Value::Other).then_some(())?;
    let Value::Global(_, class) = *pickle.get(class) else { return None };
    let dtype = dtype_of_storage(class.strip_suffix("Storage")?)?;
    (pickle.text(kind)? == "storage").then_some((pickle.text(key)?, dtype, pickle.size(count)?))
}

fn dtype_of_storage(class: &str) -> Option<Dtype> {
    Some(match class {
        "Float" => Dtype::F32,
        "Double" => Dtype::F64,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "Long" => Dtype::I64,
        "Int" | "QInt32" => Dtype::I32,
        "Short" => Dtype::I16,
        "Char" | "QInt8" => Dtype::I8,
        "Byte" | "QUInt8" | "QUInt4x2" | "QUInt2x4" | "Untyped" => Dtype::U8,
        "Bool" => Dtype::Bool,
        "ComplexFloat" => Dtype::C64,
        "ComplexDouble" => Dtype::C128,
        _ => return None,
    })
}

fn dtype_of(name: &str) -> Option<Dtype> {
    Some(match name {
        "float32" => Dtype::F32,
        "float64" => Dtype::F64,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "int64" => Dtype::I64,
        "int32" | "qint32" => Dtype::I32,
        "int16" => Dtype::I16,
        "int8" | "qint8" => Dtype::I8,
        "uint64" => Dtype::U64,
        "uint32" => Dtype::U32,
        "uint16" | "bits16" => Dtype::U16,
        "uint8" | "quint8" | "bits8" | "float4_e2m1fn_x2" => Dtype::U8,
        "bool" => Dtype::Bool,
        "complex64" => Dtype::C64,
        "complex128" => Dtype::C128,
        // Pairs of binary16 in elements of four bytes.
        "complex32" => Dtype::U32,
        "float8_e4m3fn" => Dtype::F8E4M3,
        "float8_e4m3fnuz" => Dtype::F8E4M3Fnuz,
        "float8_e5m2" => Dtype::F8E5M2,
        "float8_e5m2fnuz" => Dtype::F8E5M2Fnuz,
        "float8_e8m0fnu" => Dtype::F8E8M0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::torch::{Checkpoint, View};
    use super::super::testing::{proposal, tensors_of, zip_file};
    use super::super::{Extent, Proposal};
    use super::*;

    /// The payloads of a file that are not empty: where they begin after the first, their lengths and types.
    fn payloads(proposal: &Proposal) -> Vec<(u64, Dtype)> {
        let payload = |kind| match kind {
            Extent::Payload(dtype) => Some(dtype),
            Extent::Literal | Extent::Chunk(_) => None,
        };
        proposal.parts.iter().filter_map(|part| Some((part.len, payload(part.kind)?))).collect()
    }

    #[test]
    fn tensors_of_both_containers_have_names_types_and_shapes() {
        let checkpoint = Checkpoint::default()
            .storage("Float", &[1; 24])
            .storage("BFloat16", &[2; 4])
            .storage("Long", &[3; 8])
            .tensor("layer.weight", 0, &[2, 3])
            .tensor("layer.bias", 1, &[2])
            .tensor("steps", 2, &[]);
        for file in [checkpoint.archive(), checkpoint.legacy()] {
            let mut found: Vec<_> = tensors_of(&file)
                .into_iter()
                .map(|(start, len, dtype, shape, name)| {
                    let bytes = &file[start as usize..(start + len) as usize];
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
                    (bytes[0], dtype, shape, name)
                })
                .collect();
            found.sort();
            assert_eq!(
                found,
                [
                    (1, Dtype::F32, vec![2, 3], "layer.weight".to_owned()),
                    (2, Dtype::Bf16, vec![2], "layer.bias".to_owned()),
                    (3, Dtype::I64, vec![], "steps".to_owned()),
                ]
            );
        }
    }

    #[test]
    fn tensors_that_share_a_storage_without_overlap_are_payloads_of_their_own() {
        let checkpoint = Checkpoint::default()
            .storage("Float", &[1; 4096])
            .view("tied.a", 0, View::of(0, &[16, 32]))
            .view("tied.b", 0, View::of(0, &[16, 32]))
            .view("rest", 0, View::of(600, &[100]));
        let proposal = proposal(&checkpoint.archive());
        let lens: Vec<u64> = payloads(&proposal).into_iter().map(|(len, _)| len).collect();
        assert_eq!(lens, [2048, 352, 400, 1296]);
        let names: Vec<_> = proposal.tensors.iter().map(|tensor| (&tensor.name[..], tensor.len)).collect();
        assert_eq!(names, [("tied.a", 2048), ("tied.b", 2048), ("rest", 400)]);
    }

    #[test]
    fn storages_of_overlapping_tensors_are_one_payload() {
        let checkpoint = Checkpoint::default()
            .storage("Float", &[1; 400])
            .view("whole", 0, View::of(0, &[10, 10]))
            .view("row", 0, View::of(10, &[10]))
            .view("column", 0, View { offset: 3, sizes: vec![10], strides: vec![10] })
            .view("too.far", 0, View::of(91, &[10]));
        let proposal = proposal(&checkpoint.archive());
        assert_eq!(payloads(&proposal), [(400, Dtype::F32)]);
        let found: Vec<_> =
            proposal.tensors.iter().map(|found| (&found.name[..], &found.shape[..])).collect();
        assert_eq!(found, [("whole", &[10, 10][..]), ("column", &[91]), ("row", &[10])]);
        let column = proposal.tensors[1].declared.as_ref().expect("it is no run of elements");
        assert_eq!((&column.shape[..], column.strides.as_deref()), (&[10][..], Some(&[10][..])));
    }

    #[test]
    fn transposed_tensors_are_what_they_are_in_memory() {
        let checkpoint = Checkpoint::default().storage("Half", &[1; 12]).view(
            "w",
            0,
            View { offset: 0, sizes: vec![3, 2], strides: vec![1, 3] },
        );
        let found = proposal(&checkpoint.archive()).tensors.swap_remove(0);
        assert_eq!((found.dtype, &found.shape[..]), (Dtype::F16, &[2, 3][..]));
        let declared = found.declared.expect("it is transposed");
        assert!(declared.is_fortran());
        assert_eq!(declared.shape, [3, 2]);
    }

    #[test]
    fn numbers_whose_first_byte_is_the_highest_are_told() {
        let checkpoint = Checkpoint::default().storage("Float", &[1; 8]).tensor("w", 0, &[2]).big_endian();
        let found = proposal(&checkpoint.archive()).tensors.swap_remove(0);
        assert_eq!((found.dtype, found.shape), (Dtype::U8, vec![8]));
        assert_eq!(found.declared.expect("it is told").element, Element::BigEndian(Dtype::F32));
    }

    #[test]
    fn before_there_were_archives_numbers_were_little_endian_on_every_machine() {
        let checkpoint = Checkpoint::default().storage("Float", &[1; 8]).tensor("w", 0, &[2]).big_endian();
        let found = proposal(&checkpoint.legacy()).tensors.swap_remove(0);
        assert_eq!((found.dtype, found.shape, found.declared), (Dtype::F32, vec![2], None));
    }

    #[test]
    fn storages_that_are_views_of_others_have_no_names() {
        let named = |view: &[u8]| {
            let name = [
                &b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02"[..],
                view,
                b"tQ.",
            ];
            storages(&Pickle::read(&name.concat()).expect("a pickle")).len()
        };
        assert_eq!((named(b""), named(b"N")), (1, 1));
        assert_eq!(named(b"X\x01\0\0\x001K\x00K\x01\x87"), 0);
    }

    #[test]
    fn without_its_pickle_a_storage_is_one_payload_all_the_same() {
        let checkpoint = Checkpoint::default().storage("Float", &[1; 9000]).tensor("w", 0, &[2250]);
        let mut members = checkpoint.members();
        members.iter_mut().find(|member| member.name.ends_with("data.pkl")).expect("a pickle").body =
            vec![b'!'; 9];
        let proposal = proposal(&zip_file(&members, false));
        assert_eq!(payloads(&proposal), [(9000, Dtype::Opaque)]);
        assert_eq!(proposal.tensors, []);
    }

    #[test]
    fn what_leaves_its_storage_or_cannot_be_counted_is_left_out() {
        let huge = |offset, sizes: &[u64], strides: &[u64]| {
            let view = View { offset, sizes: sizes.to_vec(), strides: strides.to_vec() };
            let checkpoint = Checkpoint::default().storage("Double", &[1; 64]).view("w", 0, view);
            proposal(&checkpoint.archive()).tensors.len()
        };
        assert_eq!(huge(0, &[8], &[1]), 1);
        assert_eq!(huge(0, &[0, 1 << 40], &[1 << 40, 1]), 1);
        assert_eq!(huge(1, &[8], &[1]), 0);
        assert_eq!(huge(1 << 61, &[8], &[1]), 0);
        assert_eq!(huge(0, &[1 << 40, 1 << 40], &[1, 1]), 0);
        assert_eq!(huge(0, &[1 << 40, 2], &[1 << 40, 1]), 0);
        assert_eq!(huge(0, &[8], &[1, 1]), 0);
        assert_eq!(huge(0, &[1; 64], &[1; 64]), 1);
        assert_eq!(huge(0, &[1; 65], &[1; 65]), 0);
    }

    #[test]
    fn values_that_are_shared_again_and_again_end() {
        // A tuple of two of a tuple of two, sixty deep.
        let mut bomb = vec![b')'];
        for at in 0..60 {
            bomb.extend([b'q', at, b'h', at, b'h', at, 0x86]);
        }
        bomb.push(b'.');
        let pickle = Pickle::read(&bomb).expect("a pickle");
        assert_eq!(tensors(&pickle, false, |_| None), Findings::default());
        // A long list, a thousand times in another.
        let nothings = [b"](".to_vec(), vec![b'N'; 100_000], b"eq\x00".to_vec()].concat();
        let long = [&b"("[..], &nothings, &b"h\x00".repeat(1000), b"t."].concat();
        let pickle = Pickle::read(&long).expect("a pickle");
        assert_eq!(tensors(&pickle, false, |_| None), Findings::default());
        // A list that is in itself.
        let pickle = Pickle::read(b"]q\x00h\x00a.").expect("a pickle");
        assert_eq!(tensors(&pickle, false, |_| None), Findings::default());
    }

    #[test]
    fn mutated_checkpoints_are_tiled_or_plain() {
        let checkpoint = Checkpoint::default()
            .storage("Float", &[1; 1200])
            .storage("Half", &[2; 64])
            .tensor("a", 0, &[30, 10])
            .view("b", 1, View { offset: 1, sizes: vec![3, 2], strides: vec![1, 3] });
        for file in [checkpoint.archive(), checkpoint.legacy()] {
            super::super::testing::for_mutations(&file, 4000, |mutated| drop(proposal(mutated)));
        }
    }
}
