//! The elements of XML in order, with their attributes. What is between them is stepped over by its own end.

use std::borrow::Cow;

use mantlet_vocab::{Source, read_window};

use crate::structure::{Structure, shown};

/// Attributes of one element that are kept.
const MAX_ATTRIBUTES: usize = 256;

/// A start tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag<'t> {
    pub(crate) name: &'t str,
    pub(crate) at: u64,
    attributes: Vec<(&'t str, Cow<'t, str>)>,
}

impl Tag<'_> {
    /// The value of an attribute, entities resolved.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

/// A walk over the start tags of a text.
pub(crate) struct Tags<'t> {
    text: &'t str,
    at: usize,
    /// What was not followed.
    pub(crate) limits: Vec<String>,
}

/// The first bytes as text: UTF-8, or UTF-16 with a mark.
pub(crate) fn read(source: &dyn Source, max: usize, facts: &mut Structure) -> String {
    let bytes = read_window(source, 0, max).unwrap_or_else(|error| {
        facts.limit(error.to_string());
        Vec::new()
    });
    if source.len() > max as u64 {
        facts.limit(format!("only the first {max} bytes are examined"));
    }
    let wide = |convert: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| convert([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => wide(u16::from_le_bytes),
        Some([0xfe, 0xff]) => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

impl<'t> Tags<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, at: 0, limits: Vec::new() }
    }

    fn limit(&mut self, what: &str) {
        if self.limits.len() < 16 && !self.limits.iter().any(|known| known.starts_with(what)) {
            self.limits.push(format!("{what} at {:#x}", self.at));
        }
    }

    /// Steps over what ends with `end`; `None`, and a limit, when it does not.
    fn over(&mut self, from: usize, end: &str) -> Option<&'t str> {
        let inner = self.text.get(self.at + from..)?;
        let Some(len) = memchr::memmem::find(inner.as_bytes(), end.as_bytes()) else {
            self.limit("what follows is not examined: an instruction, comment or section does not end");
            self.at = self.text.len();
            return None;
        };
        self.at += from + len + end.len();
        inner.get(..len)
    }

    /// Steps over a declaration, and a document type with everything in its brackets.
    fn declaration(&mut self) -> Option<()> {
        let whole = self.text;
        let mut depth = 0_usize;
        loop {
            let rest = whole.get(self.at..)?;
            let Some(found) = rest.find(['<', '>', '"', '\'']) else {
                self.limit("what follows is not examined: a declaration does not end");
                self.at = whole.len();
                return None;
            };
            self.at += found;
            let rest = &rest[found..];
            if rest.starts_with("<!--") {
                self.over(4, "-->")?;
            } else if rest.starts_with("<?") {
                self.over(2, "?>")?;
            } else if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
                self.over(1, if quote == '"' { "\"" } else { "'" })?;
            } else if rest.starts_with('<') {
                if rest.starts_with("<!ENTITY") && !is_word(rest) || rest.starts_with("<!ATTLIST") {
                    self.limit("the document type declares values or entities, which are not filled in");
                }
                depth += 1;
                self.at += 1;
            } else {
                depth = depth.saturating_sub(1);
                self.at += 1;
                if depth == 0 {
                    return Some(());
                }
            }
        }
    }

    /// One start tag, from behind its bracket.
    fn tag(&mut self) -> Option<Tag<'t>> {
        let whole = self.text;
        let start = self.at;
        let mut rest = whole.get(self.at + 1..)?;
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=' | '"' | '\'' | '<');
        let take = |rest: &mut &'t str| {
            let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
            *rest = after;
            word
        };
        let mut tag = Tag { name: take(&mut rest), at: start as u64, attributes: Vec::new() };
        let mut odd = tag.name.is_empty();
        loop {
            rest = rest.trim_ascii_start();
            let name = match rest.chars().next() {
                None => {
                    self.limit("the last element does not end");
                    break;
                }
                Some('>') => {
                    rest = &rest[1..];
                    break;
                }
                // The next element begins before this one has ended.
                Some('<') => {
                    odd = true;
                    break;
                }
                Some('/' | '=' | '"' | '\'') => {
                    odd |= !rest.starts_with("/>");
                    rest = &rest[1..];
                    continue;
                }
                Some(_) => take(&mut rest),
            };
            let value = rest.trim_ascii_start().strip_prefix('=').map(str::trim_ascii_start);
            let quote = value.and_then(|value| value.chars().next()).filter(|c| matches!(c, '"' | '\''));
            let (Some(value), Some(quote)) = (value, quote) else {
                odd = true;
                continue;
            };
            let Some(len) = value[1..].find(quote) else {
                self.limit("what follows is not examined: the value of an attribute does not end");
                rest = "";
                break;
            };
            rest = &value[len + 2..];
            let Some(value) = resolved(&value[1..=len]) else {
                self.limit("an attribute has an entity that is not known");
                continue;
            };
            if tag.attributes.iter().any(|(known, _)| *known == name) {
                self.limit("an attribute is written twice");
            } else if tag.attributes.len() < MAX_ATTRIBUTES {
                tag.attributes.push((name, value));
            } else {
                self.limit("an element has too many attributes");
            }
        }
        if odd {
            self.limit("an element is not well-formed");
        }
        self.at = whole.len() - rest.len();
        Some(tag)
    }

    fn instruction(&mut self) -> Option<()> {
        let inner = self.over(2, "?>")?;
        let encoding = inner.strip_prefix("xml").and_then(|inner| inner.split_once("encoding"));
        let encoding = encoding.and_then(|(_, rest)| rest.split(['"', '\'']).nth(1));
        let known = ["utf-8", "utf8", "utf-16", "us-ascii", "ascii", "iso-8859-", "latin", "windows-125"];
        if let Some(encoding) = encoding.map(str::to_ascii_lowercase)
            && !known.iter().any(|known| encoding.starts_with(known))
        {
            self.limit(&format!("its encoding `{}` is not decoded", shown(&encoding)));
        }
        Some(())
    }
}

/// Whether an entity stands for text alone, which changes no element. One in an attribute is said to be not known.
fn is_word(declaration: &str) -> bool {
    let Some(rest) = declaration.strip_prefix("<!ENTITY") else { return false };
    let rest = rest.trim_start();
    let Some((name, value)) = rest.split_once(|c: char| c.is_ascii_whitespace()) else { return false };
    let value = value.trim_start();
    let Some(quote) = value.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return false };
    let Some((text, after)) = value.get(1..).and_then(|rest| rest.split_once(quote)) else { return false };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    name.chars().all(plain) && !text.contains(['<', '&', '%']) && after.trim_start().starts_with('>')
}

impl<'t> Iterator for Tags<'t> {
    type Item = Tag<'t>;

    fn next(&mut self) -> Option<Tag<'t>> {
        let whole = self.text;
        loop {
            let rest = whole.get(self.at..)?;
            let found = memchr::memchr(b'<', rest.as_bytes())?;
            self.at += found;
            let rest = &rest[found..];
            if rest.starts_with("<!--") {
                self.over(4, "-->")?;
            } else if rest.starts_with("<![CDATA[") {
                self.over(9, "]]>")?;
            } else if rest.starts_with("<?") {
                self.instruction()?;
            } else if rest.starts_with("<!") {
                self.declaration()?;
            } else if rest.starts_with("</") {
                self.at += 2;
            } else {
                return self.tag();
            }
        }
    }
}

/// A value with its references resolved; `None` when one is not known.
fn resolved(value: &str) -> Option<Cow<'_, str>> {
    let mut parts = value.split('&');
    let first = parts.next()?;
    if first.len() == value.len() {
        return Some(Cow::Borrowed(value));
    }
    let mut text = String::from(first);
    for part in parts {
        let (name, after) = part.split_once(';')?;
        text.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let digits = name.strip_prefix('#')?;
                let code = match digits.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => digits.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        text.push_str(after);
    }
    Some(Cow::Owned(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> (Vec<&str>, usize) {
        let mut tags = Tags::new(text);
        (tags.by_ref().map(|tag| tag.name).collect(), tags.limits.len())
    }

    #[test]
    fn values_are_not_names_and_references_are_resolved() {
        let mut tags = Tags::new("<l name=\" type='Const'\" type = 'Python&#79;&#x70;&amp;' b=\"a>b\"/>");
        let tag = tags.next().expect("there is an element");
        assert_eq!(tag.attribute("type"), Some("PythonOp&"));
        assert_eq!((tag.attribute("name"), tag.attribute("b")), (Some(" type='Const'"), Some("a>b")));
        assert_eq!((tags.next(), tags.limits.len()), (None, 0));
    }

    #[test]
    fn what_is_no_element_ends_by_its_own_end() {
        assert_eq!(names("<?x ' ?><a/><?x ' ?>"), (vec!["a"], 0));
        assert_eq!(names("<a><![CDATA[ ' <b> ]]></a><c/>"), (vec!["a", "c"], 0));
        assert_eq!(names("<!-- ' <b> --><!DOCTYPE a [<!ELEMENT a (b)><!-- > ' -->]><a/>"), (vec!["a"], 0));
    }

    #[test]
    fn a_walk_that_ends_early_says_so() {
        for text in
            ["<a/><?x", "<a/><!-- x", "<a/><![CDATA[", "<a/><!DOCTYPE b [", "<a x='1/>", "<a x=y>", "<a"]
        {
            assert_eq!(names(text), (vec!["a"], 1), "{text}");
        }
        for text in ["<a x='&f;'/>", "<a x='1' x='2'/>", "<!DOCTYPE a [<!ENTITY f '&lt;g'>]><a/>"] {
            assert_eq!(names(text), (vec!["a"], 1), "{text}");
        }
        assert_eq!(names("<?xml version='1.0' encoding='UTF-7'?><a/>"), (vec!["a"], 1));
    }
}
