//! Pictures as short rows of numbers: the mean of each cell of a grid, and one fine pixel of each.

/// Cells of a side at most.
const SIDE: usize = 16;

/// A decoded picture: rows from the top, channels side by side.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    width: usize,
    height: usize,
    channels: usize,
    pixels: &'a [u8],
}

impl<'a> Picture<'a> {
    /// A picture of 1 to 4 channels; nothing when the pixels are not as many as the sides say.
    #[must_use]
    pub fn new(width: usize, height: usize, channels: usize, pixels: &'a [u8]) -> Option<Self> {
        let size = width.checked_mul(height)?.checked_mul(channels)?;
        let own = Self { width, height, channels, pixels };
        (size > 0 && size == pixels.len() && channels <= 4).then_some(own)
    }

    /// Width and height in pixels.
    #[must_use]
    pub const fn sides(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The channels that are looked at: grey, or red, green and blue; transparency is not.
    #[must_use]
    pub const fn colours(&self) -> usize {
        if self.channels >= 3 { 3 } else { 1 }
    }

    /// One value, as grey or of a colour, whatever the picture has.
    pub(super) fn at(&self, x: usize, y: usize, colour: usize, of: usize) -> f32 {
        let from = (y * self.width + x) * self.channels;
        let own = self.colours();
        let value = |channel: usize| f32::from(self.pixels.get(from + channel).copied().unwrap_or(0));
        match (own, of) {
            (3, 1) => (value(0) + value(1) + value(2)) / 3.0,
            (3, _) => value(colour),
            _ => value(0),
        }
    }

    /// The mean of a box of pixels, at least of one.
    pub(super) fn mean(&self, [left, top, right, bottom]: [usize; 4], colour: usize, of: usize) -> f32 {
        let (right, bottom) = (right.max(left + 1).min(self.width), bottom.max(top + 1).min(self.height));
        let (mut sum, mut count) = (0.0, 0.0);
        for y in top.min(self.height - 1)..bottom {
            for x in left.min(self.width - 1)..right {
                sum += self.at(x, y, colour, of);
                count += 1.0;
            }
        }
        if count > 0.0 { sum / count } else { 0.0 }
    }
}

/// How pictures become rows; taken from the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Cells across.
    pub across: usize,
    /// Cells down.
    pub down: usize,
    /// 1 for grey, 3 for colours.
    pub colours: usize,
    /// Whether a cell is more than a pixel, and one fine pixel of each is looked at too.
    pub fine: bool,
}

impl Grid {
    /// The grid for so many pictures like this one: with few pictures it is coarse, so that a row has at most a third as
    /// many numbers as there are pictures.
    #[must_use]
    pub fn of(first: &Picture<'_>, pictures: usize) -> Self {
        let ((width, height), colours) = (first.sides(), first.colours());
        let side = (pictures / (3 * colours)).isqrt().clamp(4, SIDE);
        let (across, down) = (width.min(side), height.min(side));
        let larger = width > SIDE || height > SIDE;
        let fine = larger && across * down * (colours + 1) * 3 <= pictures;
        Self { across, down, colours, fine }
    }

    /// Numbers of a row.
    #[must_use]
    pub const fn dims(&self) -> usize {
        let cells = self.across * self.down;
        cells * self.colours + if self.fine { cells } else { 0 }
    }

    /// A picture as a row, each number between -1 and 1.
    pub fn push(&self, picture: &Picture<'_>, row: &mut Vec<f32>) {
        let (width, height) = picture.sides();
        let cell = |x: usize, y: usize| {
            [
                x * width / self.across,
                y * height / self.down,
                (x + 1) * width / self.across,
                (y + 1) * height / self.down,
            ]
        };
        for y in 0..self.down {
            for x in 0..self.across {
                for colour in 0..self.colours {
                    row.push(picture.mean(cell(x, y), colour, self.colours) / 255.0);
                }
            }
        }
        if self.fine {
            for y in 0..self.down {
                for x in 0..self.across {
                    let within = cell(x, y);
                    let (middle_x, middle_y) = ((within[0] + within[2]) / 2, (within[1] + within[3]) / 2);
                    let own = picture.at(middle_x.min(width - 1), middle_y.min(height - 1), 0, 1);
                    row.push((own - picture.mean(within, 0, 1)) / 255.0);
                }
            }
        }
    }

    /// The cell of a number: across, down, in cells.
    #[must_use]
    pub const fn cell(&self, dim: usize) -> (usize, usize) {
        let cells = self.across * self.down;
        let at = if dim < cells * self.colours { dim / self.colours } else { dim - cells * self.colours };
        (at % self.across, at / self.across)
    }
}

/// Pictures as rows, with their labels.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The grid, from the first picture on.
    pub grid: Option<Grid>,
    /// Row after row.
    pub values: Vec<f32>,
    /// By row, the place of its label.
    pub labels: Vec<u16>,
    pictures: usize,
}

impl Rows {
    /// For so many pictures.
    #[must_use]
    pub fn of(pictures: usize) -> Self {
        Self { pictures, ..Self::default() }
    }

    /// Takes a picture.
    pub fn take(&mut self, picture: &Picture<'_>, label: u16) {
        let grid = *self.grid.get_or_insert_with(|| Grid::of(picture, self.pictures));
        grid.push(picture, &mut self.values);
        self.labels.push(label);
    }

    /// Numbers of a row.
    #[must_use]
    pub fn dims(&self) -> usize {
        self.grid.map_or(0, |grid| grid.dims())
    }

    /// A row.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        let dims = self.dims();
        &self.values[row * dims..][..dims]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_is_its_own_grid_and_a_large_one_is_cells_and_fine_pixels() {
        let small: Vec<u8> = (0..64).collect();
        let picture = Picture::new(8, 8, 1, &small).unwrap();
        let grid = Grid::of(&picture, 10_000);
        let mut row = Vec::new();
        grid.push(&picture, &mut row);
        assert_eq!((grid.dims(), row.len(), row[63]), (64, 64, 63.0 / 255.0));
        let large = vec![200_u8; 40 * 30 * 4];
        let picture = Picture::new(40, 30, 4, &large).unwrap();
        let grid = Grid::of(&picture, 10_000);
        row.clear();
        grid.push(&picture, &mut row);
        assert_eq!((grid.dims(), row.len()), (16 * 16 * 4, 16 * 16 * 4));
        assert!((row[0] - 200.0 / 255.0).abs() < 1e-6 && row[1023] == 0.0);
        assert_eq!((grid.cell(3 * 17), grid.cell(768 + 17)), ((1, 1), (1, 1)));
        assert_eq!(Grid::of(&picture, 600).dims(), 8 * 8 * 3);
        // Whatever comes later is brought to the grid of the first.
        let tiny = [7_u8];
        row.clear();
        grid.push(&Picture::new(1, 1, 1, &tiny).unwrap(), &mut row);
        assert_eq!(row.len(), 1024);
    }

    #[test]
    fn sides_that_lie_are_no_picture() {
        assert!(Picture::new(8, 8, 1, &[0; 63]).is_none());
        assert!(Picture::new(0, 8, 1, &[]).is_none());
        assert!(Picture::new(usize::MAX, 2, 1, &[0; 2]).is_none());
    }
}
