//! Pictures in an array (`.npy`): of rows and columns of brightness, with channels last or first.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mantlet_formats::Bounds;
use mantlet_formats::npy;
use mantlet_vocab::MemorySource;

use super::{Frame, damaged};
use crate::DatasetError;

/// Bytes of a header.
const HEAD: u64 = 64 << 10;
/// What a header says of an array that lies column by column.
const FORTRAN: &[u8] = b"'fortran_order': True";
/// Bytes of a decoded picture.
const PICTURE: usize = 64 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    U8,
    I8,
    I16,
    U16,
    I32,
    I64,
    F32,
    F64,
}

impl Item {
    fn of(dtype: &str) -> Option<Self> {
        Some(match dtype.trim_matches('\'') {
            "|u1" | "u1" | "<u1" | "|b1" => Self::U8,
            "|i1" | "i1" => Self::I8,
            "<i2" => Self::I16,
            "<u2" => Self::U16,
            "<i4" => Self::I32,
            "<i8" => Self::I64,
            "<f4" => Self::F32,
            "<f8" => Self::F64,
            _ => return None,
        })
    }

    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 | Self::U16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::I64 | Self::F64 => 8,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "pixels and labels are far below 2^53")]
    pub(crate) fn number(self, bytes: &[u8]) -> f64 {
        let two = || bytes.try_into().unwrap_or([0; 2]);
        let four = || bytes.try_into().unwrap_or([0; 4]);
        let eight = || bytes.try_into().unwrap_or([0; 8]);
        let first = bytes.first().copied().unwrap_or(0);
        match self {
            Self::U8 => f64::from(first),
            Self::I8 => f64::from(first.cast_signed()),
            Self::I16 => f64::from(i16::from_le_bytes(two())),
            Self::U16 => f64::from(u16::from_le_bytes(two())),
            Self::I32 => f64::from(i32::from_le_bytes(four())),
            Self::I64 => i64::from_le_bytes(eight()) as f64,
            Self::F32 => f64::from(f32::from_le_bytes(four())),
            Self::F64 => f64::from_le_bytes(eight()),
        }
    }
}

/// The element type, the axes and where the data begins.
pub(crate) fn head(path: &Path, bytes: &[u8]) -> Result<(Item, Vec<usize>, u64), DatasetError> {
    let facts = npy::analyse(&MemorySource::new(bytes), &Bounds::default());
    let wrong = |reason: &str| damaged(path, "the header", reason);
    if facts.objects {
        return Err(wrong("it holds Python objects, which are not loaded"));
    }
    let text = bytes.get(..usize::try_from(facts.data).unwrap_or(0)).unwrap_or(bytes);
    if text.windows(FORTRAN.len()).any(|part| part == FORTRAN) {
        return Err(wrong("it lies column by column (Fortran order); save it with numpy.ascontiguousarray"));
    }
    let item =
        Item::of(&facts.dtype).ok_or_else(|| wrong("its elements are no plain little-endian numbers"))?;
    let axes = facts.shape.ok_or_else(|| wrong("its shape cannot be read"))?;
    let axes = axes.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>();
    Ok((item, axes.map_err(|_| wrong("its shape does not fit this machine"))?, facts.data))
}

/// Whole numbers of one axis.
pub(super) fn integers(path: &Path, bytes: &[u8]) -> Result<Vec<i64>, DatasetError> {
    let (item, axes, data) = head(path, bytes)?;
    let count = axes.iter().try_fold(1_usize, |all, axis| all.checked_mul(*axis));
    let from = usize::try_from(data).unwrap_or(usize::MAX);
    let rest = bytes.get(from..).unwrap_or(&[]);
    let need = count.and_then(|count| count.checked_mul(item.bytes()));
    let fits = need.is_some_and(|need| need <= rest.len()) && !matches!(item, Item::F32 | Item::F64);
    if !fits || axes.iter().filter(|axis| **axis != 1).count() > 1 {
        return Err(damaged(path, "the labels", "they are no whole numbers, one for each picture"));
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole numbers, read as such")]
    let whole = |bytes: &[u8]| item.number(bytes) as i64;
    Ok(rest.chunks_exact(item.bytes()).take(count.unwrap_or(0)).map(whole).collect())
}

/// An array of pictures on disk.
#[derive(Debug)]
pub(super) struct Array {
    path: PathBuf,
    item: Item,
    data: u64,
    pictures: usize,
    width: usize,
    height: usize,
    channels: usize,
    channels_first: bool,
    least: f64,
    scale: f64,
}

impl Array {
    /// Reads the header, and all values once for their range.
    pub(super) fn open(path: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(io)?.take(HEAD).read_to_end(&mut bytes).map_err(io)?;
        if !npy::is_npy(&bytes) {
            return Err(damaged(
                path,
                "the header",
                "it is neither a folder of pictures nor a NumPy array (.npy)",
            ));
        }
        let (item, axes, data) = head(path, &bytes)?;
        let root = |size: usize| (1..=8_192_usize).find(|side| side * side == size);
        let shape = match *axes.as_slice() {
            [many, size] => root(size).map(|side| (many, side, side, 1, false)),
            [many, height, width] => Some((many, height, width, 1, false)),
            [many, height, width, channels @ (1 | 3 | 4)] => Some((many, height, width, channels, false)),
            [many, channels @ (1 | 3 | 4), height, width] => Some((many, height, width, channels, true)),
            _ => None,
        };
        let Some((pictures, height, width, channels, channels_first)) = shape else {
            let reason = format!("its axes are {axes:?}; pictures, rows, columns and channels are read");
            return Err(damaged(path, "the header", reason));
        };
        let size = width.checked_mul(height).and_then(|size| size.checked_mul(channels));
        if size.is_none_or(|size| size == 0 || size > PICTURE) {
            return Err(damaged(path, "the header", "its pictures are empty or larger than are read"));
        }
        let mut own = Self {
            path: path.to_owned(),
            item,
            data,
            pictures,
            width,
            height,
            channels,
            channels_first,
            least: 0.0,
            scale: 1.0,
        };
        if item != Item::U8 {
            let (mut least, mut most) = (0.0_f64, 0.0_f64);
            own.read(|_, values| {
                for value in values.iter().filter(|value| value.is_finite()) {
                    (least, most) = (least.min(*value), most.max(*value));
                }
            })?;
            own.least = least;
            own.scale = if most > least { 255.0 / (most - least) } else { 1.0 };
        }
        Ok(own)
    }

    /// Pictures.
    pub(super) const fn len(&self) -> usize {
        self.pictures
    }

    fn read(&self, mut each: impl FnMut(usize, &[f64])) -> Result<(), DatasetError> {
        let io = |source| DatasetError::Io { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(self.data)).map_err(io)?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let size = self.width * self.height * self.channels;
        let (mut bytes, mut values) = (vec![0_u8; size * self.item.bytes()], vec![0.0; size]);
        for row in 0..self.pictures {
            if let Err(source) = file.read_exact(&mut bytes) {
                if source.kind() == std::io::ErrorKind::UnexpectedEof {
                    let reason = format!("the array ends after {row} of {} pictures", self.pictures);
                    return Err(damaged(&self.path, &format!("picture {row}"), reason));
                }
                return Err(io(source));
            }
            for (value, bytes) in values.iter_mut().zip(bytes.chunks_exact(self.item.bytes())) {
                *value = self.item.number(bytes);
            }
            each(row, &values);
        }
        Ok(())
    }

    /// Hands each picture as bytes.
    pub(super) fn visit(&self, mut each: impl FnMut(usize, &Frame)) -> Result<(), DatasetError> {
        let (width, height, channels) = (self.width, self.height, self.channels);
        let mut frame = Frame { width, height, channels, pixels: vec![0; width * height * channels] };
        self.read(|row, values| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
            let byte = |value: f64| ((value - self.least) * self.scale).clamp(0.0, 255.0) as u8;
            if self.channels_first {
                for (channel, plane) in values.chunks_exact(width * height).enumerate() {
                    for (at, value) in plane.iter().enumerate() {
                        frame.pixels[at * channels + channel] = byte(*value);
                    }
                }
            } else {
                frame.pixels.iter_mut().zip(values).for_each(|(pixel, value)| *pixel = byte(*value));
            }
            each(row, &frame);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let mut head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
        while (head.len() + 11) % 64 != 0 {
            head.push(' ');
        }
        head.push('\n');
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend(u16::try_from(head.len()).unwrap().to_le_bytes());
        out.extend(head.as_bytes());
        out.extend(data);
        out
    }

    #[test]
    fn channels_first_and_last_and_all_ranges_become_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let numbers: Vec<u8> = (0..16_i16).flat_map(i16::to_le_bytes).collect();
        std::fs::write(&path, array("<i2", "(1, 4, 4)", &numbers)).unwrap();
        let own = Array::open(&path).unwrap();
        let mut seen = Vec::new();
        own.visit(|_, frame| seen.extend_from_slice(&frame.pixels)).unwrap();
        assert_eq!((own.len(), seen.len(), seen[0], seen[15]), (1, 16, 0, 255));
        let planes: Vec<u8> = (0..12).collect();
        std::fs::write(&path, array("|u1", "(1, 3, 2, 2)", &planes)).unwrap();
        let mut seen = Vec::new();
        Array::open(&path).unwrap().visit(|_, frame| seen.extend_from_slice(&frame.pixels)).unwrap();
        assert_eq!(seen, [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    }

    #[test]
    fn arrays_that_lie_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        for (descr, shape, data) in [
            ("|u1", "(9, 8, 8)", vec![0_u8; 64]),
            ("|O", "(1, 8, 8)", vec![0; 64]),
            ("<f4", "(18446744073709551615, 8, 8)", vec![0; 64]),
            ("<f4", "(1, 8, 8, 8, 8)", vec![0; 64]),
        ] {
            std::fs::write(&path, array(descr, shape, &data)).unwrap();
            let read = Array::open(&path).and_then(|own| own.visit(|_, _| ()));
            assert!(read.is_err(), "{descr} {shape}");
        }
    }

    #[test]
    fn labels_are_whole_numbers_of_one_axis() {
        let bytes: Vec<u8> = [3_i64, -1, 7].iter().flat_map(|value| value.to_le_bytes()).collect();
        let path = Path::new("y.npy");
        assert_eq!(integers(path, &array("<i8", "(3,)", &bytes)).unwrap(), [3, -1, 7]);
        assert!(integers(path, &array("<i8", "(4,)", &bytes)).is_err());
        assert!(integers(path, &array("<f8", "(3,)", &bytes)).is_err());
    }
}
