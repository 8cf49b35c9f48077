//! A reply while it is being written: what is found, and how much of it can be released.
//!
//! Law: a byte before [`Looked::settled`] belongs to no match that is not reported, whatever comes after it. What is
//! held back is an open prefix of a pattern, at most [`super::HOLD`] bytes of text as patterns read it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mantlet_vocab::{Fragment, Kind};

use super::matcher::{Cursor, Found, Matcher, Pattern};
use super::rooms::{Echo, Heard, Room, Unseen, link_host};
use super::rules::{PLACEHOLDER, Prompts, TextHit, TextRules, known};
use super::view::{Unescape, View};

/// Channels of one reply that are looked at. More is no reply of a model: nothing of the rest is released.
const CHANNELS: usize = 512;

/// What one fragment brought.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Looked {
    /// What was found and is final, in order of place. [`TextHit::piece`] is the channel.
    pub hits: Vec<TextHit>,
    /// Bytes of the channel's text so far that can be released.
    pub settled: usize,
    /// Placeholders among what is settled: what a redaction of the request put there, and can be put back.
    pub placeholders: Vec<(std::ops::Range<usize>, String)>,
    /// There are more channels than are looked at: this one stays held back.
    pub overflow: bool,
}

/// Looks at a reply as it is written.
#[derive(Debug, Clone)]
pub struct StreamLook {
    rules: Arc<TextRules>,
    heard: Arc<Heard>,
    channels: BTreeMap<u32, Channel>,
}

#[derive(Debug, Clone)]
struct Channel {
    kind: Kind,
    view: View,
    unescape: Unescape,
    known: Cursor,
    own: Cursor,
    unseen: Unseen,
    echo: Echo,
    /// Up to where hits of each room reach: a match within a match is the same thing seen twice.
    reach: BTreeMap<Room, usize>,
}

impl StreamLook {
    /// Looks at a reply to a caller who sent no instructions of its own; see [`StreamLook::listening`].
    #[must_use]
    pub fn new(rules: &Arc<TextRules>) -> Self {
        Self { rules: Arc::clone(rules), heard: Arc::clone(&rules.heard), channels: BTreeMap::new() }
    }

    /// Looks at a reply in which these instructions must not be repeated.
    #[must_use]
    pub fn listening(rules: &Arc<TextRules>, prompts: &Prompts) -> Self {
        Self { rules: Arc::clone(rules), heard: Arc::clone(&prompts.0), channels: BTreeMap::new() }
    }

    /// Reads a fragment.
    #[must_use]
    pub fn feed(&mut self, fragment: &Fragment) -> Looked {
        let known = self.channels.contains_key(&fragment.channel);
        if !known && self.channels.len() >= CHANNELS {
            return Looked { overflow: true, ..Looked::default() };
        }
        let channel = self.channels.entry(fragment.channel).or_insert_with(|| Channel::new(fragment.kind));
        let look = Look { rules: &self.rules, heard: &self.heard, reply: true, number: fragment.channel };
        channel.feed(look, &fragment.text, false)
    }

    /// The channel's text is over: nothing of it is held back any more.
    #[must_use]
    pub fn finish(&mut self, channel: u32) -> Looked {
        let look = Look { rules: &self.rules, heard: &self.heard, reply: true, number: channel };
        self.channels.get_mut(&channel).map_or_else(Looked::default, |channel| channel.feed(look, "", true))
    }

    /// What the channel would hold if its text were over. It may go on: what comes then is looked at together with what
    /// came before, as if nobody had asked.
    #[must_use]
    pub fn pause(&self, channel: u32) -> Looked {
        let look = Look { rules: &self.rules, heard: &self.heard, reply: true, number: channel };
        self.channels
            .get(&channel)
            .map_or_else(Looked::default, |channel| channel.clone().feed(look, "", true))
    }

    /// Channels that have been spoken on.
    #[must_use]
    pub fn channels(&self) -> Vec<u32> {
        self.channels.keys().copied().collect()
    }
}

/// The hits of a text that is there as a whole.
pub(crate) fn whole(
    rules: &TextRules,
    heard: &Heard,
    reply: bool,
    number: u32,
    kind: Kind,
    text: &str,
) -> Vec<TextHit> {
    Channel::new(kind).feed(Look { rules, heard, reply, number }, text, true).hits
}

#[derive(Clone, Copy)]
struct Look<'a> {
    rules: &'a TextRules,
    heard: &'a Heard,
    reply: bool,
    number: u32,
}

impl Look<'_> {
    /// Whether a room has anything to say about text of this role here.
    fn asks(&self, room: Room, kind: Kind) -> bool {
        let written = matches!(kind, Kind::Assistant | Kind::Reasoning | Kind::ToolCall | Kind::Unknown);
        let concerns = match room {
            // What a caller sends is the caller's; a tool's manual may show an address.
            Room::SecretExposed | Room::PersonalData => kind != Kind::ToolDefinition,
            Room::LinkExfiltration => {
                self.reply && written || matches!(kind, Kind::ToolResult | Kind::Document)
            }
            Room::TextInvisible | Room::BlockedTerm => true,
            Room::PromptLeak => self.reply && written,
            Room::ToolNotAllowed => kind == Kind::ToolCall && self.reply,
            Room::Placeholder => self.reply,
            Room::PromptInjection
            | Room::PromptJailbreak
            | Room::IndirectInjection
            | Room::PromptVariations
            | Room::InjectionSuspected
            | Room::PromptPersistence => false,
        };
        concerns && (room == Room::Placeholder || self.rules.asks(room))
    }
}

impl Channel {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            view: View::default(),
            unescape: Unescape::default(),
            known: Cursor::default(),
            own: Cursor::default(),
            unseen: Unseen::default(),
            echo: Echo::default(),
            reach: BTreeMap::new(),
        }
    }

    fn feed(&mut self, look: Look<'_>, text: &str, last: bool) -> Looked {
        let mut looked = Looked::default();
        let mut hits = Vec::new();
        let number = usize::try_from(look.number).unwrap_or(usize::MAX);
        let hit = |room: Room, range: std::ops::Range<usize>, score: f64, label: &str, tag| TextHit {
            rule: room.about().map_or(PLACEHOLDER, |about| about.name),
            piece: number,
            range,
            score,
            label: label.to_owned(),
            replacement: tag,
        };

        let raw = self.view.raw + self.unescape.open();
        if look.asks(Room::TextInvisible, self.kind) {
            let mut found = |start, end, score| {
                hits.push(hit(Room::TextInvisible, start..end, score, "invisible text", Some("")));
            };
            self.unseen.feed(text, raw, &mut found);
            if last {
                self.unseen.end(raw + text.len(), &mut found);
            }
        }

        let read = self.view.end();
        if self.kind == Kind::ToolCall {
            self.unescape.feed(text, &mut self.view);
            if last {
                self.unescape.finish(&mut self.view);
            }
        } else {
            self.view.push_str(text);
        }

        if !look.heard.is_empty() && look.asks(Room::PromptLeak, self.kind) {
            let mut found = Vec::new();
            let new = &self.view.bytes[read - self.view.base..];
            self.echo.feed(look.heard, new, &mut |start, end| found.push((start, end)));
            if last {
                self.echo.end(look.heard, &mut |start, end| found.push((start, end)));
            }
            for (start, end) in found {
                let range = self.view.raw_start(start)..self.view.raw_end(end);
                hits.push(hit(Room::PromptLeak, range, 1.0, "its own instructions", Some("LEAK")));
            }
        }

        let mut take = |matcher: &Matcher, cursor: &mut Cursor| {
            let mut found = Vec::new();
            matcher.advance(cursor, &self.view.bytes, self.view.base, self.view.before, last, &mut found);
            for one in found {
                let pattern = &matcher.patterns[one.pattern];
                let reach = self.reach.entry(pattern.room).or_default();
                if !look.asks(pattern.room, self.kind)
                    || one.end <= *reach
                    || !counts(look, pattern, &one, &self.view)
                {
                    continue;
                }
                *reach = one.end;
                if one.score <= 0.0 && pattern.room != Room::Placeholder {
                    continue;
                }
                let range = self.view.raw_start(one.start)..self.view.raw_end(one.end);
                if pattern.room == Room::Placeholder {
                    let text = self.view.bytes.get(one.start - self.view.base..one.end - self.view.base);
                    looked
                        .placeholders
                        .push((range, String::from_utf8_lossy(text.unwrap_or(b"")).into_owned()));
                } else {
                    hits.push(hit(pattern.room, range, one.score, &pattern.label, Some(pattern.tag)));
                }
            }
            cursor.start
        };
        let mut settled = take(known(), &mut self.known);
        if let Some(own) = &look.rules.own {
            settled = settled.min(take(own, &mut self.own));
        }
        if !last {
            settled = settled.min(self.echo.open().unwrap_or(usize::MAX));
        }

        let settled = self.view.floor(settled.min(self.view.end()));
        looked.settled = if last { self.view.raw } else { self.view.raw_start(settled) };
        if !last {
            looked.settled = looked.settled.min(self.unseen.open().unwrap_or(usize::MAX));
        }
        self.view.forget(settled);
        hits.sort_by(|a, b| (a.range.start, a.range.end, a.rule).cmp(&(b.range.start, b.range.end, b.rule)));
        looked.hits = hits;
        looked
    }
}

/// Whether the configuration lets this match count.
fn counts(look: Look<'_>, pattern: &Pattern, found: &Found, view: &View) -> bool {
    match pattern.room {
        Room::PersonalData => {
            let kinds = &look.rules.config.personal;
            kinds.is_empty() || kinds.iter().any(|kind| kind == pattern.tag)
        }
        Room::LinkExfiltration => {
            let hosts = &look.rules.config.link_hosts;
            let text = view.bytes.get(found.start.saturating_sub(view.base)..found.end - view.base);
            let Some(host) = text.and_then(link_host) else { return true };
            !hosts.iter().any(|allowed| {
                host.strip_suffix(allowed.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        }
        _ => true,
    }
}
