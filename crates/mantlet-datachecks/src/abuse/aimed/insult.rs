//! Somebody is called names: whoever is spoken to, somebody who is spoken of, what is theirs.

use super::Sentence;
use crate::abuse::Abuse;
use crate::abuse::lexicon::{ARE, BAD, COARSE, FILL, NAME, NOT, OWN, QUALITY, SOFT, TELLS, THEM, YOU};

/// Words between somebody and what they are called.
const FAR: usize = 6;

/// Orders and judgements that are insults by themselves.
const SAID: &[&str] = &[
    "fuck you|u $",
    "fuck off",
    "fuckyou",
    "screw you",
    "piss|bugger|sod|eff|fck off",
    "shut your mouth|face|trap|gob|hole",
    "drop dead $",
    "go to hell",
    "rot|burn in hell",
    "damn you",
    "eat shit|s*it|sh*t",
    "kiss my ass|arse",
    "you|u suck $",
    "you disgust me",
    "you|u stink $",
    "you make me sick|puke|vomit",
    "you make me want to puke|vomit",
    "i hate|despise|loathe you and",
    "i hate your",
    "i spit on you",
    "spit on your",
    "nobody|noone likes|wants|loves you here|,|weirdo|freak",
    "nobody|noone likes you",
    "everybody|everyone hates you",
    "everybody|everyone here hates you",
    "nobody asked you",
    "nobody asked for your opinion",
    "nobody wants you here",
    "go back to where you came from",
    "go back to your country",
    "back under the|your rock",
    "get out of my sight",
    "worst player|person|human|teammate",
    "waste of space|oxygen|air|skin",
    "brain of a",
    "iq of a",
    "brains of a",
    "excuse for a man|woman|human|person|father|mother",
    "village idiot",
    "wrong in your head",
    "not right in the head",
    "drop you on your head",
    "dropped on your head",
    "have a brain",
    "your children be as",
    "never have friends",
    "belong|belongs in the kitchen",
    "shame on you",
    "how dumb|stupid are you",
    "are you stupid|dumb|retarded|blind|deaf|braindead|dense|thick",
    "are you brain dead",
    "are you completely|really|that|so stupid|dumb|thick|dense",
    "you people completely|all stupid|morons|idiots",
    "insult to paper|humanity|mankind",
    "so are you , idiot",
    "under my shoe",
    "go and die",
    "get a life",
    "smarter than you",
    "you nasty|horrible|vile|pathetic|horrid little man|woman|person|thing",
    "everybody|everyone in class|school|town|here hates you",
];

pub(super) fn look(sentence: &Sentence<'_>) -> Option<Abuse> {
    let told =
        SAID.iter().any(|said| sentence.has(said)) && !sentence.kinds.iter().any(|own| own & TELLS != 0);
    let called = || {
        (0..sentence.words.len()).any(|at| {
            addressed(sentence, at)
                || exclaimed(sentence, at)
                || vocative(sentence, at)
                || named(sentence, at)
                || spoken_of(sentence, at)
                || theirs(sentence, at)
        })
    };
    (told || called()).then_some(Abuse::Insult)
}

/// Goes back from a name over what may stand before it; gives where that begins, and what stood there.
fn back(sentence: &Sentence<'_>, at: usize) -> (usize, bool, bool) {
    let (mut start, mut bad, mut are) = (at, false, false);
    while start > 0 && at - start < FAR {
        let before = start - 1;
        if sentence.is(before, NOT) && !sentence.is(before, QUALITY) {
            break;
        }
        if sentence.is(before, QUALITY | BAD | COARSE) {
            bad = true;
        } else if sentence.is(before, ARE) && !sentence.is(before, YOU) {
            are = true;
        } else if !(sentence.is(before, FILL | SOFT | NAME) || sentence.word(before) == ",") {
            break;
        }
        start = before;
    }
    (start, bad, are)
}

/// Whether a place is denied, supposed or told of somebody else.
fn denied(sentence: &Sentence<'_>, at: usize) -> bool {
    sentence.before(at, FAR, NOT | TELLS)
}

/// `you are such a worthless moron`, `you lazy bastards`, `youre trash`.
fn addressed(sentence: &Sentence<'_>, at: usize) -> bool {
    let (name, soft, quality) = (sentence.is(at, NAME), sentence.is(at, SOFT), sentence.is(at, QUALITY));
    if !(name || soft || quality) {
        return false;
    }
    let (start, bad, mut are) = back(sentence, at);
    let Some(before) = start.checked_sub(1) else { return false };
    // `such a`: nobody is there.
    if !sentence.is(before, YOU) || denied(sentence, before) {
        return false;
    }
    // `if you are a ...`, `would you be so ...`, `what you ... is`.
    if before > 0
        && sentence.one_of(
            before - 1,
            &["if", "when", "what", "would", "could", "can", "do", "did", "call", "called", "than"],
        )
    {
        return false;
    }
    let contracted = sentence.one_of(before, &["youre", "ur", "yr"]);
    are |= contracted;
    let your = sentence.one_of(before, &["your", "thy"]);
    let ends = sentence.ends(at + 1) || sentence.is(at + 1, NAME | SOFT | QUALITY);
    if name && !your {
        return ends || are || bad || sentence.word(at + 1) != "of";
    }
    if your || sentence.word(at + 1) == "of" {
        return false;
    }
    if soft && are && ends && !sentence.warm {
        return true;
    }
    if soft && bad && ends && !sentence.warm {
        return true;
    }
    let somebody = ["person", "man", "woman", "human", "player", "creature", "individual", "people"];
    quality && are && (ends || sentence.one_of(at + 1, &somebody))
}

/// `what a pathetic little loser you are`.
fn exclaimed(sentence: &Sentence<'_>, at: usize) -> bool {
    let (start, ..) = back(sentence, at);
    let what = (start.saturating_sub(1)..=at).any(|place| sentence.word(place) == "what");
    let you_are =
        sentence.is(at + 1, YOU) && (sentence.is(at + 2, ARE) || sentence.one_of(at + 1, &["youre"]));
    sentence.is(at, NAME | SOFT) && what && you_are && !sentence.warm
}

/// `hey idiot, ...`, `nice one, dumbass`, `shut up you clown`, `get lost creep`, `stop it, you weirdo`.
fn vocative(sentence: &Sentence<'_>, at: usize) -> bool {
    let last = at + 1 == sentence.words.len();
    let first = at == 0;
    let close = last || sentence.word(at + 1) == ",";
    if sentence.is(at, NAME) && !denied(sentence, at) {
        let alone = first && last;
        let call = at > 0 && sentence.one_of(at - 1, &["hey", "oi", "yo", ",", "thanks", "bye", "wow"]);
        let lost = at > 1 && sentence.follow(at - 2, &["get", "lost"]);
        if alone || (close && call) || (first && sentence.word(1) == ",") || lost {
            return true;
        }
    }
    if sentence.is(at, NAME | SOFT) && !sentence.warm && close {
        let (start, bad, _) = back(sentence, at);
        let you = start > 0 && sentence.one_of(start - 1, &["you", "u", "ya"]);
        let hostile = [
            "shut up",
            "get lost",
            "go away",
            "get out",
            "shove off",
            "look where",
            "stop it",
            "stop crying",
            "stop feeding",
            "cry more",
            "uninstall",
            "cry harder",
            "delete your account",
            "go home",
            "go back",
            "report him",
            "report you",
        ];
        let order = hostile.iter().any(|said| sentence.has(said));
        let bare = at > 1 && order && sentence.word(at - 1) == ",";
        let after = at >= 2
            && hostile.iter().any(|said| {
                let many = said.split(' ').count();
                at >= many
                    && said.split(' ').enumerate().all(|(step, word)| sentence.word(at - many + step) == word)
            });
        // Whoever is called so at the end of a sentence is called so, whatever the sentence denies.
        let apart = start > 1 && sentence.word(start - 2) == ",";
        if you && apart && (bad || sentence.is(at, NAME)) {
            return true;
        }
        if (you && (order || bad)) || bare || after {
            return !denied(sentence, at);
        }
    }
    false
}

/// `fucking idiot`, `stupid bitch`, with nobody else in the sentence it could be said of.
fn named(sentence: &Sentence<'_>, at: usize) -> bool {
    if !sentence.is(at, NAME) || at == 0 || !sentence.is(at - 1, QUALITY | COARSE) || denied(sentence, at) {
        return false;
    }
    let (start, ..) = back(sentence, at);
    start == 0 || sentence.is(start - 1, YOU)
}

/// `he is a lying scumbag`, `she is a fat ugly pig`, `my neighbour is a worthless rat`.
fn spoken_of(sentence: &Sentence<'_>, at: usize) -> bool {
    let (name, soft) = (sentence.is(at, NAME), sentence.is(at, SOFT));
    if !(name || soft) || !sentence.ends(at + 1) {
        return false;
    }
    let (start, bad, are) = back(sentence, at);
    let Some(before) = start.checked_sub(1) else { return false };
    if denied(sentence, start) || denied(sentence, before) {
        return false;
    }
    let person = sentence.one_of(before, &["he", "she", "hes", "shes"]);
    let contracted = sentence.one_of(before, &["hes", "shes"]);
    let someone = before > 0
        && (sentence.one_of(before - 1, &["that", "this", "my", "your", "our", "his", "her", "the"])
            || (before > 1 && sentence.one_of(before - 2, &["that", "this", "my", "your", "our", "the"])))
        && sentence.one_of(
            before,
            &[
                "man",
                "woman",
                "guy",
                "girl",
                "boy",
                "neighbour",
                "neighbor",
                "boss",
                "husband",
                "wife",
                "brother",
                "sister",
                "teacher",
                "manager",
                "mayor",
                "ex",
                "dude",
                "lady",
                "colleague",
                "healer",
                "teammate",
                "father",
                "mother",
                "landlord",
                "minister",
                "president",
                "driver",
                "referee",
                "answered",
                "me",
                "kid",
            ],
        );
    (person || someone) && (are || contracted) && (name || bad)
}

/// `your face is ugly`, `your whole family is trash`, `your parents must be ashamed of you`.
fn theirs(sentence: &Sentence<'_>, at: usize) -> bool {
    if !sentence.is(at, QUALITY | NAME)
        && !sentence.one_of(at, &["garbage", "ashamed", "embarrassed", "brats", "pig", "trash"])
    {
        return false;
    }
    let Some(owner) =
        (at.saturating_sub(FAR + 3)..at).find(|&place| sentence.one_of(place, &["your", "ur", "yr"]))
    else {
        return false;
    };
    let whose = |place: usize| {
        sentence.is(place, OWN)
            || sentence.one_of(place, &["team", "manager", "mum", "boss", "type", "lot", "dog", "people"])
    };
    let own = (owner + 1..=owner + 3).find(|&place| place < at && whose(place));
    let are = (owner + 1..at).any(|place| sentence.is(place, ARE) && !sentence.is(place, YOU));
    let of = sentence.one_of(at, &["ashamed", "embarrassed"]);
    let told = !of || (at..sentence.words.len()).any(|place| sentence.is(place, YOU));
    own.is_some() && are && told && !denied(sentence, at) && !sentence.before(at, FAR, THEM)
}
