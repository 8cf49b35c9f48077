//! C2SP signed-note with Ed25519, the algorithm every implementation of it reads.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

use super::LogError;
use crate::hex;

/// The signature type byte of Ed25519.
const TYPE: u8 = 1;

/// A key that signs notes. `Debug` shows its name only.
pub struct LogKey {
    name: String,
    seed: [u8; 32],
    pair: Ed25519KeyPair,
}

impl LogKey {
    /// A key from 32 bytes of entropy. The name is the log's origin: no spaces, no `+`, not empty.
    ///
    /// # Errors
    /// When the name is not allowed.
    pub fn generate(name: &str, entropy: &[u8; 32]) -> Result<Self, LogError> {
        check_name(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(entropy)
            .map_err(|_| LogError::Key { reason: "the seed is not usable" })?;
        Ok(Self { name: name.to_owned(), seed: *entropy, pair })
    }

    /// Reads `PRIVATE+KEY+<name>+<id>+<base64>`, the form of `golang.org/x/mod/sumdb/note`.
    ///
    /// # Errors
    /// When it is not in that form; the text is never repeated.
    pub fn from_text(text: &str) -> Result<Self, LogError> {
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+");
        let rest = rest.ok_or(LogError::Key { reason: "it does not begin with PRIVATE+KEY+" })?;
        let (name, id, key) = parts(rest)?;
        let key = Self::generate(name, &key)?;
        if hex(&key.verifier().id) != id {
            return Err(LogError::Key { reason: "its id does not belong to it" });
        }
        Ok(key)
    }

    /// The text to keep in a file nobody else can read (mode 0600).
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("PRIVATE+KEY+{}+{}+{}\n", self.name, hex(&self.verifier().id), encode(&self.seed))
    }

    /// A key for another purpose, which tells nothing of this one: the SHA-256 of the purpose and the seed.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut text = b"mantlet derived key\0".to_vec();
        text.extend_from_slice(&(purpose.len() as u64).to_be_bytes());
        text.extend_from_slice(purpose.as_bytes());
        text.extend_from_slice(&self.seed);
        mantlet_vocab::Digest::of(&text).0
    }

    /// Its public half.
    #[must_use]
    pub fn verifier(&self) -> LogVerifier {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        LogVerifier::new(self.name.clone(), public)
    }

    /// Signs a text that ends with a newline.
    #[must_use]
    pub fn sign(&self, text: &str) -> String {
        let mut raw = self.verifier().id.to_vec();
        raw.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.name, STANDARD.encode(raw))
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "LogKey({})", self.name)
    }
}

/// A key that verifies notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogVerifier {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

impl LogVerifier {
    fn new(name: String, public: [u8; 32]) -> Self {
        let hash =
            Sha256::new().chain_update(&name).chain_update([b'\n', TYPE]).chain_update(public).finalize();
        Self { id: [hash[0], hash[1], hash[2], hash[3]], name, public }
    }

    /// The key's name, which is the log's origin.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads a verifier key: `<name>+<id>+<base64>`.
    ///
    /// # Errors
    /// When it is not in the C2SP form.
    pub fn from_text(text: &str) -> Result<Self, LogError> {
        let (name, id, public) = parts(text.trim_end())?;
        check_name(name)?;
        let key = Self::new(name.to_owned(), public);
        if hex(&key.id) == id {
            Ok(key)
        } else {
            Err(LogError::Key { reason: "its id does not belong to it" })
        }
    }

    /// The verifier key's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}+{}+{}", self.name, hex(&self.id), encode(&self.public))
    }

    /// Checks that the note carries a fitting signature by this key, and gives its text. Signatures by other
    /// keys (witnesses) are allowed and ignored.
    ///
    /// # Errors
    /// Names what is wrong.
    pub fn verify<'a>(&self, note: &'a str) -> Result<&'a str, LogError> {
        let fault = |reason| LogError::Note { reason };
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(fault("it contains control characters"));
        }
        let at = note.rfind("\n\n").ok_or(fault("no empty line before its signatures"))?;
        let (text, rest) = (&note[..=at], &note[at + 2..]);
        let lines = rest.strip_suffix('\n').ok_or(fault("it does not end with a newline"))?;
        let mut found = false;
        for (count, line) in lines.split('\n').enumerate() {
            let line = line.strip_prefix("\u{2014} ").ok_or(fault("a signature line has no dash"))?;
            let (name, raw) = line.split_once(' ').ok_or(fault("a signature line has no signature"))?;
            let raw = STANDARD.decode(raw).map_err(|_| fault("a signature is not base64"))?;
            if count >= 64 || raw.len() < 5 {
                return Err(fault("it has too many or empty signatures"));
            }
            if name != self.name || raw[..4] != self.id {
                continue;
            }
            UnparsedPublicKey::new(&ED25519, &self.public)
                .verify(text.as_bytes(), &raw[4..])
                .map_err(|_| LogError::WrongSignature { name: self.name.clone() })?;
            found = true;
        }
        if found { Ok(text) } else { Err(LogError::Unsigned { name: self.name.clone() }) }
    }
}

fn check_name(name: &str) -> Result<(), LogError> {
    if name.is_empty() || name.contains('+') || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(LogError::Key { reason: "its name is empty or contains a space or `+`" });
    }
    Ok(())
}

fn encode(key: &[u8; 32]) -> String {
    let mut raw = vec![TYPE];
    raw.extend_from_slice(key);
    STANDARD.encode(raw)
}

/// Name, id and 32 key bytes of `<name>+<id>+<base64>`; base64 may itself contain `+`.
fn parts(text: &str) -> Result<(&str, &str, [u8; 32]), LogError> {
    let fault = |reason| LogError::Key { reason };
    let (name, rest) = text.split_once('+').ok_or(fault("it has no `+`"))?;
    let (id, key) = rest.split_once('+').ok_or(fault("it has only one `+`"))?;
    let raw = STANDARD.decode(key).map_err(|_| fault("it is not base64"))?;
    match raw.split_first() {
        Some((&TYPE, key)) => {
            let key = key.try_into().map_err(|_| fault("it has not 32 bytes"))?;
            Ok((name, id, key))
        }
        _ => Err(fault("it is no Ed25519 key")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Checkpoint;

    /// The example of the C2SP signed-note specification and of Go's `note` package documentation.
    #[test]
    fn the_published_example_verifies() {
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let key = LogVerifier::from_text(key).unwrap();
        let text = key.verify(note).unwrap();
        assert!(text.ends_with("your problem is.\n"));
        let changed = note.replace("answer", "Answer");
        assert_eq!(key.verify(&changed), Err(LogError::WrongSignature { name: "PeterNeumann".into() }));
    }

    #[test]
    fn keys_and_checkpoints_travel_as_text() {
        let key = LogKey::generate("mantlet.test/audit", &[7; 32]).unwrap();
        let again = LogKey::from_text(&key.to_text()).unwrap();
        let verifier = LogVerifier::from_text(&again.verifier().to_text()).unwrap();
        assert_eq!(verifier, key.verifier());
        let checkpoint = Checkpoint { origin: key.name.clone(), size: 42, root: [3; 32] };
        let note = checkpoint.sign(&key);
        assert_eq!(Checkpoint::verify(&note, &verifier), Ok(checkpoint.clone()));
        let other = LogKey::generate("mantlet.test/audit", &[8; 32]).unwrap();
        assert_eq!(key.derive("a"), again.derive("a"));
        assert!(key.derive("a") != key.derive("b") && key.derive("a") != other.derive("a"));
        assert!(matches!(Checkpoint::verify(&note, &other.verifier()), Err(LogError::Unsigned { .. })));
        let stray = Checkpoint { origin: "else".into(), ..checkpoint }.sign(&key);
        assert!(matches!(Checkpoint::verify(&stray, &verifier), Err(LogError::Origin { .. })));
        assert!(!format!("{key:?}").contains("PRIVATE"));
        for bad in ["", "a b", "a+b"] {
            assert!(LogKey::generate(bad, &[1; 32]).is_err());
        }
    }

    #[test]
    fn no_changed_byte_of_a_note_is_accepted_as_the_same_checkpoint() {
        let key = LogKey::generate("t", &[7; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "t".into(), size: 1_000, root: [9; 32] };
        let note = checkpoint.sign(&key).into_bytes();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut changed = note.clone();
                changed[at] ^= 1 << bit;
                if let Ok(text) = std::str::from_utf8(&changed) {
                    assert!(Checkpoint::verify(text, &key.verifier()).is_err(), "byte {at} bit {bit}");
                }
            }
        }
    }

    #[test]
    fn malformed_checkpoints_are_named() {
        for bad in ["", "\n", "o\n", "o\n1\n", "o\n01\nAAAA\n", "o\n+1\nAAAA\n", "o\n1\nAAAA\n", "o\n1\nAAAA"]
        {
            assert!(matches!(Checkpoint::read(bad), Err(LogError::Checkpoint { .. })), "{bad:?}");
        }
        let good = Checkpoint { origin: "o".into(), size: 0, root: [0; 32] }.text();
        assert!(Checkpoint::read(&format!("{good}extension\n")).is_ok());
    }
}
