//! Plots and pixel pictures as inline SVG that takes its colours from CSS variables of the page.

mod chart;
mod lanes;
mod pixels;
mod scale;

pub use chart::{Axis, Chart, Guide, Series, chart};
pub use lanes::{Lane, Moment, lanes};
pub use pixels::{Raster, difference, masked, picture};
pub use scale::{Scale, ticks};

/// An SVG coordinate: two decimals are finer than any screen.
pub(crate) fn at(value: f64) -> String {
    let text = format!("{:.2}", if value.is_finite() { value } else { 0.0 });
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
