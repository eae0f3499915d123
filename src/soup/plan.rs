//! What becomes of each tensor of a soup: decided from what the models say of their tensors, before any number is read.

use super::layers::{Layer, Layers, depth_of};
use super::method::{Base, Method};
use super::model::{Model, Tensor};
use super::parameters::{Parameter, Parameters, Rescale};
use super::problem::{Problem, Trouble};
use super::values::{Values, fits};
use crate::formula::{Consensus, SUM_MIN, plain_sum};
use crate::tensor::{Dtype, is_real};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// How models are made one.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The method.
    pub method: Method,
    /// Its parameters; of layers that are stacked each slice has its own.
    pub parameters: Parameters,
    /// Layers that are put on top of each other; empty if models are taken as they are.
    pub slices: Vec<Slice>,
    /// What random numbers come from.
    pub seed: u64,
    /// How what is left of differences is scaled up.
    pub rescale: Rescale,
    /// How signs are elected.
    pub consensus: Consensus,
    /// Whether numbers that are to lie between 0 and 1 are kept there.
    pub clamp: bool,
    /// Whether numbers that are not finite count as any other.
    pub allow_nonfinite: bool,
    /// The type of the result, if it is not that of the first model.
    pub dtype: Option<Dtype>,
    /// Tensors that are taken from the first model: parts of names, or patterns of whole ones.
    pub copy: Vec<String>,
}

/// Layers of models that become layers of the result.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// The layers that each model gives, as many of each.
    pub layers: Vec<(usize, Range<u64>)>,
    /// Those of the base, if the method has one.
    pub base: Option<Range<u64>>,
    /// The parameters of the method for these.
    pub parameters: Parameters,
}

/// A tensor of the result.
#[derive(Debug, Clone)]
pub(super) struct Output {
    /// What it is called.
    pub name: String,
    /// Which tensors of which models it is made of.
    pub models: Vec<(usize, Tensor)>,
    /// What differences are counted from.
    pub base: Option<Tensor>,
    /// Its type.
    pub dtype: Dtype,
    /// How it is made.
    pub made: Made,
}

/// How a tensor is made.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Made {
    /// All are the same object: it is that one.
    Same,
    /// It is that of the first model.
    Copied,
    /// It is computed, as these parameters say for this name at this depth.
    Computed { slice: Option<usize>, called: String, depth: f64 },
}

/// What becomes of each tensor, in the order of the first model or of the layers.
pub(super) fn plan(recipe: &Recipe, models: &[Model], base: Option<&Model>) -> Result<Vec<Output>, Trouble> {
    let planner = Planner { recipe, models, base };
    let drafts = if recipe.slices.is_empty() { planner.as_they_are()? } else { planner.stacked()? };
    let mut problems = Trouble::default();
    let mut outputs = Vec::with_capacity(drafts.len());
    // Tensors that are one object everywhere are made once, under one name and at one depth, and stay one object.
    let mut tied: HashMap<Vec<crate::id::ObjectKey>, (String, f64)> = HashMap::new();
    for draft in drafts {
        let keys =
            draft.models.iter().map(|(_, tensor)| tensor.key).chain(draft.base.iter().map(|base| base.key));
        let first = tied.entry(keys.collect()).or_insert_with(|| (draft.name.clone(), draft.depth));
        let (called, depth) = first.clone();
        match planner.decide(Draft { depth, ..draft }, called) {
            Ok(output) => outputs.push(output),
            Err(problem) => problems.add(problem),
        }
    }
    problems.or(outputs)
}

struct Planner<'a> {
    recipe: &'a Recipe,
    models: &'a [Model],
    base: Option<&'a Model>,
}

/// Which tensors face each other.
struct Draft {
    name: String,
    models: Vec<(usize, Tensor)>,
    base: Option<Tensor>,
    slice: Option<usize>,
    depth: f64,
}

impl Planner<'_> {
    /// Each tensor of the first model with those of its name.
    fn as_they_are(&self) -> Result<Vec<Draft>, Trouble> {
        let Some((first, others)) = self.models.split_first() else { return Ok(Vec::new()) };
        let layers = Layers::of(first.tensors().iter().map(|tensor| tensor.info.name.as_str()));
        let mut trouble = Trouble::default();
        let mut drafts = Vec::with_capacity(first.tensors().len());
        for tensor in first.tensors() {
            let name = tensor.info.name.clone();
            let mut faces = vec![(0, tensor.clone())];
            for (number, model) in (1..).zip(others) {
                match model.find(&name) {
                    Some(tensor) => faces.push((number, tensor.clone())),
                    None => trouble.add(Problem::Missing { tensor: name.clone(), model: Some(number) }),
                }
            }
            let base = self.base.map(|base| base.find(&name).cloned());
            if let Some(None) = base {
                trouble.add(Problem::Missing { tensor: name.clone(), model: None });
            }
            let depth = layers.depth(&name);
            drafts.push(Draft { name, models: faces, base: base.flatten(), slice: None, depth });
        }
        for (number, model) in (1..).zip(others) {
            for tensor in model.tensors().iter().filter(|tensor| first.find(&tensor.info.name).is_none()) {
                trouble.add(Problem::Extra { tensor: tensor.info.name.clone(), model: number });
            }
        }
        trouble.or(drafts)
    }

    /// What comes before all layers from the first slice, the layers of each, what comes behind from the last.
    fn stacked(&self) -> Result<Vec<Draft>, Trouble> {
        let slices = &self.recipe.slices;
        let (mut before, mut behind, mut drafts) = (Vec::new(), Vec::new(), Vec::new());
        let mut trouble = Trouble::default();
        if let (Some(first), Some(last)) = (slices.first(), slices.last()) {
            for (at, slice, is_end) in [(0, first, false), (slices.len() - 1, last, true)] {
                let Some((lead, _)) = slice.layers.first() else { continue };
                let outside = self.models[*lead]
                    .tensors()
                    .iter()
                    .filter(|tensor| Layer::of(&tensor.info.name).is_none());
                for tensor in outside {
                    let name = tensor.info.name.as_str();
                    let depth = Layers::default().depth(name);
                    if (depth > 0.0) == is_end {
                        let found =
                            self.faces(slice, |_| name.to_owned(), name.to_owned(), at, depth, &mut trouble);
                        (if is_end { &mut behind } else { &mut before }).extend(found);
                    }
                }
            }
        }
        let mut number = 0;
        for (at, slice) in slices.iter().enumerate() {
            let Some((lead, range)) = slice.layers.first() else { continue };
            let by_layer = self.layers_of(*lead);
            let count = range.end - range.start;
            for offset in 0..count {
                for tensor in by_layer.get(&(range.start + offset)).into_iter().flatten() {
                    let Some(layer) = Layer::of(tensor) else { continue };
                    let called = |start: u64| layer.renumbered(start + offset);
                    let (name, depth) = (layer.renumbered(number), depth_of(offset, count));
                    drafts.extend(self.faces(slice, called, name, at, depth, &mut trouble));
                }
                if !by_layer.contains_key(&(range.start + offset)) {
                    trouble.add(Problem::NoLayer { model: *lead, layer: range.start + offset });
                }
                number += 1;
            }
        }
        before.extend(drafts);
        before.extend(behind);
        trouble.or(before)
    }

    /// The names of a model's tensors by their layer.
    fn layers_of(&self, model: usize) -> BTreeMap<u64, Vec<&str>> {
        let mut layers: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
        for tensor in self.models[model].tensors() {
            if let Some(layer) = Layer::of(&tensor.info.name) {
                layers.entry(layer.number).or_default().push(&tensor.info.name);
            }
        }
        layers
    }

    /// The tensors of a slice's models that are called so where their layers begin.
    fn faces(
        &self,
        slice: &Slice,
        called: impl Fn(u64) -> String,
        name: String,
        at: usize,
        depth: f64,
        trouble: &mut Trouble,
    ) -> Option<Draft> {
        let mut models = Vec::with_capacity(slice.layers.len());
        for (model, range) in &slice.layers {
            let tensor = called(range.start);
            match self.models[*model].find(&tensor) {
                Some(tensor) => models.push((*model, tensor.clone())),
                None => trouble.add(Problem::Missing { tensor, model: Some(*model) }),
            }
        }
        let base = slice.base.as_ref().zip(self.base).map(|(range, base)| {
            let tensor = called(range.start);
            (base.find(&tensor).cloned(), tensor)
        });
        if let Some((None, tensor)) = &base {
            trouble.add(Problem::Missing { tensor: tensor.clone(), model: None });
        }
        let base = base.and_then(|(found, _)| found);
        (models.len() == slice.layers.len()).then_some(Draft { name, models, base, slice: Some(at), depth })
    }

    fn decide(&self, draft: Draft, called: String) -> Result<Output, Problem> {
        let Draft { name, models, base, slice, depth } = draft;
        let (_, first) = &models[0];
        // Differences are of the type of what they are counted from.
        let own = base.as_ref().map_or(first.info.dtype, |base| base.info.dtype);
        let dtype = self.recipe.dtype.filter(|_| is_real(own)).unwrap_or(own);
        let others = || models[1..].iter().map(|(_, tensor)| tensor).chain(&base);
        let is_same = others().all(|tensor| tensor.is_same(first));
        let output = |made, dtype| Output {
            name: name.clone(),
            models: models.clone(),
            base: base.clone(),
            dtype,
            made,
        };
        if self.is_copied(&name) {
            return Ok(output(Made::Copied, first.info.dtype));
        }
        let keeps = self.keeps_what_is_same(slice, &called, depth, models.len());
        if is_same && ((keeps && dtype == first.info.dtype) || !is_real(first.info.dtype)) {
            return Ok(output(Made::Same, first.info.dtype));
        }
        for (model, tensor) in models[1..]
            .iter()
            .map(|(model, tensor)| (Some(*model), tensor))
            .chain(base.iter().map(|base| (None, base)))
        {
            if tensor.info.shape != first.info.shape {
                let (shape, other) = (first.info.shape.clone(), tensor.info.shape.clone());
                return Err(Problem::Shape { tensor: name, shape, other, model });
            }
            if !tensor.info.lies_like(&first.info) {
                return Err(Problem::Order { tensor: name, model });
            }
        }
        if let Some(odd) = std::iter::once(first).chain(others()).find(|tensor| !is_real(tensor.info.dtype)) {
            return Err(Problem::NoFloats { tensor: name.clone(), dtype: odd.info.dtype });
        }
        if models.iter().any(|(model, tensor)| self.has_scales(*model, tensor)) {
            return Err(Problem::Scaled { tensor: name });
        }
        Ok(output(Made::Computed { slice, called, depth }, dtype))
    }

    fn is_copied(&self, name: &str) -> bool {
        self.recipe.copy.iter().any(|pattern| fits(pattern, name))
    }

    /// Whether the method makes of one tensor, given for all models and the base, that tensor.
    fn keeps_what_is_same(&self, slice: Option<usize>, name: &str, depth: f64, models: usize) -> bool {
        let parameters = slice.map_or(&self.recipe.parameters, |slice| &self.recipe.slices[slice].parameters);
        let Ok(settings) = parameters.settings(self.recipe.method, models, name, depth) else { return false };
        match self.recipe.method {
            Method::Linear if settings.normalize => plain_sum(&settings.weights).abs() >= SUM_MIN,
            Method::Linear => (plain_sum(&settings.weights) - 1.0).abs() <= WHOLE,
            Method::Passthrough => settings.scale == 1.0,
            Method::Slerp => settings.t.is_some(),
            _ => true,
        }
    }

    /// Whether what its bytes mean is said by another tensor.
    fn has_scales(&self, model: usize, tensor: &Tensor) -> bool {
        let name = tensor.info.name.as_str();
        let stem = name.strip_suffix(".weight").unwrap_or(name);
        let is_small = tensor.info.dtype.bits() == 8;
        let names = [format!("{name}_scale"), format!("{name}_scale_inv"), format!("{stem}.scale")];
        is_small && names.iter().any(|name| self.models[model].find(name).is_some())
    }
}

/// Weights whose sum is nearer to 1 than this are a whole.
const WHOLE: f64 = 1e-12;

impl Recipe {
    /// The parameters of a slice, or of the whole.
    pub(super) fn parameters_of(&self, slice: Option<usize>) -> &Parameters {
        slice.map_or(&self.parameters, |slice| &self.slices[slice].parameters)
    }

    /// A plain recipe of a method: every parameter as it is by default.
    pub fn of(method: Method) -> Self {
        Self {
            method,
            parameters: Parameters::default(),
            slices: Vec::new(),
            seed: 0,
            rescale: Rescale::default(),
            consensus: Consensus::default(),
            clamp: false,
            allow_nonfinite: false,
            dtype: None,
            copy: Vec::new(),
        }
    }

    /// What has to hold of a recipe for so many models, before anything is read.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, models: usize, has_base: bool) -> Result<(), String> {
        let name = self.method.name();
        match (self.method.base(), has_base) {
            (Base::Required, false) => return Err(format!("{name} needs a base")),
            (Base::None, true) => return Err(format!("{name} has no base")),
            _ => {}
        }
        let (least, most, takes) = self.method.takes();
        let each = self.slices.iter().map(|slice| slice.layers.len());
        let given = if self.slices.is_empty() { vec![models] } else { each.collect() };
        if let Some(given) = given.into_iter().find(|given| !(least..=most).contains(given)) {
            return Err(format!("{name} takes {takes}, and {given} are given"));
        }
        let lengths = |slice: &Slice| {
            let len = |range: &Range<u64>| range.end.checked_sub(range.start);
            let own: Vec<Option<u64>> = slice
                .layers
                .iter()
                .map(|(_, range)| len(range))
                .chain(slice.base.as_ref().map(len))
                .collect();
            own.iter().all(|len| len.is_some() && *len == own[0])
        };
        if !self.slices.iter().all(lengths) {
            return Err("the models of a slice give different numbers of layers".into());
        }
        if self.method == Method::Slerp && !self.says(Parameter::T) {
            return Err("slerp needs `t`: 0 is the first model, 1 the second".into());
        }
        let is_beyond = |point: &f64| !(0.0..=1.0).contains(point);
        let shares = self.said().filter(|(parameter, _)| parameter.is_share());
        let mut beyond =
            shares.filter_map(|(parameter, values)| Some((parameter, values.points().find(is_beyond)?)));
        match beyond.next() {
            Some((parameter, value)) => {
                Err(format!("`{}` is {value}, and must be from 0 to 1", parameter.name()))
            }
            None => Ok(()),
        }
    }

    /// The first pattern of what is said that fits none of these names of tensors.
    pub fn idle_pattern(&self, names: &[String]) -> Option<&str> {
        let is_idle = |pattern: &&str| !names.iter().any(|name| fits(pattern, name));
        self.said().flat_map(|(_, values)| values.patterns()).find(is_idle)
    }

    /// Everything that is said of parameters, for whatever it counts.
    fn said(&self) -> impl Iterator<Item = (Parameter, &Values)> {
        let all = std::iter::once(&self.parameters).chain(self.slices.iter().map(|slice| &slice.parameters));
        let scopes = all.flat_map(|parameters| std::iter::once(&parameters.all).chain(&parameters.each));
        scopes.flatten().map(|(parameter, values)| (*parameter, values))
    }

    fn says(&self, parameter: Parameter) -> bool {
        self.said().any(|(said, _)| said == parameter)
    }
}
