//! Rows of numbers in an array (`.npy`): embeddings.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::DatasetError;
use crate::pictures::array::{Item, head};
use crate::pictures::damaged;

/// Bytes of a header.
const HEAD: u64 = 64 << 10;
/// Numbers of a row at most.
const DIMS: usize = 65_536;

/// An array of rows.
#[derive(Debug, Clone)]
pub struct Vectors {
    path: PathBuf,
    item: Item,
    data: u64,
    rows: usize,
    dims: usize,
}

impl Vectors {
    /// Reads the header.
    ///
    /// # Errors
    /// When the file is no array of rows of plain numbers.
    pub fn open(path: &Path) -> Result<Self, DatasetError> {
        let io = |source| DatasetError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path).map_err(io)?.take(HEAD).read_to_end(&mut bytes).map_err(io)?;
        if !mantlet_formats::npy::is_npy(&bytes) {
            return Err(damaged(path, "the header", "it is no NumPy array (.npy)"));
        }
        let (item, axes, data) = head(path, &bytes)?;
        let [rows, dims] = axes.as_slice() else {
            let reason = format!("its axes are {axes:?}; rows and the numbers of each are read");
            return Err(damaged(path, "the header", reason));
        };
        if *rows == 0 || *dims == 0 || *dims > DIMS {
            return Err(damaged(
                path,
                "the header",
                format!("its rows are none, empty or longer than {DIMS}"),
            ));
        }
        Ok(Self { path: path.to_owned(), item, data, rows: *rows, dims: *dims })
    }

    /// Rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.rows
    }

    /// Whether there is none; an opened array has some.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Numbers of a row.
    #[must_use]
    pub const fn dims(&self) -> usize {
        self.dims
    }

    /// Hands each row with its number.
    ///
    /// # Errors
    /// When the file ends before its rows do, or cannot be read.
    pub fn visit(&self, mut each: impl FnMut(usize, &[f32])) -> Result<(), DatasetError> {
        let io = |source| DatasetError::Io { path: self.path.clone(), source };
        let mut file = File::open(&self.path).map_err(io)?;
        file.seek(SeekFrom::Start(self.data)).map_err(io)?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let (mut bytes, mut row) = (vec![0_u8; self.dims * self.item.bytes()], vec![0.0_f32; self.dims]);
        for number in 0..self.rows {
            if let Err(source) = file.read_exact(&mut bytes) {
                if source.kind() == std::io::ErrorKind::UnexpectedEof {
                    let reason = format!("the array ends after {number} of {} rows", self.rows);
                    return Err(damaged(&self.path, &format!("row {number}"), reason));
                }
                return Err(io(source));
            }
            for (value, bytes) in row.iter_mut().zip(bytes.chunks_exact(self.item.bytes())) {
                #[expect(clippy::cast_possible_truncation, reason = "embeddings are of single precision")]
                let number = self.item.number(bytes) as f32;
                *value = number;
            }
            each(number, &row);
        }
        Ok(())
    }
}
