//! How alike two tensors are, in one word.

use crate::tensor::Difference;

/// A class of likeness: the same bytes, or by the cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Category {
    /// The same bytes.
    Identical,
    /// Others, at a cosine of at least 0.9999: what the original calls identical as well.
    Near,
    /// At least 0.99.
    Minor,
    /// At least 0.9.
    Moderate,
    /// Less.
    Major,
}

impl Category {
    /// All of them, the most alike first.
    pub const ALL: [Self; 5] = [Self::Identical, Self::Near, Self::Minor, Self::Moderate, Self::Major];

    /// The class of tensors at a cosine that are the same bytes, or not. However near others are, they are not identical: what
    /// somebody deletes because it is there already must be there.
    pub fn of(is_same: bool, cosine: f64) -> Self {
        match cosine {
            _ if is_same => Self::Identical,
            c if c >= 0.9999 => Self::Near,
            c if c >= 0.99 => Self::Minor,
            c if c >= 0.9 => Self::Moderate,
            _ => Self::Major,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Near => "nearly identical",
            Self::Minor => "minor",
            Self::Moderate => "moderate",
            Self::Major => "major",
        }
    }
}

/// How alike two tensors are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// The cosine between them.
    pub cosine: f64,
    /// The smaller norm in parts of the larger one; 1 if both are zero.
    pub magnitude: f64,
    /// The root of the mean squared difference.
    pub rmse: f64,
    /// The largest absolute difference.
    pub max: f64,
}

impl From<&Difference> for Likeness {
    fn from(difference: &Difference) -> Self {
        let (old, new) = (difference.old_norm(), difference.new_norm());
        let magnitude = if old.max(new) == 0.0 { 1.0 } else { old.min(new) / old.max(new) };
        Self { cosine: difference.cosine(), magnitude, rmse: difference.rms(), max: difference.max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Dtype;

    #[test]
    fn classes_begin_where_they_say() {
        let names = [1.0, 0.9999, 0.9998, 0.99, 0.989, 0.9, 0.8, -1.0]
            .map(|cosine| Category::of(false, cosine).name());
        let near = "nearly identical";
        assert_eq!(names, [near, near, "minor", "minor", "moderate", "moderate", "major", "major"]);
        // Of nothing but zeros there is no angle.
        assert_eq!(Category::of(true, 0.0), Category::Identical);
    }

    #[test]
    fn norms_are_compared_the_smaller_with_the_larger() {
        let bytes = |value: f64| value.to_le_bytes();
        let likeness = |old: f64, new: f64| {
            let found = Difference::between((Dtype::F64, &bytes(old)), (Dtype::F64, &bytes(new)));
            Likeness::from(&found.expect("numbers"))
        };
        assert_eq!(likeness(4.0, 2.0), Likeness { cosine: 1.0, magnitude: 0.5, rmse: 2.0, max: 2.0 });
        assert_eq!(likeness(0.0, 0.0).magnitude, 1.0);
    }
}
