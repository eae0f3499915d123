//! A picture in a terminal: dots of braille for curves, blocks for counts, shades for heat.

use super::axis::{Axis, Unit, told};
use super::chart::{Bars, Chart, Heat, Lines};

/// Text of one colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What is written.
    pub text: String,
    /// The number of the curve that it belongs to.
    pub curve: Option<usize>,
}

/// Rows of letters that curves and counts take.
const ROWS: usize = 16;
/// Letters that what stands beside an axis or a row takes at most where room is short.
const LABELS: usize = 14;
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];

/// The picture as lines of so many letters.
pub fn terminal(chart: &Chart, width: usize) -> Vec<Vec<Span>> {
    match chart {
        Chart::Lines(chart) => lines(chart, width.max(40)),
        Chart::Bars(chart) => bars(chart, width.max(40)),
        Chart::Heat(chart) => heat(chart, width.max(40)),
    }
}

fn plain(text: impl Into<String>) -> Vec<Span> {
    vec![Span { text: text.into(), curve: None }]
}

/// A text in as many lines as it takes, broken between words; a word that is too long is cut.
fn wrapped(text: &str, width: usize) -> Vec<Vec<Span>> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let word: String = word.chars().take(width).collect();
        let last = lines.last().map_or(0, |line| line.chars().count());
        match lines.last_mut() {
            Some(line) if last > 0 && last + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(line) if last == 0 => line.push_str(&word),
            _ => lines.push(word),
        }
    }
    lines.into_iter().map(plain).collect()
}

/// A text that is no longer than this.
fn shortened(text: &str, width: usize) -> String {
    text.chars().take(width).collect()
}

/// What stands in the middle below an axis.
fn centred(text: &str, left: usize, room: usize) -> Vec<Span> {
    let text: String = text.chars().take(room).collect();
    let before = left + (room - text.chars().count()) / 2;
    plain(format!("{}{text}", " ".repeat(before)))
}

/// A grid of dots, two by four in a letter.
struct Dots {
    width: usize,
    cells: Vec<(u8, Option<usize>)>,
}

impl Dots {
    /// The bits of the dots in a letter, by rows: the first pattern of braille is U+2800.
    const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

    fn set(&mut self, x: usize, y: usize, curve: usize) {
        if let Some(cell) = self.cells.get_mut(y / 4 * self.width + x / 2).filter(|_| x / 2 < self.width) {
            *cell = (cell.0 | Self::BITS[y % 4][x % 2], Some(curve));
        }
    }

    /// A straight line of dots.
    fn line(&mut self, from: (f64, f64), to: (f64, f64), curve: usize) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0);
        for step in 0..=steps as usize {
            let share = step as f64 / steps;
            let (x, y) = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            self.set(x.round() as usize, y.round() as usize, curve);
        }
    }

    /// A row of letters, those of one curve together.
    fn row(&self, row: usize) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for (bits, curve) in &self.cells[row * self.width..][..self.width] {
            let c = if *bits == 0 { ' ' } else { char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' ') };
            match spans.last_mut() {
                Some(last) if last.curve == *curve => last.text.push(c),
                _ => spans.push(Span { text: c.into(), curve: *curve }),
            }
        }
        spans
    }
}

/// What stands on the left of each row: the marks of an axis.
fn labels(axis: &Axis, rows: usize) -> Vec<String> {
    let mut labels = vec![String::new(); rows];
    for (value, label) in &axis.marks {
        let row = ((1.0 - axis.share(*value)) * (rows - 1) as f64).round() as usize;
        labels[row] = label.clone();
    }
    let widest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    labels.iter().map(|label| format!("{label:>widest$} ┤")).collect()
}

/// The marks of an axis below, each that has room.
fn below(axis: &Axis, left: usize, width: usize) -> String {
    let mut text = " ".repeat(left);
    for (value, label) in &axis.marks {
        let middle = left + (axis.share(*value) * (width - 1) as f64).round() as usize;
        let begin = middle.saturating_sub(label.chars().count() / 2);
        let len = text.chars().count();
        if begin >= len + usize::from(len > left) && begin + label.chars().count() <= left + width + 2 {
            text += &" ".repeat(begin - len);
            text += label;
        }
    }
    text
}

fn lines(chart: &Lines, width: usize) -> Vec<Vec<Span>> {
    let is_shown =
        |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite() && (!chart.is_log || point.1 > 0.0);
    let all = || chart.series.iter().flat_map(|series| series.points.iter().filter(is_shown));
    let y = Axis::around(all().map(|(_, y)| *y), chart.unit, chart.is_log);
    let (first, last) = all().fold((f64::MAX, f64::MIN), |(a, b), (x, _)| (a.min(*x), b.max(*x)));
    let x = if first < last {
        Axis::between(first, last)
    } else {
        Axis::around(all().map(|(x, _)| *x), Unit::Number, false)
    };
    let left = labels(&y, ROWS);
    let margin = left.first().map_or(0, |label| label.chars().count());
    let room = width.saturating_sub(margin + 2).max(10);
    let mut dots = Dots { width: room, cells: vec![(0, None); room * ROWS] };
    let at = |point: &(f64, f64)| {
        (x.share(point.0) * (room * 2 - 1) as f64, (1.0 - y.share(point.1)) * (ROWS * 4 - 1) as f64)
    };
    for (number, series) in chart.series.iter().enumerate() {
        let points: Vec<_> = series.points.iter().filter(is_shown).map(at).collect();
        points.windows(2).for_each(|pair| dots.line(pair[0], pair[1], number));
        points.iter().for_each(|point| dots.line(*point, *point, number));
    }
    let mut text = wrapped(&chart.title, width);
    text.extend(wrapped(&chart.y, width));
    for (row, label) in left.into_iter().enumerate() {
        let mut spans = plain(label);
        spans.extend(dots.row(row));
        text.push(spans);
    }
    text.push(plain(below(&x, margin, room)));
    text.push(centred(&chart.x, margin, room));
    for (number, series) in chart.series.iter().enumerate() {
        let end = series.points.last().filter(|_| chart.tells_ends);
        let end = end.map(|(_, value)| told(*value, chart.unit)).unwrap_or_default();
        text.push(vec![Span {
            text: shortened(&format!("── {} {end}", series.name), width),
            curve: Some(number),
        }]);
    }
    text
}

fn bars(chart: &Bars, width: usize) -> Vec<Vec<Span>> {
    // Where there are more intervals than letters, neighbours are counted together.
    let together = chart.counts.len().div_ceil(width - LABELS).max(1);
    let counts: Vec<u64> = chart.counts.chunks(together).map(|counts| counts.iter().sum()).collect();
    let y = Axis::around(counts.iter().map(|count| *count as f64).chain([0.0]), Unit::Number, false);
    let rows = ROWS - 4;
    let left = labels(&y, rows);
    let margin = left.first().map_or(0, |label| label.chars().count());
    let each = (width.saturating_sub(margin) / counts.len().max(1)).clamp(1, 2);
    let mut text = wrapped(&chart.title, width);
    text.extend(wrapped(&chart.note, width));
    for (row, label) in left.into_iter().enumerate() {
        let mut line = label;
        for count in &counts {
            let eighths = (y.share(*count as f64) * (rows * 8) as f64).ceil() as usize;
            let filled = eighths.saturating_sub((rows - 1 - row) * 8).min(8);
            line.extend(std::iter::repeat_n(EIGHTHS[filled], each));
        }
        text.push(vec![Span { text: line.trim_end().to_owned(), curve: Some(0) }]);
    }
    let x = Axis::between(chart.range.0, chart.range.1);
    let room = each * counts.len().max(2);
    text.push(plain(below(&x, margin, room)));
    text.push(centred(&chart.x, margin, room));
    text
}

fn heat(chart: &Heat, width: usize) -> Vec<Vec<Span>> {
    let count = |text: &str| text.chars().count();
    // Where there are more columns than letters, of neighbours the greatest value is shown.
    let together = chart.columns.len().div_ceil(width - LABELS).max(1);
    let columns: Vec<&String> = chart.columns.iter().step_by(together).collect();
    let longest = chart.rows.iter().map(|(name, _)| count(name)).max().unwrap_or(0);
    let names = longest.max(count(&chart.columns_are)).min(width / 2).min(width - 1 - columns.len());
    let widest = columns.iter().map(|name| count(name)).max().unwrap_or(1);
    let each = (width.saturating_sub(names + 1) / columns.len().max(1)).clamp(1, widest.max(2) + 1);
    let end = |text: &str| text.chars().skip(count(text).saturating_sub(names)).collect::<String>();
    let mut text = wrapped(&chart.title, width);
    text.extend(wrapped(&chart.value, width));
    if each > widest {
        let columns: String = columns.iter().map(|name| format!("{name:<each$}")).collect();
        text.push(plain(format!("{:>names$} {columns}", end(&chart.columns_are)).trim_end()));
    }
    let range = chart.range();
    for (name, values) in &chart.rows {
        let cell = |values: &[Option<f64>]| {
            let greatest = values
                .iter()
                .flatten()
                .copied()
                .fold(None, |most: Option<f64>, value| Some(most.map_or(value, |most| most.max(value))));
            let shade = greatest.map_or(' ', |value| {
                let share = range.map_or(0.0, |range| Heat::share(range, value));
                let at = if value > 0.0 { 1.0 + share * (SHADES.len() - 2) as f64 } else { 0.0 };
                SHADES[at.round() as usize]
            });
            let wide = if each > 2 { each - 1 } else { each };
            format!("{}{}", shade.to_string().repeat(wide), " ".repeat(each - wide))
        };
        let cells: String = values.chunks(together).map(cell).collect();
        text.push(vec![
            Span { text: format!("{:>names$} ", end(name)), curve: None },
            Span { text: cells.trim_end().to_owned(), curve: Some(0) },
        ]);
    }
    let told = |value| told(value, Unit::Number);
    text.push(plain(match range {
        Some((least, most)) => format!("· 0   ░ {}   ▒ ▓   █ {}", told(least), told(most)),
        None => "nothing differs".into(),
    }));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Series;

    fn text(chart: &Chart, width: usize) -> Vec<String> {
        let line = |spans: Vec<Span>| spans.into_iter().map(|span| span.text).collect::<String>();
        terminal(chart, width).into_iter().map(line).collect()
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let points: Vec<(f64, f64)> = (0..300).map(|at| (f64::from(at), f64::from(at % 17))).collect();
        let series = vec![Series { name: "loss".into(), points }];
        let lines = Lines {
            title: "t".into(),
            x: "step".into(),
            y: "loss".into(),
            unit: Unit::Number,
            is_log: false,
            tells_ends: true,
            series,
        };
        let rows =
            vec![("a.very.long.name.of.a.weight".repeat(3), (0..30).map(|at| Some(f64::from(at))).collect())];
        let columns = (0..30).map(|at| at.to_string()).collect();
        let heat = Heat { title: "t".into(), value: "v".into(), columns_are: "layer".into(), columns, rows };
        let bars = Bars {
            title: "t".into(),
            note: "n".into(),
            x: "x".into(),
            range: (-1.0, 1.0),
            counts: vec![5; 30],
        };
        for chart in [Chart::Lines(lines), Chart::Heat(heat), Chart::Bars(bars)] {
            for width in [40, 80, 200] {
                let lines = text(&chart, width);
                assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
            }
        }
    }

    #[test]
    fn a_rising_curve_goes_from_the_lower_left_to_the_upper_right() {
        let series = vec![Series { name: "s".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] }];
        let chart = Lines {
            title: "t".into(),
            x: "x".into(),
            y: "y".into(),
            unit: Unit::Number,
            is_log: false,
            tells_ends: true,
            series,
        };
        let lines = text(&Chart::Lines(chart), 60);
        let (top, bottom) = (&lines[2], &lines[2 + ROWS - 1]);
        assert!(top.trim_end().ends_with(|c: char| c > '\u{2800}') && top.chars().count() > 50, "{lines:#?}");
        assert!(bottom.contains("┤\u{28c0}") || bottom.contains('┤'), "{lines:#?}");
    }
}
