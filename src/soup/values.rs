//! Values of a parameter for each tensor: one number, a gradient over the layers, or either by the names of tensors.

use crate::history::{glob, is_glob};
use std::fmt;
use std::str::FromStr;

/// More points of a gradient than any model has layers; bounds what a recipe can make us keep.
const POINTS_MAX: usize = 10_000;

/// Values by tensors. The first case that a tensor's name fits counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Values(Vec<Case>);

#[derive(Debug, Clone, PartialEq)]
struct Case {
    /// A part of the name, or with `*` and `?` all of it; `None` for every tensor.
    pattern: Option<String>,
    /// One number, or several between which it runs from the first layer to the last.
    points: Vec<f64>,
}

/// A text that says no values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no number, no list of numbers such as [0,0.5,1], and no PATTERN=VALUE")]
pub struct BadValues(pub String);

impl Values {
    /// The same number for every tensor.
    pub fn number(value: f64) -> Self {
        Self(vec![Case { pattern: None, points: vec![value] }])
    }

    /// Puts a case behind the others: for tensors of a name, or all others. `None` for no points, too many, or ones that are
    /// not finite.
    #[must_use]
    pub fn with(mut self, pattern: Option<&str>, points: Vec<f64>) -> Option<Self> {
        let is_fine =
            (1..=POINTS_MAX).contains(&points.len()) && points.iter().all(|point| point.is_finite());
        let pattern = pattern.filter(|pattern| *pattern != "*").map(str::to_owned);
        self.0.push(Case { pattern, points });
        is_fine.then_some(self)
    }

    /// Puts all cases of others behind these.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// The value for a tensor that lies this deep, from 0 for the first layer to 1 for the last; `None` if no case fits.
    pub fn at(&self, name: &str, depth: f64) -> Option<f64> {
        self.0.iter().find(|case| case.fits(name)).map(|case| case.at(depth))
    }

    /// Every number that is said.
    pub fn points(&self) -> impl Iterator<Item = f64> {
        self.0.iter().flat_map(|case| case.points.iter().copied())
    }

    /// The patterns of names that are said.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|case| case.pattern.as_deref())
    }
}

/// Whether a pattern is like a whole name, or without `*` and `?` a part of it.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    if is_glob(pattern) { glob(pattern, name) } else { name.contains(pattern) }
}

impl Case {
    fn fits(&self, name: &str) -> bool {
        match &self.pattern {
            None => true,
            Some(pattern) => fits(pattern, name),
        }
    }

    /// Linear between the points.
    fn at(&self, depth: f64) -> f64 {
        let [only] = self.points.as_slice() else {
            let last = self.points.len() - 1;
            let place = depth.clamp(0.0, 1.0) * last as f64;
            let before = (place as usize).min(last);
            let after = (before + 1).min(last);
            let part = place - before as f64;
            return (1.0 - part) * self.points[before] + part * self.points[after];
        };
        *only
    }
}

impl FromStr for Values {
    type Err = BadValues;

    /// `0.5`, `[0,0.5,1]`, `self_attn=[0,1]`, `*.bias=0`.
    fn from_str(text: &str) -> Result<Self, BadValues> {
        let bad = || BadValues(text.to_owned());
        let (pattern, value) = match text.rsplit_once('=') {
            Some((pattern, value)) if !pattern.is_empty() => (Some(pattern), value),
            Some(_) => return Err(bad()),
            None => (None, text),
        };
        let value = value.trim();
        let list = value.strip_prefix('[').map(|rest| rest.strip_suffix(']').ok_or_else(bad)).transpose()?;
        let points = list.unwrap_or(value).split(',').map(|point| point.trim().parse::<f64>());
        let points: Vec<f64> = points.collect::<Result<_, _>>().map_err(|_| bad())?;
        if list.is_none() && points.len() != 1 {
            return Err(bad());
        }
        Self::default().with(pattern, points).ok_or_else(bad)
    }
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, case) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { " " };
            write!(f, "{gap}")?;
            if let Some(pattern) = &case.pattern {
                write!(f, "{pattern}=")?;
            }
            match case.points.as_slice() {
                [only] => write!(f, "{only}")?,
                points => {
                    let points: Vec<String> = points.iter().map(f64::to_string).collect();
                    write!(f, "[{}]", points.join(","))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(texts: &[&str]) -> Values {
        texts.iter().fold(Values::default(), |all, text| all.and(text.parse().expect(text)))
    }

    #[test]
    fn the_first_case_that_fits_counts() {
        let t = values(&["self_attn=[0,0.5,0.3,0.7,1]", "*.mlp.*=[1,0]", "0.5"]);
        assert_eq!(t.at("model.layers.0.self_attn.q", 0.0), Some(0.0));
        assert_eq!(t.at("model.layers.0.self_attn.q", 0.25), Some(0.5));
        assert_eq!(t.at("model.layers.0.self_attn.q", 0.375), Some(0.4));
        assert_eq!(t.at("model.layers.0.self_attn.q", 1.0), Some(1.0));
        assert_eq!(t.at("model.layers.0.mlp.up", 0.25), Some(0.75));
        assert_eq!(t.at("model.norm", 1.0), Some(0.5));
        assert_eq!(values(&["mlp=0"]).at("norm", 0.0), None);
        assert_eq!(values(&["mlp=0"]).at("mlp", 0.0), Some(0.0));
        assert_eq!(t.to_string(), "self_attn=[0,0.5,0.3,0.7,1] *.mlp.*=[1,0] 0.5");
    }

    #[test]
    fn all_that_is_said_can_be_looked_at() {
        let t = values(&["self_attn=[0,0.5]", "*.mlp.*=2", "1"]);
        assert_eq!(t.points().collect::<Vec<_>>(), [0.0, 0.5, 2.0, 1.0]);
        assert_eq!(t.patterns().collect::<Vec<_>>(), ["self_attn", "*.mlp.*"]);
    }

    #[test]
    fn what_says_no_number_is_refused() {
        for text in ["", "a", "[", "[]", "1,2", "[1,x]", "=1", "nan", "[1,inf]", "mlp="] {
            assert_eq!(text.parse::<Values>(), Err(BadValues(text.into())));
        }
    }
}
