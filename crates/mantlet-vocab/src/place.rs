//! Where in an artifact, data set or file something was seen.

use serde::{Deserialize, Serialize};

/// A run of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Offset of the first byte.
    pub offset: u64,
    /// Number of bytes; 0 marks a point.
    pub len: u64,
}

impl Span {
    /// A run of `len` bytes from `offset`.
    #[must_use]
    pub const fn new(offset: u64, len: u64) -> Self {
        Self { offset, len }
    }

    /// A point.
    #[must_use]
    pub const fn at(offset: u64) -> Self {
        Self { offset, len: 0 }
    }
}

/// A place: the artifact as the user named it, the members it is nested in, the bytes, or a line or cell.
///
/// Displays as `model.tar!weights.pt!archive/data.pkl @ 0x1f`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The path or address as the user named it.
    pub artifact: String,
    /// Members from the outside in; empty for the artifact itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nesting: Vec<String>,
    /// Bytes within the innermost member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// A named part where bytes mean little to a reader: `line 4`, `column amount`, `class 7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
}

impl Place {
    /// The artifact as a whole.
    #[must_use]
    pub fn artifact(path: impl Into<String>) -> Self {
        Self { artifact: path.into(), nesting: Vec::new(), span: None, part: None }
    }

    /// The same place, one member deeper and without bytes.
    #[must_use]
    pub fn member(&self, name: impl Into<String>) -> Self {
        let mut place = self.clone();
        place.nesting.push(name.into());
        place.span = None;
        place
    }

    /// The same place at these bytes.
    #[must_use]
    pub fn at(&self, span: Span) -> Self {
        Self { span: Some(span), ..self.clone() }
    }

    /// The same place at a named part.
    #[must_use]
    pub fn part(&self, part: impl Into<String>) -> Self {
        Self { part: Some(part.into()), ..self.clone() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.artifact)?;
        for member in &self.nesting {
            write!(f, "!{member}")?;
        }
        if let Some(span) = self.span {
            write!(f, " @ {:#x}", span.offset)?;
        }
        if let Some(part) = &self.part {
            write!(f, " ({part})")?;
        }
        Ok(())
    }
}
