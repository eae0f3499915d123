//! One tensor as an `.npy` file: a header that is made up, and the payload where it lies in its file.

use std::sync::Arc;

use crate::convert::Floats;
use crate::format::npy;
use crate::history::{FileReader, Repo};
use crate::recipe::{Place, Recipe, Tensor, TensorInfo};
use crate::store::Slice;
use crate::tensor::{Declared, Dtype, Element};

use super::error::{Error, Result};
use super::index::Located;
use super::lens::Lens;

/// A tensor that is open for reading. Threads may share it.
#[derive(Debug)]
pub struct Array {
    header: Vec<u8>,
    file: FileReader,
    /// Where in the file the payload begins, and how many bytes come behind the header.
    start: u64,
    payload: u64,
    /// What these are computed from, if they are not the payload itself.
    values: Option<Box<Values>>,
}

/// A tensor whose values are computed.
#[derive(Debug)]
struct Values {
    info: TensorInfo,
    /// Bytes of its payload.
    len: u64,
}

impl Array {
    /// Opens a tensor. Looks no object up, unless the header of an `.npy` file stands before it.
    pub(super) fn open(repo: &Repo, at: Located, lens: Lens) -> Result<Self> {
        let recipe = repo.recipe(at.recipe)?;
        let (header, payload) = parts(repo, &recipe, at.tensor, lens)?;
        let (tensor, start, len) = tensor_at(&recipe, at.tensor)?;
        let values = (lens == Lens::F32).then(|| Box::new(Values { info: tensor.info.clone(), len }));
        Ok(Self { header, start, payload, file: repo.reader(&recipe), values })
    }

    /// The length that it has when it is opened.
    pub(super) fn len_of(repo: &Repo, at: Located, lens: Lens) -> Result<u64> {
        let (header, payload) = parts(repo, &repo.recipe(at.recipe)?, at.tensor, lens)?;
        Ok(header.len() as u64 + payload)
    }

    /// Bytes of the whole `.npy` file.
    pub fn len(&self) -> u64 {
        self.header.len() as u64 + self.payload
    }

    /// Whether it has no bytes; it has a header.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from `offset`; fewer bytes only at the end. Returns how many.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let head = usize::try_from(offset).ok().and_then(|at| self.header.get(at..)).unwrap_or_default();
        let head = &head[..head.len().min(buf.len())];
        buf[..head.len()].copy_from_slice(head);
        let from = offset.saturating_add(head.len() as u64).saturating_sub(self.header.len() as u64);
        let wanted = self.payload.saturating_sub(from).min((buf.len() - head.len()) as u64) as usize;
        let rest = &mut buf[head.len()..head.len() + wanted];
        let Some(values) = &self.values else {
            return Ok(head.len() + self.file.read_at(self.start.saturating_add(from), rest)?);
        };
        let payload = Slice { source: &self.file, offset: self.start, len: values.len };
        let floats = Floats::of(&values.info, payload).ok_or(Error::NotAnArray)?;
        Ok(head.len() + floats.read_at(from, rest)?)
    }
}

/// The header of a tensor's file, and how many bytes come after it.
fn parts(repo: &Repo, recipe: &Arc<Recipe>, tensor: usize, lens: Lens) -> Result<(Vec<u8>, u64)> {
    let (found, _, payload) = tensor_at(recipe, tensor)?;
    if lens == Lens::F32 {
        let shape = found.info.shown_shape();
        let (header, len) = (npy::header(Dtype::F32, shape), Dtype::F32.byte_len(shape));
        return header.zip(len).filter(|_| lens.shows(&found.info)).ok_or(Error::NotAnArray);
    }
    let header = match fortran_shape(repo, recipe, tensor)? {
        Some(shape) => npy::fortran_header(found.info.dtype, &shape),
        None => header(&found.info).ok_or(Error::NotAnArray)?,
    };
    Ok((header, payload))
}

/// What NumPy can say of a tensor as it is declared, or else of its payload.
fn header(info: &TensorInfo) -> Option<Vec<u8>> {
    match info.declared.as_deref() {
        Some(declared) if declared.is_fortran() && declared.element == Element::Number(info.dtype) => {
            Some(npy::fortran_header(info.dtype, &declared.shape))
        }
        Some(declared) => match declared.element {
            Element::BigEndian(dtype) if declared.strides.is_none() || declared.is_fortran() => {
                npy::big_endian_header(dtype, declared)
            }
            // NumPy has no header for any other order: these are the elements as they lie there.
            Element::BigEndian(dtype) => {
                let count = info.dtype.byte_len(&info.shape)?.checked_div(dtype.bits() / 8)?;
                npy::big_endian_header(dtype, &Declared::plain(declared.element, vec![count]))
            }
            Element::Number(_) | Element::Block(_) => npy::header(info.dtype, &info.shape),
        },
        None => npy::header(info.dtype, &info.shape),
    }
}

/// The tensor of a number, where in the file its payload begins, and its bytes.
pub(super) fn tensor_at(recipe: &Recipe, number: usize) -> Result<(&Tensor, u64, u64)> {
    let tensor = recipe.table().get(number).ok_or(Error::NotAnArray)?;
    let (start, len) = recipe.range_of(tensor);
    Ok((tensor, start, len))
}

/// The shape that a flat tensor has in Fortran order, if the header of an `.npy` file stands before it: recipes without a
/// table do not tell.
pub(super) fn fortran_shape(repo: &Repo, recipe: &Arc<Recipe>, number: usize) -> Result<Option<Vec<u64>>> {
    let (tensor, start, _) = tensor_at(recipe, number)?;
    let (&[count], Place::Extent(extent), true) = (&tensor.info.shape[..], tensor.place, recipe.is_plain())
    else {
        return Ok(None);
    };
    let last = number.checked_sub(1).map(|last| recipe.table()[last].place);
    // Where a tensor or nothing lies before it, no header does.
    if extent == 0 || last == Some(Place::Extent(extent - 1)) {
        return Ok(None);
    }
    let mut before = vec![0; npy::HEADER_SEARCH.min(usize::try_from(start).unwrap_or(usize::MAX))];
    let from = start - before.len() as u64;
    repo.reader(recipe).read_at(from, &mut before)?;
    Ok(npy::fortran_shape(&before, count))
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::super::Tensors;
    use super::super::testing::repository;
    use super::*;
    use crate::history::{IngestFile, Intake};
    use crate::task::Task;

    fn npy(dictionary: &str, payload: &[u8]) -> Vec<u8> {
        let mut file = [b"\x93NUMPY\x01\0", &(dictionary.len() as u16).to_le_bytes()[..]].concat();
        file.extend(dictionary.as_bytes());
        file.extend(payload);
        file
    }

    /// The only tensor of a file, with its facts.
    fn taken_in(file: &[u8]) -> (Vec<u8>, Facts) {
        shown(file, Lens::Stored)
    }

    fn shown(file: &[u8], lens: Lens) -> (Vec<u8>, Facts) {
        let repo = repository();
        let ingest = repo.store().begin().expect("begin");
        let task = Task::default();
        let intake = Intake::begin(&task, file.len() as u64);
        let (recipe, _) = repo.ingest(&ingest, &file, &IngestFile::default(), &intake).expect("taken in");
        ingest.seal().expect("seal");
        let tensors = Tensors::of(&repo);
        let at = Located { recipe, tensor: 0 };
        let array = tensors.open(at, lens).expect("a tensor");
        let mut bytes = vec![0; array.len() as usize];
        assert_eq!(array.read_at(0, &mut bytes).expect("read"), bytes.len());
        assert_eq!(tensors.array_len(at, lens).expect("a length"), array.len());
        (bytes, tensors.facts(at).expect("facts"))
    }

    #[test]
    fn arrays_keep_the_order_of_their_axes_and_of_their_bytes() {
        let payload: Vec<u8> = (0..24).collect();
        for (descr, order, dtype, strides) in [
            ("<f4", "True", "F32", Some(vec![1, 2])),
            (">f4", "False", "F32 (big-endian)", None),
            (">f4", "True", "F32 (big-endian)", Some(vec![1, 2])),
            ("<f4", "False", "F32", None),
        ] {
            let said = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': (2, 3), }}");
            let (bytes, facts) = taken_in(&npy(&format!("{said}\n"), &payload));
            let text = String::from_utf8_lossy(&bytes[10..]).into_owned();
            assert!(text.starts_with(&said), "{text}");
            assert!(bytes.ends_with(&payload));
            assert_eq!((facts.dtype.as_str(), facts.shape), (dtype, vec![2, 3]));
            assert_eq!(facts.strides, strides);
        }
    }

    #[test]
    fn of_big_endian_views_that_no_header_can_tell_the_elements_are_told_as_they_lie() {
        let element = Element::BigEndian(Dtype::F32);
        let declared = Declared { strides: Some(vec![4, 1]), ..Declared::plain(element, vec![2, 2]) };
        let info =
            TensorInfo { declared: Some(Box::new(declared)), ..TensorInfo::plain("w", Dtype::U8, vec![24]) };
        let header = header(&info).expect("a header");
        let text = String::from_utf8_lossy(&header[10..]).into_owned();
        assert!(text.starts_with("{'descr': '>f4', 'fortran_order': False, 'shape': (6,), }"), "{text}");
    }

    #[test]
    fn blocks_are_rows_of_bytes_and_told_by_their_type() {
        // GGUF 3 with one tensor: two rows of 32 elements of type Q8_0, 34 bytes each.
        let mut file =
            [b"GGUF\x03\0\0\0", &1u64.to_le_bytes()[..], &[0; 8], &1u64.to_le_bytes(), b"q"].concat();
        file.extend(
            [&2u32.to_le_bytes()[..], &32u64.to_le_bytes(), &2u64.to_le_bytes(), &8u32.to_le_bytes()]
                .concat(),
        );
        file.extend([0; 8]);
        file.resize(file.len().next_multiple_of(32), 0);
        file.extend([7; 68]);
        let (bytes, facts) = taken_in(&file);
        let text = String::from_utf8_lossy(&bytes[10..80]).into_owned();
        assert!(text.starts_with("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 34), }"), "{text}");
        assert!(bytes.ends_with(&[7; 68]));
        assert_eq!((facts.dtype.as_str(), facts.shape), ("Q8_0", vec![2, 32]));
        // As numbers: a scale of 0x0707 and codes of 7.
        let (bytes, _) = shown(&file, Lens::F32);
        let text = String::from_utf8_lossy(&bytes[10..80]).into_owned();
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 32), }"), "{text}");
        let value = half::f16::from_bits(0x0707).to_f32() * 7.0;
        assert!(bytes.ends_with(&[value.to_le_bytes(); 64].concat()));
    }

    #[test]
    fn values_are_read_at_any_place_whatever_they_are_stored_as() {
        let payload: Vec<u8> =
            (0..600u16).flat_map(|number| half::f16::from_f32(number.into()).to_be_bytes()).collect();
        let file = npy("{'descr': '>f2', 'fortran_order': True, 'shape': (20, 30), }\n", &payload);
        let repo = repository();
        let ingest = repo.store().begin().expect("begin");
        let task = Task::default();
        let intake = Intake::begin(&task, file.len() as u64);
        let (recipe, _) = repo.ingest(&ingest, &file, &IngestFile::default(), &intake).expect("taken in");
        ingest.seal().expect("seal");
        let array = Tensors::of(&repo).open(Located { recipe, tensor: 0 }, Lens::F32).expect("a tensor");
        let numbers = (0..600u16).map(|at| f32::from(at / 30 + at % 30 * 20)).flat_map(f32::to_le_bytes);
        let whole: Vec<u8> = array.header.iter().copied().chain(numbers).collect();
        assert_eq!(array.len(), whole.len() as u64);
        for from in (0..whole.len() + 5).step_by(3) {
            for len in [0, 1, 7, 130, 5000] {
                let mut buf = vec![0; len];
                let got = array.read_at(from as u64, &mut buf).expect("read");
                let expected = &whole[from.min(whole.len())..(from + len).min(whole.len())];
                assert_eq!(&buf[..got], expected, "{from} {len}");
            }
        }
    }
}
