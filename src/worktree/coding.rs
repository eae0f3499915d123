//! Whether who stores a file waits until it is small.

/// When the bytes of large files are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coding {
    /// Before the commit is made.
    #[default]
    Now,
    /// By whoever calls [`Store::code_attached`](crate::store::Store::code_attached): until then the files stay as they were
    /// saved, and the commit waits only for the disk. Within `core.plain_size`, and where the file system has hard links; other
    /// files are coded now.
    Later,
}
