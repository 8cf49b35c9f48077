//! One walk over a message's JSON, by the table of its dialect: texts with their kind and place, and the few facts
//! limits need.
//!
//! Long because the walk, what it does at each kind of place and what it keeps are one thing.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use base64::Engine as _;
use mantlet_vocab::Kind;

use super::inner::{BASE64, is_base64, is_media, tokens, unescaped};
use super::shape::{Node, Scope, Shape, Voice, role};
use super::{KEYS, UNESCAPED};
use crate::json::Reader;
use crate::{Defect, Limits};

/// The longest pointer of a piece, and how many bytes the pointers of a message may have together: pointers repeat
/// keys, so that long keys above many strings would multiply a message.
const POINTER: usize = 2048;
const POINTERS: usize = 16 << 20;

/// The most choices whose end is told; those of more are texts.
const FINISHES: usize = 1024;

/// A number with fewer digits is no text: card, account and telephone numbers have more.
const DIGITS: usize = 9;

/// How a text stands in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a JSON string.
    String,
    /// As a value that can only be replaced as a whole, by `null`.
    Whole,
    /// In a form that no edit can replace.
    Derived,
}

/// A text of a message.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    /// A JSON pointer; in a stream, a name without places.
    pub(crate) pointer: String,
    pub(crate) text: String,
    /// Where it stands in the message.
    pub(crate) span: Range<usize>,
    pub(crate) form: Form,
    /// In a stream: its place at both levels.
    pub(crate) index: [u32; 2],
    /// In a stream: repeated by each event, so only a change is news.
    pub(crate) echo: bool,
    /// It is JSON, or a part of it.
    pub(crate) json: bool,
}

/// What a message says beside its texts.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) model: Option<String>,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) choices: Option<u32>,
    pub(crate) logprobs: bool,
    pub(crate) tools: Vec<String>,
    pub(crate) opaque: u32,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) finish: Vec<String>,
    pub(crate) event: Option<String>,
    pub(crate) rpc_id: Option<String>,
    pub(crate) method: Option<String>,
    /// The message is an error.
    pub(crate) failed: bool,
}

pub(crate) struct Walk<'l> {
    limits: &'l Limits,
    /// Names instead of places, for the channels of a stream.
    stream: bool,
    pub(crate) found: Vec<Found>,
    pub(crate) facts: Facts,
    pointer: String,
    pointers: usize,
    /// Texts whose kind waits for the `role` or `type` of the object around them.
    of_role: Vec<usize>,
    of_event: Vec<usize>,
    role: Option<Kind>,
    index: [Option<u32>; 2],
    places: [u32; 2],
    /// Keys of free-form objects, one text a kind.
    keys: Vec<(Kind, String)>,
}

impl<'l> Walk<'l> {
    pub(crate) const fn new(limits: &'l Limits, stream: bool) -> Self {
        Self {
            limits,
            stream,
            found: Vec::new(),
            facts: Facts {
                model: None,
                stream: false,
                include_usage: false,
                max_tokens: None,
                choices: None,
                logprobs: false,
                tools: Vec::new(),
                opaque: 0,
                input_tokens: None,
                output_tokens: None,
                finish: Vec::new(),
                event: None,
                rpc_id: None,
                method: None,
                failed: false,
            },
            pointer: String::new(),
            pointers: 0,
            of_role: Vec::new(),
            of_event: Vec::new(),
            role: None,
            index: [None; 2],
            places: [0; 2],
            keys: Vec::new(),
        }
    }

    /// Reads a whole message that must be an object of this shape.
    pub(crate) fn message(&mut self, body: &[u8], shape: &'static Shape) -> Result<(), Defect> {
        self.node(body, Node::Object(shape), true)
    }

    /// Reads a whole message that may be anything.
    pub(crate) fn node(&mut self, body: &[u8], node: Node, object: bool) -> Result<(), Defect> {
        if body.len() > self.limits.bytes {
            return Err(Defect::TooLarge { found: body.len(), limit: self.limits.bytes });
        }
        let mut reader = Reader::new(body, self.limits)?;
        if object && reader.peek() != Some(b'{') {
            return reader.syntax("an object");
        }
        self.value(&mut reader, node)?;
        reader.finish()?;
        self.keys_as_pieces();
        Ok(())
    }

    /// One member of an object that is read elsewhere.
    pub(crate) fn member(&mut self, reader: &mut Reader<'_>, key: &str, node: Node) -> Result<(), Defect> {
        self.below(key, |walk| walk.value(reader, node))
    }

    /// A member that no reader knows, its key included.
    pub(crate) fn stranger(&mut self, reader: &mut Reader<'_>, key: &str) -> Result<(), Defect> {
        self.key(Voice::Is(Kind::Unknown), key);
        self.member(reader, key, super::shape::UNKNOWN)
    }

    /// The members of an object under a member of an object that is read elsewhere.
    pub(crate) fn inside(
        &mut self,
        reader: &mut Reader<'_>,
        key: &str,
        mut read: impl FnMut(&mut Reader<'_>, &mut Self, &str) -> Result<(), Defect>,
    ) -> Result<(), Defect> {
        self.below(key, |walk| reader.object(|reader, key| read(reader, walk, key)))
    }

    /// The keys of free-form objects so far become texts.
    pub(crate) fn keys_as_pieces(&mut self) {
        for (kind, text) in std::mem::take(&mut self.keys) {
            let pointer = KEYS.to_owned();
            let form = Form::Derived;
            self.found.push(Found {
                kind,
                pointer,
                text,
                span: 0..0,
                form,
                index: [0; 2],
                echo: false,
                json: false,
            });
        }
    }

    fn value(&mut self, reader: &mut Reader<'_>, node: Node) -> Result<(), Defect> {
        let first = reader.peek();
        if matches!(node, Node::Failure) {
            self.facts.failed |= first != Some(b'n');
        }
        match (first, node) {
            (Some(b'{' | b'['), Node::Logprobs) => self.logprobs(reader),
            (Some(b'{'), Node::Object(shape)) => self.object(reader, shape),
            (Some(b'{'), other) => self.free(reader, voice(other)),
            (Some(b'['), node) => self.items(reader, node),
            (Some(b'"'), node) => self.string(reader, node),
            (Some(b't' | b'f'), node) => self.boolean(reader, node),
            (Some(b'n'), _) => reader.any().map(drop),
            (_, node) => self.number(reader, node),
        }
    }

    fn object(&mut self, reader: &mut Reader<'_>, shape: &'static Shape) -> Result<(), Defect> {
        let (first, roles, events) = (self.found.len(), self.of_role.len(), self.of_event.len());
        let outer = match shape.scope {
            Scope::Message(_) => self.role.take(),
            _ => None,
        };
        if let Scope::Indexed(level) = shape.scope {
            self.index[usize::from(level & 1)] = None;
        }
        reader.object(|reader, key| {
            let node = match shape.member(key) {
                Some(node) => node,
                None => {
                    self.key(shape.rest, key);
                    Node::Free(shape.rest)
                }
            };
            self.below(key, |walk| walk.value(reader, node))
        })?;
        match shape.scope {
            Scope::None => {}
            Scope::Message(without) => {
                let kind = self.role.unwrap_or(without);
                for at in self.of_role.drain(roles..) {
                    self.found[at].kind = kind;
                }
                self.role = outer;
            }
            Scope::Indexed(level) => {
                let level = usize::from(level & 1);
                // One that does not say its place has that of the array.
                let index = self.index[level].take().unwrap_or(self.places[level]);
                self.found[first..].iter_mut().for_each(|found| found.index[level] = index);
            }
            Scope::Event => {
                let index = self.index.map(|index| index.unwrap_or(0));
                self.index = [None; 2];
                self.found[first..].iter_mut().for_each(|found| found.index = index);
                let event = self.facts.event.as_deref().unwrap_or("");
                let kind = of_event(event);
                for at in self.of_event.drain(events..) {
                    let found = &mut self.found[at];
                    found.kind = kind;
                    found.pointer.insert_str(0, event);
                }
            }
        }
        Ok(())
    }

    /// An object no shape knows: all strings in it are texts, and its keys.
    fn free(&mut self, reader: &mut Reader<'_>, voice: Voice) -> Result<(), Defect> {
        reader.object(|reader, key| {
            self.key(voice, key);
            self.below(key, |walk| walk.value(reader, Node::Free(voice)))
        })
    }

    fn items(&mut self, reader: &mut Reader<'_>, node: Node) -> Result<(), Defect> {
        let level = match node {
            Node::Object(Shape { scope: Scope::Indexed(level), .. }) => Some(usize::from(level & 1)),
            _ => None,
        };
        let mut place = 0_u32;
        reader.array(|reader| {
            let length = self.pointer.len();
            if !self.stream {
                // Writing to a string cannot fail.
                let _ = write!(self.pointer, "/{place}");
            }
            if let Some(level) = level {
                self.places[level] = place;
            }
            self.value(reader, node)?;
            self.pointer.truncate(length);
            place = place.saturating_add(1);
            Ok(())
        })
    }

    fn below(&mut self, key: &str, read: impl FnOnce(&mut Self) -> Result<(), Defect>) -> Result<(), Defect> {
        let length = self.pointer.len();
        self.pointer.push('/');
        push_token(&mut self.pointer, key);
        if self.pointer.len() > POINTER {
            return Err(Defect::TooMany { what: "bytes in nested keys", limit: POINTER });
        }
        read(self)?;
        self.pointer.truncate(length);
        Ok(())
    }

    fn key(&mut self, voice: Voice, key: &str) {
        let kind = fixed(voice);
        let at = self.keys.iter().position(|(of, _)| *of == kind).unwrap_or_else(|| {
            self.keys.push((kind, String::new()));
            self.keys.len() - 1
        });
        let text = &mut self.keys[at].1;
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(key);
    }

    fn string(&mut self, reader: &mut Reader<'_>, node: Node) -> Result<(), Defect> {
        let start = reader.at;
        let text = reader.string()?;
        let span = start..reader.at;
        match node {
            Node::Word(words) if words.contains(&&*text) => return Ok(()),
            Node::Object(shape) => {
                // One level only: the node of a string is never an object's again.
                return match shape.text {
                    Node::Object(_) => self.push(Voice::Is(Kind::Unknown), text, span, Form::String, None),
                    node => self.text(node, text, span),
                };
            }
            _ => {}
        }
        self.text(node, text, span)
    }

    fn text(&mut self, node: Node, text: Cow<'_, str>, span: Range<usize>) -> Result<(), Defect> {
        match node {
            Node::Say(voice, name) => return self.push(voice, text, span, Form::String, Some(name)),
            Node::Free(voice) | Node::Prompt(voice) => {
                return self.push(voice, text, span, Form::String, None);
            }
            Node::Json(voice, name) => {
                // What a reader of the inner JSON sees can differ from what stands here: `\u0041` is an A.
                let inner =
                    if self.stream || !text.contains('\\') { None } else { unescaped(&text, self.limits) };
                let before = self.found.len();
                self.push(voice, text, span, Form::String, Some(name))?;
                self.found[before..].iter_mut().for_each(|found| found.json = true);
                return match inner {
                    Some(inner) => self.derived(voice, inner),
                    None => Ok(()),
                };
            }
            Node::Role => {
                self.role = Some(role(&text).unwrap_or(Kind::Unknown));
                if role(&text).is_some() {
                    return Ok(());
                }
            }
            Node::Type => {
                self.facts.event = Some(text.clone().into_owned());
                if text.len() <= 64
                    && text.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.'))
                {
                    return Ok(());
                }
            }
            Node::Model => self.facts.model = Some(text.clone().into_owned()),
            Node::Tool => {
                self.facts.tools.push(text.clone().into_owned());
                return self.push(Voice::Is(Kind::ToolDefinition), text, span, Form::String, None);
            }
            Node::Finish => {
                // Words of the dialect; whatever is longer is a text.
                if self.facts.finish.len() < FINISHES
                    && text.len() <= 32
                    && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
                {
                    self.facts.finish.push(text.into_owned());
                    return Ok(());
                }
            }
            Node::Method => {
                self.facts.method = Some(text.clone().into_owned());
                if text.len() <= 64
                    && text.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'/' | b'_'))
                {
                    return Ok(());
                }
            }
            Node::Called => {
                self.facts.tools.push(text.clone().into_owned());
                return self.push(Voice::Is(Kind::ToolCall), text, span, Form::String, Some("name"));
            }
            Node::RpcId => self.facts.rpc_id = Some(serde_json::Value::from(&*text).to_string()),
            Node::Numbers if text.len() >= BASE64 && is_base64(&text) => return Ok(()),
            Node::Media => return self.media(text, span),
            Node::Echo => return self.echo(text, span),
            Node::Stream | Node::IncludeUsage => {
                return Err(Defect::Syntax { offset: span.start, expected: "true or false" });
            }
            Node::MaxTokens | Node::Choices => {
                return Err(Defect::Syntax { offset: span.start, expected: "a number" });
            }
            Node::Word(_)
            | Node::Object(_)
            | Node::AskLogprobs
            | Node::Index(_)
            | Node::InputTokens
            | Node::OutputTokens
            | Node::Numbers
            | Node::Failure
            | Node::Logprobs => {}
        }
        self.push(Voice::Is(Kind::Unknown), text, span, Form::String, None)
    }

    fn echo(&mut self, text: Cow<'_, str>, span: Range<usize>) -> Result<(), Defect> {
        let before = self.found.len();
        self.push(Voice::Is(Kind::Unknown), text, span, Form::String, None)?;
        self.found[before..].iter_mut().for_each(|found| found.echo = true);
        Ok(())
    }

    fn push(
        &mut self,
        voice: Voice,
        text: Cow<'_, str>,
        span: Range<usize>,
        form: Form,
        name: Option<&'static str>,
    ) -> Result<(), Defect> {
        if text.is_empty() {
            return Ok(());
        }
        if self.found.len() >= self.limits.pieces {
            return Err(Defect::TooMany { what: "texts", limit: self.limits.pieces });
        }
        let pointer = match name {
            Some(name) if self.stream => name,
            _ => &self.pointer,
        };
        self.pointers += pointer.len();
        if self.pointers > POINTERS {
            return Err(Defect::TooMany { what: "bytes of keys above texts", limit: POINTERS });
        }
        match voice {
            Voice::Is(_) => {}
            Voice::Role => self.of_role.push(self.found.len()),
            Voice::Event => self.of_event.push(self.found.len()),
        }
        self.found.push(Found {
            kind: fixed(voice),
            pointer: pointer.to_owned(),
            text: text.into_owned(),
            span,
            form,
            index: [0; 2],
            echo: false,
            json: false,
        });
        Ok(())
    }

    /// A second form of the text just found, which no edit can replace.
    fn derived(&mut self, voice: Voice, text: String) -> Result<(), Defect> {
        let before = self.found.len();
        self.push(voice, Cow::Owned(text), 0..0, Form::Derived, None)?;
        self.found[before..].iter_mut().for_each(|found| found.pointer.push_str(UNESCAPED));
        Ok(())
    }

    /// Images, sound and files are not looked at but counted; text that travels as one of them is text.
    fn media(&mut self, text: Cow<'_, str>, span: Range<usize>) -> Result<(), Defect> {
        let data = text.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        let (head, payload) = data.map_or(("", &*text), |(head, payload)| (head, payload));
        if payload.len() >= BASE64 && is_base64(payload) {
            if is_media(payload) && head.len() <= 64 {
                self.facts.opaque = self.facts.opaque.saturating_add(1);
                return Ok(());
            }
            let inner = base64::engine::general_purpose::STANDARD.decode(payload).unwrap_or_default();
            match String::from_utf8(inner) {
                Ok(inner) => self.derived(Voice::Is(Kind::Document), inner)?,
                Err(_) => self.facts.opaque = self.facts.opaque.saturating_add(1),
            }
        } else if ["http:", "https:", "file:", "gs:", "s3:"].iter().any(|scheme| text.starts_with(scheme)) {
            self.facts.opaque = self.facts.opaque.saturating_add(1);
        }
        self.push(Voice::Is(Kind::Document), text, span, Form::String, None)
    }

    fn boolean(&mut self, reader: &mut Reader<'_>, node: Node) -> Result<(), Defect> {
        let offset = reader.at;
        let value = reader.boolean()?;
        match node {
            Node::Stream => self.facts.stream = value,
            Node::IncludeUsage => self.facts.include_usage = value,
            Node::AskLogprobs => self.facts.logprobs |= value,
            Node::MaxTokens | Node::Choices => return Err(Defect::Syntax { offset, expected: "a number" }),
            _ => {}
        }
        Ok(())
    }

    fn number(&mut self, reader: &mut Reader<'_>, node: Node) -> Result<(), Defect> {
        let offset = reader.at;
        let text = reader.number()?;
        let whole = text.parse::<u64>().ok();
        let small = whole.and_then(|value| u32::try_from(value).ok());
        match node {
            Node::Stream | Node::IncludeUsage => {
                return Err(Defect::Syntax { offset, expected: "true or false" });
            }
            // A limit that is read as another number here than there is no limit.
            Node::MaxTokens => match whole {
                Some(value) => self.facts.max_tokens = Some(self.facts.max_tokens.unwrap_or(0).max(value)),
                None => return Err(Defect::OutOfRange { offset, datatype: "a count of tokens" }),
            },
            Node::Choices => match small {
                Some(value) => self.facts.choices = Some(self.facts.choices.unwrap_or(0).max(value)),
                None => return Err(Defect::OutOfRange { offset, datatype: "a count of answers" }),
            },
            Node::AskLogprobs => self.facts.logprobs = true,
            Node::Index(level) => match small {
                Some(value) => self.index[usize::from(level & 1)] = Some(value),
                None => return Err(Defect::OutOfRange { offset, datatype: "an index" }),
            },
            Node::InputTokens => self.facts.input_tokens = whole.or(self.facts.input_tokens),
            Node::OutputTokens => self.facts.output_tokens = whole.or(self.facts.output_tokens),
            Node::RpcId => self.facts.rpc_id = Some(text.to_owned()),
            Node::Prompt(_) => self.facts.opaque = self.facts.opaque.saturating_add(1),
            Node::Numbers => {}
            other if text.bytes().filter(u8::is_ascii_digit).count() >= DIGITS => {
                let span = offset..reader.at;
                return self.push(voice(other), Cow::Borrowed(text), span, Form::String, None);
            }
            _ => {}
        }
        Ok(())
    }

    /// The tokens put together are one text and the alternatives another; only the whole can be taken out.
    fn logprobs(&mut self, reader: &mut Reader<'_>) -> Result<(), Defect> {
        let start = reader.at;
        let (mut said, mut others) = (String::new(), String::new());
        tokens(reader, &mut said, &mut others, false)?;
        let span = start..reader.at;
        let voice = Voice::Is(Kind::Assistant);
        self.push(voice, Cow::Owned(said), span.clone(), Form::Whole, Some("logprobs"))?;
        self.push(voice, Cow::Owned(others), span, Form::Whole, Some("logprobs-others"))
    }
}

/// The voice of what stands at a node in a form the node does not expect.
const fn voice(node: Node) -> Voice {
    match node {
        Node::Free(voice) | Node::Say(voice, _) | Node::Prompt(voice) | Node::Json(voice, _) => voice,
        Node::Tool => Voice::Is(Kind::ToolDefinition),
        _ => Voice::Is(Kind::Unknown),
    }
}

/// The kind before a role or event is known.
const fn fixed(voice: Voice) -> Kind {
    match voice {
        Voice::Is(kind) => kind,
        Voice::Role | Voice::Event => Kind::Unknown,
    }
}

/// The kind of text that an event of a stream of responses brings.
fn of_event(event: &str) -> Kind {
    if event.contains("reasoning") {
        Kind::Reasoning
    } else if event.contains("arguments") || event.contains("input") || event.contains("code") {
        Kind::ToolCall
    } else {
        Kind::Assistant
    }
}

/// Adds a key as a token of a JSON pointer (RFC 6901).
pub(crate) fn push_token(pointer: &mut String, key: &str) {
    if key.contains(['~', '/']) {
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(key);
    }
}
