//! Recipes as mergekit's users write them: `merge_method`, `models` or `slices`, `base_model`, `parameters`, `dtype`. Models
//! are revisions. What a recipe says and this does not do is refused by name.

use super::method::{Base, Method};
use super::parameters::{Parameter, Parameters, Rescale, Scope};
use super::plan::{Recipe, Slice};
use super::values::Values;
use super::yaml::{Yaml, YamlError, parse};
use crate::tensor::Dtype;
use std::ops::Range;

/// A recipe, and the names of the models that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedRecipe {
    /// How they are made one.
    pub recipe: Recipe,
    /// Their names, in the order in which the recipe numbers them.
    pub models: Vec<String>,
    /// What differences are counted from.
    pub base: Option<String>,
}

type Result<T> = std::result::Result<T, YamlError>;

fn refused<T>(why: impl Into<String>) -> Result<T> {
    Err(YamlError(why.into()))
}

/// Reads a recipe.
///
/// # Errors
/// [`YamlError`] in words.
pub fn read_recipe(text: &str) -> Result<NamedRecipe> {
    let top = Fields::of(parse(text)?, "a recipe")?;
    let mut top = top;
    let method =
        top.text("merge_method")?.ok_or_else(|| YamlError("a recipe has a `merge_method`".into()))?;
    let Some(method_known) = Method::from_name(&method) else {
        return refused(format!("`{method}` is no method that is known here"));
    };
    let mut recipe = Recipe::of(method_known);
    let base_model = top.text("base_model")?;
    let all = top.scope(&mut recipe)?;
    // Numbers are computed as `f64` whatever this says: it only decides about the result, unless that is said as well.
    let (dtype, out_dtype) = (top.text("dtype")?, top.text("out_dtype")?);
    recipe.dtype = out_dtype.or(dtype).map(|name| dtype_of(&name)).transpose()?;
    let (models, slices) = (top.list("models")?, top.list("slices")?);
    top.end()?;
    let mut named = NamedRecipe { recipe, models: Vec::new(), base: None };
    match (models, slices) {
        (Some(models), None) => whole_models(&mut named, models, base_model, all)?,
        (None, Some(slices)) => stacked(&mut named, slices, base_model, &all)?,
        _ => return refused("a recipe has either `models` or `slices`"),
    }
    Ok(named)
}

fn whole_models(named: &mut NamedRecipe, models: Vec<Yaml>, base: Option<String>, all: Scope) -> Result<()> {
    let mut entries = Vec::new();
    for model in models {
        let mut fields = Fields::of(model, "a model")?;
        let name = fields.text("model")?.ok_or_else(|| YamlError("each of `models` has a `model`".into()))?;
        let scope = fields.scope(&mut named.recipe)?;
        fields.end()?;
        entries.push((name, scope));
    }
    let (entries, base) = apart(named.recipe.method, entries, base, |(name, _)| name)?;
    named.base = base;
    let (models, each) = entries.into_iter().unzip();
    named.models = models;
    named.recipe.parameters = Parameters { all, each };
    Ok(())
}

/// The models without the base, of methods that have one; of an arc between two the base comes first.
fn apart<T>(
    method: Method,
    mut entries: Vec<T>,
    base: Option<String>,
    name: impl Fn(&T) -> &String,
) -> Result<(Vec<T>, Option<String>)> {
    let Some(base) = base else { return Ok((entries, None)) };
    match method.base() {
        Base::None => {
            if let (Method::Slerp, Some(at)) = (method, entries.iter().position(|entry| *name(entry) == base))
            {
                entries[..=at].rotate_right(1);
            }
            Ok((entries, None))
        }
        Base::Allowed | Base::Required => {
            entries.retain(|entry| *name(entry) != base);
            Ok((entries, Some(base)))
        }
    }
}

fn stacked(named: &mut NamedRecipe, slices: Vec<Yaml>, base: Option<String>, all: &Scope) -> Result<()> {
    let method = named.recipe.method;
    for slice in slices {
        let mut fields = Fields::of(slice, "a slice")?;
        let of_slice = fields.scope(&mut named.recipe)?;
        let sources = fields.list("sources")?.ok_or_else(|| YamlError("each slice has `sources`".into()))?;
        fields.end()?;
        let mut entries = Vec::new();
        for source in sources {
            let mut fields = Fields::of(source, "a source")?;
            let name = fields.text("model")?.ok_or_else(|| YamlError("each source has a `model`".into()))?;
            let layers = layer_range(fields.list("layer_range")?)?;
            let scope = fields.scope(&mut named.recipe)?;
            fields.end()?;
            entries.push((name, layers, scope));
        }
        let of_base = base.as_ref().and_then(|base| entries.iter().find(|(name, ..)| name == base));
        let base_layers = of_base.or(entries.first()).map(|(_, layers, _)| layers.clone());
        let (entries, has_base) = apart(method, entries, base.clone(), |(name, ..)| name)?;
        named.base = has_base.or(named.base.take());
        let mut parameters = Parameters { all: over(&of_slice, all), each: Vec::new() };
        let mut layers = Vec::new();
        for (name, range, scope) in entries {
            parameters.each.push(over(&scope, &of_slice));
            layers.push((number_of(&mut named.models, name), range));
        }
        let base = base_layers.filter(|_| named.base.is_some());
        named.recipe.slices.push(Slice { layers, base, parameters });
    }
    match named.recipe.slices.is_empty() || named.recipe.slices.iter().any(|slice| slice.layers.is_empty()) {
        true => refused("a slice without a model"),
        false => Ok(()),
    }
}

/// What is said here, and else what is said around it.
fn over(here: &Scope, around: &Scope) -> Scope {
    let mut all = around.clone();
    for (parameter, values) in here {
        let behind = around.get(parameter).cloned().unwrap_or_default();
        all.insert(*parameter, values.clone().and(behind));
    }
    all
}

fn number_of(models: &mut Vec<String>, name: String) -> usize {
    models.iter().position(|known| *known == name).unwrap_or_else(|| {
        models.push(name);
        models.len() - 1
    })
}

/// More layers than any model has: each that is missing is named.
const LAYERS_MAX: u64 = 1 << 16;

fn layer_range(list: Option<Vec<Yaml>>) -> Result<Range<u64>> {
    let number = |value: &Yaml| match value {
        Yaml::Scalar(text) => text.parse::<u64>().ok(),
        Yaml::List(_) | Yaml::Map(_) => None,
    };
    match list.as_deref() {
        Some([from, to]) => match (number(from), number(to)) {
            (Some(from), Some(to)) if from < to && to <= LAYERS_MAX => Ok(from..to),
            (Some(_), Some(to)) if to > LAYERS_MAX => refused("a `layer_range` ends at 65536 or before"),
            _ => refused("a `layer_range` is [first, behind the last]"),
        },
        _ => refused("each source has a `layer_range` of two numbers"),
    }
}

fn dtype_of(name: &str) -> Result<Dtype> {
    Ok(match name {
        "float16" | "fp16" => Dtype::F16,
        "bfloat16" | "bf16" => Dtype::Bf16,
        "float32" | "fp32" => Dtype::F32,
        "float64" => Dtype::F64,
        other => return refused(format!("`{other}` is no type of a result")),
    })
}

/// The fields of a map, taken one by one: what is left in the end was not meant.
struct Fields {
    what: &'static str,
    left: Vec<(String, Yaml)>,
}

impl Fields {
    fn of(yaml: Yaml, what: &'static str) -> Result<Self> {
        match yaml {
            Yaml::Map(left) => Ok(Self { what, left }),
            Yaml::Scalar(_) | Yaml::List(_) => refused(format!("{what} is a map")),
        }
    }

    fn take(&mut self, name: &str) -> Option<Yaml> {
        let at = self.left.iter().position(|(known, _)| known == name)?;
        Some(self.left.remove(at).1)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Yaml::Scalar(text)) => Ok((!matches!(text.as_str(), "" | "~" | "null")).then_some(text)),
            Some(_) => refused(format!("`{name}` of {} is one word", self.what)),
        }
    }

    fn list(&mut self, name: &str) -> Result<Option<Vec<Yaml>>> {
        match self.take(name) {
            None => Ok(None),
            Some(Yaml::List(list)) => Ok(Some(list)),
            Some(_) => refused(format!("`{name}` of {} is a list", self.what)),
        }
    }

    /// The parameters that are said here. What is said of the whole recipe goes there.
    fn scope(&mut self, recipe: &mut Recipe) -> Result<Scope> {
        let mut scope = Scope::new();
        let Some(parameters) = self.take("parameters") else { return Ok(scope) };
        for (name, value) in Fields::of(parameters, "`parameters`")?.left {
            match (name.as_str(), Parameter::from_name(&name)) {
                (_, Some(parameter)) if !recipe.method.parameters().contains(&parameter) => {
                    return refused(format!("`{name}` is no parameter of {}", recipe.method.name()));
                }
                (_, Some(parameter)) => {
                    scope.insert(parameter, values(&name, value)?);
                }
                // It saves memory there, and changes nothing.
                ("int8_mask", None) => {}
                ("rescale", None) => {
                    let said = values(&name, value)?.at("", 1.0);
                    recipe.rescale = if said == Some(0.0) { Rescale::None } else { Rescale::L1 };
                }
                ("nuslerp_row_wise", None) if values(&name, value.clone())?.at("", 1.0) == Some(0.0) => {}
                _ => return refused(format!("`{name}` is no parameter that is known here")),
            }
        }
        Ok(scope)
    }

    fn end(self) -> Result<()> {
        match self.left.iter().find(|(name, _)| !IGNORED.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => refused(format!("`{name}` of {} is not done here", self.what)),
        }
    }
}

/// What says nothing about numbers.
const IGNORED: [&str; 2] = ["name", "chat_template"];

/// A number, a gradient, or a list of these with the parts of names that they are for.
fn values(name: &str, value: Yaml) -> Result<Values> {
    let bad =
        || YamlError(format!("`{name}` is a number, a list of numbers, or a list of `filter` and `value`"));
    let points = |value: &Yaml| -> Option<Vec<f64>> {
        match value {
            Yaml::Scalar(text) => Some(vec![number(text)?]),
            Yaml::List(list) => list.iter().map(scalar).collect(),
            Yaml::Map(_) => None,
        }
    };
    if let Some(points) = points(&value) {
        return Values::default().with(None, points).ok_or_else(bad);
    }
    let cases = match value {
        Yaml::List(list) => list,
        single @ Yaml::Map(_) => vec![single],
        Yaml::Scalar(_) => return Err(bad()),
    };
    let mut all = Values::default();
    for case in cases {
        let mut fields = Fields::of(case, "a value")?;
        let filter = fields.text("filter")?;
        let points = fields.take("value").as_ref().and_then(points).ok_or_else(bad)?;
        fields.end()?;
        all = all.with(filter.as_deref(), points).ok_or_else(bad)?;
    }
    Ok(all)
}

fn scalar(value: &Yaml) -> Option<f64> {
    match value {
        Yaml::Scalar(text) => number(text),
        Yaml::List(_) | Yaml::Map(_) => None,
    }
}

fn number(text: &str) -> Option<f64> {
    match text {
        "true" | "True" => Some(1.0),
        "false" | "False" => Some(0.0),
        text => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(scope: &Scope, parameter: Parameter, name: &str, depth: f64) -> Option<f64> {
        scope.get(&parameter)?.at(name, depth)
    }

    #[test]
    fn a_recipe_of_whole_models_is_read() {
        let read = read_recipe(
            "models:\n  - model: base\n  - model: a\n    parameters:\n      density: 0.5\n      weight: [0, 0.3, 1]\n  - model: b\n    \
             parameters:\n      weight:\n        - filter: mlp\n          value: 0.5\n        - value: 0\n\
             merge_method: dare_ties\nbase_model: base\nparameters:\n  density: 0.7\n  int8_mask: true\n  normalize: false\ndtype: bfloat16\n",
        )
        .expect("a recipe");
        assert_eq!((read.models.clone(), read.base.as_deref()), (vec!["a".into(), "b".into()], Some("base")));
        assert_eq!((read.recipe.method, read.recipe.dtype), (Method::DareTies, Some(Dtype::Bf16)));
        let parameters = &read.recipe.parameters;
        let settings = parameters.settings(Method::DareTies, 2, "x.mlp.w", 0.5).expect("settings");
        assert_eq!((settings.weights, settings.densities), (vec![0.3, 0.5], vec![0.5, 0.7]));
        assert!(!settings.normalize);
        let settings = parameters.settings(Method::DareTies, 2, "norm", 1.0).expect("settings");
        assert_eq!(settings.weights, [1.0, 0.0]);
    }

    #[test]
    fn a_recipe_of_slices_is_read() {
        let read = read_recipe(
            "slices:\n  - sources:\n      - model: b\n        layer_range: [0, 32]\n      - model: a\n        layer_range: [0, 32]\n\
             merge_method: slerp\nbase_model: a\nparameters:\n  t:\n    - filter: self_attn\n      value: [0, 0.5, 0.3, 0.7, 1]\n    - value: 0.5\n",
        )
        .expect("a recipe");
        // The base is what the way begins at.
        assert_eq!((read.models.clone(), read.base.clone()), (vec!["a".into(), "b".into()], None));
        let slice = &read.recipe.slices[0];
        assert_eq!(slice.layers, [(0, 0..32), (1, 0..32)]);
        assert_eq!(at(&slice.parameters.all, Parameter::T, "l.self_attn.q", 0.25), Some(0.5));
        let read = read_recipe(
            "slices:\n- sources: [{model: a, layer_range: [0, 2]}]\n- sources: [{model: b, layer_range: [1, 4], parameters: {scale: 0.5}}]\n\
             merge_method: passthrough\n",
        )
        .expect("a recipe");
        assert_eq!(read.models, ["a", "b"]);
        assert_eq!(read.recipe.slices[1].layers, [(1, 1..4)]);
        assert_eq!(at(&read.recipe.slices[1].parameters.each[0], Parameter::Scale, "w", 0.0), Some(0.5));
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_name() {
        for (text, word) in [
            ("merge_method: moe\nmodels: []", "moe"),
            ("models: []", "merge_method"),
            ("merge_method: linear", "either"),
            ("merge_method: linear\nmodels: [{model: a}]\ntokenizer_source: union", "tokenizer_source"),
            ("merge_method: linear\nmodels: [{model: a, parameters: {wieght: 1}}]", "wieght"),
            ("merge_method: linear\nmodels: [{model: a, parameters: {weight: x}}]", "weight"),
            ("merge_method: linear\nmodels: [a]", "a map"),
            ("merge_method: passthrough\nslices: [{sources: [{model: a}]}]", "layer_range"),
            (
                "merge_method: passthrough\nslices: [{sources: [{model: a, layer_range: [3, 1]}]}]",
                "layer_range",
            ),
            ("merge_method: linear\nmodels: [{model: a}]\ndtype: int8", "int8"),
            (
                "merge_method: linear\nmodels: [{model: a}]\nparameters: {t: 0.5}",
                "`t` is no parameter of linear",
            ),
        ] {
            let error = read_recipe(text).expect_err(text).0;
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
