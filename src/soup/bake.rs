//! A whole model made of others: from what becomes of each tensor to the files of the result, in the layout of the first.

use super::blend::Blend;
use super::error::{Error, Result};
use super::methods::{Asked, Remark};
use super::model::Model;
use super::parameters::Settings;
use super::passes::Passes;
use super::plan::{Made, Output, Recipe, plan};
use super::write::Part;
use crate::format::{Bytes, safetensors};
use crate::history::FileContent;
use crate::recipe::Place;
use crate::store::{Slice, SourceError, StoreError};
use std::collections::HashMap;
use std::io;

/// What became of the tensors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Tensors that were computed.
    pub computed: usize,
    /// Tensors that are one object in all models.
    pub same: usize,
    /// Tensors that were taken from the first model because that was wanted.
    pub copied: Vec<String>,
    /// Tensors whose arc was a line.
    pub lines: Vec<String>,
    /// Tensors that lie beyond their models, and how far.
    pub beyond: Vec<(String, f64)>,
    /// Tensors whose models have them in different types.
    pub mixed: Vec<String>,
    /// Elements that are no finite numbers.
    pub not_finite: u64,
    /// Tensors that look like running statistics, which are better made anew from data.
    pub statistics: usize,
}

/// What is to be made.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// How.
    pub recipe: &'a Recipe,
    /// Of what, the first of which gives the layout.
    pub models: &'a [Model],
    /// What differences are counted from.
    pub base: Option<&'a Model>,
}

/// A file of the result.
pub struct Baked<'a> {
    /// Which of the first model's files it takes the place of; the first if the result is one file.
    pub file: usize,
    /// What it is made of; `None` if it is the first model's as it is.
    pub parts: Option<Vec<Part<'a>>>,
}

/// What becomes of each tensor, without reading a number.
///
/// # Errors
/// [`Error::Trouble`] with everything that is in the way; what is wrong with parameters.
pub fn forecast(order: Order<'_>) -> Result<Report> {
    let outputs = plan(order.recipe, order.models, order.base)?;
    for output in &outputs {
        if let Made::Computed { slice, called, depth } = &output.made {
            settings(order.recipe, output, (*slice, called, *depth))?;
        }
    }
    Ok(report(order, &outputs))
}

/// What the parameters are for a tensor of the result.
fn settings(
    recipe: &Recipe,
    output: &Output,
    (slice, called, depth): (Option<usize>, &str, f64),
) -> Result<Settings> {
    recipe.parameters_of(slice).settings(recipe.method, output.models.len(), called, depth)
}

/// Learns what has to be known of whole tensors, and lays the files of the result out.
///
/// # Errors
/// [`Error::Trouble`], [`Error::Container`], and what the method says.
pub fn bake<'a>(order: Order<'a>, passes: &Passes<'_>) -> Result<(Vec<Baked<'a>>, Report)> {
    let outputs = plan(order.recipe, order.models, order.base)?;
    let mut report = report(order, &outputs);
    let kitchen = Kitchen { order, passes };
    let parts = passes.threads.try_map(outputs.iter(), |output| kitchen.part(output))?;
    for (output, part) in outputs.iter().zip(&parts) {
        match part {
            Part::Made(blend) => match blend.remark {
                Some(Remark::Line) => report.lines.push(output.name.clone()),
                Some(Remark::Beyond(t)) => report.beyond.push((output.name.clone(), t)),
                None => {}
            },
            Part::Bytes(_) | Part::Of(_) => {}
        }
    }
    let files = match order.recipe.slices.is_empty() {
        true => kitchen.in_place(outputs, parts)?,
        false => vec![Baked { file: 0, parts: Some(kitchen.anew(0, &outputs, parts)?) }],
    };
    Ok((files, report))
}

fn report(order: Order<'_>, outputs: &[Output]) -> Report {
    let mut report = Report::default();
    for output in outputs {
        let first = output.models[0].1.info.dtype;
        let all = output.models[1..].iter().map(|(_, tensor)| tensor).chain(&output.base);
        match output.made {
            Made::Same => report.same += 1,
            Made::Copied => report.copied.push(output.name.clone()),
            Made::Computed { .. } => {
                report.computed += 1;
                if { all }.any(|tensor| tensor.info.dtype != first) {
                    report.mixed.push(output.name.clone());
                }
                let is_statistic =
                    ["running_mean", "running_var"].iter().any(|part| output.name.ends_with(part));
                report.statistics += usize::from(is_statistic && order.models.len() > 1);
            }
        }
    }
    report
}

struct Kitchen<'a, 'p> {
    order: Order<'a>,
    passes: &'p Passes<'p>,
}

impl<'a> Kitchen<'a, '_> {
    fn part(&self, output: &Output) -> Result<Part<'a>> {
        let Order { recipe, models, base } = self.order;
        let (first, tensor) = &output.models[0];
        let Made::Computed { slice, called, depth } = &output.made else {
            return Ok(Part::Of(models[*first].bytes(tensor)));
        };
        let settings = settings(recipe, output, (*slice, called, *depth))?;
        let facing = super::facing::Facing {
            name: called.clone(),
            shape: tensor.info.shape.clone(),
            base: base.zip(output.base.as_ref()).map(|(base, tensor)| base.numbers(tensor)),
            models: output.models.iter().map(|(model, tensor)| models[*model].numbers(tensor)).collect(),
        };
        let Recipe { method, seed, rescale, consensus, clamp, .. } = *recipe;
        let asked = Asked { method, settings: &settings, seed, rescale, consensus, clamp };
        Ok(Part::Made(Box::new(Blend::of(facing, output.dtype, asked, self.passes)?)))
    }

    /// The files of the first model with other tensors in them.
    fn in_place(&self, outputs: Vec<Output>, parts: Vec<Part<'a>>) -> Result<Vec<Baked<'a>>> {
        let model = &self.order.models[0];
        let mut by_file: Vec<Vec<(Output, Part<'a>)>> = model.files().iter().map(|_| Vec::new()).collect();
        for (output, part) in outputs.into_iter().zip(parts) {
            by_file[output.models[0].1.file].push((output, part));
        }
        let mut baked = Vec::with_capacity(by_file.len());
        for (file, tensors) in by_file.into_iter().enumerate() {
            let is_as_it_was = tensors.iter().all(|(_, part)| !matches!(part, Part::Made(_)));
            let keeps_types = tensors.iter().all(|(output, _)| output.dtype == output.models[0].1.info.dtype);
            let parts = match (is_as_it_was, keeps_types) {
                (true, _) => None,
                (false, true) => Some(exchanged(&model.files()[file], file, tensors)?),
                (false, false) => {
                    let (outputs, parts): (Vec<Output>, Vec<Part<'a>>) = tensors.into_iter().unzip();
                    Some(self.anew(file, &outputs, parts)?)
                }
            };
            baked.push(Baked { file, parts });
        }
        Ok(baked)
    }

    /// A new file of these tensors, which says what one of the first model says of itself.
    fn anew(&self, file: usize, outputs: &[Output], parts: Vec<Part<'a>>) -> Result<Vec<Part<'a>>> {
        let content = &self.order.models[0].files()[file];
        let before =
            safetensors::read_header(&FileBytes(content)).map_err(crate::store::SourceError::from)?;
        let before = before.ok_or(Error::Container { file })?;
        let tensors: Vec<(&str, crate::tensor::Dtype, &[u64])> = outputs
            .iter()
            .map(|output| (output.name.as_str(), output.dtype, &output.models[0].1.info.shape[..]))
            .collect();
        let metadata = safetensors::metadata_of(&before);
        let header =
            safetensors::write_header(metadata.as_ref(), &tensors).ok_or(Error::Container { file })?;
        Ok(std::iter::once(Part::Bytes(header)).chain(parts).collect())
    }
}

/// What lies between the tensors stays as it was.
fn exchanged<'a>(
    content: &'a FileContent,
    file: usize,
    tensors: Vec<(Output, Part<'a>)>,
) -> Result<Vec<Part<'a>>> {
    if has_checksums(content)? || !content.recipe().has_separate_tensors() {
        return Err(Error::Container { file });
    }
    let mut by_name: HashMap<String, Part<'a>> =
        tensors.into_iter().map(|(output, part)| (output.models[0].1.info.name.clone(), part)).collect();
    let mut parts = Vec::with_capacity(content.recipe().extents().len());
    let mut tensors = content.recipe().table().iter().peekable();
    for (number, extent) in content.recipe().extents().iter().enumerate() {
        let tensor = tensors.next_if(|tensor| tensor.place == Place::Extent(number));
        let known = tensor.and_then(|tensor| by_name.remove(&tensor.info.name));
        let offset = content.recipe().start(number).unwrap_or_default();
        parts.push(known.unwrap_or(Part::Of(Slice { source: content.bytes(), offset, len: extent.len() })));
    }
    Ok(parts)
}

/// Whether a container may say something of the bytes of its tensors: archives do. Of `.npy` and safetensors it is known
/// that they do not.
pub(crate) fn has_checksums(file: &FileContent) -> std::result::Result<bool, StoreError> {
    let mut first = [0; 6];
    if file.recipe().len() < first.len() as u64 {
        return Ok(true);
    }
    file.bytes().read_exact_at(&mut first, 0)?;
    let header = || safetensors::read_header(&FileBytes(file));
    let is_known = &first == b"\x93NUMPY" || header().map_err(SourceError::new)?.is_some();
    Ok(!is_known)
}

/// A file as the format parsers want to read it.
struct FileBytes<'a>(&'a FileContent);

impl Bytes for FileBytes<'_> {
    fn len(&self) -> u64 {
        self.0.recipe().len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.bytes().read_exact_at(buf, offset).map_err(io::Error::other)
    }
}
