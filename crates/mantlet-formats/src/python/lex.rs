//! Python text to tokens: names, strings, operators, logical lines and their indentation.

/// The operator `:=`, which gives a name to a value within an expression.
pub(super) const NAMES: char = '\u{2254}';

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'t> {
    Name(&'t str),
    /// A string's text with escapes resolved where they are simple.
    Str(String),
    /// A formatted string: its raw text, whose parts are not constant.
    Format(&'t str),
    Number(&'t str),
    Op(char),
    /// `==`, `->`, `+=` and the like: operators of two characters.
    Other(&'t str),
    /// A logical line begins with this indentation.
    Line(usize),
    /// A notebook's or shell's command line: the text after `!` or `%%bash`.
    Shell(&'t str),
}

#[derive(Debug, Clone)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind<'t>,
    pub(super) line: u32,
    /// A string of bytes.
    pub(super) bytes: bool,
}

/// The tokens, at most `max`; whether all are there.
pub(super) fn tokens(text: &str, max: usize) -> (Vec<Token<'_>>, bool) {
    let mut lexer = Lexer { text, at: 0, line: 1, tokens: Vec::new(), depth: 0 };
    let mut fresh = true;
    while lexer.at < text.len() {
        if lexer.tokens.len() >= max {
            return (lexer.tokens, false);
        }
        fresh = lexer.step(fresh);
    }
    (lexer.tokens, true)
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    line: u32,
    tokens: Vec<Token<'t>>,
    depth: usize,
}

impl<'t> Lexer<'t> {
    fn push(&mut self, kind: Kind<'t>) {
        self.tokens.push(Token { kind, line: self.line, bytes: false });
    }

    /// One token; whether a logical line begins next.
    fn step(&mut self, fresh: bool) -> bool {
        let bytes = self.text.as_bytes();
        if fresh {
            let start = self.at;
            while matches!(bytes.get(self.at), Some(b' ' | b'\t' | b'\x0c')) {
                self.at += 1;
            }
            let indent = self.at - start;
            match bytes.get(self.at) {
                None | Some(b'\n' | b'\r' | b'#') => {}
                Some(b'!' | b'%') => {
                    let rest = &self.text[self.at..];
                    let line = rest.split('\n').next().unwrap_or("");
                    self.push(Kind::Line(indent));
                    self.push(Kind::Shell(line));
                    self.at += line.len();
                    return false;
                }
                Some(_) => self.push(Kind::Line(indent)),
            }
        }
        let at = self.at;
        let Some(&byte) = bytes.get(at) else { return false };
        match byte {
            b'\n' => {
                self.at += 1;
                self.line += 1;
                return self.depth == 0;
            }
            b' ' | b'\t' | b'\r' | b'\x0c' => self.at += 1,
            b'\\' => {
                let skip = match bytes.get(at + 1..) {
                    Some([b'\n', ..]) => 2,
                    Some([b'\r', b'\n', ..]) => 3,
                    _ => 1,
                };
                self.line += u32::from(skip > 1);
                self.at += skip;
            }
            b'#' => {
                let rest = &bytes[at..];
                self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            }
            b'"' | b'\'' => self.string(at, at),
            b'(' | b'[' | b'{' => {
                self.depth += 1;
                self.at += 1;
                self.push(Kind::Op(byte as char));
            }
            b')' | b']' | b'}' => {
                self.depth = self.depth.saturating_sub(1);
                self.at += 1;
                self.push(Kind::Op(byte as char));
            }
            b'0'..=b'9' => {
                let rest = &self.text[at..];
                let len = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
                    .unwrap_or(rest.len());
                self.at += len;
                self.push(Kind::Number(&rest[..len]));
            }
            _ => self.word_or_operator(at),
        }
        false
    }

    fn word_or_operator(&mut self, at: usize) {
        let rest = &self.text[at..];
        let Some(first) = rest.chars().next() else { return };
        if first.is_alphabetic() || first == '_' {
            let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let word = &rest[..len];
            let quote = rest.as_bytes().get(len);
            let prefix = len <= 2 && word.chars().all(|c| "rRbBuUfFtT".contains(c));
            if prefix && matches!(quote, Some(b'"' | b'\'')) {
                self.string(at, at + len);
                return;
            }
            self.at += len;
            self.push(Kind::Name(word));
            return;
        }
        let two = rest.get(..2).unwrap_or("");
        let double = matches!(
            two,
            "==" | "!="
                | "<="
                | ">="
                | "->"
                | ":="
                | "+="
                | "-="
                | "*="
                | "/="
                | "|="
                | "&="
                | "**"
                | "//"
                | "%="
        );
        self.at += if double { 2 } else { first.len_utf8() };
        self.push(match two {
            ":=" => Kind::Op(NAMES),
            _ if double => Kind::Other(two),
            _ => Kind::Op(first),
        });
    }

    /// A string whose quotes begin at `quote`, its prefix at `start`.
    fn string(&mut self, start: usize, quote: usize) {
        let text = self.text;
        let prefix = text[start..quote].to_ascii_lowercase();
        let rest = &text[quote..];
        let mark = &rest[..1];
        let triple = rest.get(1..3).is_some_and(|next| next == [mark, mark].concat());
        let open = if triple { 3 } else { 1 };
        let bytes = rest.as_bytes();
        let mut at = open;
        let end = loop {
            match bytes.get(at) {
                None => break at,
                Some(b'\\') => at += 2,
                Some(b'\n') if !triple => break at,
                Some(&byte) if byte == bytes[0] => {
                    if !triple || bytes.get(at + 1..at + 3) == Some(&[byte, byte]) {
                        break at;
                    }
                    at += 1;
                }
                Some(_) => at += 1,
            }
        };
        let end = end.min(rest.len());
        let inner = rest.get(open..end).unwrap_or("");
        let kind = if prefix.contains('f') || prefix.contains('t') {
            Kind::Format(inner)
        } else if prefix.contains('r') {
            Kind::Str(inner.to_owned())
        } else {
            Kind::Str(unescaped(inner))
        };
        self.push(kind);
        if let Some(token) = self.tokens.last_mut() {
            token.bytes = prefix.contains('b');
        }
        self.line += memchr::memchr_iter(b'\n', inner.as_bytes()).count() as u32;
        let mut next = (quote + end + open).min(text.len());
        if bytes.get(end) != Some(&bytes[0]) {
            next = quote + end;
        }
        while !text.is_char_boundary(next) {
            next += 1;
        }
        self.at = next.max(start + 1);
        while !text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

pub(super) fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(escape) = chars.next() else { break };
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
            '\n' => {}
            '0'..='7' => {
                let mut value = escape as u32 - '0' as u32;
                for _ in 0..2 {
                    let Some(digit @ '0'..='7') = chars.clone().next() else { break };
                    value = value * 8 + (digit as u32 - '0' as u32);
                    chars.next();
                }
                out.extend(char::from_u32(value));
            }
            'x' | 'u' | 'U' => {
                let digits: String = chars.by_ref().take(width).collect();
                out.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            '\\' | '\'' | '"' => out.push(escape),
            other => out.extend(['\\', other]),
        }
    }
    out
}
