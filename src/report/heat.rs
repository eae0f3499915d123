//! How a value for each row and column is laid out.

use super::axis::{Unit, told};
use super::chart::Heat;
use super::colour::{FAINT, GRID, INK, PAPER, of_share};
use super::scene::{Anchor, LABEL, MARGIN, Mark, Scene, TITLE, shortened, width_of};

/// The least width of a picture.
const WIDTH: f64 = 640.0;
/// Where the cells begin, from the top.
const TOP: f64 = 92.0;
/// The height of a row.
const ROW: f64 = 20.0;
/// Widths of cells.
const CELL: (f64, f64) = (14.0, 44.0);
/// The most that the names of rows take.
const NAMES: f64 = 380.0;
/// Boxes that the scale below is drawn of.
const STEPS: usize = 60;

pub(super) fn scene(chart: &Heat) -> Scene {
    let names = chart.rows.iter().map(|(name, _)| width_of(name, LABEL)).fold(0.0, f64::max).min(NAMES);
    let left = MARGIN + names + 10.0;
    let columns = chart.columns.len().max(1) as f64;
    let cell = ((960.0 - left) / columns).clamp(CELL.0, CELL.1);
    let least = width_of(&chart.title, TITLE).min(960.0) + 2.0 * MARGIN;
    let width = (left + columns * cell + MARGIN).max(WIDTH).max(least);
    let bottom = TOP + chart.rows.len() as f64 * ROW;
    let mut scene = Scene::new(width, bottom + 70.0);
    scene.title(&chart.title);
    scene.text((MARGIN, 52.0), shortened(&chart.value, width - 2.0 * MARGIN, LABEL), Anchor::Start, FAINT);
    scene.text((left - 10.0, TOP - 8.0), &chart.columns_are, Anchor::End, FAINT);
    column_names(&mut scene, chart, left, cell);
    let range = chart.range();
    for (number, (name, values)) in chart.rows.iter().enumerate() {
        let top = TOP + number as f64 * ROW;
        scene.text((left - 10.0, top + 14.0), shortened(name, names, LABEL), Anchor::End, INK);
        for (column, value) in values.iter().enumerate() {
            let at = (left + column as f64 * cell, top);
            let Some(value) = value else { continue };
            let colour = match range.filter(|_| *value > 0.0) {
                Some(range) => of_share(Heat::share(range, *value)),
                None => PAPER,
            };
            scene.fill((at.0 + 0.5, at.1 + 0.5), (cell - 1.0, ROW - 1.0), GRID);
            scene.fill((at.0 + 1.0, at.1 + 1.0), (cell - 2.0, ROW - 2.0), colour);
        }
    }
    scale(&mut scene, range, left.min(width - 300.0), bottom + 22.0);
    scene
}

/// Names above the columns, each that has room.
fn column_names(scene: &mut Scene, chart: &Heat, left: f64, cell: f64) {
    let mut free_from = f64::MIN;
    for (number, name) in chart.columns.iter().enumerate() {
        let (middle, half) = (left + (number as f64 + 0.5) * cell, width_of(name, LABEL) / 2.0);
        if middle - half > free_from {
            scene.text((middle, TOP - 8.0), name, Anchor::Middle, INK);
            free_from = middle + half + 4.0;
        }
    }
}

/// What the colours mean.
fn scale(scene: &mut Scene, range: Option<(f64, f64)>, left: f64, top: f64) {
    let Some((least, most)) = range else {
        scene.text((left, top + 12.0), "nothing differs", Anchor::Start, FAINT);
        return;
    };
    let each = 240.0 / STEPS as f64;
    for number in 0..STEPS {
        let at = (left + number as f64 * each, top);
        scene.fill(at, (each + 0.5, 12.0), of_share(number as f64 / (STEPS - 1) as f64));
    }
    let frame =
        vec![(left, top), (left + 240.0, top), (left + 240.0, top + 12.0), (left, top + 12.0), (left, top)];
    scene.marks.push(Mark::Line { points: frame, colour: GRID, width: 1.0, dash: None });
    scene.text((left, top + 28.0), told(least, Unit::Number), Anchor::Start, INK);
    let middle = (least * most).sqrt();
    if most > least * 1.5 {
        scene.text((left + 120.0, top + 28.0), told(middle, Unit::Number), Anchor::Middle, INK);
    }
    scene.text((left + 240.0, top + 28.0), told(most, Unit::Number), Anchor::End, INK);
}
