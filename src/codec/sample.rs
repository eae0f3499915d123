//! A few thousand elements that stand for a frame.

use crate::tensor::Lane;

/// Runs are spread evenly, so that rows and columns of any width are seen.
const RUNS: usize = 16;

/// `16 * run` elements in runs across the bytes, or all of them if there are no more.
pub(super) fn sample(bytes: &[u8], lane: Lane, run: usize) -> Vec<u8> {
    let (width, run) = (lane.width(), run * lane.width());
    if bytes.len() <= RUNS * run {
        return bytes.to_vec();
    }
    let step = bytes.len() / width / RUNS * width;
    let mut sample = Vec::with_capacity(RUNS * run);
    for at in 0..RUNS {
        sample.extend_from_slice(&bytes[at * step..][..run]);
    }
    sample
}
