//! Somebody is told that they will be hurt, that they should hurt themselves, or that their kind has no right to live.

use super::Sentence;
use crate::abuse::Abuse;
use crate::abuse::lexicon::{
    ARE, BEAST, END, FILL, GRAVE, GROUP, HARM, HELP, ME, NOT, PART, QUALITY, SHOULD, TELLS, WARM, WILL, YOU,
};

/// Words between somebody and what is to be done to them.
const NEAR: usize = 4;

/// What tells somebody to harm themselves.
const OWN_HAND: &[&str] = &[
    "hang|kill|shoot|drown|stab|off|delete yourself|urself",
    "kill ur|your self",
    "kys",
    "jump off|from a|the bridge|roof|cliff|building",
    "drink|drinking bleach",
    "better|off without you",
    "better place without you",
    "nobody|noone would|will miss you",
    "dont deserve to live|exist",
    "stop breathing",
    "have been aborted",
    "should never have been born",
    "just end it",
    "you should die",
    "go die",
    "go and die",
    "please die",
];

/// Threats that say no harm by name.
const MENACE: &[&str] = &[
    "you are|re dead meat",
    "youre|ur dead meat",
    "youre|ur a dead man|woman",
    "bullet in your|his|her head",
    "better watch your back",
    "watch your back tonight",
    "you will|ll regret this",
    "youll regret this",
    "make you pay for this",
    "make you pay for what",
    "your days are numbered",
    "end up in ditches|a",
    "get what you deserve , a",
    "or else your",
    "we are coming for you",
    "im coming for you",
    "you wont see it coming",
    "sleep with one eye open",
];

/// Harm wished to somebody.
const WISHED: &[&str] = &[
    "hope you die in",
    "hope you die",
    "hope you get cancer|aids|raped|hurt|killed",
    "hope your plane|car|house crashes|burns",
    "hope you rot|burn|choke|suffer",
    "deserve to die|suffer|burn",
    "should be shot for",
    "should be hanged|hung|killed for",
    "deserve every bad thing",
];

pub(super) fn look(sentence: &Sentence<'_>) -> Option<Abuse> {
    let any = |kinds| sentence.kinds.iter().any(|own| own & kinds != 0);
    // Somebody in need is told where there is help; a story tells what others say.
    if any(HELP) {
        return None;
    }
    let tells = any(TELLS);
    let has = |list: &[&str]| !tells && list.iter().any(|said| sentence.has(said));
    let denied = any(NOT) || sentence.has("dont|never");
    if own_hand(sentence, denied) && !tells {
        return Some(Abuse::SelfHarm);
    }
    if has(MENACE) || (has(WISHED) && !any(WARM)) || (0..sentence.words.len()).any(|at| threat(sentence, at))
    {
        return Some(Abuse::Threat);
    }
    let group = !tells && (0..sentence.words.len()).any(|at| people(sentence, at));
    group.then_some(Abuse::Dehumanising)
}

fn own_hand(sentence: &Sentence<'_>, denied: bool) -> bool {
    let said = OWN_HAND.iter().position(|said| sentence.has(said));
    let Some(said) = said else { return false };
    // Of what can be said of other things, the wish has to be said as well.
    let wish = sentence.has("should")
        || sentence.has("go")
        || sentence.has("just")
        || sentence.has("favor|favour")
        || sentence.has("why dont you")
        || sentence.has("please")
        || sentence.has("do us|everyone|everybody|the");
    match OWN_HAND[said] {
        "jump off|from a|the bridge|roof|cliff|building" | "drink|drinking bleach" | "stop breathing" => {
            wish && !sentence.has("do not|dont") && !sentence.has("he|she|they|would")
        }
        "better|off without you" => {
            (0..sentence.words.len())
                .any(|at| sentence.follow(at, &["without", "you"]) && sentence.ends(at + 2))
                && sentence.has("world|family|everyone|all|we")
        }
        "just end it" => sentence.has("why dont you") || sentence.has("nobody") || sentence.has("yourself"),
        "hang|kill|shoot|drown|stab|off|delete yourself|urself" => {
            let at = (0..sentence.words.len())
                .find(|&at| sentence.one_of(at + 1, &["yourself", "urself"]))
                .unwrap_or(0);
            !sentence.before(at, NEAR, NOT) && !sentence.before(at, NEAR, ME) && (wish || at <= 2 || !denied)
        }
        _ => true,
    }
}

/// `i will kill you`, `im gonna break your legs`, `someone should slap him`.
fn threat(sentence: &Sentence<'_>, at: usize) -> bool {
    let (grave, harm) = (sentence.is(at, GRAVE), sentence.is(at, HARM));
    if !(grave || harm)
        || sentence.before(at, NEAR, NOT | WARM)
        || sentence.kinds.iter().any(|own| own & WARM != 0)
    {
        return false;
    }
    let after = at + 1 + usize::from(sentence.one_of(at + 1, &["all", "both", "the"]));
    let whom = sentence.one_of(after, &["you", "u", "ya", "your", "ur", "him", "her"]);
    if !whom {
        return false;
    }
    let me = sentence.before(at, 6, ME) || sentence.before(at, 5, WILL);
    let will = sentence.before(at, 5, WILL) || sentence.one_of(at.wrapping_sub(1), &["and"]);
    let somebody = sentence.before(at, 3, SHOULD) && sentence.has("someone|somebody");
    let part = sentence.is(after + 1, PART) || sentence.is(after + 2, PART);
    let yours = sentence.one_of(after, &["your", "ur"]);
    if somebody {
        return grave || (harm && !yours) || part;
    }
    if !(me && will) || sentence.one_of(after, &["him", "her"]) {
        return false;
    }
    // Of harm that everyday words do as well, what is harmed decides, or that nothing follows.
    let ends = sentence.ends(after + 1)
        && !sentence.one_of(after + 1, &["to", "on", "in", "with", "for", "from"])
        || sentence.one_of(after + 1, &["till", "until"]);
    let hurts =
        sentence.one_of(at, &["hurt", "beat", "smash", "crush", "whip", "hunt", "destroy", "burn", "cut"]);
    if yours {
        return part && !sentence.has("in slowly");
    }
    (grave && !sentence.one_of(after + 1, &["with"]))
        || (hurts && ends)
        || (hurts && sentence.follow(after + 1, &["into", "pieces"]))
}

/// `immigrants are vermin`, `they should all be gassed`, `women dont deserve to live`.
fn people(sentence: &Sentence<'_>, at: usize) -> bool {
    let named = |from: usize| (from..at).any(|place| sentence.is(place, GROUP));
    let near = at.saturating_sub(NEAR + 1);
    let they = (near..at).any(|place| sentence.one_of(place, &["they", "these", "those", "them"]));
    let denied = sentence.before(at, 3, NOT);
    let are = sentence.before(at, NEAR, ARE) || sentence.before(at, NEAR, FILL);
    let ends = sentence.ends(at + 1) || sentence.word(at + 1) == "of";
    if sentence.is(at, BEAST) && are && ends && !denied && !sentence.before(at, NEAR, YOU) {
        // `they are animals` alone may be said of animals.
        let human = sentence.has("not humans|human|people") || sentence.has("no humans|human|people");
        let worse = !sentence.one_of(
            at,
            &[
                "animals",
                "animal",
                "rats",
                "pigs",
                "apes",
                "monkeys",
                "dogs",
                "insects",
                "pests",
                "disease",
                "plague",
                "criminals",
                "leeches",
                "lice",
                "burden",
            ],
        );
        let linked = (near..at).any(|place| sentence.is(place, ARE));
        if (named(near) && linked) || (they && linked && (worse || human)) {
            return true;
        }
        if human && linked && sentence.has("those|these people") {
            return true;
        }
    }
    let far = at.saturating_sub(7);
    let should = (at.saturating_sub(5)..at).any(|place| sentence.is(place, SHOULD));
    let whole = named(far) || (far..at).any(|place| sentence.one_of(place, &["they", "people"]));
    let be = (at.saturating_sub(2)..at).any(|place| sentence.word(place) == "be");
    let out = sentence.follow(at, &["put", "down"])
        || sentence.follow(at, &["driven", "out"])
        || sentence.follow(at, &["locked", "up"]);
    if (sentence.is(at, END) || (out && named(far))) && should && whole && be && !denied {
        return true;
    }
    if sentence.is(at, QUALITY) && named(near) && (near..at).any(|place| sentence.is(place, ARE)) && !denied {
        return true;
    }
    sentence.has("breed like rats|rabbits|flies")
        || sentence.has("throw them into the")
        || (sentence.word(at) == "deserve"
            && sentence.one_of(at.wrapping_sub(1), &["dont", "doesnt", "not"])
            && (named(near) || they)
            && sentence.follow(at + 1, &["to", "live"]))
}
