//! Text rooms against their cases, and the law of streams: cutting changes nothing, and nothing leaves too early.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::ops::Range;
use std::sync::Arc;

use mantlet_detectors::text::{
    Attempts, HOLD, NamedPattern, StreamLook, TextConfig, TextConfigError, TextHit, TextRules, ToolPolicy,
    text_abouts,
};
use mantlet_vocab::{About, Fragment, Kind, Millis, Piece};
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    One(String),
    /// Put together here, so that nothing in the repository has the shape of a credential.
    Parts(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasePiece {
    kind: Kind,
    #[serde(default)]
    pointer: String,
    text: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    text: String,
    #[serde(default)]
    stopped: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default)]
    side: String,
    #[serde(default)]
    pieces: Vec<CasePiece>,
    /// What one caller asks in turn.
    #[serde(default)]
    turns: Vec<Turn>,
    #[serde(default)]
    config: TextConfig,
}

fn cases(about: &About) -> Vec<(String, Case)> {
    let mut cases = Vec::new();
    for part in about.cases.split("## ").skip(1) {
        let (title, rest) = part.split_once('\n').unwrap();
        let json = rest.split("```json").nth(1).unwrap().split("```").next().unwrap();
        cases.push((title.to_owned(), serde_json::from_str(json).unwrap_or_else(|e| panic!("{title}: {e}"))));
    }
    cases
}

fn pieces(case: &Case) -> Vec<Piece> {
    let text = |text: &Text| match text {
        Text::One(text) => text.clone(),
        Text::Parts(parts) => parts.concat(),
    };
    let piece = |p: &CasePiece| Piece { kind: p.kind, pointer: p.pointer.clone(), text: text(&p.text) };
    case.pieces.iter().map(piece).collect()
}

#[test]
fn rooms_are_in_order_and_judge_their_cases() {
    assert_eq!(About::faults(&text_abouts()), []);
    let mut wrong = Vec::new();
    for about in text_abouts() {
        for (title, case) in cases(about) {
            let rules = TextRules::new(&case.config).unwrap();
            let pieces = pieces(&case);
            let hits = match case.side.as_str() {
                "reply" => rules.reply(&pieces, &rules.prompts(&[])),
                _ => rules.request(&pieces),
            };
            let score =
                hits.iter().filter(|hit| hit.rule == about.name).map(|hit| hit.score).fold(0.0, f64::max);
            let score = score.max(asked(&rules, about.name, &case.turns));
            if (score >= 1.0) != title.starts_with("hit") {
                wrong.push(format!("{}: {title}: {score} {hits:?}", about.name));
            }
            for hit in &hits {
                assert!(pieces[hit.piece].text.get(hit.range.clone()).is_some(), "{title}: {hit:?}");
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The highest score of a rule over what one caller asks in turn.
fn asked(rules: &TextRules, rule: &str, turns: &[Turn]) -> f64 {
    let mut attempts = Attempts::default();
    let mut most: f64 = 0.0;
    for (index, turn) in turns.iter().enumerate() {
        let piece = Piece { kind: Kind::User, pointer: String::new(), text: turn.text.clone() };
        let signals = attempts.advance(rules.asked(&[piece]).unwrap(), Millis(index as u64 * 1000));
        // What is remembered survives being stored.
        let stored = serde_json::to_string(&attempts).unwrap();
        attempts = serde_json::from_str(&stored).unwrap();
        if turn.stopped {
            attempts.stopped();
        }
        most = signals.iter().filter(|s| s.name == rule).map(|s| s.score).fold(most, f64::max);
    }
    most
}

#[test]
fn what_is_remembered_of_a_caller_is_bounded_and_forgotten_in_time() {
    let rules = TextRules::new(&TextConfig::default()).unwrap();
    let ask = |attempts: &mut Attempts, text: String, at: u64| {
        let piece = Piece { kind: Kind::User, pointer: String::new(), text };
        attempts.advance(rules.asked(&[piece]).unwrap(), Millis(at))
    };
    let text = |n: usize| format!("please tell me again how the old clock number{} works", " ".repeat(n));
    let mut attempts = Attempts::default();
    for n in 0..5_000 {
        let _ = ask(
            &mut attempts,
            format!("question {n} about the {} clock and nothing else", n * 7919),
            n as u64,
        );
    }
    assert!(attempts.bytes() <= 64 * 48, "{}", attempts.bytes());
    let mut attempts = Attempts::default();
    for n in 1..=4 {
        assert_eq!(ask(&mut attempts, text(n), 0), []);
    }
    assert_eq!(ask(&mut attempts, text(5), 0).len(), 1);
    assert_eq!(ask(&mut attempts, text(6), 1_800_001), [], "half an hour later nothing of it counts");
}

#[test]
fn a_configuration_that_cannot_hold_is_refused_by_name() {
    let pattern = |pattern: &str| TextConfig {
        patterns: vec![NamedPattern { name: "mine".into(), pattern: pattern.into() }],
        ..TextConfig::default()
    };
    let refused = |config: &TextConfig| TextRules::new(config).unwrap_err().to_string();
    for (config, words) in [
        (pattern("a+"), "bound its repetitions"),
        (pattern("a{1,9000}"), "bound its repetitions"),
        (pattern("a{0,4}"), "empty text"),
        (pattern("(a"), "cannot be used"),
        (pattern(r"\bword\b"), "word boundar"),
        (pattern("(?:[a-c]{1,40}[b-d]{1,40}[ac]{1,40}){1,30}x"), "cannot be compiled"),
        (TextConfig { canaries: vec!["short".into()], ..TextConfig::default() }, "8 to 256"),
        (TextConfig { off: vec!["no-such".into()], ..TextConfig::default() }, "`no-such`"),
        (TextConfig { personal: vec!["NAME".into()], ..TextConfig::default() }, "`NAME`"),
        (TextConfig { terms: vec![" ".into()], ..TextConfig::default() }, "empty text"),
    ] {
        let said = refused(&config);
        assert!(said.contains(words), "{said}");
    }
    assert!(matches!(TextRules::new(&pattern("a+")), Err(TextConfigError::Unbounded { .. })));
    assert!(TextRules::new(&pattern(r"(?-u:\b)word(?-u:\b)")).is_ok());
}

#[test]
fn rules_that_are_off_find_nothing() {
    let names = text_abouts().into_iter().map(|about| about.name.to_owned()).collect();
    let off = TextRules::new(&TextConfig { off: names, ..TextConfig::default() }).unwrap();
    assert_eq!(off.names().count(), 0);
    for about in text_abouts() {
        for (_, case) in cases(about) {
            assert_eq!(off.request(&pieces(&case)), []);
            assert_eq!(off.reply(&pieces(&case), &off.prompts(&[])), []);
        }
    }
}

const PROMPT: &str = "You are Ada of Blue Harbour Bank and you never tell anyone about the pilot project that is \
                      called Nightjar nor about its budget of nine million";

fn config() -> TextConfig {
    let named = |name: &str, pattern: &str| NamedPattern { name: name.into(), pattern: pattern.into() };
    TextConfig {
        canaries: vec!["kestrel-4471-vane".into()],
        prompts: vec![PROMPT.into()],
        terms: vec!["project nightjar".into(), "проект сокол".into()],
        patterns: vec![named("tickets", "ACME-[0-9]{3,6}"), named("any case", "(?i)größe[0-9]{2}")],
        tools: ToolPolicy { arguments: vec![named("removal", "rm -[a-z]{0,4}r")], ..ToolPolicy::default() },
        ..TextConfig::default()
    }
}

/// Texts that hold something of every room that looks at streams, near misses, and plain text.
fn texts() -> Vec<(Kind, String)> {
    let mut texts: Vec<(Kind, String)> = vec![
        (Kind::Assistant, format!("I was told: {PROMPT}. That is all.")),
        (Kind::Assistant, format!("{PROMPT} {PROMPT}")),
        (
            Kind::Assistant,
            "Project\n Nightjar and ПРОЕКТ сокол, GRÖSSE12 größe12 Größe345 ACME-44 ACME-4411".into(),
        ),
        (
            Kind::ToolCall,
            r#"{"cmd":"\u0072m \u002drf /srv","k":"\u0041KIA"#.to_owned()
                + r#"Q3EGRZX5WT2NJ7PA","to":"a\u0040b.example"}"#,
        ),
        (
            Kind::Assistant,
            "-----BEGIN ".to_owned()
                + "PRIVATE KEY-----\n"
                + &"MIIEvQIBADANBgkqhkiG\n".repeat(12)
                + "-----END PRIVATE KEY-----\nbye",
        ),
        (
            Kind::Assistant,
            "Ａ\u{200b}KIA".to_owned() + "Q3EGRZX5WT2N\u{e0041}\u{e0042}\u{e0043}\u{e0044}J7PA 👨‍👩‍👧‍👦 ok",
        ),
        (
            Kind::Assistant,
            "call +44 20 7946 0958 or 4539 1488 0343 6467 12/29, DE89 3704 0044 0532 0130 00 BIC COBADEFF"
                .into(),
        ),
        (Kind::Assistant, "<EMAIL_1> and <PHONE_12>, <b>bold</b> <EMAIL".into()),
        (Kind::Assistant, "k e s t r e l - 4 4 7 1 - v a n e".into()),
    ];
    for about in text_abouts() {
        for (_, case) in cases(about) {
            texts.extend(pieces(&case).into_iter().map(|piece| (piece.kind, piece.text)));
        }
    }
    texts
}

/// Feeds a text cut at these places; checks the law of release at every step.
fn fed(
    rules: &Arc<TextRules>,
    kind: Kind,
    text: &str,
    cuts: &[usize],
) -> (Vec<TextHit>, Vec<(Range<usize>, String)>) {
    let mut look = StreamLook::new(rules);
    let (mut hits, mut placeholders): (Vec<TextHit>, Vec<(Range<usize>, String)>) = (Vec::new(), Vec::new());
    let (mut settled, mut from) = (0, 0);
    let ends = cuts.iter().copied().chain([text.len()]);
    for (index, end) in ends.enumerate() {
        let fragment = Fragment { channel: 7, kind, text: text[from..end].to_owned() };
        let looked = look.feed(&fragment);
        let looked = if index == cuts.len() {
            let last = look.finish(7);
            assert_eq!(last.settled, text.len());
            let mut all = looked;
            all.hits.extend(last.hits);
            all.placeholders.extend(last.placeholders);
            all.settled = last.settled;
            all
        } else {
            looked
        };
        for hit in &looked.hits {
            assert!(hit.range.start >= settled, "{hit:?} was released up to {settled}: {text:?} at {cuts:?}");
        }
        assert!(looked.settled >= settled && text.is_char_boundary(looked.settled), "{text:?} at {cuts:?}");
        assert!(looked.settled <= end || index == cuts.len());
        settled = looked.settled;
        hits.extend(looked.hits);
        placeholders.extend(looked.placeholders);
        from = end;
    }
    hits.sort_by(|a, b| (a.range.start, a.range.end, a.rule).cmp(&(b.range.start, b.range.end, b.rule)));
    (hits, placeholders)
}

#[test]
fn every_cut_in_two_gives_the_hits_of_the_whole_and_releases_no_byte_of_them() {
    let rules = Arc::new(TextRules::new(&config()).unwrap());
    let mut found = 0;
    for (kind, text) in texts() {
        let whole = fed(&rules, kind, &text, &[]);
        found += whole.0.len();
        for cut in (0..=text.len()).filter(|&at| text.is_char_boundary(at)) {
            assert_eq!(fed(&rules, kind, &text, &[cut]), whole, "{text:?} at {cut}");
        }
        // A character at a time.
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        assert_eq!(fed(&rules, kind, &text, &cuts), whole, "{text:?}");
    }
    assert!(found > 60, "{found}");
}

#[test]
fn a_key_longer_than_what_is_held_back_is_found_in_parts_that_leave_no_gap() {
    let rules = Arc::new(TextRules::new(&config()).unwrap());
    let text =
        "see -----BEGIN ".to_owned() + "PRIVATE KEY-----\n" + &"A1b2C3d4".repeat(HOLD) + "\n. Done, thanks";
    let whole = fed(&rules, Kind::Assistant, &text, &[]);
    let mut at = 4;
    for hit in &whole.0 {
        assert!(hit.range.start <= at && hit.range.len() <= HOLD + 4, "{hit:?}");
        at = hit.range.end;
    }
    assert!(at >= text.len() - 14);
    let cuts: Vec<usize> = (1..text.len()).step_by(701).collect();
    assert_eq!(fed(&rules, Kind::Assistant, &text, &cuts), whole);
}

#[test]
fn channels_do_not_mix_and_each_holds_back_its_own() {
    let rules = Arc::new(TextRules::new(&config()).unwrap());
    let mut look = StreamLook::new(&rules);
    let mut say = |channel, kind, text: &str| look.feed(&Fragment { channel, kind, text: text.into() });
    assert_eq!(say(0, Kind::Assistant, "the code is ACME-44").settled, 12);
    assert_eq!(say(1, Kind::Assistant, "11 is not part of it ").settled, 21);
    assert_eq!(say(2, Kind::ToolCall, "{\"q\":\"rm -").settled, 6);
    let rest = say(0, Kind::Assistant, "11 to ");
    assert_eq!((rest.hits.len(), rest.settled), (1, 25));
    assert_eq!(rest.hits[0].range, 12..21);
    assert_eq!(say(2, Kind::ToolCall, "rf x\"}").hits.len(), 1);
    for channel in 3..600 {
        let looked = say(channel, Kind::Assistant, "plain ");
        assert_eq!(looked.overflow, channel >= 512);
    }
}

#[test]
fn benign_streams_are_released_within_one_chunk() {
    let rules = Arc::new(TextRules::new(&config()).unwrap());
    let text = "Paris is the capital of France; about 2.1 million people live there (2024). To install it, run \
                `cargo install --locked foo`, then open http://localhost:8080/index.html and sign in. Dear Mr. \
                O'Neill, thank you for your letter of 3 May. Größe: 12 cm! x = [1, 2, 3]; f(x) -> y_1 && z != 0.";
    for size in [4, 7, 16, 40] {
        let mut look = StreamLook::new(&rules);
        let mut fed = 0;
        let words: Vec<&str> = text.split_inclusive(' ').collect();
        for chunk in words.chunks(size) {
            let before = fed;
            let chunk = chunk.concat();
            fed += chunk.len();
            let looked = look.feed(&Fragment { channel: 0, kind: Kind::Assistant, text: chunk });
            assert_eq!(looked.hits, []);
            assert!(looked.settled >= before, "{} of {before}", looked.settled);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_cuts_of_any_mixture_give_the_hits_of_the_whole(
        parts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..5),
        noise in "[ -~\\n\u{e9}\u{200b}\u{ff11}<@+0-9-]{0,24}",
        tool in any::<bool>(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..9),
    ) {
        let rules = Arc::new(TextRules::new(&config()).unwrap());
        let all = texts();
        let mut text = String::new();
        for (which, from, to) in parts {
            let source = &which.get(&all).1;
            let marks: Vec<usize> = source.char_indices().map(|(at, _)| at).chain([source.len()]).collect();
            let (a, b) = (*from.get(&marks), *to.get(&marks));
            text.push_str(&source[a.min(b)..a.max(b)]);
            text.push_str(&noise);
        }
        let kind = if tool { Kind::ToolCall } else { Kind::Assistant };
        let marks: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&marks)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(fed(&rules, kind, &text, &cuts), fed(&rules, kind, &text, &[]));
    }

    #[test]
    fn no_text_breaks_a_rule(text in "\\PC{0,200}", kind in 0_usize..4) {
        let rules = Arc::new(TextRules::new(&config()).unwrap());
        let kind = [Kind::User, Kind::Document, Kind::ToolCall, Kind::Assistant][kind];
        let piece = Piece { kind, pointer: "/x".into(), text };
        for hit in rules.request(std::slice::from_ref(&piece)).iter().chain(&rules.reply(std::slice::from_ref(&piece), &rules.prompts(&[]))) {
            prop_assert!(piece.text.get(hit.range.clone()).is_some());
        }
    }
}

#[test]
fn automata_stay_small() {
    let (known, own) = TextRules::new(&config()).unwrap().memory();
    assert!(known < 4 << 20 && own < 1 << 20, "{known} and {own} bytes");
}
