//! C2SP tlog-checkpoint: origin, size and root of a log, as the text of a signed note.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Hash, LogError, LogKey, LogVerifier};

/// The head of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, also the name of its key.
    pub origin: String,
    /// Number of entries.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
}

impl Checkpoint {
    /// The unsigned text, with its final newline.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }

    /// The signed note.
    #[must_use]
    pub fn sign(&self, key: &LogKey) -> String {
        key.sign(&self.text())
    }

    /// Reads a signed note whose signature by this key fits and whose origin is the key's name.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn verify(note: &str, key: &LogVerifier) -> Result<Self, LogError> {
        let checkpoint = Self::read(key.verify(note)?)?;
        if checkpoint.origin != key.name() {
            let expected = key.name().to_owned();
            return Err(LogError::Origin { found: checkpoint.origin, expected });
        }
        Ok(checkpoint)
    }

    /// Reads the text of a checkpoint; extension lines are allowed and ignored.
    ///
    /// # Errors
    /// When it is not in the C2SP form.
    pub fn read(text: &str) -> Result<Self, LogError> {
        let fault = |reason| LogError::Checkpoint { reason };
        let mut lines = text.strip_suffix('\n').ok_or(fault("it does not end with a newline"))?.split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or(fault("it has no origin"))?;
        let size = lines.next().ok_or(fault("it has no size"))?;
        let plain = size == "0" || (!size.starts_with('0') && size.bytes().all(|b| b.is_ascii_digit()));
        let size = size.parse().ok().filter(|_| plain).ok_or(fault("its size is no decimal number"))?;
        let root = lines.next().and_then(|line| STANDARD.decode(line).ok());
        let root = root.and_then(|raw| Hash::try_from(raw).ok()).ok_or(fault("its root is no hash"))?;
        if lines.any(str::is_empty) {
            return Err(fault("it has an empty line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}
