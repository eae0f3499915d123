//! How curves are laid out.

use super::axis::{Axis, Unit, told};
use super::chart::{Lines, Series};
use super::colour::{FAINT, GRID, INK, of_curve};
use super::scene::{Anchor, LABEL, MARGIN, Mark, Scene, shortened, width_of};

const WIDTH: f64 = 800.0;
const HEIGHT: f64 = 440.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 52.0;
/// A curve of few points shows where they are.
const DOTTED: usize = 40;

/// The part of a picture between its axes.
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Frame {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.left + x * self.width, self.top + (1.0 - y) * self.height)
    }
}

pub(super) fn scene(chart: &Lines) -> Scene {
    let mut scene = Scene::new(WIDTH, HEIGHT);
    scene.title(&chart.title);
    let shown: Vec<Series> = chart.series.iter().map(|series| drawable(series, chart.is_log)).collect();
    let all = || shown.iter().flat_map(|series| &series.points);
    let y = Axis::around(all().map(|(_, y)| *y), chart.unit, chart.is_log);
    let (first, last) = all().fold((f64::MAX, f64::MIN), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let x = if first < last {
        Axis::between(first, last)
    } else {
        Axis::around(all().map(|(x, _)| *x), Unit::Number, false)
    };
    let frame = frame(&y, right_of(chart));
    scene.text((MARGIN, 52.0), shortened(&chart.y, WIDTH / 2.0, LABEL), Anchor::Start, FAINT);
    axes(&mut scene, &frame, &x, &y, &chart.x);
    let mut ends = Vec::new();
    for (number, series) in shown.iter().enumerate() {
        let points: Vec<_> =
            series.points.iter().map(|(at, value)| frame.at(x.share(*at), y.share(*value))).collect();
        let colour = of_curve(number);
        if points.len() <= DOTTED {
            points.iter().for_each(|(x, y)| scene.fill((x - 2.5, y - 2.5), (5.0, 5.0), colour));
        }
        if let (Some(end), Some((_, value))) = (points.last(), series.points.last()) {
            let value =
                if chart.tells_ends { format!(" {}", told(*value, chart.unit)) } else { String::new() };
            ends.push((end.1, number, format!("{}{value}", series.name)));
        }
        let dash = number.checked_sub(1).map(|behind| [8.0, 3.0, 14.0][behind % 3]);
        scene.marks.push(Mark::Line { points, colour, width: 2.0, dash });
    }
    legend(&mut scene, &frame, ends);
    scene
}

/// A series without what a scale of powers cannot show.
fn drawable(series: &Series, is_log: bool) -> Series {
    let is_shown = |(x, y): &&(f64, f64)| x.is_finite() && y.is_finite() && (!is_log || *y > 0.0);
    Series { name: series.name.clone(), points: series.points.iter().filter(is_shown).copied().collect() }
}

/// The room that names at the ends of curves take.
fn right_of(chart: &Lines) -> f64 {
    let longest = chart.series.iter().map(|series| width_of(&series.name, LABEL)).fold(0.0, f64::max);
    (longest + if chart.tells_ends { width_of(" 1234.5 MiB", LABEL) } else { 0.0 } + 14.0).min(WIDTH * 0.4)
}

/// The frame that leaves room for what is written beside the axes.
pub(super) fn frame(y: &Axis, right: f64) -> Frame {
    let labels = y.marks.iter().map(|(_, label)| width_of(label, LABEL)).fold(0.0, f64::max);
    let left = MARGIN + labels + 8.0;
    Frame { left, top: TOP, width: WIDTH - left - right - MARGIN, height: HEIGHT - TOP - BOTTOM }
}

/// The axes with their marks; what the horizontal one is stands below it.
pub(super) fn axes(scene: &mut Scene, frame: &Frame, x: &Axis, y: &Axis, name: &str) {
    for (value, label) in &y.marks {
        let (left, at) = frame.at(0.0, y.share(*value));
        scene.line(vec![(left, at), (left + frame.width, at)], GRID, 1.0);
        scene.text((left - 8.0, at + 4.0), label, Anchor::End, INK);
    }
    let bottom = frame.top + frame.height;
    let mut free_from = f64::MIN;
    for (value, label) in &x.marks {
        let (at, _) = frame.at(x.share(*value), 0.0);
        let half = width_of(label, LABEL) / 2.0;
        scene.line(vec![(at, bottom), (at, bottom + 5.0)], INK, 1.0);
        if at - half > free_from {
            scene.text((at, bottom + 18.0), label, Anchor::Middle, INK);
            free_from = at + half + 6.0;
        }
    }
    scene.line(vec![(frame.left, bottom), (frame.left + frame.width, bottom)], INK, 1.0);
    scene.text((frame.left + frame.width / 2.0, bottom + 38.0), name, Anchor::Middle, FAINT);
}

/// Names at the ends of the curves, moved apart where they would stand on each other.
fn legend(scene: &mut Scene, frame: &Frame, mut ends: Vec<(f64, usize, String)>) {
    const APART: f64 = 16.0;
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free_from = f64::MIN;
    for (at, ..) in &mut ends {
        *at = at.max(free_from);
        free_from = *at + APART;
    }
    // Whatever was pushed out below is pushed back up.
    let mut free_to = frame.top + frame.height + APART / 2.0;
    for (at, ..) in ends.iter_mut().rev() {
        *at = at.min(free_to);
        free_to = *at - APART;
    }
    let left = frame.left + frame.width + 10.0;
    for (at, number, text) in ends {
        let text = shortened(&text, scene.width - left - 4.0, LABEL);
        scene.text((left, at + 4.0), text, Anchor::Start, of_curve(number));
    }
}
