//! Text of language-model traffic through the text rules and judges to a decision.
//!
//! A rule that fails (an error, a panic, out of time, too much at once) is decided by its own choice, as everywhere in
//! the guard. Text rules run together over each piece; when one pass fails, each of its rules has failed.
//!
//! Long because a request, its reply and what stands beside tensors are looked at in one way.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mantlet_detectors::guard_rule_failed;
use mantlet_detectors::text::{Prompts, TextHit, TextRules};
use mantlet_vocab::{Action, Decision, Kind, Millis, Mode, Piece, Signal};
use mantlet_wire::text::{Edit, KEYS, TextReply, TextRequest, UNESCAPED};

use crate::peers::{Note, Seen};
use crate::vault::{Replacement, Replacer, Vault, gone};
use crate::verdict::{Weighed, sort, weigh};
use crate::{Caller, Failure, Guard, Inspection, RulePolicy, StepUp, WindowJudge};

/// Microseconds since some moment.
pub type Meter = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The part of a guard that looks at text.
pub(crate) struct TextGuard {
    pub(crate) rules: Arc<TextRules>,
    pub(crate) policies: Arc<BTreeMap<&'static str, RulePolicy>>,
    pub(crate) judges: Vec<(RulePolicy, Arc<dyn WindowJudge>)>,
    pub(crate) step_up: Option<StepUp>,
    meter: Meter,
    /// The instructions that came last, and what was made of them: most requests of a caller bring the same.
    last: Mutex<Option<(Vec<String>, Prompts)>>,
}

/// Bytes of instructions that are kept for the next request.
const KEPT: usize = 64 << 10;

/// What the text of an exchange left for its reply.
#[derive(Debug, Clone)]
pub(crate) struct TextState {
    pub(crate) prompts: Prompts,
    pub(crate) vault: Arc<Vault>,
}

impl TextGuard {
    pub(crate) fn new(rules: TextRules, policy: impl Fn(&str) -> RulePolicy) -> Self {
        let started = Instant::now();
        let names = mantlet_detectors::text::text_abouts().into_iter().map(|about| about.name);
        Self {
            rules: Arc::new(rules),
            policies: Arc::new(names.map(|name| (name, policy(name))).collect()),
            judges: Vec::new(),
            step_up: None,
            last: Mutex::default(),
            meter: Arc::new(move || u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX)),
        }
    }

    /// What to listen for in the reply to a request of these pieces.
    fn prompts(&self, pieces: &[Piece]) -> Prompts {
        let system = || pieces.iter().filter(|piece| piece.kind == Kind::System).map(|piece| &piece.text);
        let bytes: usize = system().map(String::len).sum();
        // Whoever finds it in use makes its own.
        let last = if (1..=KEPT).contains(&bytes) { self.last.try_lock().ok() } else { None };
        let Some(mut last) = last else { return self.rules.prompts(pieces) };
        if let Some((texts, prompts)) = &*last
            && texts.iter().eq(system())
        {
            return prompts.clone();
        }
        let prompts = self.rules.prompts(pieces);
        *last = Some((system().cloned().collect(), prompts.clone()));
        prompts
    }

    /// Weighs hits by their rules' policies.
    pub(crate) fn weigh(
        &self,
        hits: &[TextHit],
        weighed: &mut Weighed,
        signals: &mut Vec<Signal>,
        mode: Mode,
    ) {
        for signal in TextRules::signals(hits) {
            self.weigh_signal(signal, weighed, signals, mode);
        }
    }

    fn weigh_signal(&self, signal: Signal, weighed: &mut Weighed, signals: &mut Vec<Signal>, mode: Mode) {
        let Some((rule, policy)) = self.policies.get_key_value(signal.name.as_str()) else { return };
        weigh(weighed, signals, Ok(Some(signal)), rule, policy, mode);
    }

    /// A pass over text failed, and with it every rule of it.
    fn fail(&self, failure: Failure, weighed: &mut Weighed, mode: Mode) {
        let asked: BTreeSet<&str> = self.rules.names().map(|about| about.name).collect();
        for (rule, policy) in self.policies.iter().filter(|(rule, _)| asked.contains(*rule)) {
            weighed.fail_as(rule, policy, mode, failure);
        }
    }
}

impl Guard {
    /// With judges of text that are asked window by window.
    #[must_use]
    pub fn with_judges(mut self, judges: Vec<Arc<dyn WindowJudge>>) -> Self {
        let policy = |name: &str| self.policy(name);
        self.text.judges = judges.into_iter().map(|judge| (policy(judge.about().name), judge)).collect();
        self
    }

    /// Microseconds on the clock for budgets.
    pub(crate) fn micros(&self) -> u64 {
        (self.text.meter)()
    }

    /// With a clock for budgets of one's own.
    #[must_use]
    pub fn with_meter(mut self, meter: Meter) -> Self {
        self.text.meter = meter;
        self
    }

    /// The judges in force: name, the most bytes each is shown at once, and the bytes of a reply that may be released
    /// before it has judged them.
    pub fn judges(&self) -> impl Iterator<Item = (&'static str, usize, usize)> + '_ {
        self.text.judges.iter().map(|(_, judge)| (judge.about().name, judge.window(), judge.lag()))
    }

    /// The text rules in force.
    #[must_use]
    pub fn text_rules(&self) -> &Arc<TextRules> {
        &self.text.rules
    }

    /// Looks at the text of an admitted caller's request and decides, before the model is asked. When the decision
    /// passes, [`Inspection::edits`] must be applied to what is forwarded.
    #[must_use]
    pub fn examine_text(&self, caller: Caller<'_>, request: &TextRequest, now: Millis) -> Inspection {
        let mode = self.config().mode;
        let (mut weighed, mut signals) = (Weighed::default(), Vec::new());
        let pieces = &request.pieces;
        let (last, mut asked) = (TextRules::last_asked(pieces), None);
        let hits = self.looked(pieces, &mut weighed, |index, piece| {
            if Some(index) == last {
                let (hits, said) = self.text.rules.request_and_asked(piece);
                asked = said;
                hits
            } else {
                self.text.rules.request(std::slice::from_ref(piece))
            }
        });
        self.text.weigh(&hits, &mut weighed, &mut signals, mode);
        self.judged(pieces, |kind| kind != Kind::Assistant, &mut weighed, &mut signals);

        // What was too much to look at is remembered all the same.
        let asked = asked.or_else(|| {
            last.and_then(|_| catch_unwind(AssertUnwindSafe(|| self.text.rules.asked(pieces))).ok().flatten())
        });
        if let Some(asked) = asked {
            let seen = self.callers.with(caller.key, now, |caller| caller.attempts.advance(asked, now));
            for signal in seen.into_iter().filter(|signal| self.text.rules.is_asked(&signal.name)) {
                let rule = signal.name.clone();
                self.text.weigh_signal(signal, &mut weighed, &mut signals, mode);
                weighed.cannot_redact(&rule, &self.policy(&rule), mode);
            }
        }

        let mut vault = Vault::default();
        let edits = self.edits(&hits, pieces, &mut weighed, Some(&mut vault));
        let diverted = self.diverted(caller, now);
        let mut inspection = self.conclude(signals, weighed, diverted, 0, None);
        self.ask_again(caller, &mut inspection, now);
        if inspection.decision.action.passes() {
            inspection.edits = edits;
        } else if !inspection.decision.signals.is_empty() {
            self.callers.with(caller.key, now, |caller| caller.attempts.stopped());
        }
        if let Some(asked) = asked {
            let stopped = !inspection.decision.action.passes() && !inspection.decision.signals.is_empty();
            self.line.tell(caller, now, || Seen::Noted(Note::Prompt { asked, stopped }));
        }
        let prompts = self.text.prompts(pieces);
        inspection.text = Some(TextState { prompts, vault: Arc::new(vault) });
        inspection
    }

    /// Looks at a whole reply and decides again. When the decision passes, the edits that are returned must be applied
    /// to what the caller gets; when it does not, the reply must be withheld.
    #[must_use]
    pub fn examine_text_reply(&self, inspection: &mut Inspection, reply: &TextReply) -> Vec<Edit> {
        let Some(state) = inspection.text.clone() else { return Vec::new() };
        let mode = self.config().mode;
        let (mut weighed, mut signals) = (Weighed::default(), Vec::new());
        let pieces = &reply.pieces;
        let hits = self.looked(pieces, &mut weighed, |_, piece| {
            self.text.rules.reply(std::slice::from_ref(piece), &state.prompts)
        });
        self.text.weigh(&hits, &mut weighed, &mut signals, mode);
        self.judged(pieces, |_| true, &mut weighed, &mut signals);
        let mut edits = self.edits(&hits, pieces, &mut weighed, None);
        restore(pieces, &state.vault, &mut edits);
        let late = self.conclude(signals, weighed, None, inspection.row, None);
        absorb(inspection, late.decision, late.reason);
        if inspection.decision.action.passes() { edits } else { Vec::new() }
    }

    /// Looks at texts that stand in or beside tensors, of a request or of its reply, and decides again.
    ///
    /// Nothing can be taken out of tensors. Data about people is what many models of tables are made for, so rules
    /// that would take it out mark the exchange; what may not be anywhere (a credential) is refused.
    pub fn examine_beside(&self, inspection: &mut Inspection, pieces: &[Piece], reply: bool) {
        if pieces.is_empty() {
            return;
        }
        let mode = self.config().mode;
        let (mut weighed, mut signals) = (Weighed::default(), Vec::new());
        let prompts = self.text.rules.prompts(&[]);
        let hits = self.looked(pieces, &mut weighed, |_, piece| {
            let piece = std::slice::from_ref(piece);
            if reply { self.text.rules.reply(piece, &prompts) } else { self.text.rules.request(piece) }
        });
        self.text.weigh(&hits, &mut weighed, &mut signals, mode);
        for hit in hits.iter().filter(|hit| !hit.is_reversible()) {
            weighed.cannot_redact(hit.rule, &self.policy(hit.rule), mode);
        }
        self.judged(pieces, |_| true, &mut weighed, &mut signals);
        for action in [&mut weighed.action, &mut weighed.proposed] {
            if *action == Action::Redact {
                *action = Action::Flag;
            }
        }
        if signals.is_empty() && weighed.failed.is_empty() {
            return;
        }
        let decided = self.conclude(signals, weighed, None, inspection.row, None);
        absorb(inspection, decided.decision, decided.reason);
    }

    /// Runs the text rules over each piece, within the budget.
    fn looked(
        &self,
        pieces: &[Piece],
        weighed: &mut Weighed,
        mut look: impl FnMut(usize, &Piece) -> Vec<TextHit>,
    ) -> Vec<TextHit> {
        let config = self.config();
        let mut hits = Vec::new();
        if pieces.iter().map(|piece| piece.text.len()).sum::<usize>() > config.text_bytes {
            self.text.fail(Failure::Overload, weighed, config.mode);
            return hits;
        }
        let started = (self.text.meter)();
        for (index, piece) in pieces.iter().enumerate() {
            let looked = catch_unwind(AssertUnwindSafe(|| look(index, piece)));
            match looked {
                Ok(looked) => hits.extend(looked.into_iter().map(|hit| TextHit { piece: index, ..hit })),
                Err(_) => {
                    self.text.fail(Failure::Panic, weighed, config.mode);
                    return hits;
                }
            }
            if (self.text.meter)().saturating_sub(started) > config.text_micros {
                self.text.fail(Failure::Timeout, weighed, config.mode);
                return hits;
            }
        }
        hits
    }

    /// Asks the judges about each piece.
    fn judged(
        &self,
        pieces: &[Piece],
        concerns: impl Fn(Kind) -> bool,
        weighed: &mut Weighed,
        signals: &mut Vec<Signal>,
    ) {
        for (policy, judge) in &self.text.judges {
            for piece in pieces.iter().filter(|piece| concerns(piece.kind) && !piece.text.trim().is_empty()) {
                for window in windows(&piece.text, judge.window()) {
                    let said = crate::judge::ask(&**judge, piece.kind, window);
                    weigh_judged(weighed, signals, said, judge.about().name, policy, self.config().mode);
                }
            }
        }
    }

    /// The edits that rules which redact ask for. What cannot be taken out is refused instead.
    fn edits(
        &self,
        hits: &[TextHit],
        pieces: &[Piece],
        weighed: &mut Weighed,
        mut vault: Option<&mut Vault>,
    ) -> Vec<Edit> {
        let mut by_piece: BTreeMap<usize, Replacer> = BTreeMap::new();
        let redacts = weighed.redacts.clone();
        for hit in hits.iter().filter(|hit| redacts.contains(hit.rule)) {
            let Some(piece) = pieces.get(hit.piece) else { continue };
            if piece.pointer.ends_with(UNESCAPED) && piece.kind == Kind::ToolCall {
                // The string it repeats has the same hits.
                continue;
            }
            let value = piece.text.get(hit.range.clone()).unwrap_or("");
            let text = match (&mut vault, hit.replacement) {
                (Some(vault), Some(tag)) if hit.is_reversible() => vault.take(tag, value, pieces),
                (_, Some(_)) => gone(hit),
                (_, None) => String::new(),
            };
            let derived = piece.pointer.ends_with(KEYS) || piece.pointer.ends_with(UNESCAPED);
            if derived || hit.replacement.is_none() {
                let policy = self.policy(hit.rule);
                weighed.cannot_redact(hit.rule, &policy, self.config().mode);
                continue;
            }
            let replacement = Replacement { start: hit.range.start, end: hit.range.end, text };
            by_piece.entry(hit.piece).or_default().add(replacement);
        }
        let edit = |(index, mut replacer): (usize, Replacer)| {
            let piece = pieces.get(index)?;
            Some(Edit { pointer: piece.pointer.clone(), text: replacer.write(&piece.text, 0) })
        };
        by_piece.into_iter().filter_map(edit).collect()
    }
}

/// What a judge said, or how it failed.
pub(crate) fn weigh_judged(
    weighed: &mut Weighed,
    signals: &mut Vec<Signal>,
    said: Result<Option<Signal>, Failure>,
    rule: &str,
    policy: &RulePolicy,
    mode: Mode,
) {
    match said {
        Ok(signal) => {
            weigh(weighed, signals, Ok(signal), rule, policy, mode);
            // A judge says that something is wrong, not where.
            weighed.cannot_redact(rule, policy, mode);
        }
        Err(failure) => weighed.fail_as(rule, policy, mode, failure),
    }
}

/// Windows of at most so many bytes that overlap by half, cut between characters.
fn windows(text: &str, size: usize) -> impl Iterator<Item = &str> {
    let size = size.max(16);
    let floor = move |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let count = text.len().saturating_sub(size).div_ceil(size / 2) + 1;
    (0..count)
        .map(move |index| text.get(floor(index * (size / 2))..floor(index * (size / 2) + size)).unwrap_or(""))
}

/// Puts back what placeholders stand for, also beside other edits.
fn restore(pieces: &[Piece], vault: &Vault, edits: &mut Vec<Edit>) {
    if vault.is_empty() {
        return;
    }
    for piece in pieces {
        if piece.pointer.ends_with(KEYS) || piece.pointer.ends_with(UNESCAPED) {
            continue;
        }
        let edit = edits.iter().position(|edit| edit.pointer == piece.pointer);
        let text = edit.map_or(piece.text.as_str(), |at| edits[at].text.as_str());
        let Some(text) = restored(text, vault, piece.kind) else { continue };
        match edit {
            Some(at) => edits[at].text = text,
            None => edits.push(Edit { pointer: piece.pointer.clone(), text }),
        }
    }
}

fn restored(text: &str, vault: &Vault, kind: Kind) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find('<') {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let end = tail.bytes().take(16).position(|byte| byte == b'>').map_or(1, |end| end + 1);
        let (name, after) = tail.split_at(if tail.is_char_boundary(end) { end } else { 1 });
        match vault.value(name) {
            Some(value) => {
                out.push_str(&put_back(value, kind));
                changed = true;
            }
            None => out.push_str(name),
        }
        rest = after;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// A value as it is written in a text of this role: the arguments of a call are JSON.
pub(crate) fn put_back(value: &str, kind: Kind) -> String {
    if kind != Kind::ToolCall {
        return value.to_owned();
    }
    let quoted = serde_json::Value::from(value).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or("").to_owned()
}

/// Adds what the reply led to. The model has answered: throttling is too late, and stepping up does not undo it.
pub(crate) fn absorb(inspection: &mut Inspection, late: Decision, reason: String) {
    let after = |action: Action| match action {
        Action::Throttle { .. } => Action::Flag,
        Action::StepUp => Action::Refuse,
        other => other,
    };
    let decision = &mut inspection.decision;
    let action = after(late.action);
    if action > decision.action {
        decision.action = action;
        inspection.reason = reason;
    }
    decision.proposed = decision.proposed.clone().max(after(late.proposed));
    for signal in late.signals {
        match decision.signals.iter_mut().find(|other| other.name == signal.name) {
            Some(other) if other.score < signal.score => *other = signal,
            Some(_) => {}
            None => decision.signals.push(signal),
        }
    }
    sort(&mut decision.signals);
}

/// Signals that say which rules failed, and how.
pub(crate) fn failures(failed: &[(String, Failure)]) -> impl Iterator<Item = Signal> + '_ {
    failed.iter().map(|(rule, failure)| guard_rule_failed(rule).fact("how", failure.word()))
}
