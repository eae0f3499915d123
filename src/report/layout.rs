//! Where everything of a picture stands in a file.

use super::chart::Chart;
use super::scene::Scene;
use super::{bars, heat, lines};

impl Chart {
    /// Where everything stands.
    pub fn scene(&self) -> Scene {
        match self {
            Chart::Lines(chart) => lines::scene(chart),
            Chart::Bars(chart) => bars::scene(chart),
            Chart::Heat(chart) => heat::scene(chart),
        }
    }
}
