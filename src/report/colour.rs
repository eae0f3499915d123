//! Colours that people with any sight of colours tell apart.

/// A colour: red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8, pub u8, pub u8);

pub(super) const INK: Colour = Colour(0x22, 0x22, 0x22);
pub(super) const FAINT: Colour = Colour(0x66, 0x66, 0x66);
pub(super) const GRID: Colour = Colour(0xdd, 0xdd, 0xdd);
pub(super) const PAPER: Colour = Colour(0xff, 0xff, 0xff);

/// Curves, in their order: the colours of Okabe and Ito (2008), those that are dark enough on paper first.
const CURVES: [Colour; 6] = [
    Colour(0x00, 0x72, 0xb2),
    Colour(0xd5, 0x5e, 0x00),
    Colour(0x00, 0x9e, 0x73),
    Colour(0xcc, 0x79, 0xa7),
    Colour(0xe6, 0x9f, 0x00),
    Colour(0x56, 0xb4, 0xe9),
];

/// The colour of a curve.
pub(super) fn of_curve(number: usize) -> Colour {
    CURVES[number % CURVES.len()]
}

/// Marks of a scale of one hue, from light to dark: its order is seen without any colour.
const SCALE: [Colour; 5] = [
    Colour(0xf0, 0xf5, 0xfa),
    Colour(0xa6, 0xca, 0xe6),
    Colour(0x46, 0x8f, 0xc8),
    Colour(0x14, 0x55, 0x96),
    Colour(0x06, 0x22, 0x48),
];

/// The colour of a share from 0 to 1.
pub(super) fn of_share(share: f64) -> Colour {
    let at = share.clamp(0.0, 1.0) * (SCALE.len() - 1) as f64;
    let below = (at.floor() as usize).min(SCALE.len() - 2);
    let (from, to, part) = (SCALE[below], SCALE[below + 1], at - below as f64);
    let mix = |from: u8, to: u8| (f64::from(from) + (f64::from(to) - f64::from(from)) * part).round() as u8;
    Colour(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
