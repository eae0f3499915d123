//! The methods, by the names that the field has for them.

/// How models are made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The weighted sum.
    Linear,
    /// Along the arc between two (Shoemake 1985).
    Slerp,
    /// The same, of all lengths and angles, also of differences to a base.
    Nuslerp,
    /// A base and weighted differences to it (Ilharco et al. 2023).
    TaskArithmetic,
    /// Of each difference the largest part, of these where most agree about the sign (Yadav et al. 2023).
    Ties,
    /// Of each difference a random part, scaled up (Yu et al. 2024).
    DareLinear,
    /// The same where most agree about the sign.
    DareTies,
    /// Of each difference a random part, large ones likelier, where most agree about the sign (Deep et al. 2024).
    Della,
    /// The same without the signs.
    DellaLinear,
    /// Between a base and the mean, by the angles between the differences (Jang et al. 2024).
    ModelStock,
    /// A moving average, the oldest first.
    Ema,
    /// One model as it is, or scaled.
    Passthrough,
}

/// What a method has to do with a base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// It has none.
    None,
    /// It may have one.
    Allowed,
    /// It is about differences to one.
    Required,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Linear,
        Self::Slerp,
        Self::Nuslerp,
        Self::TaskArithmetic,
        Self::Ties,
        Self::DareLinear,
        Self::DareTies,
        Self::Della,
        Self::DellaLinear,
        Self::ModelStock,
        Self::Ema,
        Self::Passthrough,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Slerp => "slerp",
            Self::Nuslerp => "nuslerp",
            Self::TaskArithmetic => "task-arithmetic",
            Self::Ties => "ties",
            Self::DareLinear => "dare-linear",
            Self::DareTies => "dare-ties",
            Self::Della => "della",
            Self::DellaLinear => "della-linear",
            Self::ModelStock => "model-stock",
            Self::Ema => "ema",
            Self::Passthrough => "passthrough",
        }
    }

    /// The method of a name, with `-` or `_`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// What it has to do with a base.
    pub const fn base(self) -> Base {
        match self {
            Self::Linear | Self::Slerp | Self::Ema | Self::Passthrough => Base::None,
            Self::Nuslerp => Base::Allowed,
            Self::TaskArithmetic
            | Self::Ties
            | Self::DareLinear
            | Self::DareTies
            | Self::Della
            | Self::DellaLinear
            | Self::ModelStock => Base::Required,
        }
    }

    /// Of how many models it makes one: at least, and at most.
    pub const fn takes(self) -> (usize, usize, &'static str) {
        match self {
            Self::Slerp | Self::Nuslerp => (2, 2, "two models"),
            Self::ModelStock => (2, usize::MAX, "two models or more"),
            Self::Passthrough => (1, 1, "one model"),
            _ => (1, usize::MAX, "one model or more"),
        }
    }

    /// Whether only those elements count that agree with most about the sign.
    pub const fn elects_signs(self) -> bool {
        matches!(self, Self::Ties | Self::DareTies | Self::Della)
    }

    /// Whether it draws random numbers.
    pub const fn is_random(self) -> bool {
        matches!(self, Self::DareLinear | Self::DareTies | Self::Della | Self::DellaLinear)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_methods() {
        for method in Method::ALL {
            assert_eq!(Method::from_name(method.name()), Some(method));
            assert_eq!(Method::from_name(&method.name().replace('-', "_")), Some(method));
        }
        assert_eq!(Method::from_name("stew"), None);
    }
}
