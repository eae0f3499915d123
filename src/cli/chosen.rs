//! Which branches or tags are listed: those whose commits stand so to others.

use super::context::Place;
use super::error::Result;
use crate::history::CommitGraph;
use crate::id::CommitId;

/// What the commit that a ref names has to be. Everything that is said has to hold.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ChosenArgs {
    /// Only those that have this commit
    #[arg(long, value_name = "REF", num_args = 0..=1, default_missing_value = "HEAD")]
    contains: Option<String>,
    /// Only those that do not have it
    #[arg(long, value_name = "REF", num_args = 0..=1, default_missing_value = "HEAD")]
    no_contains: Option<String>,
    /// Only those that are at this commit
    #[arg(long, value_name = "REF", num_args = 0..=1, default_missing_value = "HEAD")]
    points_at: Option<String>,
    /// Only those whose commits this one has all
    #[arg(long, value_name = "REF", num_args = 0..=1, default_missing_value = "HEAD")]
    merged: Option<String>,
    /// Only those that have commits which this one has not
    #[arg(long, value_name = "REF", num_args = 0..=1, default_missing_value = "HEAD")]
    no_merged: Option<String>,
}

impl ChosenArgs {
    /// Whether something is said.
    pub fn is_said(&self) -> bool {
        let Self { contains, no_contains, points_at, merged, no_merged } = self;
        [contains, no_contains, points_at, merged, no_merged].into_iter().any(Option::is_some)
    }

    /// Whether a ref is one of those that are wanted, which names this commit.
    pub fn takes(&self, place: &Place, commit: CommitId) -> Result<bool> {
        let graph = CommitGraph::of(&place.repo);
        let has = |said: &str| graph.is_ancestor(place.repo.resolve(said, place.now())?, commit);
        let is_in = |said: &str| graph.is_ancestor(commit, place.repo.resolve(said, place.now())?);
        let is_at = |said: &str| Ok(place.repo.resolve(said, place.now())? == commit);
        let holds =
            |said: &Option<String>, wanted: bool, test: &dyn Fn(&str) -> crate::history::Result<bool>| {
                said.as_deref().map_or(Ok(true), |said| Ok::<_, crate::history::Error>(test(said)? == wanted))
            };
        Ok(holds(&self.contains, true, &has)?
            && holds(&self.no_contains, false, &has)?
            && holds(&self.points_at, true, &is_at)?
            && holds(&self.merged, true, &is_in)?
            && holds(&self.no_merged, false, &is_in)?)
    }
}
