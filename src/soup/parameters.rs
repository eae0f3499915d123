//! The parameters of a method, as they are said for all models and for each, and what they are for one tensor.

use super::error::{Error, Result};
use super::method::Method;
use super::values::Values;
use crate::formula::{SUM_MIN, plain_sum};
use std::collections::BTreeMap;
use std::fmt;

/// A parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// How much of a model.
    Weight,
    /// How far from the first to the second: 0 is the first.
    T,
    /// The part of a difference that is kept.
    Density,
    /// How far the probability of a small element is below that of a large one, to either side.
    Epsilon,
    /// What the whole difference to the base is multiplied with.
    Lambda,
    /// Whether the sum is divided by the weights.
    Normalize,
    /// How much of what was there stays with each step.
    Decay,
    /// What a model is multiplied with.
    Scale,
    /// Whether rows have angles of their own.
    FilterWise,
    /// Whether a tensor counts as one vector.
    Flatten,
}

impl Parameter {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Weight,
        Self::T,
        Self::Density,
        Self::Epsilon,
        Self::Lambda,
        Self::Normalize,
        Self::Decay,
        Self::Scale,
        Self::FilterWise,
        Self::Flatten,
    ];

    /// Its name, as recipes have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::T => "t",
            Self::Density => "density",
            Self::Epsilon => "epsilon",
            Self::Lambda => "lambda",
            Self::Normalize => "normalize",
            Self::Decay => "decay",
            Self::Scale => "scale",
            Self::FilterWise => "filter_wise",
            Self::Flatten => "nuslerp_flatten",
        }
    }

    /// Whether it is a part of a whole: from 0 to 1.
    pub const fn is_share(self) -> bool {
        matches!(self, Self::T | Self::Density | Self::Decay)
    }

    /// The parameter of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|parameter| parameter.name() == name)
    }
}

impl Method {
    /// The parameters that it goes by.
    pub const fn parameters(self) -> &'static [Parameter] {
        use Parameter::{Decay, Density, Epsilon, FilterWise, Flatten, Lambda, Normalize, Scale, T, Weight};
        match self {
            Self::Linear => &[Weight, Normalize],
            Self::Slerp => &[T],
            Self::Nuslerp => &[Weight, Flatten],
            Self::TaskArithmetic => &[Weight, Lambda, Normalize],
            Self::Ties | Self::DareLinear | Self::DareTies => &[Weight, Density, Lambda, Normalize],
            Self::Della | Self::DellaLinear => &[Weight, Density, Epsilon, Lambda, Normalize],
            Self::ModelStock => &[FilterWise],
            Self::Ema => &[Decay],
            Self::Passthrough => &[Scale],
        }
    }
}

/// What was said of some parameters.
pub type Scope = BTreeMap<Parameter, Values>;

/// What was said of the parameters of a method.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameters {
    /// For all models.
    pub all: Scope,
    /// For each model, before what is said for all.
    pub each: Vec<Scope>,
}

/// How what is left of a difference is scaled up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rescale {
    /// To the sum of absolute values that it had.
    #[default]
    L1,
    /// By the part that is left.
    Inverse,
    /// Not at all.
    None,
}

/// What the parameters are for one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Of each model.
    pub weights: Vec<f64>,
    /// Of each model.
    pub densities: Vec<f64>,
    /// Between two.
    pub t: Option<f64>,
    /// See [`Parameter::Epsilon`].
    pub epsilon: f64,
    /// See [`Parameter::Lambda`].
    pub lambda: f64,
    /// See [`Parameter::Normalize`].
    pub normalize: bool,
    /// See [`Parameter::Decay`].
    pub decay: f64,
    /// See [`Parameter::Scale`].
    pub scale: f64,
    /// Whether rows have scalars of their own.
    pub by_rows: bool,
}

impl Parameters {
    /// What they are for a tensor of this name that lies this deep, of so many models.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::OutOfRange`], [`Error::ZeroSum`].
    pub fn settings(&self, method: Method, models: usize, name: &str, depth: f64) -> Result<Settings> {
        let of = |model: Option<usize>, parameter: Parameter| {
            let own = model.and_then(|model| self.each.get(model)?.get(&parameter)?.at(name, depth));
            own.or_else(|| self.all.get(&parameter)?.at(name, depth))
        };
        // What is said for one model only counts for all where there is but one value.
        let one = |parameter| {
            of(None, parameter).or_else(|| (0..models).find_map(|model| of(Some(model), parameter)))
        };
        let each = |parameter, default: Option<f64>| -> Result<Vec<f64>> {
            let value = |model| {
                let tensor = || name.to_owned();
                let missing = || Error::Missing {
                    method: method.name(),
                    parameter: Parameter::name(parameter),
                    tensor: tensor(),
                };
                of(Some(model), parameter).or(default).ok_or_else(missing)
            };
            (0..models).map(value).collect()
        };
        let is_set = |parameter, default: bool| one(parameter).map_or(default, |value| value != 0.0);
        let settings = Settings {
            weights: each(Parameter::Weight, Some(1.0))?,
            densities: each(Parameter::Density, Some(1.0))?,
            t: one(Parameter::T),
            epsilon: one(Parameter::Epsilon).unwrap_or(0.15),
            lambda: one(Parameter::Lambda).unwrap_or(1.0),
            normalize: is_set(
                Parameter::Normalize,
                matches!(method, Method::Linear | Method::Ties | Method::Della),
            ),
            decay: one(Parameter::Decay).unwrap_or(0.999),
            scale: one(Parameter::Scale).unwrap_or(1.0),
            by_rows: match method {
                Method::Nuslerp => !is_set(Parameter::Flatten, true),
                _ => is_set(Parameter::FilterWise, false),
            },
        };
        settings.check(method, name)?;
        Ok(settings)
    }
}

impl fmt::Display for Parameters {
    /// `density=0.5; weight of 1=0.3; weight of 2=0.7`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.iter().map(|(parameter, values)| format!("{}={values}", parameter.name()));
        let each = self.each.iter().enumerate().flat_map(|(model, own)| {
            own.iter()
                .map(move |(parameter, values)| format!("{} of {}={values}", parameter.name(), model + 1))
        });
        f.write_str(&all.chain(each).collect::<Vec<_>>().join("; "))
    }
}

impl Settings {
    fn check(&self, method: Method, tensor: &str) -> Result<()> {
        let within = |parameter: Parameter, value: f64, is_fine: bool, allowed| match is_fine {
            true => Ok(()),
            false => Err(Error::OutOfRange {
                parameter: parameter.name(),
                value,
                tensor: tensor.to_owned(),
                allowed,
            }),
        };
        for density in &self.densities {
            within(Parameter::Density, *density, (0.0..=1.0).contains(density), "from 0 to 1")?;
            let is_ranked = matches!(method, Method::Della | Method::DellaLinear) && *density < 1.0;
            let reaches = *density - self.epsilon > 0.0 && *density + self.epsilon < 1.0;
            let allowed = "so small that density - epsilon and density + epsilon are between 0 and 1";
            within(Parameter::Epsilon, self.epsilon, !is_ranked || reaches, allowed)?;
        }
        match self.t {
            Some(t) => within(Parameter::T, t, (0.0..=1.0).contains(&t), "from 0 to 1")?,
            None if method == Method::Slerp => {
                let (method, parameter) = (method.name(), Parameter::T.name());
                return Err(Error::Missing { method, parameter, tensor: tensor.to_owned() });
            }
            None => {}
        }
        if method == Method::Linear && self.normalize && plain_sum(&self.weights).abs() < SUM_MIN {
            return Err(Error::ZeroSum { tensor: tensor.to_owned() });
        }
        within(Parameter::Decay, self.decay, (0.0..=1.0).contains(&self.decay), "from 0 to 1")
    }
}
