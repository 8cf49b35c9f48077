//! Foreign text made fit to stand in a message: no credentials, no control characters, bounded.

const SHOWN: usize = 120;

/// The text without control or invisible characters, cut at 120 characters.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == SHOWN {
            out.push('…');
            break;
        }
        if character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        {
            out.push_str(&format!("\\u{{{:x}}}", character as u32));
        } else {
            out.push(character);
        }
    }
    out
}

/// An address without the user, password, query and fragment it may carry.
pub(crate) fn address(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = url.get(..end).unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else { return plain(url) };
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit('@').next().unwrap_or(authority);
    plain(&format!("{scheme}://{host}{path}"))
}

/// Whether an address carries a password or token before its host; `${NAME}` placeholders are none.
pub(crate) fn carries_secret(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let Some((user, _)) = authority.rsplit_once('@') else { return false };
    let Some((_, password)) = user.split_once(':') else { return false };
    !password.is_empty() && !password.starts_with("${")
}

/// The host of an address, in lower case and without a port.
pub(crate) fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let host = authority.rsplit('@').next().unwrap_or("");
    let host = if host.starts_with('[') { host } else { host.split(':').next().unwrap_or("") };
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_secrets_and_text_its_invisible_characters() {
        assert_eq!(address("https://u:p@h.example/a.whl?token=x#sha256=y"), "https://h.example/a.whl");
        assert!(carries_secret("https://u:p@h.example/simple") && !carries_secret("https://u:${PW}@h/"));
        assert_eq!(host("https://u:p@H.example:8080/x"), "h.example");
        assert_eq!(plain("a\u{202e}b\n"), "a\\u{202e}b\\u{a}");
        assert_eq!(plain(&"x".repeat(500)).chars().count(), 121);
    }
}
