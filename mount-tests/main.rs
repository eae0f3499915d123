//! Tests through the kernel: real programs on a real mount.
