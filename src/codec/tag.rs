//! The codes that say how a frame is stored. A code is never reused; `docs/codec.md` has every byte behind it.

/// How a frame is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Tag {
    /// The bytes themselves.
    Raw = 0,
    /// Nothing: the base's bytes.
    Same = 1,
    /// A magicless zstd frame of the bytes.
    Zstd = 2,
    /// An LZ4 block of the bytes.
    Lz4 = 3,
    /// Byte planes of the words (floats rotated).
    Planes = 4,
    /// Byte planes of the folded difference of ranks.
    OrderedPlanes = 5,
    /// Byte planes of the rotated exclusive or.
    XorPlanes = 6,
    /// The context coder against the base.
    Context = 7,
    /// The period that the bytes repeat.
    Repeat = 8,
}

impl Tag {
    pub(super) const ALL: [Tag; 9] = [
        Tag::Raw,
        Tag::Same,
        Tag::Zstd,
        Tag::Lz4,
        Tag::Planes,
        Tag::OrderedPlanes,
        Tag::XorPlanes,
        Tag::Context,
        Tag::Repeat,
    ];

    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    pub(super) const fn needs_base(self) -> bool {
        match self {
            Tag::Raw | Tag::Zstd | Tag::Lz4 | Tag::Planes | Tag::Repeat => false,
            Tag::Same | Tag::OrderedPlanes | Tag::XorPlanes | Tag::Context => true,
        }
    }
}

/// The tag of frames that are stored as they are.
pub const RAW_TAG: u8 = Tag::Raw.code();

/// Whether frames with this tag decode only with a base.
pub fn tag_needs_base(tag: u8) -> bool {
    Tag::from_code(tag).is_some_and(Tag::needs_base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_their_tags() {
        for tag in Tag::ALL {
            assert_eq!(Tag::from_code(tag.code()), Some(tag));
        }
        assert!(!tag_needs_base(255));
    }
}
