//! One day in `by-date/`: a link to each of its commits, by the time.

use crate::worktree::NodeAttributes;

use super::super::attr::{Attr, Kind};
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::{Top, date_names};
use super::super::place::{Day, Link, Place};
use super::super::superblock::Superblock;
use super::found::{Found, listed, listing};
use super::interface::{Node, folder_attr};

/// Digits of a commit's id in a name.
const DIGITS: usize = 12;

impl Node for Day {
    fn kind(&self) -> Option<Kind> {
        Some(Kind::Dir)
    }

    fn attr(&self, ino: u64, shared: &Superblock, _: Option<NodeAttributes>) -> Result<Attr> {
        Ok(folder_attr(ino, shared))
    }

    fn child(&self, shared: &Superblock, name: &[u8]) -> Result<Option<Found>> {
        let link = links(shared, &self.0)?.into_iter().find(|(known, _)| known.as_bytes() == name);
        Ok(link.map(|(_, link)| Place::Link(link).into()))
    }

    fn children(&self, shared: &Superblock) -> Result<Listing> {
        let links = links(shared, &self.0)?.into_iter();
        Ok(listing(links.map(|(name, link)| listed(name, Kind::Symlink, Place::Link(link))).collect()))
    }
}

fn links(shared: &Superblock, day: &str) -> Result<Vec<(String, Link)>> {
    let newest = shared.history.newest(&shared.repo)?;
    let of_day = newest.iter().rev().filter_map(|shown| {
        let (_, time) = date_names(shown.time).filter(|(date, _)| date == day)?;
        let id = shown.id.to_string();
        let target = Link(format!("../../{}/{id}", Top::Commits.name()));
        Some((format!("{time}.{}", &id[..DIGITS]), target))
    });
    Ok(of_day.collect())
}
