//! Regular expressions by how long a matcher that goes back may take for them (ReDoS, CWE-1333).
//!
//! A pattern is endless when some text leads from one of its letters back to the same letter in two ways: then every
//! further repeat of that text doubles the ways, and a matcher that goes back (Oniguruma, Python's `re`, JavaScript) tries
//! them all once what follows does not match. That is decided on the automaton of the pattern's letters (Glushkov), two
//! copies of which are walked side by side; patterns that are only slow (a square of the length) are not told.
//! Weideman et al., "Analyzing Matching Time Behavior of Backtracking Regular Expression Matchers" (2016).
//!
//! Long because the reader of patterns and the walk over their letters are one argument.

/// Letters of one pattern, counted as they are unrolled, beyond which nothing is said.
const MAX_LETTERS: usize = 80;
/// Bytes of one pattern.
const MAX_PATTERN: usize = 4_096;
/// Steps on the two copies of one automaton.
const MAX_STEPS: u64 = 3_000_000;
/// Groups within groups.
const MAX_NESTING: u8 = 40;
/// Repeats beyond which a bound is as good as none.
const MANY: u32 = 12;

/// A set of letters, of which some stand for all that are alike: ASCII one by one, and others by their kind.
type Set = [u64; 3];

/// Letters beside ASCII: of Latin in both cases, Cyrillic, Han, Kana, Hangul, digits, marks, a sign, spaces, an emoji.
const OTHERS: [char; 14] = [
    '\u{e9}',
    '\u{c9}',
    '\u{436}',
    '\u{4e2d}',
    '\u{3042}',
    '\u{30a2}',
    '\u{ac00}',
    '\u{661}',
    '\u{301}',
    '\u{20ac}',
    '\u{a0}',
    '\u{2028}',
    '\u{3002}',
    '\u{1f600}',
];
const ALL: usize = 128 + OTHERS.len();

enum Node {
    Nothing,
    Letter(Set),
    /// What stands at a place and takes no letter; it may fail.
    Place,
    Cat(Vec<Node>),
    Any(Vec<Node>),
    Loop(Box<Node>, u32, Option<u32>),
}

/// Whether a matcher that goes back may take a time that doubles with each letter. `whole` says that the pattern must
/// match to the end of the text.
#[must_use]
pub fn is_endless(pattern: &str, whole: bool) -> bool {
    if pattern.len() > MAX_PATTERN || !pattern.contains(['*', '+', '{']) {
        return false;
    }
    let letters: Vec<char> = pattern.chars().collect();
    let fold = pattern.contains("(?i");
    let mut parser = Parser { letters: &letters, at: 0, fold, spaced: false };
    let Some(node) = parser.any(0).filter(|_| parser.at == letters.len()) else { return false };
    let node = if whole { Node::Cat(vec![node, Node::Place]) } else { node };
    let mut automaton = Automaton::default();
    let Some(ends) = automaton.add(&node) else { return false };
    automaton.is_ambiguous(&ends.last)
}

struct Parser<'a> {
    letters: &'a [char],
    at: usize,
    fold: bool,
    spaced: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn eat(&mut self, text: &str) -> bool {
        let found =
            text.chars().enumerate().all(|(at, letter)| self.letters.get(self.at + at) == Some(&letter));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    fn any(&mut self, depth: u8) -> Option<Node> {
        if depth > MAX_NESTING {
            return None;
        }
        let mut ways = vec![self.cat(depth)?];
        while self.eat("|") {
            ways.push(self.cat(depth)?);
        }
        Some(if ways.len() == 1 { ways.pop()? } else { Node::Any(ways) })
    }

    fn cat(&mut self, depth: u8) -> Option<Node> {
        let mut parts = Vec::new();
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, '|' | ')')) {
            self.at += 1;
            let one = match letter {
                '(' => self.group(depth)?,
                '[' => Node::Letter(self.class()?),
                '.' => Node::Letter(set(|letter| letter != '\n')),
                '^' | '$' => Node::Place,
                '\\' => self.escape()?,
                ' ' | '\n' if self.spaced => continue,
                other => Node::Letter(self.exactly(other)),
            };
            parts.push(self.repeated(one)?);
        }
        Some(Node::Cat(parts))
    }

    fn group(&mut self, depth: u8) -> Option<Node> {
        if self.eat("?#") {
            while self.next()? != ')' {}
            return Some(Node::Nothing);
        }
        let looks = ["?=", "?!", "?<=", "?<!"].iter().any(|look| self.eat(look));
        let closed = !looks && self.eat("?>");
        if !looks && !closed && self.eat("?") {
            if self.eat("P<") || self.eat("<") {
                while self.next()? != '>' {}
            } else if !self.eat(":") {
                loop {
                    match self.next()? {
                        ':' => break,
                        // Flags for all that follows.
                        ')' => return Some(Node::Nothing),
                        'x' => self.spaced = true,
                        letter if letter.is_ascii_alphabetic() || letter == '-' => {}
                        _ => return None,
                    }
                }
            }
        }
        let inner = self.any(depth + 1)?;
        if !self.eat(")") {
            return None;
        }
        Some(match (looks, closed) {
            (true, _) => Node::Place,
            // What has matched once is not tried again.
            (_, true) => Node::Cat(vec![Node::Letter(set(|_| true)), Node::Place]),
            _ => inner,
        })
    }

    fn repeated(&mut self, mut node: Node) -> Option<Node> {
        loop {
            let (least, most) = match self.peek() {
                Some('*') => (0, None),
                Some('+') => (1, None),
                Some('?') => (0, Some(1)),
                Some('{') => match self.bounds() {
                    Some(bounds) => bounds,
                    None => return Some(node),
                },
                _ => return Some(node),
            };
            self.at += 1;
            if self.eat("+") {
                node = Node::Cat(vec![Node::Letter(set(|_| true)), Node::Place]);
                continue;
            }
            self.eat("?");
            node = Node::Loop(Box::new(node), least, most);
        }
    }

    /// The numbers of `{2}`, `{2,}` or `{2,5}`, up to the bracket that closes it; `None` where it is none.
    fn bounds(&mut self) -> Option<(u32, Option<u32>)> {
        let close = self.letters.get(self.at..)?.iter().take(16).position(|&letter| letter == '}')?;
        let inside: String = self.letters.get(self.at + 1..self.at + close)?.iter().collect();
        let (least, most) = match inside.split_once(',') {
            None => (inside.parse().ok()?, Some(inside.parse().ok()?)),
            Some((least, most)) => {
                let least = if least.is_empty() { 0 } else { least.parse().ok()? };
                (least, if most.is_empty() { None } else { Some(most.parse().ok()?) })
            }
        };
        self.at += close;
        Some((least, most))
    }

    fn exactly(&self, letter: char) -> Set {
        if self.fold {
            set(|other| other.to_lowercase().eq(letter.to_lowercase()))
        } else {
            set(|other| other == letter)
        }
    }

    fn escape(&mut self) -> Option<Node> {
        let letter = self.next()?;
        Some(match letter {
            'b' | 'B' | 'A' | 'z' | 'Z' | 'G' => Node::Place,
            // What a group has matched: any letters.
            '1'..='9' => Node::Letter(set(|_| true)),
            'k' => {
                while self.next()? != '>' {}
                Node::Letter(set(|_| true))
            }
            'R' => Node::Letter(set(|letter| matches!(letter, '\n' | '\r' | '\u{2028}'))),
            _ => Node::Letter(self.kind(letter)?),
        })
    }

    /// What stands behind a backslash, as a set.
    fn kind(&mut self, letter: char) -> Option<Set> {
        let word = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '\u{301}';
        Some(match letter {
            'd' => set(char::is_numeric),
            'D' => set(|letter| !letter.is_numeric()),
            'w' => set(word),
            'W' => set(|letter| !word(letter)),
            's' => set(char::is_whitespace),
            'S' => set(|letter| !letter.is_whitespace()),
            'h' => set(|letter| letter.is_ascii_hexdigit()),
            'n' => set(|letter| letter == '\n'),
            'r' => set(|letter| letter == '\r'),
            't' => set(|letter| letter == '\t'),
            'f' | 'v' | 'a' | 'e' | '0' => set(|_| false),
            'p' | 'P' => {
                let mut name = String::new();
                match self.next()? {
                    '{' => loop {
                        match self.next()? {
                            '}' => break,
                            letter if name.len() < 40 => name.push(letter),
                            _ => return None,
                        }
                    },
                    letter => name.push(letter),
                }
                let turned = (letter == 'P') != name.starts_with('^');
                let named = property(name.trim_start_matches('^'));
                if turned { not(named) } else { named }
            }
            'x' | 'u' => {
                let braced = self.eat("{");
                let most = if braced {
                    8
                } else if letter == 'x' {
                    2
                } else {
                    4
                };
                let mut number = 0_u32;
                for _ in 0..most {
                    let Some(digit) = self.peek().and_then(|letter| letter.to_digit(16)) else { break };
                    number = number << 4 | digit;
                    self.at += 1;
                }
                if braced && !self.eat("}") {
                    return None;
                }
                self.exactly(char::from_u32(number)?)
            }
            other => self.exactly(other),
        })
    }

    /// A class in brackets, after the first of them.
    fn class(&mut self) -> Option<Set> {
        let turned = self.eat("^");
        let mut all: Set = [0; 3];
        let mut first = true;
        loop {
            let letter = self.next()?;
            if letter == ']' && !first {
                break;
            }
            first = false;
            if letter == '&' && self.peek() == Some('&') {
                return None;
            }
            let one = match letter {
                '[' if self.eat(":") => {
                    let mut name = String::new();
                    while let Some(letter) = self.next().filter(|&letter| letter != ':') {
                        name.push(letter);
                    }
                    if !self.eat("]") {
                        return None;
                    }
                    property(&name)
                }
                '[' => return None,
                '\\' => {
                    let letter = self.next()?;
                    self.kind(letter)?
                }
                from if self.peek() == Some('-')
                    && self.letters.get(self.at + 1).is_some_and(|&to| to != ']') =>
                {
                    self.at += 1;
                    let mut to = self.next()?;
                    if to == '\\' {
                        to = self.next()?;
                    }
                    let fold = self.fold;
                    set(|letter| {
                        let within = |letter: char| (from..=to).contains(&letter);
                        within(letter)
                            || fold
                                && (within(letter.to_ascii_lowercase())
                                    || within(letter.to_ascii_uppercase()))
                    })
                }
                other => self.exactly(other),
            };
            for (all, one) in all.iter_mut().zip(one) {
                *all |= one;
            }
        }
        Some(if turned { not(all) } else { all })
    }
}

fn letter(index: usize) -> char {
    if index < 128 { index as u8 as char } else { OTHERS[index - 128] }
}

fn set(has: impl Fn(char) -> bool) -> Set {
    let mut set = [0; 3];
    for index in (0..ALL).filter(|&index| has(letter(index))) {
        set[index / 64] |= 1 << (index % 64);
    }
    set
}

fn not(set: Set) -> Set {
    let all = self::set(|_| true);
    [all[0] & !set[0], all[1] & !set[1], all[2] & !set[2]]
}

fn meet(one: Set, other: Set) -> bool {
    one.iter().zip(other).any(|(one, other)| one & other != 0)
}

/// The letters of a property of Unicode or of a class of POSIX, as far as they stand for their kind; of one that is not
/// known a single letter, so that nothing is made of it.
fn property(name: &str) -> Set {
    let name = name.rsplit('=').next().unwrap_or(name);
    let mark = |letter: char| letter == '\u{301}';
    let symbol = |letter: char| "$+<=>^`|~\u{20ac}\u{1f600}".contains(letter);
    match name {
        "L" | "Letter" | "Alphabetic" | "alpha" | "IsAlphabetic" => set(char::is_alphabetic),
        "Lu" | "upper" | "Lt" => set(char::is_uppercase),
        "Ll" | "lower" => set(char::is_lowercase),
        "Lo" | "Lm" => {
            set(|letter| letter.is_alphabetic() && !letter.is_uppercase() && !letter.is_lowercase())
        }
        "N" | "Nd" | "Number" | "digit" => set(char::is_numeric),
        "M" | "Mn" | "Mark" => set(mark),
        "P" | "Punctuation" | "punct" => {
            set(|letter| letter.is_ascii_punctuation() && !symbol(letter) || letter == '\u{3002}')
        }
        "S" | "Symbol" => set(symbol),
        "Z" | "Zs" | "White_Space" | "space" => set(char::is_whitespace),
        "alnum" => set(char::is_alphanumeric),
        "Han" => set(|letter| letter == '\u{4e2d}'),
        "Hiragana" => set(|letter| letter == '\u{3042}'),
        "Katakana" => set(|letter| letter == '\u{30a2}'),
        "Hangul" => set(|letter| letter == '\u{ac00}'),
        "Cyrillic" => set(|letter| letter == '\u{436}'),
        "Latin" => set(|letter| letter.is_ascii_alphabetic() || matches!(letter, '\u{e9}' | '\u{c9}')),
        _ => set(|letter| letter == '\u{2028}'),
    }
}

/// The letters of a pattern, and which may follow which, once for each way it does.
#[derive(Default)]
struct Automaton {
    letters: Vec<Set>,
    after: Vec<Vec<usize>>,
}

/// The letters a part may begin and end with, and whether it may be nothing.
#[derive(Default)]
struct Ends {
    first: Vec<usize>,
    last: Vec<usize>,
    empty: bool,
}

impl Automaton {
    fn join(&mut self, from: &[usize], to: &[usize]) {
        for &from in from {
            // Two ways are as good as more.
            for &to in to {
                if self.after[from].iter().filter(|&&known| known == to).count() < 2 {
                    self.after[from].push(to);
                }
            }
        }
    }

    fn add(&mut self, node: &Node) -> Option<Ends> {
        Some(match node {
            Node::Nothing => Ends { empty: true, ..Ends::default() },
            Node::Letter(_) | Node::Place => {
                let at = self.letters.len();
                if at >= MAX_LETTERS {
                    return None;
                }
                self.letters.push(if let Node::Letter(set) = node { *set } else { [0; 3] });
                self.after.push(Vec::new());
                Ends { first: vec![at], last: vec![at], empty: false }
            }
            Node::Cat(parts) => {
                let mut whole = Ends { empty: true, ..Ends::default() };
                for part in parts {
                    let ends = self.add(part)?;
                    whole = self.follow(whole, ends);
                }
                whole
            }
            Node::Any(ways) => {
                let mut whole = Ends::default();
                for way in ways {
                    let ends = self.add(way)?;
                    whole.first.extend(ends.first);
                    whole.last.extend(ends.last);
                    whole.empty |= ends.empty;
                }
                whole
            }
            Node::Loop(inner, least, Some(1)) => {
                let mut ends = self.add(inner)?;
                ends.empty |= *least == 0;
                ends
            }
            Node::Loop(inner, least, Some(most)) if *most < MANY || least == most => {
                let mut whole = Ends { empty: true, ..Ends::default() };
                for index in 0..(*most).min(3) {
                    let mut ends = self.add(inner)?;
                    ends.empty |= index >= *least;
                    whole = self.follow(whole, ends);
                }
                whole
            }
            Node::Loop(inner, least, _) => {
                let mut ends = self.add(inner)?;
                self.join(&ends.last.clone(), &ends.first.clone());
                ends.empty |= *least == 0;
                ends
            }
        })
    }

    fn follow(&mut self, before: Ends, after: Ends) -> Ends {
        self.join(&before.last, &after.first);
        let mut whole = Ends { empty: before.empty && after.empty, first: before.first, last: after.last };
        if before.empty {
            whole.first.extend(after.first);
        }
        if after.empty {
            whole.last.extend(before.last);
        }
        whole
    }

    /// Whether a text leads from a letter back to itself in two ways, where what follows may still fail.
    fn is_ambiguous(&self, last: &[usize]) -> bool {
        let (count, mut steps) = (self.letters.len(), 0);
        (0..count).any(|start| {
            // Where the pattern may end it has matched, and nothing is tried again.
            if last.contains(&start) && !self.after[start].iter().any(|&next| self.letters[next] == [0; 3]) {
                return false;
            }
            // Pairs of letters that one text leads to, and whether its two ways have parted.
            let mut seen = vec![[false; 2]; count * count];
            let mut waiting = vec![(start, start, false)];
            while let Some((one, other, parted)) = waiting.pop() {
                steps += (self.after[one].len() * self.after[other].len()) as u64;
                if steps > MAX_STEPS {
                    return false;
                }
                for (index, &next) in self.after[one].iter().enumerate() {
                    for (place, &beside) in self.after[other].iter().enumerate() {
                        if !meet(self.letters[next], self.letters[beside]) {
                            continue;
                        }
                        // The same step by the same way, or two ways.
                        let parts = one != other || index != place;
                        let parted = parted || parts;
                        if parted && next == start && beside == start {
                            return true;
                        }
                        let known = &mut seen[next * count + beside][usize::from(parted)];
                        if !*known {
                            *known = true;
                            waiting.push((next, beside, parted));
                        }
                    }
                }
            }
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::is_endless;

    #[test]
    fn patterns_that_double_are_told() {
        for pattern in [
            r"(\p{L}+)+$",
            r"(?:a|a)*b",
            r"^(\w+\s?)*$",
            r"(\s*\n*)+#",
            r"^(([a-z])+.)+[A-Z]([a-z])+$",
            r"((a{1,50}){1,50}){1,50}x",
            r"(x+x+)+y",
            r"(a*)*b",
            r"(?i)([a-c]|[A-B])*z",
            r"(.*,)*\d",
            r"^(\d+|\d+\.\d*)*%",
            r"(?:[^\r\n]+\s*)+(?=END)",
        ] {
            assert!(is_endless(pattern, false), "{pattern}");
        }
        assert!(is_endless(r"(.*\.)*(.*\.)*q_proj", true) && is_endless("(a+)+", true));
    }

    #[test]
    fn patterns_of_tokenizers_are_not() {
        for pattern in [
            r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)?|\p{N}{1,3}|\s+",
            r" {2,}",
            r"(\d{3})+(?!\d)",
            r"^(?:[a-z]+\.)+[a-z]+$",
            r".*\.(q_proj|v_proj)$",
            r"(?:model\.)?layers\.(\d+)\.(self_attn|mlp)\..*",
            r"<\|[^|]+\|>",
            r"(a++)+b",
            r"(?>a+)+b",
            r"[0-9]{3}-[0-9]{4}",
            r"(\d{1,3}\.){3}\d{1,3}",
            "[一-龥]+|[^\\r\\n]",
            r"(\p{L}+)+",
        ] {
            assert!(!is_endless(pattern, false), "{pattern}");
        }
        for whole in [r".*\.(q_proj|v_proj)", r"(?!.*lm_head).*(q|k|v)_proj", r"([a-z]+_)+proj"] {
            assert!(!is_endless(whole, true), "{whole}");
        }
    }

    #[test]
    fn nothing_panics() {
        for pattern in
            ["(", "[", "\\", "(?", "a{", "[a-", "(?<", "\\p{", "[[:", "a{9999999999}*", "*+", "\\x{110000}+"]
        {
            let _ = is_endless(pattern, true);
        }
        assert!(!is_endless(&"(a+)+".repeat(800), false));
        assert!(!is_endless(&"(".repeat(4_000), false));
    }
}
