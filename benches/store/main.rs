//! The store on a real disk: `cargo bench --bench store [-- NAME...]`.
//!
//! Names: peers, memory, throughput, small, depth. Works in `CORAL_BENCH_DIR` (default: the system's folder for
//! temporary files); each figure is a median, beside what it is to be compared with in the same run.

mod depth;
mod generated;
mod measure;
mod memory;
mod peers;
mod scratch;
mod small;
mod throughput;

use scratch::Folder;

/// One bench.
type Run = fn(&Folder);

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    // First those that look at the memory of programs: the kernel counts what their parent ever held as theirs.
    let benches: [(&str, Run); 5] = [
        ("peers", peers::run),
        ("memory", memory::run),
        ("throughput", throughput::run),
        ("small", small::run),
        ("depth", depth::run),
    ];
    for (name, bench) in benches {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            println!("== {name}");
            bench(&Folder::new());
        }
    }
}
