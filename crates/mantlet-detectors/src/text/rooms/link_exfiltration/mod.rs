//! A link or image carries data to another server.

use mantlet_vocab::{About, Confidence, Impact, Severity};

use super::Room;
use crate::text::decode;
use crate::text::matcher::Pattern;

/// The room's card.
pub(crate) const ABOUT: About = About {
    name: "link-exfiltration",
    title: "a link or image carries data to another server",
    severity: Severity::Suspicious,
    impact: Impact::High,
    confidence: Confidence::Medium,
    atlas: &["AML.T0077", "AML.T0057"],
    owasp: &["LLM02:2026", "LLM10:2026"],
    explain: include_str!("explain.md"),
    cases: include_str!("cases.md"),
};

const IMAGE: &str = r"!\[[^\]\n]*\]\([ \n]{0,3}<?(?i:(?:https?:)?//)[^\s)<>]{4,}";
const LINK: &str = r"\]\([ \n]{0,3}<?(?i:(?:https?:)?//)[^\s)<>]{4,}";
const NAMED: &str = r"(?m:^)[ ]{0,3}\[[^\]\n]+\]:[ \n]{0,3}<?(?i:(?:https?:)?//)[^\s<>]{4,}";
const ELEMENT: &str = concat!(
    r"(?i)<(?:img|iframe|script|link|source|video|audio|embed|object|image)\b[^<>]*(?:src|href|srcset|data)",
    r#"\s{0,2}=\s{0,2}["']?(?:https?:)?//[^"'\s<>]{4,}"#,
);

/// Every shape. An image is fetched without a click, so it weighs more than a link.
pub(super) fn patterns() -> Vec<Pattern> {
    let shape = |label, regex, check| Pattern {
        longest: true,
        ..Pattern::new(Room::LinkExfiltration, label, "LINK", regex, check)
    };
    vec![
        shape("Markdown image", IMAGE, |text| weigh(text, true)),
        shape("Markdown link", LINK, |text| weigh(text, false)),
        shape("Markdown reference", NAMED, |text| weigh(text, true)),
        shape("HTML element", ELEMENT, |text| weigh(text, true)),
    ]
}

/// The address in a match, after its scheme.
fn address(text: &[u8]) -> Option<&[u8]> {
    let at = text.windows(2).position(|pair| pair == b"//")?;
    text.get(at + 2..)
}

/// The server a match names, in lower case.
pub(crate) fn host(text: &[u8]) -> Option<String> {
    let address = address(text)?;
    let end =
        address.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\')).unwrap_or(address.len());
    // What stands before an `@` is a user's name, as browsers read it.
    let authority = address[..end].rsplit(|&byte| byte == b'@').next()?;
    let name = authority.split(|&byte| byte == b':').next()?;
    Some(String::from_utf8_lossy(name).to_ascii_lowercase())
}

/// Text long enough to say something.
const WORDS: usize = 12;
/// Anything this long is no size, date or short id.
const LONG: usize = 40;

fn weigh(text: &[u8], image: bool) -> Option<(f64, usize)> {
    let address = address(text)?;
    let end = address.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
    let (authority, rest) = address.split_at(end.unwrap_or(address.len()));
    let cut = rest.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(rest.len());
    let (path, query) = rest.split_at(cut);
    let values = query.split(|byte| matches!(byte, b'?' | b'&' | b'#' | b';')).filter_map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
        pair.get(at..).filter(|value| !value.is_empty())
    });
    let labels = authority.split(|&byte| byte == b'.').filter(|label| label.len() >= 24);
    let parts = path.split(|&byte| byte == b'/').filter(|part| part.len() >= 16);
    let mut score: f64 = 0.0;
    for (value, in_query) in values
        .map(|value| (value, true))
        .chain(labels.map(|label| (label, false)))
        .chain(parts.map(|p| (p, false)))
    {
        let plain = decode::percent(value);
        let spaces = plain.iter().filter(|byte| byte.is_ascii_whitespace()).count();
        let speaks = image && in_query && (spaces >= 2 || sensitive(&plain));
        if plain.len() >= WORDS && (speaks || encoded(&plain)) {
            score = score.max(2.0);
        } else if in_query && (spaces >= 12 || plain.len() >= if image { LONG } else { 4 * LONG }) {
            score = score.max(1.0);
        }
    }
    // A slot the model is told to fill: `?q={data}`, `?q=[SECRET]`.
    let slot = query.iter().position(|byte| matches!(byte, b'{' | b'[')).is_some();
    if slot && image {
        score = score.max(1.0);
    }
    (score > 0.0).then_some((score, 0))
}

/// Base64 or base16 of something that reads as words.
fn encoded(value: &[u8]) -> bool {
    let is_hex =
        value.len() >= 16 && value.len().is_multiple_of(2) && value.iter().all(u8::is_ascii_hexdigit);
    let decoded = if is_hex { decode::hex(value) } else { decode::base64(value) };
    decoded.is_some_and(|bytes| bytes.len() >= 8 && decode::readable(&bytes).is_some())
}

/// What is not sent with a picture by chance: an address, a long number.
fn sensitive(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    value.contains(&b'@') || (digits >= 12 && digits * 10 >= value.len() * 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_the_one_a_browser_would_ask() {
        for (text, name) in [
            ("](https://a.example/x", "a.example"),
            ("](https://good.example@evil.example/x", "evil.example"),
            ("](//Evil.example:8443?x", "evil.example"),
            ("](https://evil.example\\.good.example/", "evil.example"),
        ] {
            assert_eq!(host(text.as_bytes()).as_deref(), Some(name));
        }
    }
}
