//! Numbers along an axis: at which round values marks stand, and how they are written.

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// As numbers.
    Number,
    /// As bytes, in powers of 1024.
    Bytes,
}

/// An axis from one value to another, with its marks.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    from: f64,
    to: f64,
    is_log: bool,
    /// The values at which marks stand, with what is written there.
    pub marks: Vec<(f64, String)>,
}

/// Marks that an axis has at most.
const MARKS: f64 = 6.0;

impl Axis {
    /// One that holds all values, and zero if they are of one sign and it is near.
    pub fn around(values: impl IntoIterator<Item = f64>, unit: Unit, is_log: bool) -> Self {
        let range = values.into_iter().fold(None, |range: Option<(f64, f64)>, value| match range {
            None => Some((value, value)),
            Some((least, most)) => Some((value.min(least), value.max(most))),
        });
        let (least, most) = range.unwrap_or((0.0, 1.0));
        if is_log { Self::of_powers(least, most) } else { Self::of_steps(least, most, unit) }
    }

    /// One whose ends are these values and not the next marks.
    pub fn between(from: f64, to: f64) -> Self {
        let step = step(to - from, 10.0);
        let first = (from / step).ceil();
        let marks =
            (0..64).map(|number| (first + f64::from(number)) * step).take_while(|at| *at <= to + step * 1e-9);
        let marks = labelled(marks, step, Unit::Number);
        Self { from, to, is_log: false, marks }
    }

    fn of_steps(least: f64, most: f64, unit: Unit) -> Self {
        let (mut least, mut most) = (least, most);
        if least >= 0.0 && least < (most - least) * 0.5 || unit == Unit::Bytes {
            least = 0.0;
        }
        if most <= least {
            (least, most) = (least - least.abs().max(1.0) * 0.5, least + least.abs().max(1.0) * 0.5);
        }
        let scale = match unit {
            Unit::Number => 1.0,
            Unit::Bytes => unit_of(most).0,
        };
        let step = step((most - least) / scale, 10.0) * scale;
        let (first, last) = ((least / step).floor(), (most / step - 1e-9).ceil());
        let count = (last - first).clamp(1.0, 64.0) as u32;
        let marks = (0..=count).map(|number| (first + f64::from(number)) * step);
        let marks = labelled(marks, step, unit);
        Self { from: first * step, to: (first + f64::from(count)) * step, is_log: false, marks }
    }

    fn of_powers(least: f64, most: f64) -> Self {
        let (least, most) = (least.max(f64::MIN_POSITIVE), most.max(f64::MIN_POSITIVE));
        let (first, last) = (least.log10().floor(), most.log10().ceil());
        let last = if last > first { last } else { first + 1.0 };
        let every = ((last - first) / MARKS).ceil().max(1.0);
        let marks =
            (0..64).map(|number| first + f64::from(number) * every).take_while(|power| *power <= last);
        let marks = marks.map(|power| (10f64.powf(power), format!("1e{power}"))).collect();
        Self { from: first, to: last, is_log: true, marks }
    }

    /// How far along the axis a value is, from 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// A round distance of marks: 1, 2 or 5 times a power.
fn step(span: f64, base: f64) -> f64 {
    let rough = span / MARKS;
    let power = base.powf(rough.log(base).floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// The unit that values of this size are told in.
fn unit_of(bytes: f64) -> (f64, &'static str) {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let at = UNITS.iter().enumerate().rev().map(|(at, unit)| (1024f64.powi(at as i32), *unit));
    at.into_iter().find(|(scale, _)| bytes >= *scale).unwrap_or((1.0, "B"))
}

/// Marks with what is written at them: all in one unit, and with as many digits as their distance asks for, so that no two of
/// them look the same.
fn labelled(marks: impl Iterator<Item = f64>, step: f64, unit: Unit) -> Vec<(f64, String)> {
    // There is no negative zero on an axis.
    let marks: Vec<f64> = marks.map(|at| if at.abs() < step * 1e-9 { 0.0 } else { at }).collect();
    let largest = marks.iter().fold(0.0_f64, |most, at| most.max(at.abs()));
    let digits = |step: f64| (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
    let power = |value: f64| (value.abs().log10() + 1e-9).floor();
    let is_short = (1e-3..1e6).contains(&largest);
    let written = |at: f64| match unit {
        _ if at == 0.0 && (unit == Unit::Bytes || !is_short) => "0".to_owned(),
        Unit::Number if is_short => format!("{at:.0$}", digits(step)),
        Unit::Number => format!("{at:.0$e}", (power(at) - power(step)).clamp(0.0, 12.0) as usize),
        Unit::Bytes => {
            let (scale, name) = unit_of(largest * 1.000_001);
            format!("{:.1$} {name}", at / scale, digits(step / scale))
        }
    };
    marks.into_iter().map(|at| (at, written(at))).collect()
}

/// A value as it is told beside a picture.
pub(super) fn told(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => {
            let (scale, name) = unit_of(value);
            format!("{:.1} {name}", value / scale)
        }
        Unit::Number if value != 0.0 && !(1e-3..1e6).contains(&value.abs()) => format!("{value:.2e}"),
        Unit::Number => {
            let text = format!("{value:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.marks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn marks_are_round_and_hold_every_value() {
        let axis = Axis::around([0.1, 2.9], Unit::Number, false);
        assert_eq!(labels(&axis), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0"]);
        assert_eq!((axis.share(0.0), axis.share(3.0), axis.share(1.5)), (0.0, 1.0, 0.5));
        let axis = Axis::around([3.0 * 1024.0 * 1024.0], Unit::Bytes, false);
        assert_eq!(labels(&axis), ["0", "0.5 MiB", "1.0 MiB", "1.5 MiB", "2.0 MiB", "2.5 MiB", "3.0 MiB"]);
        assert_eq!(
            labels(&Axis::around([0.002, 3.0], Unit::Number, true)),
            ["1e-3", "1e-2", "1e-1", "1e0", "1e1"]
        );
        assert_eq!(labels(&Axis::between(-0.35, 0.41)), ["-0.2", "0.0", "0.2", "0.4"]);
        let axis = Axis::around([1.1 * 1024f64.powi(3)], Unit::Bytes, false);
        assert_eq!(labels(&axis), ["0", "0.2 GiB", "0.4 GiB", "0.6 GiB", "0.8 GiB", "1.0 GiB", "1.2 GiB"]);
        assert_eq!(labels(&Axis::between(0.0, 1.5e6)), ["0", "5e5", "1.0e6", "1.5e6"]);
        assert_eq!(labels(&Axis::between(1_234_000.0, 1_235_000.0))[..2], ["1.2340e6", "1.2342e6"]);
        assert_eq!(
            labels(&Axis::between(0.0, 3e-5)),
            ["0", "5e-6", "1.0e-5", "1.5e-5", "2.0e-5", "2.5e-5", "3.0e-5"]
        );
    }

    #[test]
    fn no_two_marks_are_written_the_same() {
        for unit in [Unit::Number, Unit::Bytes] {
            for power in -12..16 {
                for (from, span) in [(0.0, 1.0), (0.0, 3.7), (7.77, 0.01), (1.0, 0.5), (123.0, 0.3)] {
                    let scale = 10f64.powi(power);
                    let axis = Axis::around([from * scale, (from + span) * scale], unit, false);
                    let mut written = labels(&axis);
                    written.sort_unstable();
                    written.dedup();
                    let is_tiny = unit == Unit::Bytes && power < 0;
                    assert!(
                        is_tiny || written.len() == axis.marks.len(),
                        "{unit:?} {from} {span} {scale}: {axis:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_axis_of_one_value_or_none_has_room_too() {
        for values in [vec![], vec![0.0], vec![5.0, 5.0], vec![-3.0]] {
            let axis = Axis::around(values.clone(), Unit::Number, false);
            assert!(axis.marks.len() >= 2, "{values:?}: {axis:?}");
            assert!(values.iter().all(|value| (0.0..=1.0).contains(&axis.share(*value))), "{axis:?}");
        }
    }
}
