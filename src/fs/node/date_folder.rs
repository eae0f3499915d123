//! `by-date/`: the days that have commits, in UTC.

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::date_names;
use super::super::place::{Day, Place};
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing};
use super::interface::{Node, folder_attr};

/// The kind.
pub struct DateFolder;

impl Node for DateFolder {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let day = days(shared)?.into_iter().find(|day| day.as_bytes() == name);
        Ok(day.map(|day| Place::Day(Day(day)).into()))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let days = days(shared)?.into_iter();
        Ok(listing(days.map(|day| listed(day.clone(), Kind::Dir, Place::Day(Day(day)))).collect()))
    }
}

fn days(shared: &Superblock) -> Result<Vec<String>> {
    let newest = shared.history.newest(&shared.repo)?;
    let mut days: Vec<String> = newest.iter().filter_map(|shown| Some(date_names(shown.time)?.0)).collect();
    days.sort();
    days.dedup();
    Ok(days)
}
