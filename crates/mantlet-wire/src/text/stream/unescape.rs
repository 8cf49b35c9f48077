//! The escapes of JSON undone in a text that arrives in parts.

/// What of an escape has come.
#[derive(Debug, Default)]
pub(super) struct Unescape {
    /// The escape so far, its backslash included; at most two `\uXXXX`.
    open: String,
}

impl Unescape {
    /// The part with escapes undone; an escape that is still open waits for its rest. What is no escape stays as it
    /// is, halves of surrogate pairs become U+FFFD.
    pub(super) fn feed(&mut self, part: &str) -> String {
        let mut out = String::with_capacity(part.len());
        for c in part.chars() {
            if self.open.is_empty() {
                if c == '\\' {
                    self.open.push(c);
                } else {
                    out.push(c);
                }
                continue;
            }
            self.open.push(c);
            self.settle(&mut out);
        }
        out
    }

    fn settle(&mut self, out: &mut String) {
        let mut rest = self.open.chars().skip(1);
        let whole = match rest.next() {
            None => return,
            Some('n') => '\n',
            Some('t') => '\t',
            Some('r') => '\r',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('u') => {
                let digits: String = rest.by_ref().take(4).collect();
                if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return self.give_up(out);
                }
                if digits.len() < 4 {
                    return;
                }
                let high = u32::from_str_radix(&digits, 16).unwrap_or(0);
                if (0xd800..0xdc00).contains(&high) {
                    let low: String = rest.collect();
                    if low.len() < 6 && "\\u".starts_with(low.get(..2).unwrap_or(&low)) {
                        return;
                    }
                    let low = low.strip_prefix("\\u").and_then(|low| u32::from_str_radix(low, 16).ok());
                    match low {
                        Some(low) if (0xdc00..0xe000).contains(&low) => {
                            char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
                                .unwrap_or('\u{fffd}')
                        }
                        _ => return self.give_up(out),
                    }
                } else {
                    char::from_u32(high).unwrap_or('\u{fffd}')
                }
            }
            Some(other) => other,
        };
        out.push(whole);
        self.open.clear();
    }

    /// No escape after all: what came stays, but a backslash at its end may start another.
    fn give_up(&mut self, out: &mut String) {
        let open = std::mem::take(&mut self.open);
        match open.char_indices().skip(1).find(|(_, c)| *c == '\\') {
            Some((at, _)) => {
                out.push_str(&open[..at]);
                let again = self.feed(&open[at..]);
                out.push_str(&again);
            }
            None => out.push_str(&open),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_wherever_they_are_cut() {
        for (text, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"AK\u0049A\n\t\"\\\/"#, "AKIA\n\t\"\\/"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\ud83dx", r"\ud83dx"),
            (r"\ud83d\n", "\\ud83d\n"),
            (r"\u00zz", r"\u00zz"),
            (r"\u00\u0041", r"\u00A"),
            (r"\ud83d\ud83d\ude00", "\\ud83d😀"),
        ] {
            for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
                let mut unescape = Unescape::default();
                let said = unescape.feed(&text[..cut]) + &unescape.feed(&text[cut..]);
                assert_eq!(said, expected, "{text} cut at {cut}");
            }
        }
    }
}
