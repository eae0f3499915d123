//! What a look-up says.

use std::path::PathBuf;

use crate::store::pack::Object;

/// Where an object is, as far as one process knows.
pub enum Lookup {
    /// In a pack that is here.
    Here(Object),
    /// In a pack of which only the directory is here: its file would be at this path.
    Elsewhere(PathBuf),
    /// In no pack that is known.
    Absent,
}
