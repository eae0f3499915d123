//! Reading a formula, which stands for itself: before anything is read that it makes.

use crate::codec::decode_frame;
use crate::formula::Computation;
use crate::store::error::Result;
use crate::store::object::metadata_key;
use crate::store::pack::{Object, frame_count, frame_len};

/// Bytes that the record of a formula has at most: 40 for each of the pieces of a mosaic, of which there are no more than 1,024.
const FORMULA_MAX: u64 = 64 << 10;

/// What a formula says, checked against its key.
pub fn read_formula(object: &Object) -> Result<Computation> {
    let len = object.entry.len;
    if len > FORMULA_MAX {
        return Err(object.corrupt("it is too long for a formula"));
    }
    let (mut bytes, mut stored) = (vec![0; len as usize], Vec::new());
    // One frame, as it is so short; none if there is nothing.
    for index in 0..frame_count(len) {
        let frame = object.frame(index)?;
        object.read_stored(&frame, &mut stored)?;
        let out = &mut bytes[..frame_len(len, index)];
        decode_frame(frame.tag, &stored, None, object.lane(), out)
            .map_err(|error| object.corrupt(error.to_string()))?;
    }
    if metadata_key(blake3::hash(&bytes).as_bytes()) != object.entry.key {
        return Err(object.corrupt("it does not hash to its key"));
    }
    Computation::decode(&bytes).map_err(|error| object.corrupt(error.to_string()))
}
