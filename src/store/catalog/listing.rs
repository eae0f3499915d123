//! What a look at the folder of packs is worth later: whether what was not there then is still not there.
//!
//! Nobody can set when a folder last changed (its time of change; its time of modification can be set, and is by who
//! copies folders). But clocks of disks have steps: two changes in one step look like one. So a look counts for later
//! only if the folder had not changed for longer than a step when it was looked at: then any change since shows. How
//! long that is needs no clock that agrees with the disk's, only one that goes on.

use std::time::{Duration, Instant, SystemTime};

use crate::disk::{FileId, Stat};

/// The longest step that is known: that of FAT. Most disks have some milliseconds.
const STEP: Duration = Duration::from_secs(2);

/// Which folder it is and when it last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    folder: FileId,
    changed: SystemTime,
}

impl Stamp {
    pub fn of(stat: &Stat) -> Self {
        Self { folder: stat.id, changed: stat.changed }
    }
}

/// The last look.
#[derive(Debug, Default)]
pub struct Listing {
    last: Option<Look>,
}

#[derive(Debug)]
struct Look {
    stamp: Stamp,
    /// When the folder was first seen with this stamp.
    since: Instant,
    at: Instant,
}

impl Listing {
    /// The folder, which had this stamp just before, is being looked at now.
    pub fn look(&mut self, stamp: Option<Stamp>, now: Instant) {
        self.last = stamp.map(|stamp| {
            let before = self.last.as_ref().filter(|last| last.stamp == stamp);
            Look { stamp, since: before.map_or(now, |last| last.since), at: now }
        });
    }

    /// Whether a folder that has this stamp now holds what it held when it was last looked at.
    pub fn holds(&self, stamp: Option<Stamp>) -> bool {
        let last = self.last.as_ref().filter(|last| Some(last.stamp) == stamp);
        last.is_some_and(|last| last.at.duration_since(last.since) > STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that somebody looks at and others change, on a disk whose clock has steps.
    #[test]
    fn whatever_happens_a_look_that_holds_saw_the_last_change() {
        let start = Instant::now();
        let tick = Duration::from_millis(500);
        // Each plan is a row of moments: bit 0 a change, bit 1 a look.
        for plan in 0u32..1 << 20 {
            let (mut listing, mut changed, mut seen, mut changes) = (Listing::default(), 0, 0, 0);
            for moment in 0..10u32 {
                let what = plan >> (2 * moment) & 3;
                let stamp = |changed: u32| {
                    let folder = FileId { device: 1, inode: 1 };
                    // The disk's clock has steps of two seconds: four moments.
                    let changed = SystemTime::UNIX_EPOCH + STEP * (changed / 4);
                    Some(Stamp { folder, changed })
                };
                if what & 2 != 0 {
                    listing.look(stamp(changed), start + tick * moment);
                    seen = changes;
                }
                if what & 1 != 0 {
                    (changed, changes) = (moment, changes + 1);
                }
                assert!(!listing.holds(stamp(changed)) || seen == changes, "plan {plan:b} at {moment}");
            }
        }
    }

    #[test]
    fn a_look_holds_until_the_folder_changes_or_is_another() {
        let (mut listing, start) = (Listing::default(), Instant::now());
        let stamp = |inode, changed| {
            let changed = SystemTime::UNIX_EPOCH + Duration::from_secs(changed);
            Some(Stamp { folder: FileId { device: 1, inode }, changed })
        };
        assert!(!listing.holds(stamp(1, 5)));
        listing.look(stamp(1, 5), start);
        assert!(!listing.holds(stamp(1, 5)), "it may have changed just now");
        listing.look(stamp(1, 5), start + 2 * STEP);
        assert!(listing.holds(stamp(1, 5)));
        assert!(!listing.holds(stamp(1, 6)) && !listing.holds(stamp(2, 5)) && !listing.holds(None));
        listing.look(None, start + 3 * STEP);
        assert!(!listing.holds(None));
    }
}
