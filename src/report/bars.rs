//! How counts are laid out.

use super::axis::{Axis, Unit};
use super::chart::Bars;
use super::colour::{FAINT, of_curve};
use super::lines::{axes, frame};
use super::scene::{Anchor, LABEL, MARGIN, Scene, shortened};

pub(super) fn scene(chart: &Bars) -> Scene {
    let y = Axis::around(chart.counts.iter().map(|count| *count as f64).chain([0.0]), Unit::Number, false);
    let frame = frame(&y, MARGIN);
    let mut scene = Scene::new(800.0, 440.0);
    scene.title(&chart.title);
    scene.text(
        (MARGIN, 52.0),
        shortened(&chart.note, scene.width - 2.0 * MARGIN, LABEL),
        Anchor::Start,
        FAINT,
    );
    let x = Axis::between(chart.range.0, chart.range.1);
    axes(&mut scene, &frame, &x, &y, &chart.x);
    let each = frame.width / chart.counts.len().max(1) as f64;
    for (number, count) in chart.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = (y.share(*count as f64) * frame.height).max(1.0);
        let at = (frame.left + number as f64 * each, frame.top + frame.height - height);
        scene.fill(at, (each - if each > 4.0 { 1.0 } else { 0.0 }, height), of_curve(0));
    }
    scene
}
