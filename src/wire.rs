//! The canonical encoding that ids are computed over: fixed-width little-endian integers and counted strings.
//!
//! One value has one encoding, and reading is total: lengths are checked against what is left before anything is
//! allocated, and trailing bytes are an error.

/// Why bytes are not the record they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("ends inside {0}")]
    Truncated(&'static str),
    /// A field has a value that this version does not know or that contradicts another.
    #[error("{0} is invalid")]
    Invalid(&'static str),
    /// Bytes follow the last field.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// The record is of another kind or a newer version.
    #[error("not a {expected} of version {version}")]
    Magic {
        /// What was expected.
        expected: &'static str,
        /// The version that this program writes.
        version: u16,
    },
}

/// Appends fields to an encoding.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An encoding that starts with a four-byte magic and a version.
    pub fn record(magic: &[u8; 4], version: u16) -> Self {
        let mut writer = Self::default();
        writer.raw(magic);
        writer.u16(version);
        writer
    }

    /// The finished encoding.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// The finished encoding with its BLAKE3 behind it, for [`Reader::checked_record`].
    pub fn finish_checked(self) -> Vec<u8> {
        let mut bytes = self.bytes;
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(check.as_bytes());
        bytes
    }

    /// Appends bytes whose length the reader knows.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.raw(&[value]);
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends eight bytes, two's complement.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_le_bytes());
    }

    /// Appends a count of 32 bits and the bytes.
    ///
    /// # Panics
    /// If there are 4 GiB or more: callers hold names, headers and messages.
    pub fn counted(&mut self, bytes: &[u8]) {
        self.u32(u32::try_from(bytes.len()).expect("counted strings are names, headers and messages"));
        self.raw(bytes);
    }
}

/// Takes fields off an encoding, in the order in which they were written.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads fields from `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads a record that starts with this magic and version.
    ///
    /// # Errors
    /// [`WireError::Magic`] for any other start.
    pub fn record(
        bytes: &'a [u8],
        magic: &[u8; 4],
        version: u16,
        expected: &'static str,
    ) -> Result<Self, WireError> {
        let mut reader = Self::new(bytes);
        let starts = reader.raw(4, "magic").is_ok_and(|found| found == magic)
            && reader.u16("version").is_ok_and(|found| found == version);
        if starts { Ok(reader) } else { Err(WireError::Magic { expected, version }) }
    }

    /// Reads a record of [`Writer::finish_checked`] that starts with this magic and version.
    ///
    /// # Errors
    /// [`WireError::Invalid`] if a bit of it is not what was written, and those of [`Reader::record`].
    pub fn checked_record(
        bytes: &'a [u8],
        magic: &[u8; 4],
        version: u16,
        expected: &'static str,
    ) -> Result<Self, WireError> {
        let (bytes, check) =
            bytes.split_last_chunk::<{ blake3::OUT_LEN }>().ok_or(WireError::Truncated("check"))?;
        match blake3::hash(bytes) == *check {
            true => Self::record(bytes, magic, version, expected),
            false => Err(WireError::Invalid("check")),
        }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`] with `what` if there are fewer; the same for every method below.
    pub fn raw(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated(what))?;
        self.rest = rest;
        Ok(head)
    }

    /// Takes a fixed number of bytes.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated(what))?;
        self.rest = rest;
        Ok(*head)
    }

    /// Takes one byte.
    pub fn u8(&mut self, what: &'static str) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array(what)?))
    }

    /// Takes two bytes.
    pub fn u16(&mut self, what: &'static str) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    /// Takes four bytes.
    pub fn u32(&mut self, what: &'static str) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// Takes eight bytes.
    pub fn u64(&mut self, what: &'static str) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// Takes eight bytes, two's complement.
    pub fn i64(&mut self, what: &'static str) -> Result<i64, WireError> {
        Ok(i64::from_le_bytes(self.array(what)?))
    }

    /// Takes a count of 32 bits and that many bytes.
    pub fn counted(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.u32(what)?;
        self.raw(len as usize, what)
    }

    /// Takes a counted string that must be UTF-8.
    ///
    /// # Errors
    /// [`WireError::Invalid`] with `what` if it is not.
    pub fn text(&mut self, what: &'static str) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.counted(what)?).map_err(|_| WireError::Invalid(what))
    }

    /// Takes a count of items that take at least `least` bytes each, so that a lying count cannot reserve memory.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if that many items cannot follow.
    pub fn count(&mut self, least: usize, what: &'static str) -> Result<usize, WireError> {
        let count = self.u32(what)? as usize;
        match count.checked_mul(least) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(WireError::Truncated(what)),
        }
    }

    /// Ends the record.
    ///
    /// # Errors
    /// [`WireError::Trailing`] if bytes are left.
    pub fn finish(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing(left)),
        }
    }
}
