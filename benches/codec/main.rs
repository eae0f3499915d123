//! Ratio and speed of every coder on real weights, beside the methods of the field.
//!
//! `cargo bench --bench codec -- X BASE` compares two safetensors files of binary32 tensors; binary16 and bfloat16
//! variants are rounded from them. Without paths it takes the pairs of `CORAL_CORPUS` or `../shared/corpus`, and
//! without those, generated weights. One thread and its CPU time;
//! the median of five passes.

mod anchors;
mod report;
mod weights;

use coral::codec::Isa;
use weights::Pair;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(isa) = std::env::var("CORAL_BENCH_ISA").ok().and_then(|name| isa(&name)) {
        isa.limit();
    }
    let only = std::env::var("CORAL_BENCH_TYPES").unwrap_or_else(|_| "f32,f16,bf16".into());
    println!("instructions: {:?}", Isa::active());
    for pair in Pair::chosen(&arguments) {
        for kind in
            weights::Kind::ALL.into_iter().filter(|kind| only.split(',').any(|name| name == kind.name()))
        {
            report::print(&pair, kind);
        }
    }
}

fn isa(name: &str) -> Option<Isa> {
    [("scalar", Isa::Scalar), ("avx2", Isa::Avx2), ("avx512", Isa::Avx512)]
        .into_iter()
        .find_map(|(known, isa)| (known == name).then_some(isa))
}
