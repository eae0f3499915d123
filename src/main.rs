//! The `coral` command.

fn main() {}
