//! Detectors of text: what a caller asks of a language model, what it is given to read, and what it answers.
//!
//! [`TextRules`] are compiled once from a [`TextConfig`]. Whole messages go through [`TextRules::request`] and
//! [`TextRules::reply`]; a reply that is still being written goes through [`StreamLook`], which says after each
//! fragment how much of a channel's text can be released. Both take the same way, so a hit does not depend on how a
//! text was cut.

mod attempts;
mod config;
mod decode;
mod letters;
mod lexicon;
mod linear;
mod matcher;
mod orders;
mod reading;
mod rooms;
mod rules;
mod sentences;
mod stream;
mod view;

pub use attempts::{Asked, Attempts};
pub use config::{NamedPattern, TextConfig, TextConfigError, ToolPolicy};
pub use matcher::{HOLD, Uncompilable};
pub use rooms::text_abouts;
pub use rules::{Prompts, TextHit, TextRules};
pub use stream::{Looked, StreamLook};
