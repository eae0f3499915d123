//! Where everything of a picture stands, in pixels from the upper left: what all files are written from.

use super::colour::{Colour, INK};

/// A picture that is laid out.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Pixels from the left to the right.
    pub width: f64,
    /// Pixels from the top to the bottom.
    pub height: f64,
    pub(super) marks: Vec<Mark>,
}

/// What a word stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Something drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mark {
    Box {
        at: (f64, f64),
        size: (f64, f64),
        colour: Colour,
    },
    Line {
        points: Vec<(f64, f64)>,
        colour: Colour,
        width: f64,
        dash: Option<f64>,
    },
    /// `at` is on the base line.
    Text {
        at: (f64, f64),
        text: String,
        size: f64,
        anchor: Anchor,
        colour: Colour,
    },
}

/// Heights of letters.
pub(super) const TITLE: f64 = 16.0;
pub(super) const LABEL: f64 = 12.0;
/// The width of a letter in parts of its height: they all have the same.
pub(super) const ADVANCE: f64 = 0.6;

impl Scene {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, marks: Vec::new() }
    }

    pub(super) fn fill(&mut self, at: (f64, f64), size: (f64, f64), colour: Colour) {
        self.marks.push(Mark::Box { at, size, colour });
    }

    pub(super) fn line(&mut self, points: Vec<(f64, f64)>, colour: Colour, width: f64) {
        self.marks.push(Mark::Line { points, colour, width, dash: None });
    }

    pub(super) fn text(&mut self, at: (f64, f64), text: impl Into<String>, anchor: Anchor, colour: Colour) {
        self.marks.push(Mark::Text { at, text: text.into(), size: LABEL, anchor, colour });
    }

    pub(super) fn title(&mut self, text: &str) {
        let text = shortened(text, self.width - 2.0 * MARGIN, TITLE);
        self.marks.push(Mark::Text {
            at: (MARGIN, 28.0),
            text,
            size: TITLE,
            anchor: Anchor::Start,
            colour: INK,
        });
    }
}

/// What stays free at the edges.
pub(super) const MARGIN: f64 = 16.0;

/// How wide a text is.
pub(super) fn width_of(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * ADVANCE
}

/// A text that is no wider than this: of a longer one the end, which tells names of tensors apart.
pub(super) fn shortened(text: &str, width: f64, size: f64) -> String {
    let most = (width / (size * ADVANCE)).floor().max(1.0) as usize;
    match text.chars().count() {
        count if count <= most => text.to_owned(),
        count => format!("..{}", text.chars().skip(count + 2 - most.max(2)).collect::<String>()),
    }
}
