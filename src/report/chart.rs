//! What a picture shows: numbers with their names, and nothing of how they are drawn.

use super::axis::Unit;

/// A picture as data.
#[derive(Debug, Clone, PartialEq)]
pub enum Chart {
    /// Curves over one axis.
    Lines(Lines),
    /// How many of what.
    Bars(Bars),
    /// A value for each pair of a row and a column.
    Heat(Heat),
}

/// Curves over one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Lines {
    /// What is shown.
    pub title: String,
    /// What the horizontal axis counts.
    pub x: String,
    /// What the vertical axis counts.
    pub y: String,
    /// How values are written.
    pub unit: Unit,
    /// Whether the vertical axis counts by powers of ten; values that are not above zero are left out then.
    pub is_log: bool,
    /// Whether the last value of a curve stands beside its name.
    pub tells_ends: bool,
    /// The curves.
    pub series: Vec<Series>,
}

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What it is called.
    pub name: String,
    /// Its points, from the left to the right; all are finite.
    pub points: Vec<(f64, f64)>,
}

/// How many of what: counts of values in intervals of one width.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    /// What is shown.
    pub title: String,
    /// More of it, in words.
    pub note: String,
    /// What is counted.
    pub x: String,
    /// Where the first interval begins and the last one ends.
    pub range: (f64, f64),
    /// How many are in each interval.
    pub counts: Vec<u64>,
}

/// A value for each pair of a row and a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// What is shown.
    pub title: String,
    /// What a value is.
    pub value: String,
    /// What columns are.
    pub columns_are: String,
    /// Their names.
    pub columns: Vec<String>,
    /// The rows: each with its name and a value for each column, where there is one.
    pub rows: Vec<(String, Vec<Option<f64>>)>,
}

impl Heat {
    /// The least and the greatest value above zero; `None` if there is none.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let values = self.rows.iter().flat_map(|(_, values)| values.iter().flatten().copied());
        let above = values.filter(|value| *value > 0.0 && value.is_finite());
        above.fold(None, |range, value| match range {
            None => Some((value, value)),
            Some((least, most)) => Some((value.min(least), value.max(most))),
        })
    }

    /// How far up the scale a value is, from 0 to 1: by powers, since changes of layers differ by orders.
    pub(super) fn share(range: (f64, f64), value: f64) -> f64 {
        let (least, most) = range;
        match value > 0.0 && most > least {
            true => ((value / least).ln() / (most / least).ln()).clamp(0.0, 1.0),
            false => f64::from(u8::from(value > 0.0)),
        }
    }
}
