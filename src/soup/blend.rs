//! A tensor that is made of others, piece by piece, in any order and by any number of threads.

use super::blocks::Pieces;
use super::error::{Error, Result};
use super::facing::{Facing, Reading};
use super::kernel::Kernel;
use super::methods::{Asked, Remark, prepare};
use super::passes::Passes;
use crate::formula::{Formula, Strip};
use crate::history;
use crate::tensor::{Dtype, narrow};
use std::sync::atomic::{AtomicU64, Ordering};

/// A tensor that is made of others.
pub struct Blend<'a> {
    facing: Facing<'a>,
    kernel: Kernel,
    dtype: Dtype,
    pieces: Pieces,
    /// Elements that did not fit, and that were no finite numbers before.
    too_large: AtomicU64,
    not_finite: AtomicU64,
    /// What is remarkable about how it is made.
    pub remark: Option<Remark>,
}

/// What making pieces needs, kept from one to the next.
#[derive(Default)]
pub struct Making {
    reading: Reading,
    numbers: Vec<f64>,
    bytes: Vec<u8>,
}

impl<'a> Blend<'a> {
    /// Learns all that is to be known of the tensors as wholes.
    ///
    /// # Errors
    /// Those of the method, and of reading.
    pub fn of(facing: Facing<'a>, dtype: Dtype, asked: Asked<'_>, passes: &Passes<'_>) -> Result<Self> {
        let prepared = prepare(asked, &facing, passes)?;
        Ok(Self { remark: prepared.remark, ..Self::by(facing, dtype, prepared.kernel) })
    }

    /// What is done to each element is known.
    pub fn by(facing: Facing<'a>, dtype: Dtype, kernel: Kernel) -> Self {
        let pieces = if kernel.needs_rows() { Pieces::of_rows(&facing) } else { Pieces::of(&facing) };
        let (too_large, not_finite) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { facing, kernel, dtype, pieces, too_large, not_finite, remark: None }
    }

    /// Bytes of it.
    pub fn len(&self) -> u64 {
        self.facing.elements() * (self.dtype.bits() / 8)
    }

    /// What it is made by, if that can be kept in its place.
    pub(super) fn formula(&self) -> Option<Formula> {
        match &self.kernel {
            Kernel::Each(each) => self.facing.formula(each, self.dtype),
            Kernel::StockByRows(..) | Kernel::ArcByRows(..) => None,
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The pieces that it is made in.
    pub fn pieces(&self) -> u64 {
        self.pieces.count()
    }

    /// Makes a piece: its bytes, and where among those of the tensor they begin.
    ///
    /// # Errors
    /// If what it is made of cannot be read.
    pub fn piece<'m>(&self, index: u64, making: &'m mut Making) -> history::Result<(u64, &'m [u8])> {
        let Making { reading, numbers, bytes } = making;
        let (range, width) = (self.pieces.range(index), self.dtype.bits() / 8);
        reading.read(&self.facing, &range)?;
        bytes.resize(((range.end - range.start) * width) as usize, 0);
        for strip in self.pieces.strips(index) {
            let from = ((strip.start - range.start) * width) as usize;
            let strip = reading.strip(&self.facing, &strip);
            self.kernel.apply(&strip, numbers);
            let part = &mut bytes[from..from + numbers.len() * width as usize];
            narrow(self.dtype, numbers, part);
            self.count_odd(&strip, numbers, part);
        }
        Ok((range.start * width, bytes))
    }

    /// Counts what is no finite number now.
    fn count_odd(&self, strip: &Strip<'_>, numbers: &[f64], bytes: &[u8]) {
        // Nearly always nothing is: one look at the largest tells.
        let largest = numbers.iter().fold(0.0f64, |most, number| most.max(number.abs()));
        let is_odd = numbers.iter().any(|number| number.is_nan()) || largest > largest_of(self.dtype);
        if !is_odd {
            return;
        }
        let mut written = vec![0.0; numbers.len()];
        crate::tensor::widen(self.dtype, bytes, &mut written);
        for place in (0..numbers.len()).filter(|place| !written[*place].is_finite()) {
            let was_finite = strip.base.get(place).is_none_or(|base| base.is_finite())
                && strip.models.iter().all(|model| model[place].is_finite());
            let count = if was_finite { &self.too_large } else { &self.not_finite };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many elements are no finite numbers because those that they are made of are none.
    ///
    /// # Errors
    /// [`Error::Overflow`] if some of finite ones are none, unless that is allowed.
    pub fn check(&self, allow: bool) -> Result<u64> {
        let elements = self.too_large.load(Ordering::Relaxed);
        match elements > 0 && !allow {
            true => Err(Error::Overflow { tensor: self.facing.name.clone(), elements, dtype: self.dtype }),
            false => Ok(self.not_finite.load(Ordering::Relaxed) + elements),
        }
    }
}

/// A number that every float type of this width can say, and beyond which it has to be looked at what became of it.
fn largest_of(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F64 => f64::MAX,
        Dtype::F32 | Dtype::Bf16 => 3e38,
        Dtype::F16 | Dtype::F8E5M2 => 5e4,
        _ => 448.0,
    }
}
