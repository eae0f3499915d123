//! A source that is read for a task: each reading asks first whether it is to go on.

use crate::task::{Meter, Task};

use super::source::{Source, SourceError};

/// Bytes that are no longer read when a task is stopped.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    /// The bytes.
    pub source: &'a dyn Source,
    /// What they are read for.
    pub task: &'a Task,
    /// Hears how many bytes are read.
    pub meter: Option<&'a dyn Meter>,
}

impl Source for Watched<'_> {
    fn len(&self) -> u64 {
        self.source.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), SourceError> {
        self.task.check().map_err(SourceError::new)?;
        self.source.read_exact_at(buf, offset)?;
        if let Some(meter) = self.meter {
            meter.advance(buf.len() as u64);
        }
        Ok(())
    }
}
