//! Streams of server-sent events, read event by event wherever their bytes are cut.
//!
//! Fragments carry a channel: fragments of one channel in order are one text, as the dialect's client puts it together
//! (a choice's content, the arguments of one call of a tool, one block). What stands in a comment, in the name of an
//! event or in a field that no rule knows is forwarded, so it is a fragment too. The arguments of a call are JSON in
//! parts: a second channel, their twin, has the same text with its escapes undone.

mod frame;
mod split;
mod unescape;

use std::collections::BTreeMap;

use mantlet_vocab::{Fragment, Kind};

use self::frame::Place;
use self::split::{Splitter, lines};
use self::unescape::Unescape;
use super::shape::Shape;
use super::walk::{Form, Found, Walk};
use super::{KEYS, Surface, UNESCAPED, Usage, anthropic, mcp, openai};
use crate::{Defect, Limits};

pub use frame::Frame;

/// A text repeated by events is remembered up to this many bytes.
const ECHO: usize = 512;

/// Reads the stream of one answer.
#[derive(Debug)]
pub struct StreamReader {
    events: Splitter,
    state: State,
}

/// What reading one event leaves for the next.
#[derive(Debug)]
struct State {
    surface: Surface,
    limits: Limits,
    begun: bool,
    ended: bool,
    usage: Usage,
    channels: BTreeMap<(String, [u32; 2]), u32>,
    echoes: BTreeMap<u32, String>,
    twins: BTreeMap<u32, (u32, Unescape)>,
}

impl StreamReader {
    /// A reader of a stream from its first byte. Memory: one event of at most `limits.bytes`, and names of at most
    /// `limits.pieces` channels.
    #[must_use]
    pub fn new(surface: Surface, limits: Limits) -> Self {
        let state = State {
            surface,
            limits,
            begun: false,
            ended: false,
            usage: Usage::default(),
            channels: BTreeMap::new(),
            echoes: BTreeMap::new(),
            twins: BTreeMap::new(),
        };
        Self { events: Splitter::new(limits.bytes), state }
    }

    /// Takes the next bytes, and gives the events they complete.
    ///
    /// # Errors
    /// The first defect of an event; nothing of that event may be sent on, and the reader is of no further use.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, Defect> {
        let mut frames = Vec::new();
        self.events.feed(bytes, |event| {
            frames.push(self.state.event(event)?);
            Ok(())
        })?;
        Ok(frames)
    }

    /// The end of the stream: bytes that no blank line ended, which some clients read as an event.
    ///
    /// # Errors
    /// [`Defect::Unfinished`] when the event that ends a stream of this dialect has not come: what came so far may be
    /// half an answer. Also the defects of [`Self::feed`].
    pub fn finish(&mut self) -> Result<Option<Frame>, Defect> {
        let rest = self.events.rest();
        let frame = if rest.is_empty() { None } else { Some(self.state.event(&rest)?) };
        // JSON-RPC has no last event.
        if self.state.ended || self.state.surface == Surface::Mcp {
            Ok(frame)
        } else {
            Err(Defect::Unfinished)
        }
    }
}

/// The data of an event, as its reader puts it together: the one message of an event of JSON-RPC.
#[must_use]
pub fn event_data(frame: &Frame) -> String {
    let mut data = Data { first: None, joined: None };
    for (at, line) in lines(std::str::from_utf8(&frame.raw).unwrap_or("")) {
        if let ("data", value) = line.split_once(':').unwrap_or((line, "")) {
            data.push(at, value.strip_prefix(' ').unwrap_or(value));
        }
    }
    data.text().to_owned()
}

/// The event with other data, its name and id as they came; comments and fields no client reads are left out.
#[must_use]
pub fn event_with(frame: &Frame, data: &str) -> Vec<u8> {
    let mut event = String::with_capacity(frame.raw.len() + data.len());
    for (_, line) in lines(std::str::from_utf8(&frame.raw).unwrap_or("")) {
        let field = line.split_once(':').map_or(line, |(field, _)| field);
        if matches!(field, "event" | "id" | "retry") {
            event.push_str(line);
            event.push('\n');
        }
    }
    for line in data.split(['\n', '\r']) {
        event.push_str("data: ");
        event.push_str(line);
        event.push('\n');
    }
    event.push('\n');
    event.into_bytes()
}

/// The data of an event: its JSON, and where each line of it stands in the event.
struct Data<'a> {
    first: Option<(usize, &'a str)>,
    /// The joined lines and, for each, where it starts here and in the event; only when there are several.
    joined: Option<(String, Vec<(usize, usize)>)>,
}

impl<'a> Data<'a> {
    fn push(&mut self, at: usize, text: &'a str) {
        match (&mut self.joined, self.first) {
            (None, None) => self.first = Some((at, text)),
            (None, Some((first, so_far))) => {
                let joined = format!("{so_far}\n{text}");
                self.joined = Some((joined, vec![(0, first), (so_far.len() + 1, at)]));
            }
            (Some((joined, starts)), _) => {
                joined.push('\n');
                starts.push((joined.len(), at));
                joined.push_str(text);
            }
        }
    }

    fn text(&self) -> &str {
        match (&self.joined, self.first) {
            (Some((joined, _)), _) => joined,
            (None, Some((_, text))) => text,
            (None, None) => "",
        }
    }

    /// Where a byte of the data stands in the event.
    fn place(&self, at: usize) -> usize {
        match (&self.joined, self.first) {
            (Some((_, starts)), _) => {
                let line = starts.partition_point(|(start, _)| *start <= at).saturating_sub(1);
                starts.get(line).map_or(at, |(start, place)| place + at - start)
            }
            (None, Some((first, _))) => first + at,
            (None, None) => at,
        }
    }
}

impl State {
    fn event(&mut self, raw: &[u8]) -> Result<Frame, Defect> {
        let text = std::str::from_utf8(raw).map_err(|e| Defect::NotUtf8 { offset: e.valid_up_to() })?;
        if !self.begun && text.starts_with('\u{feff}') {
            // One client strips the mark, another takes it for a part of the first field's name.
            return Err(Defect::Syntax { offset: 0, expected: "an event without a byte order mark" });
        }
        self.begun = true;
        let mut frame = Frame { raw: raw.to_vec(), ..Frame::default() };
        let mut data = Data { first: None, joined: None };
        let mut name = None;
        for (at, line) in lines(text) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let start = at + (field.len() + 1).min(line.len());
            let (start, value) = match value.strip_prefix(' ') {
                Some(value) => (start + 1, value),
                None => (start, value),
            };
            match field {
                "data" => data.push(start, value),
                "event" => name = Some((start, value)),
                "retry" if value.bytes().all(|b| b.is_ascii_digit()) => {}
                "" | "id" | "retry" => self.aside(&mut frame, start, value)?,
                _ => self.aside(&mut frame, at, line)?,
            }
        }
        let said = match data.text() {
            "" => None,
            "[DONE]" if self.surface != Surface::Mcp => {
                frame.last = true;
                None
            }
            json if self.surface == Surface::Mcp && name.is_some_and(|(_, name)| name == "endpoint") => {
                // The older transport's first event: a path, no JSON.
                self.aside(&mut frame, data.place(0), json)?;
                None
            }
            json => self.message(&mut frame, json, &data)?,
        };
        if let Some((start, name)) = name {
            match said {
                Some(found) if found != name && self.surface != Surface::Mcp => {
                    // One client goes by the event's name, another by the data's.
                    let short = |text: &str| text.chars().take(60).collect();
                    return Err(Defect::EventName { name: short(name), found: short(&found) });
                }
                Some(_) => {}
                None if matches!(name, "message" | "ping" | "error" | "endpoint" | "done") => {}
                None => self.aside(&mut frame, start, name)?,
            }
        }
        self.ended |= frame.last;
        frame.twins.sort_unstable();
        frame.twins.dedup();
        frame.names.sort_unstable();
        frame.whole.sort_unstable();
        Ok(frame)
    }

    /// Reads the JSON of an event into the frame; gives the event's own word for what it is.
    fn message(&mut self, frame: &mut Frame, json: &str, data: &Data<'_>) -> Result<Option<String>, Defect> {
        let limits = self.limits;
        let mut walk = Walk::new(&limits, true);
        walk.message(json.as_bytes(), self.shape())?;
        for found in walk.found {
            self.fragment(frame, found, data)?;
        }
        let facts = walk.facts;
        if facts.input_tokens.is_some() || facts.output_tokens.is_some() {
            self.usage.input_tokens = facts.input_tokens.unwrap_or(self.usage.input_tokens);
            self.usage.output_tokens = facts.output_tokens.unwrap_or(self.usage.output_tokens);
            frame.usage = Some(self.usage);
        }
        frame.last |= match (self.surface, facts.event.as_deref()) {
            (Surface::Mcp, _) => false,
            (Surface::AnthropicMessages, Some("message_stop" | "error")) => true,
            (
                Surface::OpenAiResponses,
                Some("response.completed" | "response.failed" | "response.incomplete" | "error"),
            ) => true,
            _ => facts.failed,
        };
        Ok(facts.event)
    }

    const fn shape(&self) -> &'static Shape {
        match self.surface {
            Surface::AnthropicMessages | Surface::AnthropicCountTokens => &anthropic::EVENT,
            Surface::OpenAiResponses => &openai::RESPONSES_EVENT,
            Surface::Mcp => &mcp::RPC,
            _ => &openai::CHAT_REPLY,
        }
    }

    fn fragment(&mut self, frame: &mut Frame, found: Found, data: &Data<'_>) -> Result<(), Defect> {
        let Found { kind, pointer, text, span, form, index, echo, json } = found;
        let twin = json.then(|| format!("{pointer}{UNESCAPED}"));
        let keys = pointer == KEYS;
        let pointer = if keys { format!("{KEYS}{kind:?}") } else { pointer };
        let names = kind == Kind::ToolCall && (pointer == "name" || pointer.ends_with("/name"));
        let channel = self.channel(pointer, index)?;
        if names {
            frame.names.push(channel);
        }
        if echo {
            frame.whole.push(channel);
        }
        if echo && text.len() <= ECHO {
            if self.echoes.get(&channel) == Some(&text) {
                return Ok(());
            }
            self.echoes.insert(channel, text.clone());
        }
        let place = match form {
            Form::String => Place::String(data.place(span.start)..data.place(span.end)),
            Form::Whole => Place::Whole(data.place(span.start)..data.place(span.end)),
            Form::Derived => Place::Keys,
        };
        let unescaped = match twin {
            None => None,
            Some(twin) => {
                let twin = self.channel(twin, index)?;
                let (of, unescape) = self.twins.entry(twin).or_insert_with(|| (channel, Unescape::default()));
                let text = unescape.feed(&text);
                Some((Fragment { channel: twin, kind, text }, Place::Twin(*of)))
            }
        };
        frame.fragments.push(Fragment { channel, kind, text });
        frame.places.push(place);
        if let Some((fragment, place)) = unescaped.filter(|(fragment, _)| !fragment.text.is_empty()) {
            frame.twins.push((fragment.channel, channel));
            frame.fragments.push(fragment);
            frame.places.push(place);
        }
        Ok(())
    }

    /// A text beside the data: a comment, a field no rule knows. Each is a line of one text.
    fn aside(&mut self, frame: &mut Frame, at: usize, text: &str) -> Result<(), Defect> {
        if text.is_empty() {
            return Ok(());
        }
        self.room(frame)?;
        let channel = self.channel(":".to_owned(), [0; 2])?;
        frame.fragments.push(Fragment { channel, kind: Kind::Unknown, text: format!("{text}\n") });
        frame.places.push(Place::Line(at..at + text.len()));
        Ok(())
    }

    /// An event of many short lines would be many times its size in memory.
    const fn room(&self, frame: &Frame) -> Result<(), Defect> {
        if frame.fragments.len() < self.limits.pieces {
            Ok(())
        } else {
            Err(Defect::TooMany { what: "texts in an event", limit: self.limits.pieces })
        }
    }

    /// The number of a channel; new names count up.
    fn channel(&mut self, pointer: String, index: [u32; 2]) -> Result<u32, Defect> {
        let next = self.channels.len();
        if let Some(channel) = self.channels.get(&(pointer.clone(), index)) {
            return Ok(*channel);
        }
        if next >= self.limits.pieces {
            return Err(Defect::TooMany { what: "channels of a stream", limit: self.limits.pieces });
        }
        let channel = u32::try_from(next).unwrap_or(u32::MAX);
        self.channels.insert((pointer, index), channel);
        Ok(channel)
    }
}
