//! Credentials in plain sight: a few patterns precise enough to be worth a person's look.

use mantlet_vocab::Source;

/// A credential that was found. Its value is never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What kind of credential.
    pub kind: &'static str,
    /// Where it starts.
    pub offset: u64,
}

pub(crate) struct Pattern {
    pub(crate) kind: &'static str,
    pub(crate) prefix: &'static [u8],
    /// Characters that must follow the prefix.
    tail: usize,
    also: &'static [u8],
}

const fn pattern(kind: &'static str, prefix: &'static [u8], tail: usize, also: &'static [u8]) -> Pattern {
    Pattern { kind, prefix, tail, also }
}

pub(crate) const PATTERNS: [Pattern; 15] = [
    pattern("AWS access key", b"AKIA", 16, b""),
    pattern("AWS access key", b"ASIA", 16, b""),
    pattern("GitHub token", b"ghp_", 36, b""),
    pattern("GitHub token", b"gho_", 36, b""),
    pattern("GitHub token", b"ghs_", 36, b""),
    pattern("GitHub token", b"github_pat_", 60, b"_"),
    pattern("GitLab token", b"glpat-", 20, b"_-"),
    pattern("Hugging Face token", b"hf_", 34, b""),
    pattern("Anthropic key", b"sk-ant-", 40, b"_-"),
    pattern("OpenAI key", b"sk-proj-", 40, b"_-"),
    pattern("Slack token", b"xoxb-", 30, b"-"),
    pattern("Slack token", b"xoxp-", 30, b"-"),
    pattern("Google API key", b"AIza", 35, b"_-"),
    pattern("npm token", b"npm_", 36, b""),
    pattern("private key", b"-----BEGIN ", 0, b""),
];

/// Credentials among the first `limit` bytes.
#[must_use]
pub fn find(source: &dyn Source, limit: u64) -> Vec<Secret> {
    crate::sweep::sweep(source, limit).secrets
}

pub(crate) fn matches(pattern: &Pattern, chunk: &[u8], at: usize) -> bool {
    let rest = &chunk[at + pattern.prefix.len()..];
    if pattern.tail == 0 {
        let line = &rest[..rest.len().min(60)];
        let Some(end) = memchr::memmem::find(line, b"PRIVATE KEY-----") else { return false };
        let body = rest.get(end + 16..).unwrap_or(&[]);
        let body =
            body.iter().filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='));
        return body.take(64).count() >= 40;
    }
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || pattern.also.contains(&byte);
    if at.checked_sub(1).and_then(|before| chunk.get(before)).is_some_and(|byte| byte.is_ascii_alphanumeric())
    {
        return false;
    }
    let tail: &[u8] = &rest[..rest.iter().take(200).take_while(|&&byte| inside(byte)).count()];
    if tail.len() < pattern.tail || (pattern.prefix.ends_with(b"IA") && tail.len() != pattern.tail) {
        return false;
    }
    if pattern.prefix.ends_with(b"IA") && !tail.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return false;
    }
    // Placeholders repeat themselves: `xxxx`, `EXAMPLE`, `1234…`.
    let mut distinct = [false; 256];
    tail.iter().for_each(|&byte| distinct[usize::from(byte)] = true);
    let example = memchr::memmem::find(tail, b"EXAMPLE").is_some();
    !example && distinct.iter().filter(|&&seen| seen).count() >= 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn credentials_are_found_and_placeholders_are_not() {
        let kinds = |text: &str| {
            find(&MemorySource::new(text.as_bytes()), u64::MAX).iter().map(|s| s.kind).collect::<Vec<_>>()
        };
        let key = format!("AKIA{}", "Z7Q4M2K9X1B6W3T8");
        assert_eq!(kinds(&format!("key={key}\n")), ["AWS access key"]);
        assert_eq!(kinds(&format!("{}{key}\n", " ".repeat((1 << 20) - 5))), ["AWS access key"]);
        assert!(kinds("AKIAIOSFODNN7EXAMPLE").is_empty());
        assert!(kinds("hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx").is_empty());
        assert!(kinds(&format!("Z{key}")).is_empty());
        let token = ["hf", "_aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567"].concat();
        assert_eq!(kinds(&token), ["Hugging Face token"]);
        let pem = ["-----BEGIN EC PRIV", "ATE KEY-----\n", &"MHcCAQEEIB".repeat(6), "\n"].concat();
        assert_eq!(kinds(&pem), ["private key"]);
        assert!(kinds("-----BEGIN PRIVATE KEY-----\n...").is_empty());
    }
}
