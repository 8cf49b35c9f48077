//! Python literals as `ast.literal_eval` reads them, for the headers of `.npy` files.

/// A literal, as far as a header needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Number(Option<u64>),
    Word(String),
    List(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

const MAX_DEPTH: u8 = 32;

/// The literal at the start of the text; `None` when it is not one. What follows it is not looked at.
pub(super) fn parse(text: &str) -> Option<Literal> {
    Parser { rest: text }.value(MAX_DEPTH)
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn space(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0c', '\\']);
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => return,
            }
        }
    }

    fn eat(&mut self, c: char) -> bool {
        self.space();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: u8) -> Option<Literal> {
        let depth = depth.checked_sub(1)?;
        self.space();
        match self.rest.chars().next()? {
            '(' => self.sequence(')', depth),
            '[' => self.sequence(']', depth),
            '{' => self.dict(depth),
            '0'..='9' | '-' | '+' | '.' => Some(self.number()),
            _ => match self.string() {
                Some(mut text) => {
                    // Neighbouring strings are one string.
                    loop {
                        self.space();
                        match self.string() {
                            Some(more) => text.push_str(&more),
                            None => return Some(Literal::Text(text)),
                        }
                    }
                }
                None => self.word(),
            },
        }
    }

    fn sequence(&mut self, close: char, depth: u8) -> Option<Literal> {
        self.rest = self.rest.get(1..)?;
        let (mut items, mut commas) = (Vec::new(), 0);
        loop {
            if self.eat(close) {
                // Parentheses around one value are only parentheses.
                return match items.pop() {
                    Some(only) if close == ')' && commas == 0 && items.is_empty() => Some(only),
                    Some(last) => {
                        items.push(last);
                        Some(Literal::List(items))
                    }
                    None => Some(Literal::List(items)),
                };
            }
            items.push(self.value(depth)?);
            if self.eat(',') {
                commas += 1;
            } else {
                self.space();
                if !self.rest.starts_with(close) {
                    return None;
                }
            }
        }
    }

    fn dict(&mut self, depth: u8) -> Option<Literal> {
        self.rest = self.rest.get(1..)?;
        let mut pairs = Vec::new();
        loop {
            if self.eat('}') {
                return Some(Literal::Dict(pairs));
            }
            let key = self.value(depth)?;
            if !self.eat(':') {
                return None;
            }
            let value = self.value(depth)?;
            pairs.push((key, value));
            if !self.eat(',') {
                self.space();
                if !self.rest.starts_with('}') {
                    return None;
                }
            }
        }
    }

    fn number(&mut self) -> Literal {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-' | '+'));
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        // Python 2 wrote long integers with an L.
        let digits: String = digits.trim_end_matches(['L', 'l']).chars().filter(|&c| c != '_').collect();
        let radix = match digits.get(..2) {
            Some("0x" | "0X") => 16,
            Some("0o" | "0O") => 8,
            Some("0b" | "0B") => 2,
            _ => return Literal::Number(digits.parse().ok()),
        };
        Literal::Number(u64::from_str_radix(&digits[2..], radix).ok())
    }

    fn word(&mut self) -> Option<Literal> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then(|| Literal::Word(word.to_owned()))
    }

    fn string(&mut self) -> Option<String> {
        let start = self.rest.find(['\'', '"'])?;
        let prefix = self.rest.get(..start)?;
        if prefix.len() > 2 || !prefix.chars().all(|c| matches!(c, 'b' | 'B' | 'u' | 'U' | 'r' | 'R')) {
            return None;
        }
        let raw = prefix.contains(['r', 'R']);
        let body = self.rest.get(start..)?;
        let quote = body.chars().next()?;
        let triple = quote.to_string().repeat(3);
        let end = if body.starts_with(&triple) { triple } else { quote.to_string() };
        let mut rest = body.get(end.len()..)?;
        let mut out = String::new();
        loop {
            if let Some(after) = rest.strip_prefix(end.as_str()) {
                self.rest = after;
                return Some(out);
            }
            let mut chars = rest.chars();
            match chars.next()? {
                '\\' if !raw => rest = escape(chars.as_str(), &mut out)?,
                c => {
                    out.push(c);
                    rest = chars.as_str();
                }
            }
        }
    }
}

/// One escape after its backslash; what follows it.
fn escape<'a>(rest: &'a str, out: &mut String) -> Option<&'a str> {
    let mut chars = rest.chars();
    let kind = chars.next()?;
    let digits = |count: usize, radix: u32| {
        let text = rest.get(1..=count)?;
        Some((char::from_u32(u32::from_str_radix(text, radix).ok()?)?, rest.get(1 + count..)?))
    };
    let (c, after) = match kind {
        'x' => digits(2, 16)?,
        'u' => digits(4, 16)?,
        'U' => digits(8, 16)?,
        '0'..='7' => {
            let len = rest.bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
            let code = u32::from_str_radix(rest.get(..len)?, 8).ok()?;
            (char::from_u32(code)?, rest.get(len..)?)
        }
        '\n' => return Some(chars.as_str()),
        'n' => ('\n', chars.as_str()),
        't' => ('\t', chars.as_str()),
        'r' => ('\r', chars.as_str()),
        '\\' | '\'' | '"' => (kind, chars.as_str()),
        // A name of a character (`\N{...}`) or an unknown escape: not what any writer makes.
        _ => return None,
    };
    out.push(c);
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_read_as_python_reads_them() {
        let text = |text: &str| Literal::Text(text.to_owned());
        assert_eq!(parse(r"'\x7c\117'"), Some(text("|O")));
        assert_eq!(parse("'<f' '4'"), Some(text("<f4")));
        assert_eq!(parse("('a')"), Some(text("a")));
        assert_eq!(
            parse("(3L, 0x10)"),
            Some(Literal::List(vec![Literal::Number(Some(3)), Literal::Number(Some(16))]))
        );
        assert_eq!(
            parse("{'a': True}"),
            Some(Literal::Dict(vec![(text("a"), Literal::Word("True".into()))]))
        );
        assert_eq!(parse("['a'"), None);
        assert_eq!(parse(&"(".repeat(1_000)), None);
    }
}
