//! One event of a stream: its bytes, the texts in it, and the same event with other texts.

use std::collections::{BTreeMap, BTreeSet};
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
    /// Twins and the channels they repeat, in the order of the twins.
    pub(super) twins: Vec<(u32, u32)>,
    /// Channels that are names of tools which are called, in their order.
    pub(super) names: Vec<u32>,
    /// Channels whose text in this event is a whole value, in their order.
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
        self.names.binary_search(&channel).is_ok()
    }

    /// Whether the text of this channel in this event is a whole value, as an id is, which later events repeat or
    /// replace but do not go on with.
    #[must_use]
    pub fn is_whole(&self, channel: u32) -> bool {
        self.whole.binary_search(&channel).is_ok()
    }

    /// The channel whose text the given channel repeats with the escapes of its JSON undone. Edit that channel; its
    /// twin follows.
    #[must_use]
    pub fn twin(&self, channel: u32) -> Option<u32> {
        let at = self.twins.binary_search_by_key(&channel, |(twin, _)| *twin).ok()?;
        self.twins.get(at).map(|(_, of)| *of)
    }

    /// The same event with other texts on these channels, everything else byte for byte. When an event has several
    /// fragments of one channel, the first gets the text and the others become empty.
    ///
    /// # Errors
    /// [`Defect::NotEditable`] for a channel that this event does not have or that holds keys of objects, and for a
    /// twin without the channel it repeats.
    pub fn with_texts(&self, texts: &[(u32, String)]) -> Result<Self, Defect> {
        let asked: BTreeMap<u32, &str> =
            texts.iter().map(|(channel, text)| (*channel, text.as_str())).collect();
        let refuse = |channel: u32| Defect::NotEditable { pointer: format!("channel {channel}") };
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let mut fragments = self.fragments.clone();
        let mut done: BTreeSet<u32> = BTreeSet::new();
        for (fragment, place) in fragments.iter_mut().zip(&self.places) {
            let channel = fragment.channel;
            let Some(text) = asked.get(&channel).copied() else { continue };
            let text = if done.insert(channel) { text } else { "" };
            match place {
                Place::String(span) => changes.push((span.clone(), quoted(text))),
                Place::Whole(span) => changes.push((span.clone(), "null".to_owned())),
                Place::Line(span) => {
                    let line = text.trim_end_matches('\n').replace(['\n', '\r'], " ");
                    // A line that is all text becomes a comment: empty it would end the event, and a field's name
                    // could be another's.
                    let all = span
                        .start
                        .checked_sub(1)
                        .is_none_or(|before| matches!(self.raw.get(before), Some(b'\n' | b'\r')));
                    changes.push((span.clone(), if all { format!(": {line}") } else { line }));
                }
                Place::Twin(of) if asked.contains_key(of) => {}
                Place::Twin(_) | Place::Keys => return Err(refuse(channel)),
            }
            let text = if matches!(place, Place::Whole(_)) { "" } else { text };
            text.clone_into(&mut fragment.text);
        }
        if let Some(channel) = asked.keys().find(|channel| !done.contains(channel)) {
            return Err(refuse(*channel));
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
        // How far the start of each change has moved; shorter texts make it a negative number, in wrapping arithmetic.
        let mut moves: Vec<(Range<usize>, usize, usize)> = Vec::with_capacity(changes.len());
        let mut grown = 0_usize;
        for (span, text) in &changes {
            moves.push((span.clone(), text.len(), grown));
            grown = grown.wrapping_add(text.len()).wrapping_sub(span.len());
        }
        let places = self.places.iter().map(|place| place.after(&moves)).collect();
        Ok(Self {
            raw,
            fragments,
            usage: self.usage,
            last: self.last,
            places,
            twins: self.twins.clone(),
            names: self.names.clone(),
            whole: self.whole.clone(),
        })
    }
}

impl Place {
    /// Where it stands once these changes are made: what each covered, how long it is now, and how far its start moved.
    fn after(&self, moves: &[(Range<usize>, usize, usize)]) -> Self {
        let moved = |span: &Range<usize>| {
            let behind = moves.partition_point(|(changed, _, _)| changed.start <= span.start);
            match behind.checked_sub(1).and_then(|at| moves.get(at)) {
                None => span.clone(),
                Some((changed, length, grown)) if changed == span => {
                    let start = span.start.wrapping_add(*grown);
                    start..start + length
                }
                Some((changed, length, grown)) => {
                    let start =
                        span.start.wrapping_add(*grown).wrapping_add(*length).wrapping_sub(changed.len());
                    start..start + span.len()
                }
            }
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
