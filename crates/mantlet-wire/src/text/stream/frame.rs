//! One event of a stream: its bytes, the texts in it, and the same event with other texts.

use std::ops::Range;

use mantlet_vocab::Fragment;

use super::super::Usage;
use super::super::edit::quoted;
use crate::Defect;

/// An event as it came, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// The event's bytes, its blank line included. The `raw` of all frames in order are the bytes that were fed.
    pub raw: Vec<u8>,
    /// The texts in it, in its order.
    pub fragments: Vec<Fragment>,
    /// The tokens counted so far, when this event brings a count.
    pub usage: Option<Usage>,
    /// Whether the dialect's stream ends with this event.
    pub last: bool,
    /// Where each fragment stands in `raw`.
    pub(super) places: Vec<Place>,
    /// Channels that are names of tools which are called.
    pub(super) names: Vec<u32>,
    /// Channels whose text in this event is a whole value.
    pub(super) whole: Vec<u32>,
}

/// Where a fragment stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// A JSON string.
    String(Range<usize>),
    /// A value that can only be left out.
    Whole(Range<usize>),
    /// The text of a line that is no data.
    Line(Range<usize>),
    /// Another form of the fragment of that channel.
    Twin(u32),
    /// Keys of objects.
    Keys,
}

impl Frame {
    /// Whether the text of this channel is the name of a tool that is called.
    #[must_use]
    pub fn names_tool(&self, channel: u32) -> bool {
        self.names.contains(&channel)
    }

    /// Whether the text of this channel in this event is a whole value, as an id is, which later events repeat or
    /// replace but do not go on with.
    #[must_use]
    pub fn is_whole(&self, channel: u32) -> bool {
        self.whole.contains(&channel)
    }

    /// The channel whose text the given channel repeats with the escapes of its JSON undone. Edit that channel; its
    /// twin follows.
    #[must_use]
    pub fn twin(&self, channel: u32) -> Option<u32> {
        let at = self.fragments.iter().position(|fragment| fragment.channel == channel)?;
        match self.places.get(at) {
            Some(Place::Twin(of)) => Some(*of),
            _ => None,
        }
    }

    /// The same event with other texts on these channels, everything else byte for byte. When an event has several
    /// fragments of one channel, the first gets the text and the others become empty.
    ///
    /// # Errors
    /// [`Defect::NotEditable`] for a channel that this event does not have or that holds keys of objects, and for a
    /// twin without the channel it repeats.
    pub fn with_texts(&self, texts: &[(u32, String)]) -> Result<Self, Defect> {
        let asked = |channel: u32| texts.iter().find(|(of, _)| *of == channel).map(|(_, text)| text.as_str());
        let refuse = |channel: u32| Defect::NotEditable { pointer: format!("channel {channel}") };
        for (channel, _) in texts {
            if !self.fragments.iter().any(|fragment| fragment.channel == *channel) {
                return Err(refuse(*channel));
            }
        }
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let mut fragments = self.fragments.clone();
        let mut done: Vec<u32> = Vec::new();
        for (fragment, place) in fragments.iter_mut().zip(&self.places) {
            let channel = fragment.channel;
            let Some(text) = asked(channel) else { continue };
            let text = if done.contains(&channel) { "" } else { text };
            done.push(channel);
            match place {
                Place::String(span) => changes.push((span.clone(), quoted(text))),
                Place::Whole(span) => changes.push((span.clone(), "null".to_owned())),
                Place::Line(span) => {
                    changes.push((span.clone(), text.trim_end_matches('\n').replace(['\n', '\r'], " ")));
                }
                Place::Twin(of) if asked(*of).is_some() => {}
                Place::Twin(_) | Place::Keys => return Err(refuse(channel)),
            }
            let text = if matches!(place, Place::Whole(_)) { "" } else { text };
            text.clone_into(&mut fragment.text);
        }
        changes.sort_by_key(|(span, _)| span.start);
        changes.dedup_by(|later, earlier| later.0 == earlier.0);
        let mut raw = Vec::with_capacity(self.raw.len());
        let mut at = 0;
        for (span, text) in &changes {
            let between = self.raw.get(at..span.start).ok_or(refuse(0))?;
            raw.extend_from_slice(between);
            raw.extend_from_slice(text.as_bytes());
            at = span.end;
        }
        raw.extend_from_slice(self.raw.get(at..).ok_or(refuse(0))?);
        let places = self.places.iter().map(|place| place.after(&changes)).collect();
        Ok(Self {
            raw,
            fragments,
            usage: self.usage,
            last: self.last,
            places,
            names: self.names.clone(),
            whole: self.whole.clone(),
        })
    }
}

impl Place {
    /// Where it stands once these changes are made.
    fn after(&self, changes: &[(Range<usize>, String)]) -> Self {
        let moved = |span: &Range<usize>| {
            let mut start = span.start;
            let mut length = span.len();
            for (changed, text) in changes.iter().filter(|(changed, _)| changed.start <= span.start) {
                if changed == span {
                    length = text.len();
                } else {
                    start = start + text.len() - changed.len();
                }
            }
            start..start + length
        };
        match self {
            Self::String(span) => Self::String(moved(span)),
            Self::Whole(span) => Self::Whole(moved(span)),
            Self::Line(span) => Self::Line(moved(span)),
            Self::Twin(of) => Self::Twin(*of),
            Self::Keys => Self::Keys,
        }
    }
}
