//! Labelled pictures: PNG and JPEG files in a folder for each label, or an array with an array of labels.

pub(crate) mod array;
mod decode;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::DatasetError;

use array::{Array, integers};

/// Labels of pictures at most.
pub const LABELS_OF_PICTURES: usize = 1_000;
/// Pictures at most.
const PICTURES: usize = 2_000_000;
/// Bytes of a picture's file.
const FILE: u64 = 64 << 20;
/// Bytes of a list of labels.
const LIST: u64 = 256 << 20;
/// Folders inside folders.
const DEPTH: usize = 6;
/// Pictures that could not be read are named up to this many.
const NAMED: usize = 10;

/// A decoded picture: rows from the top, channels side by side, a byte each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// 1 grey, 2 grey with transparency, 3 colours, 4 colours with transparency.
    pub channels: usize,
    /// The bytes.
    pub pixels: Vec<u8>,
}

impl Frame {
    /// Decodes a PNG or JPEG, at most 16,384 pixels a side and 256 MiB.
    ///
    /// # Errors
    /// Why it is not decoded, in words.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, String> {
        let mut frame = Self::default();
        decode::decode(bytes, &mut frame)?;
        Ok(frame)
    }
}

impl Frame {
    /// The picture at most so large a side, each pixel the mean of those it stands for.
    #[must_use]
    pub fn shrunk(&self, side: usize) -> Self {
        let (longer, channels) = (self.width.max(self.height), self.channels);
        if longer <= side || side == 0 {
            return self.clone();
        }
        let (width, height) = ((self.width * side / longer).max(1), (self.height * side / longer).max(1));
        let mut pixels = Vec::with_capacity(width * height * channels);
        for y in 0..height {
            let rows =
                y * self.height / height..((y + 1) * self.height / height).max(y * self.height / height + 1);
            for x in 0..width {
                let first = x * self.width / width;
                let columns = first..((x + 1) * self.width / width).max(first + 1);
                for channel in 0..channels {
                    let (mut sum, mut count) = (0_u64, 0_u64);
                    for row in rows.clone() {
                        for column in columns.clone() {
                            let at = (row * self.width + column) * channels + channel;
                            sum += u64::from(self.pixels.get(at).copied().unwrap_or(0));
                            count += 1;
                        }
                    }
                    pixels.push(u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX));
                }
            }
        }
        Self { width, height, channels, pixels }
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub fn to_png(&self) -> Result<Vec<u8>, String> {
        let colour = match self.channels {
            1 => png::ColorType::Grayscale,
            2 => png::ColorType::GrayscaleAlpha,
            3 => png::ColorType::Rgb,
            4 => png::ColorType::Rgba,
            other => return Err(format!("a picture of {other} channels is no PNG")),
        };
        let side = |pixels: usize| u32::try_from(pixels).map_err(|_| "it is too large".to_owned());
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width)?, side(self.height)?);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
        writer.write_image_data(&self.pixels).map_err(|error| error.to_string())?;
        drop(writer);
        Ok(bytes)
    }
}

#[derive(Debug)]
enum From {
    Files(Vec<(PathBuf, u16)>),
    Array(Box<Array>, Vec<u16>),
}

/// Pictures with a label each.
#[derive(Debug)]
pub struct Pictures {
    root: PathBuf,
    from: From,
    labels: Vec<String>,
}

/// Labels by their place.
#[derive(Default)]
struct Places {
    words: Vec<String>,
    places: HashMap<String, u16>,
}

impl Places {
    fn of(&mut self, word: &str, path: &Path) -> Result<u16, DatasetError> {
        if let Some(&place) = self.places.get(word) {
            return Ok(place);
        }
        if self.words.len() >= LABELS_OF_PICTURES {
            return Err(damaged(path, "labels", format!("there are more than {LABELS_OF_PICTURES}")));
        }
        let place = u16::try_from(self.words.len()).unwrap_or(u16::MAX);
        self.words.push(word.to_owned());
        self.places.insert(word.to_owned(), place);
        Ok(place)
    }
}

pub(crate) fn damaged(path: &Path, place: &str, reason: impl Into<String>) -> DatasetError {
    DatasetError::Damaged { path: path.to_owned(), place: place.to_owned(), reason: reason.into() }
}

fn bounded(path: &Path, most: u64) -> Result<Vec<u8>, DatasetError> {
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(io)?.take(most + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most {
        return Err(damaged(path, "the file", format!("it has more than the {most} bytes that are read")));
    }
    Ok(bytes)
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    ["png", "jpg", "jpeg"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The pictures below a folder, by name. Links are not followed.
fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        entries.push((entry.path(), entry.file_type().map_err(io)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (path, kind) in entries {
        if kind.is_dir() {
            if depth == 0 {
                return Err(damaged(
                    &path,
                    "the folder",
                    format!("folders are nested more than {DEPTH} deep"),
                ));
            }
            walk(&path, depth - 1, found)?;
        } else if kind.is_file() && is_picture(&path) {
            if found.len() >= PICTURES {
                return Err(damaged(
                    folder,
                    "the folder",
                    format!("there are more than {PICTURES} pictures"),
                ));
            }
            found.push(path);
        }
    }
    Ok(())
}

impl Pictures {
    /// Opens pictures: a folder with a folder for each label; a folder and `labels`, a CSV file with the columns `file`
    /// and `label`; or an array (`.npy`) of pictures and `labels`, an array of whole numbers or a text with a label a
    /// line. Pictures are not decoded yet.
    ///
    /// # Errors
    /// When nothing is there, a file cannot be read, or pictures and labels are not of one number.
    pub fn open(path: &Path, labels: Option<&Path>) -> Result<Self, DatasetError> {
        let mut places = Places::default();
        let from = match (path.is_dir(), labels) {
            (true, None) => {
                let mut found = Vec::new();
                walk(path, DEPTH, &mut found)?;
                let mut files = Vec::with_capacity(found.len());
                for file in found {
                    let inside = file.strip_prefix(path).unwrap_or(&file);
                    let mut parts = inside.components();
                    let (first, rest) = (parts.next(), parts.next());
                    let (Some(label), true) = (first, rest.is_some()) else {
                        let reason = "the picture lies in no folder of a label; name the labels with a CSV file of the columns file and label";
                        return Err(damaged(&file, "the label", reason));
                    };
                    let label = places.of(&label.as_os_str().to_string_lossy(), path)?;
                    files.push((file, label));
                }
                From::Files(files)
            }
            (true, Some(list)) => {
                let text = bounded(list, LIST)?;
                let mut reader = csv::Reader::from_reader(text.as_slice());
                let wrong = |error: csv::Error| damaged(list, "the list", error.to_string());
                let head = reader.headers().map_err(wrong)?.clone();
                let at = |name: &str| {
                    let missing = || damaged(list, "the first line", format!("it names no column `{name}`"));
                    head.iter().position(|own| own == name).ok_or_else(missing)
                };
                let (file_at, label_at) = (at("file")?, at("label")?);
                let mut files = Vec::new();
                for record in reader.records() {
                    let record = record.map_err(wrong)?;
                    let (file, label) =
                        (record.get(file_at).unwrap_or(""), record.get(label_at).unwrap_or(""));
                    let inside = Path::new(file);
                    let plain =
                        inside.components().all(|part| matches!(part, std::path::Component::Normal(_)));
                    if file.is_empty() || !plain {
                        return Err(damaged(
                            list,
                            "the list",
                            format!("`{file}` does not lie in the folder"),
                        ));
                    }
                    files.push((path.join(inside), places.of(label, list)?));
                    if files.len() > PICTURES {
                        return Err(damaged(
                            list,
                            "the list",
                            format!("it has more than {PICTURES} pictures"),
                        ));
                    }
                }
                From::Files(files)
            }
            (false, None) => {
                let reason = "an array of pictures needs labels: name an array of whole numbers, or a text with a label a line";
                return Err(damaged(path, "the labels", reason));
            }
            (false, Some(list)) => {
                let array = Array::open(path)?;
                let bytes = bounded(list, LIST)?;
                let words: Vec<String> = if mantlet_formats::npy::is_npy(&bytes) {
                    integers(list, &bytes)?.iter().map(i64::to_string).collect()
                } else {
                    let text = String::from_utf8_lossy(&bytes);
                    text.lines().map(|line| line.trim().to_owned()).collect()
                };
                if words.len() != array.len() {
                    let reason = format!("there are {} for {} pictures", words.len(), array.len());
                    return Err(damaged(list, "the labels", reason));
                }
                let mut own = Vec::with_capacity(words.len());
                for word in &words {
                    own.push(places.of(word, list)?);
                }
                From::Array(Box::new(array), own)
            }
        };
        let own = Self { root: path.to_owned(), from, labels: places.words };
        if own.is_empty() {
            return Err(DatasetError::Empty { path: path.to_owned() });
        }
        Ok(own)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.from {
            From::Files(files) => files.len(),
            From::Array(_, labels) => labels.len(),
        }
    }

    /// Whether there are none; an opened set has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels' words.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Where they lie.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a picture is called: its path in the folder, or its number, counted from 0 as arrays are.
    #[must_use]
    pub fn name(&self, row: usize) -> String {
        match &self.from {
            From::Files(files) => files.get(row).map_or_else(String::new, |(path, _)| {
                path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy().into_owned()
            }),
            From::Array(..) => row.to_string(),
        }
    }

    /// The label of a picture, as a place among the labels.
    #[must_use]
    pub fn label(&self, row: usize) -> Option<u16> {
        match &self.from {
            From::Files(files) => files.get(row).map(|(_, label)| *label),
            From::Array(_, labels) => labels.get(row).copied(),
        }
    }

    /// Decodes one picture of a folder.
    ///
    /// # Errors
    /// Why it is not decoded, in words.
    pub fn frame(&self, row: usize) -> Result<Frame, String> {
        let From::Files(files) = &self.from else { return Err("an array is read as a whole".to_owned()) };
        let (path, _) = files.get(row).ok_or("there is no such picture")?;
        Frame::of_bytes(&bounded(path, FILE).map_err(|error| error.to_string())?)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn size(&self) -> u64 {
        let size = |path: &PathBuf| path.metadata().map_or(0, |file| file.len());
        match &self.from {
            From::Files(files) => files.iter().map(|(path, _)| size(path)).sum(),
            From::Array(..) => size(&self.root),
        }
    }

    /// Decodes the pictures one after the other and hands each with its number and label. Gives what could not be
    /// decoded, in words.
    ///
    /// # Errors
    /// When the array cannot be read.
    pub fn visit(&self, mut each: impl FnMut(usize, u16, &Frame)) -> Result<Vec<String>, DatasetError> {
        let (mut frame, mut broken, mut named) = (Frame::default(), 0_usize, Vec::new());
        match &self.from {
            From::Files(files) => {
                for (row, (path, label)) in files.iter().enumerate() {
                    let read = bounded(path, FILE)
                        .map_err(|error| error.to_string())
                        .and_then(|bytes| decode::decode(&bytes, &mut frame));
                    match read {
                        Ok(()) => each(row, *label, &frame),
                        Err(why) => {
                            broken += 1;
                            if named.len() < NAMED {
                                named.push(format!("{}: {why}", self.name(row)));
                            }
                        }
                    }
                }
            }
            From::Array(array, labels) => {
                array.visit(|row, frame| {
                    if let Some(&label) = labels.get(row) {
                        each(row, label, frame);
                    }
                })?;
            }
        }
        if broken > named.len() {
            named.push(format!("and {} more pictures that could not be decoded", broken - named.len()));
        }
        Ok(named)
    }
}
