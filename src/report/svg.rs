//! A picture as SVG 1.1.

use super::colour::{Colour, PAPER};
use super::scene::{Anchor, Mark, Scene};
use std::fmt::Write;

/// The picture as a file.
pub fn svg(scene: &Scene) -> String {
    let mut text = String::new();
    let (width, height) = (scene.width, scene.height);
    // Writing into a string does not fail.
    let _ = writeln!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace\">"
    );
    let _ = writeln!(text, "<rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>", hex(PAPER));
    for mark in &scene.marks {
        let _ = writeln!(text, "{}", element(mark));
    }
    text += "</svg>\n";
    text
}

fn element(mark: &Mark) -> String {
    match mark {
        Mark::Box { at, size, colour } => format!(
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{:.2}\" fill=\"{}\"/>",
            at.0,
            at.1,
            size.0,
            size.1,
            hex(*colour)
        ),
        Mark::Line { points, colour, width, dash } => {
            let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
            let dash = dash.map(|dash| format!(" stroke-dasharray=\"{dash} 4\"")).unwrap_or_default();
            format!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dash}/>",
                points.join(" "),
                hex(*colour)
            )
        }
        Mark::Text { at, text, size, anchor, colour } => {
            let anchor = match anchor {
                Anchor::Start => "start",
                Anchor::Middle => "middle",
                Anchor::End => "end",
            };
            format!(
                "<text x=\"{:.2}\" y=\"{:.2}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{}\" xml:space=\"preserve\">{}</text>",
                at.0,
                at.1,
                hex(*colour),
                escaped(text)
            )
        }
    }
}

fn hex(Colour(red, green, blue): Colour) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// A text that is nothing but text: names come from files. XML has no control characters at all.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Bars, Chart};

    #[test]
    fn names_from_files_stay_text() {
        let chart = Bars {
            title: "<script>alert('x')</script>\u{1b}".into(),
            note: "a & b".into(),
            x: "weight".into(),
            range: (0.0, 1.0),
            counts: vec![1, 0, 2],
        };
        let text = svg(&Chart::Bars(chart).scene());
        assert!(
            text.contains("&lt;script&gt;") && text.contains("a &amp; b") && !text.contains("<script"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'));
    }
}
