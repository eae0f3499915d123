//! The `coral` command: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    coral::cli::run(std::env::args_os())
}
