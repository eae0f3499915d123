//! What folders of refs have in common: names with slashes become folders in folders.

use std::str;

use super::super::attr::Kind;
use super::super::errno::Result;
use super::super::handle::Listing;
use super::super::namespace::{RefChild, ref_children};
use super::super::place::Place;
use super::super::superblock::Superblock;
use super::found::{listed, listing};

/// The names of all branches that have worktrees.
pub(super) fn branch_texts(shared: &Superblock) -> Result<Vec<String>> {
    Ok(shared.worktrees.branch_names()?.into_iter().map(|name| name.to_string()).collect())
}

/// The names of all tags.
pub(super) fn tag_texts(shared: &Superblock) -> Result<Vec<String>> {
    Ok(shared
        .repo
        .refs()
        .tags()?
        .into_iter()
        .filter(|(name, _)| !name.is_kept())
        .map(|(name, _)| name.to_string())
        .collect())
}

/// The directories in a folder of refs: `group` of those that are folders again, `leaf` of those that are refs, if they are
/// still there.
pub(super) fn ref_list(
    names: &[String],
    prefix: &str,
    group: impl Fn(String) -> Place,
    leaf: impl Fn(&str) -> Result<Option<Place>>,
) -> Result<Listing> {
    let mut list = Vec::new();
    for (name, child) in ref_children(names.iter().map(String::as_str), prefix) {
        let place = match child {
            RefChild::Group(prefix) => Some(group(prefix)),
            RefChild::Leaf(name) => leaf(&name)?,
        };
        list.extend(place.map(|place| listed(&name, Kind::Dir, place)));
    }
    Ok(listing(list))
}

/// What a component means in a folder of refs, without looking what the leaves are.
pub(super) fn ref_child(names: &[String], prefix: &str, name: &[u8]) -> Option<RefChild> {
    let name = str::from_utf8(name).ok()?;
    let children = ref_children(names.iter().map(String::as_str), prefix);
    children.into_iter().find(|(component, _)| component == name).map(|(_, child)| child)
}
