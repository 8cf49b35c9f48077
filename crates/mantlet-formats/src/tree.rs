//! JSON and YAML as one stream of events, without building trees: any size, any depth, constant memory.

use mantlet_vocab::Source;
use saphyr_parser::{Event as YamlEvent, Parser};

use crate::window::Window;

/// One step through a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A list or mapping begins.
    Open {
        /// It is a list.
        list: bool,
        /// The tag it carries.
        tag: Option<&'a str>,
    },
    /// The innermost list or mapping ends.
    Close,
    /// The key of the next value.
    Key(&'a str),
    /// A value that is neither list nor mapping.
    Scalar {
        /// Its text, escapes resolved.
        text: &'a str,
        /// It was written as a string.
        string: bool,
        /// The tag it carries.
        tag: Option<&'a str>,
    },
}

/// Why a walk ended, beside the end of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Walked {
    /// What is wrong, and where; the walk ended there.
    pub defect: Option<String>,
    /// What was not followed.
    pub limits: Vec<String>,
    /// Nodes if every YAML alias were written out.
    pub expanded: u64,
    /// Nodes as they are written.
    pub nodes: u64,
}

/// Longest string that is kept whole.
pub const MAX_STRING: usize = 1 << 20;
const MAX_DEPTH: usize = 512;

/// Walks JSON, or several JSON values one after the other.
pub fn json(source: &dyn Source, visit: &mut dyn FnMut(Event<'_>, u64)) -> Walked {
    walk(source, false, visit)
}

/// Walks the first of several JSON values.
pub(crate) fn first(source: &dyn Source, visit: &mut dyn FnMut(Event<'_>, u64)) -> Walked {
    walk(source, true, visit)
}

fn walk(source: &dyn Source, one: bool, visit: &mut dyn FnMut(Event<'_>, u64)) -> Walked {
    let mut walker = Json { window: Window::new(source, 0), walked: Walked::default(), text: Vec::new() };
    if let Err(why) = walker.run(one, visit) {
        let at = walker.window.offset();
        walker.walked.defect = Some(format!("{why} at {at:#x}"));
    }
    if let Some(error) = &walker.window.failed {
        walker.walked.limits.push(error.to_string());
    }
    walker.walked
}

struct Json<'a> {
    window: Window<'a>,
    walked: Walked,
    text: Vec<u8>,
}

impl Json<'_> {
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.window.byte()? {
                b' ' | b'\t' | b'\r' | b'\n' => {}
                byte => return Some(byte),
            }
        }
    }

    fn run(&mut self, one: bool, visit: &mut dyn FnMut(Event<'_>, u64)) -> Result<(), String> {
        let mut open: Vec<bool> = Vec::new();
        // Whether a value may come now, or only a comma or an end.
        let mut fresh = true;
        if self.window.array::<3>() != Some(*b"\xef\xbb\xbf") {
            self.window.seek(0);
        }
        loop {
            if one && open.is_empty() && self.walked.nodes > 0 {
                return Ok(());
            }
            let at = self.window.offset();
            let Some(byte) = self.next() else {
                return if open.is_empty() { Ok(()) } else { Err("it ends early".into()) };
            };
            match byte {
                b'}' | b']' => {
                    if open.pop() != Some(byte == b']') {
                        return Err("a bracket does not match".into());
                    }
                    visit(Event::Close, at);
                    fresh = false;
                    continue;
                }
                b',' if !open.is_empty() && !fresh => {
                    fresh = true;
                    continue;
                }
                _ if !fresh && !open.is_empty() => return Err("a comma is missing".into()),
                _ => {}
            }
            let byte = if open.last() == Some(&false) {
                if byte != b'"' {
                    return Err("a key is not a string".into());
                }
                self.string()?;
                visit(Event::Key(&String::from_utf8_lossy(&self.text)), at);
                if self.next() != Some(b':') {
                    return Err("a colon is missing".into());
                }
                self.next().ok_or("it ends early")?
            } else {
                byte
            };
            self.walked.nodes += 1;
            let at = self.window.offset().saturating_sub(1);
            match byte {
                b'{' | b'[' => {
                    if open.len() >= MAX_DEPTH {
                        return Err(format!("it is nested deeper than {MAX_DEPTH}"));
                    }
                    open.push(byte == b'[');
                    visit(Event::Open { list: byte == b'[', tag: None }, at);
                    fresh = true;
                    continue;
                }
                b'"' => {
                    self.string()?;
                    let text = String::from_utf8_lossy(&self.text);
                    visit(Event::Scalar { text: &text, string: true, tag: None }, at);
                }
                b'-' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    let text = self.word(byte);
                    visit(Event::Scalar { text: &text, string: false, tag: None }, at);
                }
                _ => return Err("a value begins with an odd character".into()),
            }
            fresh = false;
        }
    }

    fn word(&mut self, first: u8) -> String {
        let mut word = String::from(first as char);
        loop {
            let at = self.window.offset();
            match self.window.byte() {
                Some(byte @ (b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.' | b'_')) => {
                    if word.len() < 64 {
                        word.push(byte as char);
                    }
                }
                Some(_) => {
                    self.window.seek(at);
                    return word;
                }
                None => return word,
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.text.len() + bytes.len() <= MAX_STRING {
            self.text.extend_from_slice(bytes);
        } else if !self.walked.limits.iter().any(|limit| limit.starts_with("a string")) {
            self.walked.limits.push(format!("a string is longer than {MAX_STRING} bytes"));
        }
    }

    /// The rest of a string into `self.text`.
    fn string(&mut self) -> Result<(), String> {
        self.text.clear();
        loop {
            match self.window.byte().ok_or("a string does not end")? {
                b'"' => return Ok(()),
                b'\\' => match self.window.byte().ok_or("a string does not end")? {
                    b'n' => self.push(b"\n"),
                    b't' => self.push(b"\t"),
                    b'r' => self.push(b"\r"),
                    b'b' => self.push(b"\x08"),
                    b'f' => self.push(b"\x0c"),
                    b'u' => {
                        let mut unit = self.unit()?;
                        if (0xd800..0xdc00).contains(&unit) {
                            let at = self.window.offset();
                            if self.window.array() == Some(*b"\\u") {
                                let low = self.unit()?;
                                if (0xdc00..0xe000).contains(&low) {
                                    unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                                }
                            } else {
                                self.window.seek(at);
                            }
                        }
                        let mut buffer = [0; 4];
                        let c = char::from_u32(unit).unwrap_or('\u{fffd}');
                        self.push(c.encode_utf8(&mut buffer).as_bytes());
                    }
                    other => self.push(&[other]),
                },
                byte => self.push(&[byte]),
            }
        }
    }

    fn unit(&mut self) -> Result<u32, String> {
        let digits: [u8; 4] = self.window.array().ok_or("a string does not end")?;
        let digits = std::str::from_utf8(&digits).map_err(|_| "an escape is broken")?;
        Ok(u32::from_str_radix(digits, 16).map_err(|_| "an escape is broken")?)
    }
}

/// Walks YAML. Aliases are not followed; what they would expand to is counted.
pub fn yaml(text: &str, visit: &mut dyn FnMut(Event<'_>, u64)) -> Walked {
    let mut walked = Walked::default();
    let mut parser = Parser::new_from_str(text);
    // Nodes under each anchor, aliases expanded; and the open collections: what is counted, whose anchor.
    let mut anchors: Vec<u64> = Vec::new();
    let mut open: Vec<Level> = Vec::new();
    let mut total = 0_u64;
    loop {
        let (event, span) = match parser.next_event() {
            Some(Ok(event)) => event,
            Some(Err(error)) => {
                walked.defect = Some(error.to_string());
                break;
            }
            None => break,
        };
        let at = span.start.index() as u64;
        let mut weight = 1;
        match &event {
            YamlEvent::StreamEnd => break,
            YamlEvent::Scalar(text, style, anchor, tag) => {
                let tag = tag.as_ref().map(|tag| format!("{}{}", tag.handle, tag.suffix));
                let key = open.last_mut().is_some_and(Level::expects_key);
                if *anchor > 0 {
                    remember(&mut anchors, *anchor, 1);
                }
                if key {
                    if tag.as_deref().is_some_and(|tag| tag.contains("python")) {
                        visit(Event::Scalar { text, string: true, tag: tag.as_deref() }, at);
                    }
                    visit(Event::Key(text), at);
                } else {
                    let string = *style != saphyr_parser::ScalarStyle::Plain;
                    visit(Event::Scalar { text, string, tag: tag.as_deref() }, at);
                }
            }
            YamlEvent::Alias(id) => {
                weight = anchors.get(*id).copied().unwrap_or(1);
                if open.last_mut().is_some_and(Level::expects_key) {
                    visit(Event::Key("*"), at);
                } else {
                    visit(Event::Scalar { text: "*", string: false, tag: None }, at);
                }
            }
            YamlEvent::SequenceStart(anchor, tag) | YamlEvent::MappingStart(anchor, tag) => {
                let list = matches!(event, YamlEvent::SequenceStart(..));
                if open.len() >= MAX_DEPTH {
                    walked.defect = Some(format!("it is nested deeper than {MAX_DEPTH}"));
                    break;
                }
                if open.last_mut().is_some_and(Level::expects_key) {
                    visit(Event::Key("?"), at);
                }
                let tag = tag.as_ref().map(|tag| format!("{}{}", tag.handle, tag.suffix));
                visit(Event::Open { list, tag: tag.as_deref() }, at);
                open.push(Level { list, key: true, weight: 0, anchor: *anchor });
            }
            YamlEvent::SequenceEnd | YamlEvent::MappingEnd => {
                let Some(level) = open.pop() else { continue };
                weight = level.weight;
                if level.anchor > 0 {
                    remember(&mut anchors, level.anchor, level.weight);
                }
                visit(Event::Close, at);
            }
            _ => continue,
        }
        walked.nodes += 1;
        match open.last_mut() {
            Some(level) => level.weight = level.weight.saturating_add(weight),
            None => total = total.saturating_add(weight),
        }
    }
    walked.expanded = open.iter().fold(total, |sum, level| sum.saturating_add(level.weight));
    walked
}

struct Level {
    list: bool,
    key: bool,
    weight: u64,
    anchor: usize,
}

impl Level {
    /// Whether the next node is a key; asking moves on.
    fn expects_key(&mut self) -> bool {
        let key = !self.list && self.key;
        self.key = !self.key;
        key
    }
}

fn remember(anchors: &mut Vec<u64>, id: usize, weight: u64) {
    if id < 1 << 20 {
        if anchors.len() <= id {
            anchors.resize(id + 1, 1);
        }
        anchors[id] = weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn shown(events: &mut Vec<String>) -> impl FnMut(Event<'_>, u64) + '_ {
        |event, _| {
            events.push(match event {
                Event::Open { list, tag } => format!("{}{}", if list { "[" } else { "{" }, tag.unwrap_or("")),
                Event::Close => "]".into(),
                Event::Key(key) => format!("{key}:"),
                Event::Scalar { text, tag, .. } => format!("{}{text}", tag.unwrap_or("")),
            });
        }
    }

    #[test]
    fn json_and_yaml_give_the_same_events() {
        let mut one = Vec::new();
        let text = br#"{"a": [1, "x\u00e9\ud83d\ude00\n", {"b": null}], "c": {}}"#;
        let walked = json(&MemorySource::new(text), &mut shown(&mut one));
        assert_eq!(walked.defect, None);
        let mut two = Vec::new();
        yaml("a:\n  - 1\n  - \"x\u{e9}\u{1f600}\\n\"\n  - b: null\nc: {}\n", &mut shown(&mut two));
        assert_eq!(one, two);
        assert_eq!(
            one,
            ["{", "a:", "[", "1", "x\u{e9}\u{1f600}\n", "{", "b:", "null", "]", "]", "c:", "{", "]", "]"]
        );
    }

    #[test]
    fn broken_json_is_said() {
        for text in ["{", "{\"a\" 1}", "[1 2]", "{a: 1}", "]", "\"x", "[\"\\u12\"]"] {
            let walked = json(&MemorySource::new(text.as_bytes()), &mut |_, _| {});
            assert!(walked.defect.is_some(), "{text}");
        }
        assert!(json(&MemorySource::new("[".repeat(5_000).as_bytes()), &mut |_, _| {}).defect.is_some());
        assert_eq!(json(&MemorySource::new(b"{\"a\": NaN}\n{\"b\": 1}\n"), &mut |_, _| {}).defect, None);
    }

    #[test]
    fn aliases_are_counted_and_tags_are_told() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let inner = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{inner}]\n"));
        }
        let walked = yaml(&bomb, &mut |_, _| {});
        assert!(walked.expanded > 1_000_000_000 && walked.nodes < 1_000, "{walked:?}");
        let mut events = Vec::new();
        yaml("a: !!python/object/apply:os.system ['id']\n", &mut shown(&mut events));
        assert_eq!(events[2], "[tag:yaml.org,2002:python/object/apply:os.system");
        let deep = "[".repeat(100_000);
        assert!(yaml(&deep, &mut |_, _| {}).defect.is_some());
    }
}
