//! Jinja text to tokens, as Jinja's own lexer cuts it: whitespace control, raw blocks, comments, escapes.

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'t> {
    /// Text outside tags.
    Data(&'t str),
    /// `{%`
    Open,
    /// `%}`
    Close,
    /// `{{`
    OpenVar,
    /// `}}`
    CloseVar,
    Name(&'t str),
    Str(String),
    /// A string whose escapes name characters that are not resolved here.
    Opaque,
    Int(i64),
    Float,
    Op(&'static str),
    /// A character no expression has.
    Bad,
}

/// A token and where it starts.
#[derive(Debug, Clone)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) at: usize,
}

const OPERATORS: [&str; 28] = [
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ",", ":", "|", "(",
    ")", "[", "]", "{", "}", "!", "&", ";",
];

/// The tokens of a template, at most `max`; whether all are there.
pub(super) fn tokens(text: &str, max: usize) -> (Vec<Token<'_>>, bool) {
    let mut lexer = Lexer { text, at: 0, tokens: Vec::new(), max };
    while lexer.at < text.len() {
        if lexer.tokens.len() >= max {
            return (lexer.tokens, false);
        }
        lexer.outside();
    }
    (lexer.tokens, true)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    tokens: Vec<Token<'t>>,
    max: usize,
}

impl<'t> Lexer<'t> {
    fn push(&mut self, kind: Kind<'t>, at: usize) {
        self.tokens.push(Token { kind, at });
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn outside(&mut self) {
        let rest = self.rest();
        let open = rest.as_bytes().windows(2).position(|pair| matches!(pair, b"{{" | b"{%" | b"{#"));
        let Some(open) = open else {
            self.push(Kind::Data(rest), self.at);
            self.at = self.text.len();
            return;
        };
        let tag = self.at + open;
        if open > 0 {
            let data = &rest[..open];
            // `{%-` takes the white space before it away.
            let trims = self.text.as_bytes().get(tag + 2) == Some(&b'-');
            self.push(Kind::Data(if trims { data.trim_end() } else { data }), self.at);
        }
        self.at = tag + 2;
        match self.text.as_bytes()[tag + 1] {
            b'#' => {
                let end = self.rest().find("#}").map_or(self.text.len(), |end| self.at + end + 2);
                self.at = end;
                self.trim_after(end.wrapping_sub(3));
            }
            b'%' => self.inside(tag, false),
            _ => self.inside(tag, true),
        }
    }

    /// After `-%}` and its like, white space is taken away.
    fn trim_after(&mut self, sign: usize) {
        if self.text.as_bytes().get(sign) == Some(&b'-') {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
        }
    }

    fn inside(&mut self, tag: usize, variable: bool) {
        if matches!(self.text.as_bytes().get(self.at), Some(b'-' | b'+')) {
            self.at += 1;
        }
        if !variable && self.raw() {
            return;
        }
        self.push(if variable { Kind::OpenVar } else { Kind::Open }, tag);
        let (close, end) = if variable { ("}}", Kind::CloseVar) } else { ("%}", Kind::Close) };
        let mut depth = 0_usize;
        while self.tokens.len() < self.max {
            let rest = self.rest();
            let skipped = rest.trim_start();
            self.at += rest.len() - skipped.len();
            let Some(first) = skipped.chars().next() else { return };
            let at = self.at;
            if depth == 0 {
                let signed = skipped.strip_prefix(['-', '+']).unwrap_or(skipped);
                let sign = skipped.len() - signed.len();
                if signed.starts_with(close) {
                    self.at += sign + 2;
                    self.push(end, at);
                    if sign == 1 {
                        self.trim_after(at);
                    }
                    return;
                }
            }
            if first.is_alphabetic() || first == '_' {
                let len = skipped.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(skipped.len());
                self.at += len;
                self.push(Kind::Name(&skipped[..len]), at);
            } else if first.is_ascii_digit() {
                self.number(skipped);
            } else if first == '\'' || first == '"' {
                self.string(skipped, first);
            } else if let Some(op) = OPERATORS.iter().find(|op| skipped.starts_with(**op)) {
                match *op {
                    "(" | "[" | "{" => depth += 1,
                    ")" | "]" | "}" => depth = depth.saturating_sub(1),
                    _ => {}
                }
                self.at += op.len();
                self.push(Kind::Op(op), at);
            } else {
                self.at += first.len_utf8();
                self.push(Kind::Bad, at);
            }
        }
    }

    /// `{% raw %}` up to `{% endraw %}` is data.
    fn raw(&mut self) -> bool {
        let Some(rest) = self.rest().trim_start().strip_prefix("raw") else { return false };
        let inner = rest.trim_start().trim_start_matches(['-', '+']);
        let Some(body) = inner.strip_prefix("%}") else { return false };
        let start = self.text.len() - body.len();
        let mut search = 0;
        while let Some(found) = body.get(search..).and_then(|rest| rest.find("{%")) {
            let tag = search + found;
            let after = body[tag + 2..].trim_start_matches(['-', '+']).trim_start();
            if let Some(after) = after.strip_prefix("endraw") {
                let after = after.trim_start().trim_start_matches(['-', '+']);
                self.push(Kind::Data(&body[..tag]), start);
                self.at = self.text.len() - after.strip_prefix("%}").unwrap_or(after).len();
                return true;
            }
            search = tag + 2;
        }
        self.push(Kind::Data(body), start);
        self.at = self.text.len();
        true
    }

    fn number(&mut self, rest: &'t str) {
        let at = self.at;
        let hex = rest.get(..2).is_some_and(|two| two.eq_ignore_ascii_case("0x"));
        let len = rest
            .find(|c: char| !(c.is_ascii_digit() || c == '_' || (hex && c.is_ascii_alphanumeric())))
            .unwrap_or(rest.len());
        // `0x` itself is skipped by the search when it is hexadecimal.
        let digits: String = rest[..len].chars().filter(|&c| c != '_').collect();
        let tail = &rest[len..];
        let fraction = tail.strip_prefix('.').filter(|tail| tail.starts_with(|c: char| c.is_ascii_digit()));
        if let (Some(fraction), false) = (fraction, hex) {
            let more = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
            self.at += len + 1 + more;
            self.push(Kind::Float, at);
            return;
        }
        self.at += len.max(1);
        let value = match digits.get(2..).filter(|_| hex) {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => digits.parse().ok(),
        };
        self.push(value.map_or(Kind::Float, Kind::Int), at);
    }

    fn string(&mut self, rest: &'t str, quote: char) {
        let at = self.at;
        let mut out = String::new();
        let mut opaque = false;
        let mut chars = rest.char_indices().skip(1);
        while let Some((index, c)) = chars.next() {
            if c == quote {
                self.at += index + 1;
                self.push(if opaque { Kind::Opaque } else { Kind::Str(out) }, at);
                return;
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let Some((_, escape)) = chars.next() else { break };
            let width = match escape {
                'x' => 2,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            match escape {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'a' => out.push('\u{7}'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'v' => out.push('\u{b}'),
                '\n' => {}
                'x' | 'u' | 'U' => {
                    let digits: String = chars.by_ref().take(width).map(|(_, c)| c).collect();
                    match u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32) {
                        Some(c) => out.push(c),
                        None => opaque = true,
                    }
                }
                '0'..='7' => {
                    let mut value = escape as u32 - '0' as u32;
                    for _ in 0..2 {
                        let Some((_, digit @ '0'..='7')) = chars.clone().next() else { break };
                        value = value * 8 + (digit as u32 - '0' as u32);
                        chars.next();
                    }
                    out.push(char::from_u32(value).unwrap_or('?'));
                }
                'N' => {
                    let name: String =
                        chars.by_ref().skip(1).map(|(_, c)| c).take_while(|&c| c != '}').take(80).collect();
                    match name.to_ascii_uppercase().as_str() {
                        "LOW LINE" => out.push('_'),
                        "FULL STOP" => out.push('.'),
                        _ => opaque = true,
                    }
                }
                '\\' | '\'' | '"' => out.push(escape),
                other => out.extend(['\\', other]),
            }
        }
        self.at = self.text.len();
        self.push(Kind::Bad, at);
    }
}
