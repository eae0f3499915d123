//! A few thousand elements that stand for a frame.

use crate::tensor::Lane;

/// Elements of one run; runs are spread evenly, so that rows and columns of any width are seen.
const RUN: usize = 256;
const RUNS: usize = 16;

/// 4,096 elements in runs across the bytes, or all of them if there are no more.
pub(super) fn sample(bytes: &[u8], lane: Lane) -> Vec<u8> {
    let width = lane.width();
    if bytes.len() <= RUNS * RUN * width {
        return bytes.to_vec();
    }
    let step = bytes.len() / width / RUNS * width;
    (0..RUNS).flat_map(|run| &bytes[run * step..][..RUN * width]).copied().collect()
}
