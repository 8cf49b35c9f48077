//! A file or a pipe as a [`Source`]: what is small is read whole, what is large where it is asked for.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mantlet_vocab::{Source, SourceError};

use crate::cache::State;

const SMALL: u64 = 1 << 20;

/// A regular file.
pub(crate) struct FileSource {
    inner: Inner,
    len: u64,
    meter: Arc<AtomicU64>,
}

enum Inner {
    Memory(Vec<u8>),
    #[cfg(unix)]
    File(File),
    #[cfg(not(unix))]
    File(std::sync::Mutex<File>),
}

impl Inner {
    fn of(file: File) -> Self {
        #[cfg(unix)]
        return Self::File(file);
        #[cfg(not(unix))]
        return Self::File(std::sync::Mutex::new(file));
    }
}

impl FileSource {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::metered(path, Arc::default())
    }

    /// Opens a file and counts what is read from it when it is large.
    pub(crate) fn metered(path: &Path, meter: Arc<AtomicU64>) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let len = metadata.len();
        if len <= SMALL {
            let mut bytes = Vec::with_capacity(len as usize);
            io::Read::read_to_end(&mut io::Read::take(&mut file, SMALL + 1), &mut bytes)?;
            if bytes.len() as u64 <= SMALL {
                let len = bytes.len() as u64;
                return Ok(Self { inner: Inner::Memory(bytes), len, meter });
            }
        }
        Ok(Self { inner: Inner::of(file), len, meter })
    }

    /// What comes from a pipe, at most `most` bytes: held in memory when it is small, else in a file that has no name
    /// and ends with this. `None` when there is more.
    pub(crate) fn spooled(
        pipe: &mut dyn io::Read,
        most: u64,
        meter: Arc<AtomicU64>,
    ) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(&mut *pipe, (SMALL + 1).min(most.saturating_add(1))),
            &mut bytes,
        )?;
        let mut len = bytes.len() as u64;
        if len > most {
            return Ok(None);
        }
        if len <= SMALL {
            return Ok(Some(Self { inner: Inner::Memory(bytes), len, meter }));
        }
        let mut file = tempfile::tempfile()?;
        io::Write::write_all(&mut file, &bytes)?;
        drop(bytes);
        let more = (most - len).saturating_add(1);
        len += io::copy(&mut io::Read::take(pipe, more), &mut file)?;
        Ok((len <= most).then_some(Self { inner: Inner::of(file), len, meter }))
    }

    /// Whether the bytes cannot change any more.
    pub(crate) fn in_memory(&self) -> bool {
        matches!(self.inner, Inner::Memory(_))
    }

    /// What the file system says of the open file's content.
    pub(crate) fn state(&self) -> Option<State> {
        match &self.inner {
            Inner::Memory(_) => None,
            #[cfg(unix)]
            Inner::File(file) => State::of(&file.metadata().ok()?),
            #[cfg(not(unix))]
            Inner::File(_) => None,
        }
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let read = match &self.inner {
            Inner::Memory(bytes) => {
                let at = usize::try_from(offset).unwrap_or(usize::MAX);
                let rest = bytes.get(at..).unwrap_or(&[]);
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                return Ok(count);
            }
            #[cfg(unix)]
            Inner::File(file) => loop {
                match std::os::unix::fs::FileExt::read_at(file, buffer, offset) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other,
                }
            },
            #[cfg(not(unix))]
            Inner::File(file) => {
                let mut file = file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                io::Seek::seek(&mut *file, io::SeekFrom::Start(offset))
                    .and_then(|_| io::Read::read(&mut *file, buffer))
            }
        };
        if let Ok(count) = &read {
            self.meter.fetch_add(*count as u64, Ordering::Relaxed);
        }
        read.map_err(|error| SourceError { offset, reason: error.to_string() })
    }
}
