//! A file of the history from its first byte to its last: the one loop that reads until a length.
//!
//! Nothing is believed: that the directory and the recipe agree about the length, that reading goes on, and that the
//! bytes are those that were saved, are all checked.

use super::error::Error;
use super::reader::FileReader;
use super::repository::Repo;
use crate::id::RecipeId;
use std::fmt::Display;

/// Bytes that are read at once.
const PIECE: usize = 8 << 20;

impl Repo {
    /// Hands over the bytes of a file in order. `len` is what its directory says of it, `shown_as` what an error calls it.
    ///
    /// # Errors
    /// [`Error::WrongLength`] before the first byte; [`Error::WrongBytes`] after the last, or when the store has fewer;
    /// whatever `take` says.
    pub fn read_through<E: From<Error>>(
        &self,
        id: RecipeId,
        len: u64,
        shown_as: &dyn Display,
        mut take: impl FnMut(&[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let recipe = self.recipe(id)?;
        if recipe.len() != len {
            return Err(Error::WrongLength {
                name: shown_as.to_string(),
                recorded: len,
                found: recipe.len(),
            }
            .into());
        }
        // What is stored is what is vouched for, and checked on the way.
        let reader = FileReader::of_packs(self, &recipe);
        let mut hasher = blake3::Hasher::new();
        let mut buf = vec![0; PIECE.min(usize::try_from(len).unwrap_or(PIECE))];
        let mut offset = 0;
        while offset < len {
            let got = reader.read_at(offset, &mut buf)?;
            if got == 0 {
                return Err(Error::WrongBytes(shown_as.to_string()).into());
            }
            hasher.update(&buf[..got]);
            take(&buf[..got])?;
            offset += got as u64;
        }
        match hasher.finalize().as_bytes() == recipe.blake3() {
            true => Ok(()),
            false => Err(Error::WrongBytes(shown_as.to_string()).into()),
        }
    }
}
