//! Why a bundle, key or manifest is not accepted.

/// Each rejection by name. What a caller prints is the text; what it matches on is the variant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The text is larger than a bundle may be.
    #[error("the bundle has {len} bytes, more than the {most} allowed")]
    TooLarge {
        /// Bytes.
        len: usize,
        /// Bytes allowed.
        most: usize,
    },
    /// Not JSON.
    #[error("the {part} is not JSON: {reason}")]
    NotJson {
        /// Bundle or payload.
        part: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// A JSON object names a key twice; readers disagree on which counts.
    #[error("the {part} names the key `{key}` twice")]
    DuplicateKey {
        /// Bundle or payload.
        part: &'static str,
        /// The key.
        key: String,
    },
    /// A member is missing or has the wrong type.
    #[error("`{path}` is not {expected}")]
    Field {
        /// Dotted path.
        path: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A member nobody defined, where the specification allows none.
    #[error("`{path}` is not part of the format")]
    UnknownField {
        /// Dotted path.
        path: String,
    },
    /// A value that is not the one the format demands.
    #[error("`{path}` is `{found}`, expected `{expected}`")]
    Value {
        /// Dotted path.
        path: String,
        /// What is there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A base64 member is not base64.
    #[error("`{path}` is not base64")]
    Base64 {
        /// Dotted path.
        path: String,
    },
    /// Certificates are read in a later version.
    #[error("bundles signed with an X.509 certificate are not supported yet; sign with a key")]
    CertificateMode,
    /// Keyless bundles are read in a later version.
    #[error("keyless sigstore bundles are not supported yet; sign with a key")]
    SigstoreMode,
    /// There must be exactly one signature.
    #[error("the envelope has {found} signatures, exactly one is allowed")]
    SignatureCount {
        /// Number found.
        found: usize,
    },
    /// None of the trusted keys is the one the bundle names.
    #[error("the bundle was signed by key {hint}, which is not among the {trusted} trusted keys")]
    UntrustedKey {
        /// The hint in the bundle.
        hint: String,
        /// How many keys are trusted.
        trusted: usize,
    },
    /// The signature does not fit.
    #[error("the signature does not fit the payload and the key {hint}")]
    WrongSignature {
        /// The key tried.
        hint: String,
    },
    /// The statement is about something else.
    #[error("the statement's predicate is `{found}`, expected `{expected}`")]
    Predicate {
        /// What is there.
        found: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A manifest without resources proves nothing.
    #[error("the manifest covers no file")]
    NoResources,
    /// Two resources share a name.
    #[error("the manifest names `{name}` twice")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A name that leaves the model's folder or is not in its plain form.
    #[error("the resource name `{name}` is not allowed: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A digest is not plain lower-case hexadecimal of the right length.
    #[error("the digest of `{name}` is not {digits} lower-case hexadecimal digits")]
    Digest {
        /// The resource, or `subject`.
        name: String,
        /// Digits expected.
        digits: usize,
    },
    /// The subject's digest is not the root over the resources.
    #[error("the statement signs root {signed}, its resources give {found}")]
    WrongRoot {
        /// In the subject.
        signed: String,
        /// Computed.
        found: String,
    },
    /// Other bytes than were signed.
    #[error("bytes with the digest {signed} were signed, these have {found}")]
    OtherBytes {
        /// In the signature.
        signed: String,
        /// Computed.
        found: String,
    },
    /// A hash function we do not know.
    #[error("the hash `{found}` is not one of sha256, blake2b, blake3")]
    Hash {
        /// Its name.
        found: String,
    },
    /// The key text is not a key we can use.
    #[error("the {kind} key cannot be used: {reason}")]
    Key {
        /// Private or public.
        kind: &'static str,
        /// Why; never the key.
        reason: &'static str,
    },
}
