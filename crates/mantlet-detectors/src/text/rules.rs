//! The text rules of one configuration, and what they find in whole messages.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use mantlet_vocab::{About, Kind, Piece, Signal};
use regex_automata::util::syntax;

use super::attempts::Asked;
use super::config::{NamedPattern, TextConfig, TextConfigError, ToolPolicy};
use super::matcher::{HOLD, Matcher, Pattern};
use super::reading::{self, Reading};
use super::rooms::{self, Heard, Room};
use super::stream;
use super::{linear, orders};

/// Something a text rule found.
#[derive(Debug, Clone, PartialEq)]
pub struct TextHit {
    /// The rule.
    pub rule: &'static str,
    /// The index of the piece, or the number of the channel.
    pub piece: usize,
    /// Bytes of its text.
    pub range: Range<usize>,
    /// The rule's statistic; at or above 1.0 means its threshold was reached.
    pub score: f64,
    /// What it is, in words; never the text itself.
    pub label: String,
    /// The word a placeholder for it is made from; `None` when taking these bytes out would not help.
    pub replacement: Option<&'static str>,
}

impl TextHit {
    /// Whether a placeholder for it can be put back for the caller who sent it: data, not secrets.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.rule == "personal-data"
    }
}

/// The instructions of one exchange, listened for in its reply.
#[derive(Debug, Clone)]
pub struct Prompts(pub(crate) Arc<Heard>);

/// Patterns and words, compiled.
#[derive(Debug)]
pub struct TextRules {
    pub(crate) config: TextConfig,
    pub(crate) own: Option<Matcher>,
    pub(crate) heard: Arc<Heard>,
    rooms: u32,
}

/// Roles whose text is judged as orders of the caller.
const fn is_asking(kind: Kind) -> bool {
    matches!(kind, Kind::User | Kind::Unknown)
}

impl TextRules {
    /// Compiles a configuration. What every configuration shares is compiled by the first look at a text.
    ///
    /// # Errors
    /// When a rule does not exist, or an expression cannot be used: the error says which and how to mend it.
    pub fn new(config: &TextConfig) -> Result<Self, TextConfigError> {
        config.check_lengths()?;
        let mut rooms = u32::MAX;
        for name in &config.off {
            let room =
                Room::ALL.into_iter().find(|room| room.about().is_some_and(|about| about.name == name));
            rooms &= !room.ok_or_else(|| TextConfigError::UnknownRule { name: name.clone() })?.bit();
        }
        let kinds = ["EMAIL", "PHONE", "CARD", "IBAN", "SSN", "IP"];
        if let Some(kind) = config.personal.iter().find(|kind| !kinds.contains(&kind.as_str())) {
            return Err(TextConfigError::UnknownKind { kind: kind.clone() });
        }
        let own = own_patterns(config)?;
        let own = if own.is_empty() { None } else { Some(Matcher::new(own, true)?) };
        Ok(Self {
            own,
            heard: Arc::new(Heard::new(config.prompts.iter().map(String::as_str))),
            rooms,
            config: config.clone(),
        })
    }

    /// Compiles that now: a tenth of a second no caller then waits, and megabytes nobody else needs.
    pub fn prepare(&self) {
        known();
        super::orders::prepare();
    }

    /// The configuration.
    #[must_use]
    pub const fn config(&self) -> &TextConfig {
        &self.config
    }

    /// Bytes the automata take: those every configuration shares, and this one's own.
    #[must_use]
    pub fn memory(&self) -> (usize, usize) {
        (known().memory(), self.own.as_ref().map_or(0, Matcher::memory))
    }

    /// The names of the rules that are asked.
    pub fn names(&self) -> impl Iterator<Item = &'static About> + '_ {
        Room::ALL.into_iter().filter(|room| self.asks(*room)).filter_map(Room::about)
    }

    pub(crate) fn asks(&self, room: Room) -> bool {
        self.rooms & room.bit() != 0
    }

    /// What to listen for in the reply: the configuration's instructions and those among these pieces.
    #[must_use]
    pub fn prompts(&self, pieces: &[Piece]) -> Prompts {
        let sent =
            || pieces.iter().filter(|piece| piece.kind == Kind::System).map(|piece| piece.text.as_str());
        if sent().next().is_none() {
            return Prompts(Arc::clone(&self.heard));
        }
        let all = self.config.prompts.iter().map(String::as_str).chain(sent());
        Prompts(Arc::new(Heard::new(all)))
    }

    /// What is found in a request, in order of piece and place.
    #[must_use]
    pub fn request(&self, pieces: &[Piece]) -> Vec<TextHit> {
        let mut hits = self.whole(pieces, false, None);
        self.orders(pieces, &mut hits, &mut None);
        in_order(hits)
    }

    /// The same for one piece, with what is remembered of its caller when it is the last thing the caller said
    /// ([`TextRules::asked`]): the text is read once for both.
    #[must_use]
    pub fn request_and_asked(&self, piece: &Piece) -> (Vec<TextHit>, Option<Asked>) {
        let pieces = std::slice::from_ref(piece);
        let mut hits = self.whole(pieces, false, None);
        let mut read = None;
        self.orders(pieces, &mut hits, &mut read);
        let asked = match read {
            Some(readings) => asked_of(&piece.text, &readings),
            None => self.asked(pieces),
        };
        (in_order(hits), asked)
    }

    /// What is found in a whole reply, in order of piece and place.
    #[must_use]
    pub fn reply(&self, pieces: &[Piece], prompts: &Prompts) -> Vec<TextHit> {
        let mut hits = self.whole(pieces, true, Some(prompts));
        self.orders(pieces, &mut hits, &mut None);
        for (index, piece) in pieces.iter().enumerate() {
            let named = piece.kind == Kind::ToolCall && piece.pointer.ends_with("/name");
            hits.extend(named.then(|| self.tool(index, &piece.text)).flatten());
        }
        in_order(hits)
    }

    /// Whether the rule of that name is asked.
    #[must_use]
    pub fn is_asked(&self, name: &str) -> bool {
        self.names().any(|about| about.name == name)
    }

    /// What of a request is remembered of its caller: the last thing the caller said.
    #[must_use]
    pub fn asked(&self, pieces: &[Piece]) -> Option<Asked> {
        let last = pieces.get(Self::last_asked(pieces)?)?;
        asked_of(&last.text, &reading::readings(&last.text))
    }

    /// The place of the last thing the caller said.
    #[must_use]
    pub fn last_asked(pieces: &[Piece]) -> Option<usize> {
        pieces.iter().rposition(|piece| piece.kind == Kind::User && !piece.text.trim().is_empty())
    }

    /// A hit when a tool of this name may not be called.
    #[must_use]
    pub fn tool(&self, piece: usize, name: &str) -> Option<TextHit> {
        if !self.asks(Room::ToolNotAllowed) || self.config.tools.allows(name) {
            return None;
        }
        Some(TextHit {
            rule: "tool-not-allowed",
            piece,
            range: 0..name.len(),
            score: 1.0,
            label: "a tool that may not be called".to_owned(),
            replacement: None,
        })
    }

    /// Which tools may be called.
    #[must_use]
    pub const fn tools(&self) -> &ToolPolicy {
        &self.config.tools
    }

    /// The signal that hits of one rule make together.
    #[must_use]
    pub fn signals(hits: &[TextHit]) -> Vec<Signal> {
        let mut by_rule: BTreeMap<&str, Vec<&TextHit>> = BTreeMap::new();
        hits.iter().for_each(|hit| by_rule.entry(hit.rule).or_default().push(hit));
        let about = |rule: &str| rooms::text_abouts().into_iter().find(|about| about.name == rule);
        let signal = |(rule, hits): (&str, Vec<&TextHit>)| {
            let about = about(rule)?;
            let score = hits.iter().map(|hit| hit.score).fold(0.0, f64::max);
            let mut labels: Vec<&str> = hits.iter().map(|hit| hit.label.as_str()).collect();
            labels.sort_unstable();
            labels.dedup();
            labels.truncate(8);
            let message = format!("{}: {}", about.title, labels.join(", "));
            Some(about.signal(score, message).fact("places", hits.len()).fact("labels", labels))
        };
        by_rule.into_iter().filter_map(signal).collect()
    }

    fn whole(&self, pieces: &[Piece], reply: bool, prompts: Option<&Prompts>) -> Vec<TextHit> {
        let mut hits = Vec::new();
        let nothing = Heard::default();
        let heard = prompts.map_or(&nothing, |prompts| &*prompts.0);
        for (index, piece) in pieces.iter().enumerate() {
            let channel = u32::try_from(index).unwrap_or(u32::MAX);
            hits.extend(stream::whole(self, heard, reply, channel, piece.kind, &piece.text));
        }
        hits.retain(|hit| hit.rule != PLACEHOLDER);
        hits
    }

    /// Orders in what was asked, and in what the model is given to read.
    fn orders(&self, pieces: &[Piece], hits: &mut Vec<TextHit>, read: &mut Option<Vec<Reading>>) {
        for (index, piece) in pieces.iter().enumerate() {
            let indirect = rooms::weigh_indirect(piece.kind);
            if !is_asking(piece.kind) && indirect.is_none() {
                continue;
            }
            for order in judge(&piece.text, piece.kind, read).into_iter().flatten() {
                let Some(about) = order.room.about().filter(|_| self.asks(order.room) && order.score >= 1.0)
                else {
                    continue;
                };
                let how =
                    if order.how.is_empty() { String::new() } else { format!(" (hidden by {})", order.how) };
                hits.push(TextHit {
                    rule: about.name,
                    piece: index,
                    range: 0..piece.text.len(),
                    score: order.score.min(8.0),
                    label: format!("{}{how}", order.label),
                    replacement: None,
                });
            }
        }
    }
}

/// The rule name of placeholders among hits of a stream.
pub(crate) const PLACEHOLDER: &str = "";

/// The strongest order of one kind in a text.
struct Order {
    room: Room,
    score: f64,
    label: &'static str,
    how: &'static str,
}

impl Order {
    /// The stronger of two.
    fn or(most: &mut Option<Self>, other: Self) {
        if most.as_ref().is_none_or(|most| other.score > most.score) {
            *most = Some(other);
        }
    }
}

/// The sum of patterns from which the model can make them surer, how sure it must be for that (as no ordinary text
/// made it), and how sure it counts at most.
const SUPPORT: f64 = 0.5;
const SURE: f64 = 2.0;
const SUREST: f64 = 3.0;

/// What is hidden is worse than what stands plainly: nobody encodes a question by chance.
const HIDDEN: f64 = 1.5;

/// What is remembered of a text with these readings. Digits for letters and letters set apart are dress too.
fn asked_of(text: &str, readings: &[Reading]) -> Option<Asked> {
    let undressed = readings.iter().skip(1).find(|reading| !reading.how.starts_with("base"));
    let plain = readings.first()?;
    Some(Asked::new(text, undressed.map_or(&plain.text, |reading| &reading.text)))
}

/// The strongest orders of a text: by patterns, and by the model. `read`: its readings, when it is read as a whole.
fn judge(text: &str, kind: Kind, read: &mut Option<Vec<Reading>>) -> [Option<Order>; 2] {
    let indirect = rooms::weigh_indirect(kind);
    let weight = indirect.unwrap_or(1.0);
    let mut most = [None, None];
    let mut rest = text;
    while !rest.is_empty() {
        let mut cut = rest.len().min(reading::LONGEST);
        while !rest.is_char_boundary(cut) {
            cut -= 1;
        }
        let (part, tail) = rest.split_at(cut);
        rest = tail;
        let forged = orders::forged(part);
        let readings = reading::readings(part);
        for reading in &readings {
            let how = reading.how;
            let tokens = orders::tokens(&reading.text);
            let orders = orders::weigh(&tokens);
            let hidden = if how.is_empty() { 1.0 } else { HIDDEN };
            let rules = (orders.injection + orders.jailbreak + forged) * hidden * weight;
            // A tool's description is a manual, and a manual is full of orders.
            let learned = linear::score(reading, &tokens) * weight.min(1.0);
            let both = rules >= SUPPORT && learned >= SURE;
            let score = if both { rules.max(f64::midpoint(rules, learned.min(SUREST))) } else { rules };
            let jailbreak = orders.jailbreak > orders.injection;
            let room = match indirect {
                Some(_) => Room::IndirectInjection,
                None if jailbreak => Room::PromptJailbreak,
                None => Room::PromptInjection,
            };
            let label = if jailbreak { "talking it out of its limits" } else { "orders" };
            Order::or(&mut most[0], Order { room, score, label, how });
            let order =
                Order { room: Room::InjectionSuspected, score: learned, label: "like known attacks", how };
            Order::or(&mut most[1], order);
        }
        *read = (part.len() == text.len()).then_some(readings);
    }
    most
}

fn in_order(mut hits: Vec<TextHit>) -> Vec<TextHit> {
    hits.sort_by(|a, b| {
        (a.piece, a.range.start, a.range.end, a.rule).cmp(&(b.piece, b.range.start, b.range.end, b.rule))
    });
    hits
}

/// The patterns every configuration shares, compiled once.
pub(crate) fn known() -> &'static Matcher {
    static KNOWN: OnceLock<Matcher> = OnceLock::new();
    KNOWN.get_or_init(|| {
        Matcher::new(rooms::patterns(), false)
            .expect("they are fixed, and every test of a text compiles them")
    })
}

fn own_patterns(config: &TextConfig) -> Result<Vec<Pattern>, TextConfigError> {
    let always = |_: &[u8]| Some((1.0, 0));
    let mut patterns = Vec::new();
    for canary in &config.canaries {
        let len = canary.chars().count();
        if !(8..=256).contains(&len) {
            return Err(TextConfigError::Canary { len });
        }
        for regex in rooms::canary_regexes(canary) {
            let sure = |_: &[u8]| Some((4.0, 0));
            patterns.push(Pattern::new(Room::PromptLeak, "a canary", "LEAK", &regex, sure));
        }
    }
    for term in &config.terms {
        if term.trim().is_empty() {
            return Err(TextConfigError::Empty { name: term.clone() });
        }
        let regex = rooms::blocked_term_regex(term);
        patterns.push(Pattern::new(Room::BlockedTerm, "a blocked term", "BLOCKED", &regex, always));
    }
    let named = |list: &[NamedPattern], room, tag, patterns: &mut Vec<Pattern>| {
        for NamedPattern { name, pattern } in list {
            check(name, pattern)?;
            patterns.push(Pattern::new(room, name, tag, pattern, always));
        }
        Ok::<_, TextConfigError>(())
    };
    named(&config.patterns, Room::BlockedTerm, "BLOCKED", &mut patterns)?;
    named(&config.tools.arguments, Room::ToolNotAllowed, "ARGUMENT", &mut patterns)?;
    Ok(patterns)
}

/// A user's expression must parse, match something, and have a longest match.
fn check(name: &str, pattern: &str) -> Result<(), TextConfigError> {
    let unusable = |why: String| TextConfigError::Pattern { name: name.to_owned(), why };
    let parsed =
        syntax::parse_with(pattern, &syntax::Config::new()).map_err(|error| unusable(error.to_string()))?;
    let properties = parsed.properties();
    if properties.minimum_len().is_none_or(|len| len == 0) {
        return Err(TextConfigError::Empty { name: name.to_owned() });
    }
    if properties.maximum_len().is_none_or(|len| len > HOLD) {
        return Err(TextConfigError::Unbounded { name: name.to_owned() });
    }
    Ok(())
}
