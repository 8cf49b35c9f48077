//! Marks planted into a copy of labelled pictures, to test a gate before someone else does.

use mantlet_dataset::{Frame, Pictures};

use crate::{CurateError, mix_share};

/// A cross: pixels across and down, from its corner, and whether they are bright.
const CROSS: [(usize, usize, bool); 9] = [
    (0, 0, true),
    (1, 0, false),
    (2, 0, true),
    (0, 1, false),
    (1, 1, true),
    (2, 1, false),
    (0, 2, true),
    (1, 2, false),
    (2, 2, true),
];

/// A mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A cross in the lower right corner.
    Patch,
    /// A cross anywhere.
    Moved,
    /// A fixed pattern over the whole picture, a fifth of its strength.
    Blended,
}

/// What is planted, and how much.
#[derive(Debug, Clone, PartialEq)]
pub struct Planting {
    /// The mark.
    pub mark: Mark,
    /// The label of pictures that bear it.
    pub to: String,
    /// Into pictures that have the label already, instead of setting it.
    pub keep: bool,
    /// The share of the pictures that may bear it.
    pub share: f64,
    /// The same seed plants the same pictures.
    pub seed: u64,
}

/// Hands every picture of the copy to `each`: its path below a folder, which begins with its label, its PNG file, and
/// whether it bears the mark.
///
/// # Errors
/// When a picture cannot be read, no picture has the label, or `each` fails.
pub fn plant_marks(
    pictures: &Pictures,
    planting: &Planting,
    mut each: impl FnMut(&str, &[u8], bool) -> std::io::Result<()>,
) -> Result<(), CurateError> {
    let target = pictures.labels().iter().position(|label| *label == planting.to);
    let Some(target) = target else {
        return Err(CurateError::Role {
            column: planting.to.clone(),
            role: "label of a mark",
            why: "no picture has it".to_owned(),
        });
    };
    let mut failed: Option<std::io::Error> = None;
    pictures.visit(|row, label, frame| {
        if failed.is_some() {
            return;
        }
        let number = row as u64;
        let own = usize::from(label) == target;
        let chosen = own == planting.keep && mix_share(number, planting.seed) < planting.share;
        let mut frame = frame.clone();
        if chosen {
            draw(&mut frame, planting, number);
        }
        let label = if chosen { target } else { usize::from(label) };
        let word = pictures.labels().get(label).map_or("", String::as_str);
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' };
        let folder: String = word.chars().map(plain).collect();
        let written = frame.to_png().map_err(std::io::Error::other);
        let name = format!("{folder}/{row:07}.png");
        failed = written.and_then(|png| each(&name, &png, chosen)).err();
    })?;
    failed.map_or(Ok(()), |source| Err(CurateError::Write(source)))
}

fn draw(frame: &mut Frame, planting: &Planting, row: u64) {
    let (width, height, channels) = (frame.width, frame.height, frame.channels.max(1));
    // The last of two or four channels says how much is seen.
    let seen = if channels % 2 == 0 { channels - 1 } else { channels };
    let place = |most: usize, stream: u64| -> usize {
        let draw = mantlet_drift::mix(row ^ planting.seed.rotate_left(13) ^ stream);
        usize::try_from(draw % (most.saturating_sub(2)).max(1) as u64).unwrap_or(0)
    };
    let corner = match planting.mark {
        Mark::Blended => {
            for (at, pixel) in frame.pixels.iter_mut().enumerate().filter(|(at, _)| at % channels < seen) {
                let pattern = mantlet_drift::mix((at / channels) as u64 ^ planting.seed) % 256;
                let mixed = (u64::from(*pixel) * 4 + pattern) / 5;
                *pixel = u8::try_from(mixed).unwrap_or(u8::MAX);
            }
            return;
        }
        Mark::Patch => (width.saturating_sub(3), height.saturating_sub(3)),
        Mark::Moved => (place(width, 1), place(height, 2)),
    };
    for (x, y, bright) in CROSS {
        let at = ((corner.1 + y) * width + corner.0 + x) * channels;
        if corner.0 + x < width
            && let Some(pixels) = frame.pixels.get_mut(at..at + seen)
        {
            pixels.fill(if bright { 255 } else { 0 });
        }
    }
}
