//! One request of the kernel on its way to its answer: who answers it, what is asked, and since when.
//!
//! What becomes of it is noted before the answer is given: whoever has the answer finds it counted, and its error told.

use std::time::Instant;

use fuser::Errno;

use super::errno::Result;
use super::file_system::FileSystem;
use super::meter::Question;
use super::owner::Owner;
use super::upkeep::Upkeep;

/// A request that is being answered.
pub(super) struct Asked<'a> {
    pub core: &'a FileSystem,
    pub owner: Owner,
    pub question: &'a Question,
    /// When it was read.
    pub began: Instant,
}

impl Asked<'_> {
    /// The name that is asked for.
    pub fn name(&self) -> &[u8] {
        &self.question.name
    }

    /// Notes what the answer will be; an error becomes the number that is told.
    pub fn noted<T>(&self, result: Result<T>) -> std::result::Result<T, Errno> {
        let told = result.as_ref().err();
        Upkeep::of(&self.core.shared).note_answer(self.question, self.began.elapsed(), told);
        result.map_err(|error| Errno::from_i32(error.errno()))
    }
}
