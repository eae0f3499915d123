//! Whom files belong to in a mount, and what they let others do: what is shown, whatever is recorded.

use super::attr::Kind;

/// Permission bits that let anybody run a file.
const RUN: u32 = 0o111;

/// Whom files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Which permissions nothing has; everything has all others then, instead of what is recorded.
    pub umask: Option<u32>,
}

impl Owner {
    /// The user of this process, and permissions as they are recorded.
    pub fn of_process() -> Self {
        // SAFETY: geteuid and getegid have no preconditions and cannot fail.
        unsafe { Self { uid: libc::geteuid(), gid: libc::getegid(), umask: None } }
    }

    /// The permissions that are shown of what has these.
    pub(super) fn shown_mode(&self, kind: Kind, mode: u32) -> u32 {
        let Some(umask) = self.umask else { return mode };
        let all = match kind {
            Kind::Dir | Kind::Symlink => 0o777,
            Kind::File if mode & RUN != 0 => 0o777,
            Kind::File => 0o666,
        };
        all & !umask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_takes_the_place_of_what_is_recorded() {
        let owner = Owner::of_process();
        assert_eq!(owner.shown_mode(Kind::File, 0o4600), 0o4600);
        let owner = Owner { umask: Some(0o27), ..owner };
        assert_eq!(owner.shown_mode(Kind::File, 0o600), 0o640);
        assert_eq!(owner.shown_mode(Kind::File, 0o4100), 0o750);
        assert_eq!(owner.shown_mode(Kind::Dir, 0o700), 0o750);
    }
}
