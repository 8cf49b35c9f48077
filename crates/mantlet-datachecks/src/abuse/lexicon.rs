//! What a word can be in an insult or a threat. One table, so that a word is looked up once.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Kinds a word can be of, one bit each.
pub(super) type Kinds = u32;

/// Somebody spoken to.
pub(super) const YOU: Kinds = 1;
/// `are`, `is`, and what contains it.
pub(super) const ARE: Kinds = 1 << 1;
/// Names that nobody is called in praise.
pub(super) const NAME: Kinds = 1 << 2;
/// Names that are insults only when somebody is called so: animals, dirt, failings.
pub(super) const SOFT: Kinds = 1 << 3;
/// What is an insult of a person.
pub(super) const QUALITY: Kinds = 1 << 4;
/// Bad of persons and things alike: it makes a soft name an insult, and is none alone.
pub(super) const BAD: Kinds = 1 << 5;
/// Words that may stand between somebody and what they are called.
pub(super) const FILL: Kinds = 1 << 6;
/// Denial, condition, comparison, feeling.
pub(super) const NOT: Kinds = 1 << 7;
/// Harm that everyday words wish nobody.
pub(super) const GRAVE: Kinds = 1 << 8;
/// Harm that depends on what is harmed.
pub(super) const HARM: Kinds = 1 << 9;
/// Parts of somebody, and what is theirs.
pub(super) const PART: Kinds = 1 << 10;
/// Whoever speaks.
pub(super) const ME: Kinds = 1 << 11;
/// What will be.
pub(super) const WILL: Kinds = 1 << 12;
/// Groups of people.
pub(super) const GROUP: Kinds = 1 << 13;
/// What groups are called to deny that they are people.
pub(super) const BEAST: Kinds = 1 << 14;
/// What should be done to them.
pub(super) const END: Kinds = 1 << 15;
/// What should be.
pub(super) const SHOULD: Kinds = 1 << 16;
/// A person who is not spoken to.
pub(super) const THEM: Kinds = 1 << 17;
/// Kin, body and mind of somebody, whose fault is an insult of them.
pub(super) const OWN: Kinds = 1 << 18;
/// Whoever calls for help, and how.
pub(super) const HELP: Kinds = 1 << 19;
/// Somebody tells what somebody said, or is asked to.
pub(super) const TELLS: Kinds = 1 << 20;
/// Coarse words that harden what stands beside them.
pub(super) const COARSE: Kinds = 1 << 21;
/// Affection: what stands beside it is teasing.
pub(super) const WARM: Kinds = 1 << 22;

const TABLE: &[(Kinds, &str)] = &[
    (YOU, "you u ya youre your ur yr yourself urself thou ye yall"),
    (ARE, "are re r youre is am was were be being art ur yr hes shes"),
    (
        NAME,
        "idiot moron imbecile cretin halfwit nitwit dimwit dumbass asshole arsehole dickhead jackass bastard bitch \
         whore slut cunt twat scumbag retard shithead motherfucker fuckwit fucktard fucker wanker dipshit douchebag \
         douche numbskull numskull simpleton dunce lowlife fatso tosser bellend knobhead prick skank bimbo airhead \
         dumbo dullard ignoramus pinhead knucklehead blockhead lamebrain birdbrain bonehead meathead dolt degenerate \
         psychopath sociopath pervert braindead halfwits shitbag scumbags slag slapper git pillock plonker tosspot \
         troglodyte subhuman wretch cockroach stoopid dumbfuck dingbat nincompoop nutjob nutcase retrd",
    ),
    (
        SOFT,
        "loser clown pig cow rat snake worm weasel donkey monkey toad swine witch creep freak jerk fool liar coward \
         thief crook fraud hypocrite traitor parasite leech slob brat oaf hag bully dinosaur peasant trash garbage \
         filth vermin scum disgrace weirdo crybaby muppet twit buffoon bigot monster knave dirt sissy noob animal sheep \
         ape goat vulture maggot slug cockroach rubbish windbag psycho baby bum tramp beggar scoundrel rascal villain \
         rogue failure joke nobody nothing disease plague embarrassment burden waste pest ass crybabies troll hippo whale \
         rodent louse lice maggots hyena jackal cur mongrel bat",
    ),
    (
        QUALITY,
        "stupid dumb ugly pathetic worthless useless disgusting brainless braindead retarded spineless vile filthy \
         dumber stupider uglier incompetent repulsive despicable moronic idiotic imbecilic gutless witless loathsome \
         contemptible subhuman trash garbage scum vermin hideous gormless clueless stoopid stupidest dumbest fuckin",
    ),
    (
        BAD,
        "lazy fat nasty smelly miserable selfish ignorant rude lying rotten rat old daft silly dense thick slimy \
         sad heartless shameless treacherous self-righteous pompous arrogant whiny greedy cowardly clumsy entitled \
         blundering bloody damn damned fucking fuckin freaking effing total utter complete absolute goddamn crazy \
         ungrateful backstabbing attention-seeking good-for-nothing braindead creepy insufferable spoiled spoilt \
         sick worst drunk crooked blind hopeless tiny puny fake bald toothless stinking stinky mean evil wretched",
    ),
    (
        FILL,
        "a an the such just really so too very all nothing but little big literally truly honestly only even still one \
         both always absolutely completely totally utterly clearly obviously simply actually pretty quite as complete \
         total utter absolute real bunch of lot load pack people guys lot sir lady man like must be being are re is r \
         have been also whole of for now and",
    ),
    (
        NOT,
        "not arent isnt never dont didnt doesnt no if feel feeling felt without unless whether nor cant wasnt werent \
         shouldnt how why wont neither nobody sound look looks seem might may could would hardly ain aint afraid",
    ),
    (GRAVE, "kill murder stab shoot strangle rape behead slaughter choke gut slit exterminate"),
    (
        HARM,
        "hurt beat burn destroy cut break hang poison smash crush slap punch kick whip skin hunt torch bash cripple \
         drown end wreck ruin snap rip tear blow",
    ),
    (
        PART,
        "throat face neck leg legs arm arms bone bones head nose teeth skull jaw ribs fingers knees family house home \
         kids kid children child daughter son wife husband mother dog car brains guts eyes back body ass",
    ),
    (ME, "i ill im we well ima were id"),
    (WILL, "will ill gonna going ima shall well swear gotta wanna want"),
    (
        GROUP,
        "women immigrants migrants refugees foreigners muslims jews christians hindus blacks whites asians africans \
         arabs mexicans gays lesbians homosexuals transgender gypsies roma disabled poor homeless blondes indians \
         chinese turks poles feminists liberals conservatives atheists catholics protestants natives pensioners \
         unemployed peasants",
    ),
    (
        BEAST,
        "vermin rat rats cockroach cockroaches roaches parasite parasites pig pigs animal animals subhuman subhumans \
         savage savages filth scum trash garbage maggot maggots plague plagues cancer disease lice leeches insects pest \
         pests apes monkeys dogs criminals rapists terrorists burden eaters swine",
    ),
    (
        END,
        "exterminated gassed shot killed hanged burned burnt eradicated slaughtered deported sterilised sterilized \
         drowned whipped castrated lynched stoned beaten executed wiped",
    ),
    (SHOULD, "should must need ought deserve deserves deserved have"),
    (THEM, "he she hes shes him her his"),
    (
        OWN,
        "face mother mom mum father dad parents family kids children sister brother wife husband voice brain iq kind head \
         looks body people mind existence life",
    ),
    (
        HELP,
        "helpline hotline therapist therapy counsellor counselor doctor doctors nurse samaritans crisis call number \
         patient depression depressed suicidal support symptom",
    ),
    (
        TELLS,
        "said says saying cried shouted wrote replied called calls call quoted quote sentence comment comments phrase \
         translate translation rewrite classify spanish french german mean means meaning insult insults word words \
         expression scene character dialogue lyrics article headline according indictment testified whispered answered \
         difference example prompt label toxic polite written heard read story novel film movie play",
    ),
    (
        COARSE,
        "fuck fucking fuckin fukin fck fcking shit bullshit crap damn bloody hell ass piss pissed bugger screw bollocks",
    ),
    (
        WARM,
        "love congratulations congrats thanks friend bestie darling dear proud lucky sweetheart laughing haha kisses",
    ),
];

static KINDS: LazyLock<HashMap<&'static str, Kinds>> = LazyLock::new(|| {
    let mut kinds: HashMap<&'static str, Kinds> = HashMap::new();
    for (kind, words) in TABLE {
        words.split_whitespace().for_each(|word| *kinds.entry(word).or_default() |= kind);
    }
    kinds
});

/// The kinds of a word, in one number or several, with a letter or two masked.
pub(super) fn kinds(word: &str) -> Kinds {
    if let Some(kinds) = KINDS.get(word) {
        return *kinds;
    }
    if word.contains('*') {
        return masked(word);
    }
    let singular = word.strip_suffix("es").filter(|stem| stem.ends_with(['h', 's', 'x']));
    let singular = singular.or_else(|| word.strip_suffix('s')).filter(|stem| stem.len() > 2);
    let plural = NAME | SOFT;
    if let Some(kinds) = singular.and_then(|stem| KINDS.get(stem)) {
        return kinds & plural;
    }
    // `morooon`, `looser`: doubled letters.
    let mut single = String::with_capacity(word.len());
    for letter in word.chars() {
        if !single.ends_with(letter) {
            single.push(letter);
        }
    }
    if single.len() < word.len() {
        return KINDS.get(single.as_str()).map_or(0, |kinds| kinds & (NAME | QUALITY));
    }
    0
}

/// The kinds of the words that a masked one (`b*tch`) can be, when it masks one insult only.
fn masked(word: &str) -> Kinds {
    let letters = word.chars().filter(|c| *c != '*').count();
    if letters < 2 {
        return 0;
    }
    let fits = |known: &str| {
        known.len() == word.len() && known.chars().zip(word.chars()).all(|(a, b)| b == '*' || a == b)
    };
    KINDS
        .iter()
        .filter(|(known, kinds)| **kinds & (NAME | SOFT | QUALITY | COARSE) != 0 && fits(known))
        .fold(0, |all, (_, kinds)| all | kinds)
}
