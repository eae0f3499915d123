//! What becomes of each tensor, decided before anything is read: its name, its type, and whether the container has both.

use super::cast::Cast;
use super::error::{Error, Result};
use super::numbers::are_numbers;
use super::origin::Origin;
use super::refusal::{Refusal, Refused, Why};
use super::view::View;
use crate::format::{gguf_header, npy, npz};
use crate::history::glob;
use crate::recipe::TensorInfo;
use crate::tensor::{Dtype, Element, QUANTISED_ELEMENTS};
use std::collections::HashSet;

/// A kind of file that models are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// That of Hugging Face.
    Safetensors,
    /// That of NumPy.
    Npz,
    /// That of ggml.
    Gguf,
}

impl Container {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Container::Safetensors => "safetensors",
            Container::Npz => "npz",
            Container::Gguf => "GGUF",
        }
    }

    /// The ending of its files.
    pub const fn extension(self) -> &'static str {
        match self {
            Container::Safetensors => "safetensors",
            Container::Npz => "npz",
            Container::Gguf => "gguf",
        }
    }

    /// The kind of file with this ending.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let all = [Container::Safetensors, Container::Npz, Container::Gguf];
        all.into_iter().find(|container| extension.eq_ignore_ascii_case(container.extension()))
    }

    /// Whether it has such elements.
    fn has(self, element: Element) -> bool {
        match (self, element) {
            (Container::Gguf, element) => gguf_header::kind_of(element).is_some(),
            (Container::Safetensors, Element::Number(dtype)) => !matches!(dtype, Dtype::Opaque | Dtype::C128),
            (Container::Npz, Element::Number(dtype)) => npy::has(dtype),
            (_, Element::Block(_) | Element::BigEndian(_)) => false,
        }
    }

    /// The names that lead to the same tensor as this one: NumPy finds the arrays of an archive with and without the ending of
    /// their members.
    fn confuses(self, name: &str) -> impl Iterator<Item = String> {
        let (with, without) = (format!("{name}.npy"), name.strip_suffix(".npy").map(str::to_owned));
        std::iter::once(with).chain(without).filter(move |_| self == Container::Npz)
    }

    /// Why it cannot have a tensor of this name.
    fn refuses(self, name: &str) -> Option<Why> {
        let most = match self {
            Container::Safetensors => usize::MAX,
            Container::Npz => npz::NAME_MAX,
            Container::Gguf => gguf_header::NAME_MAX,
        };
        match self {
            _ if name.len() > most => Some(Why::LongName { most }),
            Container::Safetensors => (name == "__metadata__").then_some(Why::Name),
            Container::Npz | Container::Gguf => (name.is_empty() || name.contains('\0')).then_some(Why::Name),
        }
    }
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The kind of file.
    pub container: Container,
    /// The type of floats; `None` for that which they have. A float, or a block that can be made.
    pub dtype: Option<Element>,
    /// Patterns of names that are meant; none for all.
    pub only: Vec<String>,
    /// Patterns of names that are not meant.
    pub without: Vec<String>,
    /// What names lose that begin with it.
    pub prefix: String,
    /// Bytes of tensors in one file at most, unless one tensor has more.
    pub shard: Option<u64>,
    /// Keys and values that the file is to say of itself.
    pub metadata: Vec<(String, String)>,
}

/// What becomes of the tensors.
pub struct Plan<'a> {
    /// The tensors, in the order in which they are written.
    pub(super) tensors: Vec<Planned<'a>>,
}

/// What becomes of a tensor.
pub struct Planned<'a> {
    /// What it is to be called.
    pub name: String,
    pub(super) cast: Cast<'a>,
    /// Whether it could not be the blocks that were wanted: its rows are no whole ones.
    pub is_fallback: bool,
}

impl Planned<'_> {
    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.cast.element()
    }

    /// Bytes of it.
    pub fn len(&self) -> u64 {
        self.cast.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Finite numbers that were too large for its type, or in one block with such a one or with what is no finite number, and those
    /// that are finite only now; once it is written.
    pub fn too_large(&self) -> u64 {
        self.cast.too_large()
    }
}

impl<'a> Plan<'a> {
    /// The tensors, in the order in which they are written.
    pub fn tensors(&self) -> &[Planned<'a>] {
        &self.tensors
    }
}

/// Decides what becomes of the tensors of some files.
///
/// # Errors
/// [`Error::Refused`] with everything that is in the way; [`Error::Nothing`]; what the container never has.
pub fn plan<'a>(wish: &Wish, origins: &'a [Origin]) -> Result<Plan<'a>> {
    let container = wish.container;
    if matches!(wish.dtype, Some(Element::Block(_))) && container != Container::Gguf {
        return Err(Error::NoBlocks);
    }
    if container == Container::Npz && !wish.metadata.is_empty() {
        return Err(Error::NoMetadata(container.name()));
    }
    if container == Container::Npz && wish.shard.is_some() {
        return Err(Error::NoShards(container.name()));
    }
    let mut refused = Refused { container: container.name(), ..Refused::default() };
    let (mut tensors, mut names) = (Vec::new(), HashSet::new());
    for (info, bytes) in origins.iter().flat_map(Origin::tensors) {
        if !wish.means(&info.name) {
            continue;
        }
        let name = info.name.strip_prefix(&*wish.prefix).unwrap_or(&info.name).to_owned();
        let view = View::of(info, bytes);
        match view.and_then(|view| wish.becomes(&view).map(|to| (view, to))) {
            Ok((view, (to, is_fallback))) => {
                let is_known =
                    names.contains(&name) || container.confuses(&name).any(|other| names.contains(&*other));
                let why = if is_known { Some(Why::Twice) } else { container.refuses(&name) };
                names.insert(name.clone());
                refused.extend(info, why);
                tensors.push(Planned { name, cast: Cast::new(view, to), is_fallback });
            }
            Err(why) => refused.extend(info, Some(why)),
        }
    }
    for name in origins.iter().flat_map(|origin| &origin.passed_over).filter(|name| wish.means(name)) {
        refused.refusals.push(Refusal { tensor: name.clone(), why: Why::PassedOver });
        refused.types.push(String::new());
    }
    if !refused.refusals.is_empty() {
        return Err(refused.into());
    }
    if tensors.is_empty() {
        return Err(Error::Nothing);
    }
    if container == Container::Safetensors {
        // Wider elements first, as its own library writes them: so each begins where one of its width may.
        tensors.sort_by_key(|tensor| std::cmp::Reverse(width(tensor.element())));
    }
    Ok(Plan { tensors })
}

impl Refused {
    fn extend(&mut self, info: &TensorInfo, why: Option<Why>) {
        if let Some(why) = why {
            self.refusals.push(Refusal { tensor: info.name.clone(), why });
            self.types.push(info.shown_dtype());
        }
    }
}

/// Bits of an element.
fn width(element: Element) -> u64 {
    match element {
        Element::Number(dtype) | Element::BigEndian(dtype) => dtype.bits(),
        Element::Block(_) => 8,
    }
}

impl Wish {
    fn means(&self, name: &str) -> bool {
        let is_in = |patterns: &[String]| patterns.iter().any(|pattern| glob(pattern, name));
        (self.only.is_empty() || is_in(&self.only)) && !is_in(&self.without)
    }

    /// The type that a tensor gets, and whether that is another one than was wanted.
    fn becomes(&self, view: &View<'_>) -> std::result::Result<(Element, bool), Why> {
        let most = gguf_header::RANK_MAX;
        if self.container == Container::Gguf && view.shape.len() > most {
            return Err(Why::Axes { most });
        }
        let is_float = are_numbers(view.element);
        let own = view.dtype().map_or(view.element, Element::Number);
        let (to, is_fallback) = match self.dtype {
            Some(dtype) if is_float => fitting(dtype, self.container, &view.shape),
            Some(_) | None => (own, false),
        };
        match (self.container.has(to), view.element) {
            (true, _) => Ok((to, is_fallback)),
            (false, Element::Block(_)) if is_float => Err(Why::Block),
            (false, Element::Block(_)) => Err(Why::UnknownBlock),
            (false, _) if is_float => Err(Why::Number),
            (false, _) => Err(Why::Type),
        }
    }
}

/// The type that floats of this shape get where one was wanted. Programs of ggml want vectors as binary32; blocks are of whole
/// rows, and what has other rows becomes binary16: so the converters of llama.cpp do it.
fn fitting(wanted: Element, container: Container, shape: &[u64]) -> (Element, bool) {
    let is_short = matches!(wanted, Element::Block(_) | Element::Number(Dtype::F16 | Dtype::Bf16));
    if container == Container::Gguf && is_short && shape.len() < 2 {
        return (Element::Number(Dtype::F32), false);
    }
    let is_whole = shape.last().is_some_and(|row| row.is_multiple_of(QUANTISED_ELEMENTS as u64));
    match wanted {
        Element::Block(_) if !is_whole => (Element::Number(Dtype::F16), true),
        wanted => (wanted, false),
    }
}
