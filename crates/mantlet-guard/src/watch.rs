//! A reply on its way to the caller, event by event.
//!
//! Events leave in the order they came. One leaves when every text in it is settled: no pattern that could still
//! become a hit overlaps it, and every judge has seen it but for its release lag. What is redacted is taken out on the
//! way; what stops the reply stops it before the first byte of it has left.
//!
//! Long because taking, holding and releasing an event is one story.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mantlet_detectors::text::{Looked, StreamLook, TextHit, TextRules};
use mantlet_vocab::{Action, Fragment, Kind, Mode, Signal};
use mantlet_wire::text::Frame;

use crate::text::{TextState, absorb, put_back, weigh_judged};
use crate::vault::{Replacement, Replacer, Vault, gone};
use crate::verdict::Weighed;
use crate::{Failure, Guard, Inspection, RulePolicy, WindowJudge};

/// Events over which a channel counts as one of those that speak.
const SPEAKING: u64 = 64;

/// The most bytes of events that wait; more is no stream of text.
const WAITING: usize = 4 << 20;

/// What can be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Events to send, in order.
    pub frames: Vec<Frame>,
    /// Whether the stream goes on.
    pub verdict: Verdict,
}

/// Whether a stream goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Events are as they came.
    Go,
    /// Something in the events that are released was taken out or put back.
    Redacted,
    /// Nothing more may be sent but the dialect's way to end.
    Stop {
        /// Why, in words the caller may read.
        reason: String,
    },
}

/// Watches one reply.
pub struct ReplyWatch {
    look: StreamLook,
    rules: Arc<TextRules>,
    policies: Arc<BTreeMap<&'static str, RulePolicy>>,
    judges: Vec<(RulePolicy, Arc<dyn WindowJudge>)>,
    vault: Arc<Vault>,
    mode: Mode,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    channels: BTreeMap<u32, Channel>,
    weighed: Weighed,
    signals: Vec<Signal>,
    stopped: Option<String>,
    /// The rules failed and their policies let the reply pass: nothing more is looked at.
    blind: bool,
    events: u64,
}

struct Waiting {
    frame: Frame,
    /// Channel, and where its text in this event begins and ends in the channel.
    texts: Vec<(u32, usize, usize)>,
}

struct Channel {
    kind: Kind,
    len: usize,
    settled: usize,
    /// Up to where the rules themselves have let go of it.
    certain: usize,
    /// Up to where it was let go of because it was silent.
    freed: usize,
    replacer: Replacer,
    /// Text the judges have not seen, and where it begins.
    unjudged: String,
    judged: usize,
    /// What they saw last.
    shown: String,
    /// A tool's name, so far.
    name: String,
    /// The event that last brought text.
    spoke: u64,
}

impl Guard {
    /// Watches the streamed reply of an inspected request.
    #[must_use]
    pub fn watch(&self, inspection: &Inspection) -> ReplyWatch {
        let state = inspection
            .text
            .clone()
            .unwrap_or_else(|| TextState { prompts: self.text.rules.prompts(&[]), vault: Arc::default() });
        ReplyWatch {
            look: StreamLook::listening(&self.text.rules, &state.prompts),
            rules: Arc::clone(&self.text.rules),
            policies: Arc::clone(&self.text.policies),
            judges: self.text.judges.clone(),
            vault: state.vault,
            mode: self.config().mode,
            waiting: VecDeque::new(),
            bytes: 0,
            channels: BTreeMap::new(),
            weighed: Weighed::default(),
            signals: Vec::new(),
            stopped: None,
            blind: false,
            events: 0,
        }
    }
}

impl ReplyWatch {
    /// Takes the next event.
    #[must_use]
    pub fn feed(&mut self, frame: Frame) -> Release {
        if self.stopped.is_some() {
            return self.release(false);
        }
        let last = frame.last;
        self.bytes += frame.raw.len();
        if self.blind {
            self.waiting.push_back(Waiting { frame, texts: Vec::new() });
        } else {
            let looked = catch_unwind(AssertUnwindSafe(|| self.take(&frame)));
            let texts = looked.unwrap_or_else(|_| {
                self.fail(Failure::Panic);
                Vec::new()
            });
            self.waiting.push_back(Waiting { frame, texts });
        }
        if last {
            return self.finish();
        }
        let mut release = self.release(false);
        if self.bytes > WAITING && !self.blind && self.stopped.is_none() {
            self.fail(Failure::Overload);
            let rest = self.release(false);
            release.frames.extend(rest.frames);
            if rest.verdict != Verdict::Go {
                release.verdict = rest.verdict;
            }
        }
        release
    }

    /// The stream is over.
    #[must_use]
    pub fn finish(&mut self) -> Release {
        if self.stopped.is_none() {
            let ended = catch_unwind(AssertUnwindSafe(|| self.end()));
            if ended.is_err() {
                self.fail(Failure::Panic);
            }
        }
        self.release(true)
    }

    /// Bytes that may be released before the slowest judge has seen them; `None` without judges.
    #[must_use]
    pub fn lag(&self) -> Option<usize> {
        self.judges.iter().map(|(_, judge)| judge.lag()).max()
    }

    /// Adds what the reply led to to the inspection of its request, for the record.
    pub fn conclude(self, inspection: &mut Inspection) {
        let Weighed { action, proposed, failed, .. } = self.weighed;
        let mut late = mantlet_vocab::Decision { action, proposed, mode: self.mode, signals: self.signals };
        late.signals.extend(crate::text::failures(&failed));
        absorb(inspection, late, self.stopped.unwrap_or_default());
    }

    fn take(&mut self, frame: &Frame) -> Vec<(u32, usize, usize)> {
        self.events += 1;
        let mut texts = Vec::new();
        for fragment in &frame.fragments {
            // The text it repeats is looked at with its escapes undone.
            if fragment.kind == Kind::ToolCall && frame.twin(fragment.channel).is_some() {
                continue;
            }
            if frame.names_tool(fragment.channel) {
                self.named(fragment);
            }
            let channel =
                self.channels.entry(fragment.channel).or_insert_with(|| Channel::new(fragment.kind));
            let from = channel.len;
            channel.len += fragment.text.len();
            channel.spoke = self.events;
            texts.push((fragment.channel, from, channel.len));
            let looked = self.look.feed(fragment);
            channel.certain = looked.settled;
            self.found(fragment.channel, &looked);
            self.judge(fragment.channel, Some(&fragment.text));
            if frame.is_whole(fragment.channel) {
                self.close(fragment.channel);
            }
        }
        self.free_silent();
        texts
    }

    fn end(&mut self) {
        for number in self.look.channels() {
            self.close(number);
        }
    }

    /// The channel's text is over, as far as one can tell.
    fn close(&mut self, number: u32) {
        let looked = self.look.finish(number);
        self.found(number, &looked);
        self.judge(number, None);
        if let Some(channel) = self.channels.get_mut(&number) {
            channel.settled = channel.len;
        }
    }

    /// Lets go of channels that have said nothing while each of those that speak could have spoken twice: a block that is
    /// complete must not hold back the next one. Dialects do not say so in one way, so silence has to. Whoever speaks
    /// again goes on where it was: what a pattern has of it is not forgotten, and no second part of it leaves.
    fn free_silent(&mut self) {
        let now = self.events;
        let speaking = self.channels.values().filter(|channel| now - channel.spoke < SPEAKING).count();
        let patience = u64::try_from(speaking).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(2);
        let open = |channel: &Channel| {
            channel.settled < channel.len
                && channel.certain >= channel.freed
                && now - channel.spoke >= patience
        };
        let silent: Vec<u32> =
            self.channels.iter().filter(|(_, channel)| open(channel)).map(|(number, _)| *number).collect();
        for number in silent {
            let looked = self.look.pause(number);
            self.found(number, &looked);
            self.judge(number, None);
            if let Some(channel) = self.channels.get_mut(&number) {
                (channel.settled, channel.freed) = (channel.len, channel.len);
            }
        }
    }

    /// A part of a tool's name: what it is so far must be allowed.
    fn named(&mut self, fragment: &Fragment) {
        let channel = self.channels.entry(fragment.channel).or_insert_with(|| Channel::new(fragment.kind));
        channel.name.push_str(&fragment.text);
        if let Some(hit) = self.rules.tool(0, &channel.name) {
            self.weigh(&[hit]);
        }
    }

    fn found(&mut self, number: u32, looked: &Looked) {
        if looked.overflow {
            self.fail(Failure::Overload);
        }
        if !looked.hits.is_empty() {
            self.weigh(&looked.hits);
        }
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.settled = channel.settled.max(looked.settled);
        for (range, name) in &looked.placeholders {
            if let Some(value) = self.vault.value(name) {
                let text = put_back(value, channel.kind);
                channel.replacer.add(Replacement { start: range.start, end: range.end, text });
            }
        }
        for hit in looked.hits.iter().filter(|hit| self.weighed.redacts.contains(hit.rule)) {
            let (start, end) = (hit.range.start, hit.range.end);
            channel.replacer.add(Replacement { start, end, text: gone(hit) });
        }
    }

    fn weigh(&mut self, hits: &[TextHit]) {
        for signal in TextRules::signals(hits) {
            let Some((rule, policy)) = self.policies.get_key_value(signal.name.as_str()) else { continue };
            let mut signals = Vec::new();
            crate::verdict::weigh(&mut self.weighed, &mut signals, Ok(Some(signal)), rule, policy, self.mode);
            if hits.iter().any(|hit| hit.rule == *rule && hit.replacement.is_none()) {
                self.weighed.cannot_redact(rule, policy, self.mode);
            }
            self.keep(signals);
        }
        self.stop();
    }

    /// One signal a rule: the strongest.
    fn keep(&mut self, signals: Vec<Signal>) {
        for signal in signals {
            match self.signals.iter_mut().find(|other| other.name == signal.name) {
                Some(other) if other.score < signal.score => *other = signal,
                Some(_) => {}
                None => self.signals.push(signal),
            }
        }
    }

    fn judge(&mut self, number: u32, text: Option<&str>) {
        if self.judges.is_empty() {
            return;
        }
        let Some(channel) = self.channels.get_mut(&number) else { return };
        channel.unjudged.push_str(text.unwrap_or(""));
        let size = self.judges.iter().map(|(_, judge)| judge.window()).min().unwrap_or(0).max(16);
        let full = channel.unjudged.len() >= size / 2;
        if channel.unjudged.is_empty() || !(full || text.is_none()) {
            return;
        }
        // The window is what came since the last, with as much before it again.
        let window = std::mem::take(&mut channel.unjudged);
        let kind = channel.kind;
        let mut shown = std::mem::take(&mut channel.shown);
        shown.push_str(&window);
        channel.judged += window.len();
        channel.shown = window;
        for (policy, judge) in self.judges.clone() {
            let said = crate::judge::ask(&*judge, kind, tail(&shown, judge.window()));
            let mut signals = Vec::new();
            weigh_judged(&mut self.weighed, &mut signals, said, judge.about().name, &policy, self.mode);
            self.keep(signals);
        }
        self.stop();
    }

    /// The text rules could not look: each of them has failed.
    fn fail(&mut self, failure: Failure) {
        let asked: Vec<&str> = self.rules.names().map(|about| about.name).collect();
        let policies = Arc::clone(&self.policies);
        for (rule, policy) in policies.iter().filter(|(rule, _)| asked.contains(*rule)) {
            self.weighed.fail_as(rule, policy, self.mode, failure);
        }
        self.blind = true;
        self.stop();
    }

    /// Whether what was found so far stops the reply.
    fn stop(&mut self) {
        let stops = matches!(self.weighed.action, Action::Refuse | Action::Divert | Action::StepUp);
        if stops && self.stopped.is_none() {
            self.stopped = Some(crate::verdict::words(&self.weighed.by, &self.signals));
        }
    }
}

impl ReplyWatch {
    fn release(&mut self, all: bool) -> Release {
        let mut frames = Vec::new();
        let mut changed = false;
        while self.stopped.is_none() {
            let Some(next) = self.waiting.front() else { break };
            if !all && !self.blind && !next.texts.iter().all(|text| self.is_settled(*text)) {
                break;
            }
            let Some(Waiting { frame, texts }) = self.waiting.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(frame.raw.len());
            match self.written(&frame, &texts) {
                None => frames.push(frame),
                Some(Ok(frame)) => {
                    changed = true;
                    frames.push(frame);
                }
                // What cannot be taken out stops the reply.
                Some(Err(_)) => {
                    self.weighed.add(Action::Refuse, "secret-exposed", self.mode);
                    self.stopped = Some("the answer holds what may not leave; ask in another way".to_owned());
                }
            }
        }
        let verdict = match &self.stopped {
            Some(reason) => {
                self.waiting.clear();
                Verdict::Stop { reason: reason.clone() }
            }
            None if changed => Verdict::Redacted,
            None => Verdict::Go,
        };
        Release { frames, verdict }
    }

    fn is_settled(&self, (channel, _, to): (u32, usize, usize)) -> bool {
        let Some(channel) = self.channels.get(&channel) else { return true };
        // A channel that ended was judged to its end.
        let judged = match self.lag() {
            Some(_) => {
                let slowest = self.judges.iter().map(|(_, judge)| judge.lag()).min().unwrap_or(0);
                channel.judged.saturating_add(slowest)
            }
            None => usize::MAX,
        };
        to <= channel.settled.min(judged)
    }

    /// The event with what was taken out or put back, when anything was.
    fn written(
        &mut self,
        frame: &Frame,
        texts: &[(u32, usize, usize)],
    ) -> Option<Result<Frame, mantlet_wire::Defect>> {
        let mut changes: Vec<(u32, String)> = Vec::new();
        let mut seen: Vec<u32> = Vec::new();
        for &(number, from, _) in texts {
            if seen.contains(&number) {
                continue;
            }
            seen.push(number);
            let Some(channel) = self.channels.get_mut(&number) else { continue };
            let text: String = frame
                .fragments
                .iter()
                .filter(|fragment| fragment.channel == number)
                .map(|fragment| fragment.text.as_str())
                .collect();
            if !channel.replacer.is_plain(from, from + text.len()) {
                changes.push((number, channel.replacer.write(&text, from)));
            }
        }
        (!changes.is_empty()).then(|| frame.with_texts(&changes))
    }
}

impl Channel {
    const fn new(kind: Kind) -> Self {
        Self {
            kind,
            len: 0,
            settled: 0,
            certain: 0,
            freed: 0,
            replacer: Replacer::new(),
            unjudged: String::new(),
            judged: 0,
            shown: String::new(),
            name: String::new(),
            spoke: 0,
        }
    }
}

/// The end of a text, at most so many bytes, from a character on.
fn tail(text: &str, most: usize) -> &str {
    let mut from = text.len().saturating_sub(most.max(4));
    while !text.is_char_boundary(from) {
        from += 1;
    }
    &text[from..]
}
