//! Elements of a tensor with strides, brought into C order.
//!
//! A range of elements in C order is some boxes: blocks of whole rows, planes and so on. Of each the elements are fetched in the
//! order in which they lie, so that a transposed matrix is read forward, a few rows at a time.

use super::error::Result;
use crate::store::Source;
use std::ops::Range;

/// Bytes that are read ahead where more of them are needed soon.
const AHEAD: u64 = 256 << 10;
/// Elements that are so far apart, in bytes, are read one by one.
const APART: u64 = 64 << 10;
/// Bytes of a run that are read at once.
const RUN: u64 = 1 << 20;

/// Bytes of the source that were read last.
#[derive(Debug, Default)]
pub(super) struct Window {
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    /// Forgets what it has: another source is read.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Bytes of the source; `ahead` of them if they are not there yet.
    fn fetch(&mut self, source: &dyn Source, at: u64, len: u64, ahead: u64) -> Result<&[u8]> {
        let has_it = at >= self.start && at + len <= self.start + self.bytes.len() as u64;
        if !has_it {
            let wanted = len.max(ahead).min(source.len().saturating_sub(at)).max(len);
            self.bytes.resize(wanted as usize, 0);
            let read = source.read_exact_at(&mut self.bytes, at);
            self.start = at;
            if let Err(error) = read {
                self.clear();
                return Err(error.into());
            }
        }
        let from = (at - self.start) as usize;
        Ok(&self.bytes[from..from + len as usize])
    }
}

/// An axis of a box.
#[derive(Debug, Clone, Copy)]
struct Axis {
    extent: u64,
    /// From one element to the next, in the source and in C order.
    stride: u64,
    place: u64,
}

/// Fills `into` with the elements `range`, in C order, of a tensor of this shape and these strides in `source`, whose elements
/// have `width` bytes. All of them are inside of it: that was checked.
pub(super) fn gather(
    source: &dyn Source,
    (shape, strides): (&[u64], &[u64]),
    width: usize,
    range: Range<u64>,
    window: &mut Window,
    into: &mut [u8],
) -> Result<()> {
    window.clear();
    let places = places(shape);
    let mut at = range.start;
    while at < range.end {
        // The outermost axis of which whole steps begin here and end before the range does.
        let left = range.end - at;
        let axis =
            places.iter().position(|step| at.is_multiple_of(*step) && *step <= left).unwrap_or(shape.len());
        let (index, mut rest) = (|axis: usize| at / places[axis] % shape[axis], Vec::new());
        let count = match axis < shape.len() {
            true => (left / places[axis]).min(shape[axis] - index(axis)),
            false => 1,
        };
        let start: u64 = (0..shape.len()).map(|axis| index(axis) * strides[axis]).sum();
        if axis < shape.len() {
            rest.push(Axis { extent: count, stride: strides[axis], place: places[axis] });
            rest.extend((axis + 1..shape.len()).map(|axis| Axis {
                extent: shape[axis],
                stride: strides[axis],
                place: places[axis],
            }));
        }
        let taken = rest.iter().map(|axis| axis.extent).product::<u64>();
        let place = (at - range.start) as usize * width;
        let out = &mut into[place..place + taken as usize * width];
        fill(source, start, rest, width as u64, window, out)?;
        at += taken;
    }
    Ok(())
}

/// How many elements in C order lie between two neighbours along each axis.
fn places(shape: &[u64]) -> Vec<u64> {
    let mut places = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        places[axis - 1] = places[axis] * shape[axis];
    }
    places
}

/// Fills a box whose first element is the `start`th of the source.
fn fill(
    source: &dyn Source,
    start: u64,
    mut axes: Vec<Axis>,
    width: u64,
    window: &mut Window,
    into: &mut [u8],
) -> Result<()> {
    axes.retain(|axis| axis.extent != 1);
    // As they lie: the innermost is the one whose elements are next to each other.
    axes.sort_by_key(|axis| (std::cmp::Reverse(axis.stride), axis.place));
    let inner = axes.pop().unwrap_or(Axis { extent: 1, stride: 1, place: 1 });
    let is_near = axes.last().is_some_and(|axis| axis.stride.saturating_mul(width) <= APART);
    let ahead = if is_near { AHEAD } else { 0 };
    // Elements of a run that are read at once.
    let together = match inner.stride.saturating_mul(width) {
        0 => inner.extent,
        step if step > APART => 1,
        step => RUN / step,
    };
    let mut indices = vec![0u64; axes.len()];
    loop {
        let (mut from, mut to) = (start, 0);
        for (axis, index) in axes.iter().zip(&indices) {
            from += index * axis.stride;
            to += index * axis.place;
        }
        for first in (0..inner.extent).step_by(together.try_into().unwrap_or(usize::MAX)) {
            let count = together.min(inner.extent - first);
            let len = ((count - 1) * inner.stride + 1) * width;
            let run = window.fetch(source, (from + first * inner.stride) * width, len, ahead)?;
            scatter(
                run,
                (count, inner),
                width as usize,
                &mut into[((to + first * inner.place) * width) as usize..],
            );
        }
        // The next run: the last axis first.
        let Some(axis) = (0..axes.len()).rev().find(|axis| indices[*axis] + 1 < axes[*axis].extent) else {
            return Ok(());
        };
        indices[axis] += 1;
        indices[axis + 1..].fill(0);
    }
}

/// Puts the elements of a run where they belong.
fn scatter(run: &[u8], (count, axis): (u64, Axis), width: usize, into: &mut [u8]) {
    if (axis.stride, axis.place) == (1, 1) {
        into[..run.len()].copy_from_slice(run);
        return;
    }
    let (stride, place) = (axis.stride as usize * width, axis.place as usize * width);
    for number in 0..count as usize {
        into[number * place..][..width].copy_from_slice(&run[number * stride..][..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The elements of a view one by one.
    fn plainly(bytes: &[u8], shape: &[u64], strides: &[u64], width: usize) -> Vec<u8> {
        let count: u64 = shape.iter().product();
        let steps = places(shape);
        let element = |at: u64| {
            let from: u64 = (0..shape.len()).map(|axis| at / steps[axis] % shape[axis] * strides[axis]).sum();
            bytes[from as usize * width..][..width].to_vec()
        };
        (0..count).flat_map(element).collect()
    }

    proptest! {
        #[test]
        fn any_part_of_any_view_comes_in_c_order(
            axes in proptest::collection::vec((1..6u64, 0..40u64), 0..5),
            width in prop_oneof![Just(1usize), Just(4), Just(16)],
            from in any::<proptest::sample::Index>(),
            to in any::<proptest::sample::Index>(),
        ) {
            let (shape, strides): (Vec<u64>, Vec<u64>) = axes.into_iter().unzip();
            let span: u64 = shape.iter().zip(&strides).map(|(extent, stride)| (extent - 1) * stride).sum::<u64>() + 1;
            let bytes: Vec<u8> = (0..span as usize * width).map(|at| (at * 31 % 251) as u8).collect();
            let all = plainly(&bytes, &shape, &strides, width);
            let count = all.len() / width;
            let (from, to) = (from.index(count + 1), to.index(count + 1));
            let (from, to) = (from.min(to), from.max(to));
            let mut got = vec![0; (to - from) * width];
            let mut window = Window::default();
            gather(&bytes, (&shape, &strides), width, from as u64..to as u64, &mut window, &mut got).expect("memory");
            prop_assert_eq!(&got[..], &all[from * width..to * width]);
        }
    }

    #[test]
    fn a_transposed_matrix_is_read_forward_and_nothing_of_it_often() {
        use crate::store::SourceError;
        use std::sync::atomic::{AtomicU64, Ordering};
        struct Counting(Vec<u8>, AtomicU64);
        impl Source for Counting {
            fn len(&self) -> u64 {
                self.0.len() as u64
            }
            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> std::result::Result<(), SourceError> {
                self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
                self.0[..].read_exact_at(buf, offset)
            }
        }
        let source = Counting((0..1 << 20).map(|at: u32| (at % 251) as u8).collect(), AtomicU64::new(0));
        let (shape, strides) = ([1024, 512], [1, 1024]);
        let mut got = vec![0; 1 << 20];
        gather(&source, (&shape, &strides), 2, 0..1 << 19, &mut Window::default(), &mut got).expect("memory");
        assert_eq!(got, plainly(&source.0, &shape, &strides, 2));
        assert!(source.1.into_inner() <= 5 << 18);
    }
}
