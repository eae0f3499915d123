//! How the numbers of two tensors differ: how many, how far, and in which direction.
//!
//! Fed piece by piece, both sides at once, so that tensors of any size take no memory. Everything is summed in f64: in
//! eight lanes within a block, then block by block and piece by piece in the order in which they are merged, so that the
//! same pieces give the same numbers whoever computed them.

use super::Dtype;
use half::f16;

/// Elements that are summed in lanes before they are added up.
const BLOCK: usize = 4096;
/// Sums that go on side by side.
const LANES: usize = 8;
/// Distances are counted by their length in bits: none, 1, 2 to 3, 4 to 7, ...
pub const ULP_CLASSES: usize = 65;

/// How two runs of numbers differ, element by element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Elements on each side.
    pub elements: u64,
    /// Elements that are not the same bits; of two types, that are not the same number.
    pub changed: u64,
    /// Elements that are no finite number on either side. They are in no sum.
    pub non_finite: u64,
    /// The largest absolute difference of finite elements.
    pub max: f64,
    /// How many elements are how many representable numbers apart, by the bits of that number; all 0 between two types.
    pub ulps: [u64; ULP_CLASSES],
    squares: f64,
    old_squares: f64,
    new_squares: f64,
    product: f64,
}

impl Default for Difference {
    fn default() -> Self {
        Self {
            elements: 0,
            changed: 0,
            non_finite: 0,
            max: 0.0,
            ulps: [0; ULP_CLASSES],
            squares: 0.0,
            old_squares: 0.0,
            new_squares: 0.0,
            product: 0.0,
        }
    }
}

impl Difference {
    /// The Euclidean norm of the difference.
    pub fn l2(&self) -> f64 {
        self.squares.sqrt()
    }

    /// The root of the mean squared difference; 0 of nothing.
    pub fn rms(&self) -> f64 {
        match self.elements - self.non_finite {
            0 => 0.0,
            finite => (self.squares / finite as f64).sqrt(),
        }
    }

    /// The norm of the old side.
    pub fn old_norm(&self) -> f64 {
        self.old_squares.sqrt()
    }

    /// The norm of the new side.
    pub fn new_norm(&self) -> f64 {
        self.new_squares.sqrt()
    }

    /// The norm of the difference in parts of the old side's; infinite if that is zero and the new side is not.
    pub fn relative(&self) -> f64 {
        match (self.squares == 0.0, self.old_squares == 0.0) {
            (true, _) => 0.0,
            (false, true) => f64::INFINITY,
            (false, false) => (self.squares / self.old_squares).sqrt(),
        }
    }

    /// The cosine between both sides; 1 between two that are zero, 0 if only one is.
    pub fn cosine(&self) -> f64 {
        match (self.old_squares == 0.0, self.new_squares == 0.0) {
            (true, true) => 1.0,
            (true, false) | (false, true) => 0.0,
            (false, false) if self.squares == 0.0 => 1.0,
            (false, false) => {
                (self.product / (self.old_squares.sqrt() * self.new_squares.sqrt())).clamp(-1.0, 1.0)
            }
        }
    }

    /// The part of the elements that changed, from 0 to 1.
    pub fn changed_share(&self) -> f64 {
        if self.elements == 0 { 0.0 } else { self.changed as f64 / self.elements as f64 }
    }

    /// Adds a piece behind this one.
    pub fn merge(&mut self, next: &Self) {
        self.elements += next.elements;
        self.changed += next.changed;
        self.non_finite += next.non_finite;
        self.max = self.max.max(next.max);
        self.squares += next.squares;
        self.old_squares += next.old_squares;
        self.new_squares += next.new_squares;
        self.product += next.product;
        self.ulps.iter_mut().zip(next.ulps).for_each(|(count, more)| *count += more);
    }

    /// Compares whole elements, little-endian, the same number on both sides. Complex numbers count as two. `None` for
    /// types that this does not read (packed ones, plain bytes), or if the sides are not as long as each other.
    pub fn between(old: (Dtype, &[u8]), new: (Dtype, &[u8])) -> Option<Self> {
        match old.0 == new.0 {
            true => same_type(old.0, old.1, new.1),
            false => two_types(old, new),
        }
    }

    fn add_block(&mut self, old: &[f64], new: &[f64]) {
        let mut sums = [[0.0f64; LANES]; 4];
        let mut max = [0.0f64; LANES];
        let mut skipped = 0u64;
        for (old, new) in old.chunks(LANES).zip(new.chunks(LANES)) {
            for (lane, (&a, &b)) in old.iter().zip(new).enumerate() {
                // What is no number on one side counts on neither.
                let finite = a.is_finite() && b.is_finite();
                skipped += u64::from(!finite);
                let (a, b) = if finite { (a, b) } else { (0.0, 0.0) };
                let d = b - a;
                sums[0][lane] += d * d;
                sums[1][lane] += a * a;
                sums[2][lane] += b * b;
                sums[3][lane] += a * b;
                max[lane] = max[lane].max(d.abs());
            }
        }
        let [squares, old_squares, new_squares, product] = sums.map(|lanes| lanes.iter().sum::<f64>());
        self.elements += old.len() as u64;
        self.non_finite += skipped;
        self.squares += squares;
        self.old_squares += old_squares;
        self.new_squares += new_squares;
        self.product += product;
        self.max = max.into_iter().fold(self.max, f64::max);
    }
}

/// Compares elements of one type, whose bits mean something by their order.
fn of_width<const N: usize>(
    old: &[u8],
    new: &[u8],
    value: impl Fn([u8; N]) -> f64,
    rank: impl Fn([u8; N]) -> u64,
) -> Option<Difference> {
    let (old, old_rest) = old.as_chunks::<N>();
    let (new, new_rest) = new.as_chunks::<N>();
    if old.len() != new.len() || !old_rest.is_empty() || !new_rest.is_empty() {
        return None;
    }
    let mut found = Difference::default();
    let mut values = [[0.0; BLOCK]; 2];
    for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
        let len = old.len();
        for (at, (a, b)) in old.iter().zip(new).enumerate() {
            values[0][at] = value(*a);
            values[1][at] = value(*b);
        }
        found.add_block(&values[0][..len], &values[1][..len]);
        if old == new {
            found.ulps[0] += len as u64;
            continue;
        }
        for (a, b) in old.iter().zip(new) {
            let distance = rank(*a).abs_diff(rank(*b));
            found.changed += u64::from(a != b);
            found.ulps[(u64::BITS - distance.leading_zeros()) as usize] += 1;
        }
    }
    Some(found)
}

/// The place of a float among all of its type, from its bits: negative ones are in the other order.
fn float_rank(bits: u64, width: u32) -> u64 {
    let sign = 1u64 << (width - 1);
    if bits & sign == 0 { bits | sign } else { !bits & (sign | (sign - 1)) }
}

fn same_type(dtype: Dtype, old: &[u8], new: &[u8]) -> Option<Difference> {
    macro_rules! integer {
        ($type:ty, $flip:expr) => {
            of_width(
                old,
                new,
                |bytes| <$type>::from_le_bytes(bytes) as f64,
                |bytes| (<$type>::from_le_bytes(bytes) as i64 as u64) ^ $flip,
            )
        };
    }
    // The other sign bit puts negative numbers before the rest.
    let (unsigned, signed) = (0u64, 1u64 << 63);
    let eight_bits = |dtype: Dtype| {
        let table = byte_values(dtype)?;
        let value = move |[byte]: [u8; 1]| table[usize::from(byte)];
        of_width(old, new, value, |[byte]: [u8; 1]| float_rank(u64::from(byte), 8))
    };
    match dtype {
        Dtype::Bool | Dtype::U8 => integer!(u8, unsigned),
        Dtype::I8 => integer!(i8, signed),
        Dtype::U16 => integer!(u16, unsigned),
        Dtype::I16 => integer!(i16, signed),
        Dtype::U32 => integer!(u32, unsigned),
        Dtype::I32 => integer!(i32, signed),
        Dtype::U64 => integer!(u64, unsigned),
        Dtype::I64 => integer!(i64, signed),
        Dtype::F16 => of_width(
            old,
            new,
            |bytes| f64::from(f16::from_le_bytes(bytes)),
            |bytes| float_rank(u64::from(u16::from_le_bytes(bytes)), 16),
        ),
        Dtype::Bf16 => of_width(
            old,
            new,
            |bytes| f64::from(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16)),
            |bytes| float_rank(u64::from(u16::from_le_bytes(bytes)), 16),
        ),
        Dtype::F32 | Dtype::C64 => of_width(
            old,
            new,
            |bytes| f64::from(f32::from_le_bytes(bytes)),
            |bytes| float_rank(u64::from(u32::from_le_bytes(bytes)), 32),
        ),
        Dtype::F64 | Dtype::C128 => {
            of_width(old, new, f64::from_le_bytes, |bytes| float_rank(u64::from_le_bytes(bytes), 64))
        }
        Dtype::F8E4M3 | Dtype::F8E5M2 => eight_bits(dtype),
        Dtype::F8E8M0
        | Dtype::F8E4M3Fnuz
        | Dtype::F8E5M2Fnuz
        | Dtype::Opaque
        | Dtype::F4
        | Dtype::F6E2M3
        | Dtype::F6E3M2 => None,
    }
}

/// The number that each byte is in an eight-bit type.
fn byte_values(dtype: Dtype) -> Option<[f64; 256]> {
    let read = super::statistics::reader(dtype)?;
    let mut table = [0.0; 256];
    for (byte, value) in (0..=u8::MAX).zip(&mut table) {
        *value = read(&[byte]);
    }
    Some(table)
}

/// Compares the numbers of two types. What is the same number, or none on both sides, has not changed.
fn two_types(old: (Dtype, &[u8]), new: (Dtype, &[u8])) -> Option<Difference> {
    let side = |(dtype, bytes): (Dtype, &[u8])| -> Option<Vec<f64>> {
        let read = super::statistics::reader(dtype)?;
        let width = (dtype.bits() / 8) as usize;
        bytes.len().is_multiple_of(width).then(|| bytes.chunks_exact(width).map(read).collect())
    };
    let (old, new) = (side(old)?, side(new)?);
    if old.len() != new.len() {
        return None;
    }
    let mut found = Difference::default();
    for (old, new) in old.chunks(BLOCK).zip(new.chunks(BLOCK)) {
        found.add_block(old, new);
        let differ = old.iter().zip(new).filter(|(a, b)| !(a == b || (a.is_nan() && b.is_nan())));
        found.changed += differ.count() as u64;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use half::bf16;
    use proptest::prelude::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    fn between(old: &[f32], new: &[f32]) -> Difference {
        Difference::between((Dtype::F32, &bytes(old)), (Dtype::F32, &bytes(new))).expect("numbers")
    }

    #[test]
    fn a_difference_is_counted_measured_and_classed() {
        let next = f32::from_bits(1.0f32.to_bits() + 1);
        let found = between(&[3.0, 1.0, 0.0, f32::NAN, 2.0], &[3.0, next, -0.0, 1.0, -2.0]);
        assert_eq!((found.elements, found.changed, found.non_finite), (5, 4, 1));
        assert_eq!(found.max, 4.0);
        // One is equal, 1 and its neighbour and both zeros are one apart, -2 and 2 are 2^31 + 1 apart.
        assert_eq!((found.ulps[0], found.ulps[1], found.ulps[32]), (1, 2, 1));
        assert!((found.l2() - 4.0).abs() < 1e-9);
        assert_eq!(between(&[0.0, 0.0], &[0.0, 0.0]).cosine(), 1.0);
        assert_eq!(between(&[0.0, 0.0], &[0.0, 1.0]).cosine(), 0.0);
        assert_eq!(between(&[0.0], &[1.0]).relative(), f64::INFINITY);
        assert!(between(&[1.0, 2.0], &[-1.0, -2.0]).cosine() < -0.999_999);
        assert_eq!(between(&[], &[]), Difference::default());
    }

    #[test]
    fn sides_that_cannot_face_each_other_are_refused() {
        assert_eq!(Difference::between((Dtype::F32, &[0; 8]), (Dtype::F32, &[0; 4])), None);
        assert_eq!(Difference::between((Dtype::F32, &[0; 5]), (Dtype::F32, &[0; 5])), None);
        assert_eq!(Difference::between((Dtype::F4, &[0; 4]), (Dtype::F4, &[0; 4])), None);
    }

    #[test]
    fn numbers_of_two_types_are_compared_as_numbers() {
        let old = bytes(&[1.0, 2.0, f32::NAN]);
        let new: Vec<u8> =
            [1.0, 2.5, f32::NAN].iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
        let found = Difference::between((Dtype::F32, &old), (Dtype::Bf16, &new)).expect("numbers");
        assert_eq!((found.elements, found.changed, found.max), (3, 1, 0.5));
        assert_eq!(found.ulps, [0; ULP_CLASSES]);
    }

    #[test]
    fn every_type_ranks_its_neighbours_next_to_each_other() {
        for dtype in [Dtype::F16, Dtype::Bf16] {
            let (old, new) = (0x3c00u16.to_le_bytes(), 0x3c01u16.to_le_bytes());
            let found = Difference::between((dtype, &old), (dtype, &new)).expect("numbers");
            assert_eq!((found.ulps[1], found.changed), (1, 1), "{dtype:?}");
        }
        let found = Difference::between((Dtype::F8E4M3, &[0x38, 0x7f]), (Dtype::F8E4M3, &[0x39, 0x7f]));
        let found = found.expect("numbers");
        assert_eq!((found.ulps[1], found.ulps[0], found.non_finite, found.max), (1, 1, 1, 0.125));
        let found = Difference::between((Dtype::I8, &[0x80]), (Dtype::I8, &[0x7f])).expect("numbers");
        assert_eq!((found.ulps[8], found.max), (1, 255.0));
    }

    proptest! {
        #[test]
        fn pieces_give_the_same_as_the_whole(
            pairs in proptest::collection::vec((-1e3f32..1e3, prop_oneof![Just(0.0f32), -1.0f32..1.0]), 1..9000),
            cut: usize,
        ) {
            let old: Vec<f32> = pairs.iter().map(|(value, _)| *value).collect();
            let new: Vec<f32> = pairs.iter().map(|(value, step)| value + step).collect();
            let whole = between(&old, &new);
            let cut = cut % old.len();
            let mut pieces = between(&old[..cut], &new[..cut]);
            pieces.merge(&between(&old[cut..], &new[cut..]));
            let counts = |found: &Difference| (found.elements, found.changed, found.ulps, found.max.to_bits());
            prop_assert_eq!(counts(&whole), counts(&pieces));
            let naive: f64 = old.iter().zip(&new).map(|(a, b)| (f64::from(*b) - f64::from(*a)).powi(2)).sum();
            for found in [whole.l2(), pieces.l2()] {
                prop_assert!((found - naive.sqrt()).abs() <= 1e-9 * (1.0 + naive.sqrt()));
            }
            let changed = old.iter().zip(&new).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
            prop_assert_eq!(whole.changed, changed as u64);
            prop_assert!((whole.cosine() - pieces.cosine()).abs() < 1e-12);
        }
    }
}
