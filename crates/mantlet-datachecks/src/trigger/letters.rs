//! Letters that are not what they seem: invisible ones, and words that mix alphabets.

/// What is odd about a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Odd {
    /// Letters without width, or that turn the direction of writing.
    pub invisible: bool,
    /// A word of Latin letters with Cyrillic or Greek ones among them.
    pub mixed: bool,
}

const fn is_invisible(c: char) -> bool {
    // Zero-width characters, direction overrides and isolates, invisible operators, tags (Unicode TR 36).
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{00ad}' | '\u{180e}' | '\u{e0000}'..='\u{e007f}')
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Latin,
    Lookalike,
}

const fn script(c: char) -> Option<Script> {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' => Some(Script::Latin),
        '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{1f00}'..='\u{1fff}' => Some(Script::Lookalike),
        _ => None,
    }
}

/// Looks at a text. Joiners between letters that need them (Arabic, Indic scripts, emoji) are not odd.
#[must_use]
pub fn odd(text: &str) -> Odd {
    if text.is_ascii() {
        return Odd::default();
    }
    let mut odd = Odd::default();
    let (mut latin, mut other) = (false, false);
    let mut before: Option<char> = None;
    for c in text.chars().chain([' ']) {
        if is_invisible(c) {
            let joiner = matches!(c, '\u{200c}' | '\u{200d}');
            let needed = before.is_some_and(|before| before as u32 >= 0x600 && !is_invisible(before));
            odd.invisible |= !(joiner && needed);
        } else if c.is_alphanumeric() {
            match script(c) {
                Some(Script::Latin) => latin = true,
                Some(Script::Lookalike) => other = true,
                None => {}
            }
        } else {
            odd.mixed |= latin && other;
            (latin, other) = (false, false);
        }
        before = Some(c);
    }
    odd
}
