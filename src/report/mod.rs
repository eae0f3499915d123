//! Pictures of a history, from numbers to a drawing, a PNG or text.
//!
//! Numbers become a [`Chart`], which is data; a [`Scene`] is where its lines, boxes and words stand, and one layout serves all
//! files. Terminals have a layout of their own. Knows no repository and reads nothing: who asks brings the numbers.

mod axis;
mod bars;
mod chart;
mod colour;
mod heat;
mod layout;
mod lines;
mod png;
mod scene;
mod svg;
mod terminal;

pub use axis::Unit;
pub use chart::{Bars, Chart, Heat, Lines, Series};
pub use colour::Colour;
pub use png::{PictureError, png};
pub use scene::Scene;
pub use svg::svg;
pub use terminal::{Span, terminal};
