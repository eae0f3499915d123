//! A picture as PNG, drawn here: letters come with the program, so that the same numbers give the same file on any machine.

use super::colour::{Colour, PAPER};
use super::scene::{Anchor, Mark, Scene, TITLE};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};

/// Pixels of the file for one of the scene: letters are legible on dense displays.
const SCALE: f64 = 2.0;
/// The longest side of a file in its pixels.
const MOST: f64 = 16_384.0;
/// Where the base line is in a drawn letter, from its top, in parts of its height.
const ASCENT: f64 = 0.79;

/// Why a picture cannot be a PNG.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// It would be too large.
    #[error("a picture of {width:.0} by {height:.0} pixels is too large for a PNG")]
    TooLarge {
        /// From the left to the right.
        width: f64,
        /// From the top to the bottom.
        height: f64,
    },
    /// It cannot be written.
    #[error("cannot write the picture")]
    Encoding(#[from] png::EncodingError),
}

/// The picture as a file.
///
/// # Errors
/// [`PictureError`].
pub fn png(scene: &Scene) -> Result<Vec<u8>, PictureError> {
    let (width, height) = ((scene.width * SCALE).ceil(), (scene.height * SCALE).ceil());
    if width > MOST || height > MOST {
        return Err(PictureError::TooLarge { width, height });
    }
    let mut canvas = Canvas::new(width as usize, height as usize);
    scene.marks.iter().for_each(|mark| canvas.draw(mark));
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.pixels)?;
    writer.finish()?;
    Ok(file)
}

struct Canvas {
    width: usize,
    height: usize,
    /// Three bytes each, by rows.
    pixels: Vec<u8>,
}

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        let paper = [PAPER.0, PAPER.1, PAPER.2];
        Self { width, height, pixels: paper.repeat(width * height) }
    }

    fn draw(&mut self, mark: &Mark) {
        match mark {
            Mark::Box { at, size, colour } => self.fill(*at, *size, *colour),
            Mark::Line { points, colour, width, dash } => self.line(points, *colour, *width, *dash),
            Mark::Text { at, text, size, anchor, colour } => self.text(*at, text, *size, *anchor, *colour),
        }
    }

    /// Covers a part of a pixel.
    fn blend(&mut self, x: usize, y: usize, Colour(red, green, blue): Colour, cover: f64) {
        if x >= self.width || y >= self.height || cover <= 0.0 {
            return;
        }
        let pixel = &mut self.pixels[(y * self.width + x) * 3..][..3];
        for (byte, over) in pixel.iter_mut().zip([red, green, blue]) {
            let mixed = f64::from(*byte) + (f64::from(over) - f64::from(*byte)) * cover.min(1.0);
            *byte = mixed.round() as u8;
        }
    }

    fn fill(&mut self, at: (f64, f64), size: (f64, f64), colour: Colour) {
        let (left, top) = (at.0 * SCALE, at.1 * SCALE);
        let (right, bottom) = (left + size.0 * SCALE, top + size.1 * SCALE);
        let cover =
            |from: f64, to: f64, at: usize| (to.min(at as f64 + 1.0) - from.max(at as f64)).clamp(0.0, 1.0);
        for y in span(top, bottom, self.height) {
            for x in span(left, right, self.width) {
                self.blend(x, y, colour, cover(left, right, x) * cover(top, bottom, y));
            }
        }
    }

    fn line(&mut self, points: &[(f64, f64)], colour: Colour, width: f64, dash: Option<f64>) {
        let half = width * SCALE / 2.0;
        let mut along = 0.0;
        for pair in points.windows(2) {
            let (from, to) = (scaled(pair[0]), scaled(pair[1]));
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            let (left, right) = (from.0.min(to.0) - half - 1.0, from.0.max(to.0) + half + 1.0);
            let (top, bottom) = (from.1.min(to.1) - half - 1.0, from.1.max(to.1) + half + 1.0);
            for y in span(top, bottom, self.height) {
                for x in span(left, right, self.width) {
                    let (px, py) = (x as f64 + 0.5 - from.0, y as f64 + 0.5 - from.1);
                    let share = if length > 0.0 {
                        ((px * dx + py * dy) / (length * length)).clamp(0.0, 1.0)
                    } else {
                        0.0
                    };
                    let is_gap = dash
                        .is_some_and(|dash| (along + share * length) % ((dash + 4.0) * SCALE) > dash * SCALE);
                    let distance = (px - share * dx).hypot(py - share * dy);
                    if !is_gap {
                        self.blend(x, y, colour, half + 0.5 - distance);
                    }
                }
            }
            along += length;
        }
    }

    fn text(&mut self, at: (f64, f64), text: &str, size: f64, anchor: Anchor, colour: Colour) {
        let height = if size >= TITLE { RasterHeight::Size32 } else { RasterHeight::Size24 };
        let letters: Vec<RasterizedChar> = text.chars().filter_map(|c| letter(c, height)).collect();
        let width: usize = letters.iter().map(RasterizedChar::width).sum();
        let (x, base) = scaled(at);
        let mut x = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x - width as f64 / 2.0,
            Anchor::End => x - width as f64,
        };
        let top = base - ASCENT * height.val() as f64;
        for letter in letters {
            for (row, covers) in letter.raster().iter().enumerate() {
                for (column, cover) in covers.iter().enumerate() {
                    let (x, y) = (x.round() + column as f64, top.round() + row as f64);
                    if x >= 0.0 && y >= 0.0 {
                        self.blend(x as usize, y as usize, colour, f64::from(*cover) / 255.0);
                    }
                }
            }
            x += letter.width() as f64;
        }
    }
}

/// The picture of a letter; a box's worth of question mark for those that the program has none of.
fn letter(c: char, height: RasterHeight) -> Option<RasterizedChar> {
    get_raster(c, FontWeight::Regular, height).or_else(|| get_raster('?', FontWeight::Regular, height))
}

fn scaled((x, y): (f64, f64)) -> (f64, f64) {
    (x * SCALE, y * SCALE)
}

/// The pixels that a stretch touches.
fn span(from: f64, to: f64, most: usize) -> std::ops::Range<usize> {
    let bound = |at: f64| at.clamp(0.0, most as f64) as usize;
    bound(from.floor())..bound(to.ceil())
}
