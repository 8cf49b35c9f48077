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

pub(crate) const PATTERNS: [Pattern; 28] = [
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
    pattern("PyPI token", b"pypi-AgEIcHlwaS5vcmc", 50, b"_-"),
    pattern("Stripe key", b"sk_live_", 24, b""),
    pattern("Stripe key", b"rk_live_", 24, b""),
    pattern("Azure storage key", b"AccountKey=", 80, b"+/"),
    pattern("DigitalOcean token", b"dop_v1_", 60, b""),
    pattern("Vault token", b"hvs.", 80, b"_-"),
    pattern("GitHub token", b"ghu_", 36, b""),
    pattern("GitHub token", b"ghr_", 36, b""),
    pattern("Slack token", b"xapp-", 30, b"-"),
    pattern("Databricks token", b"dapi", 32, b""),
    pattern("Slack token", b"xoxe", 30, b"-."),
    pattern("GitLab token", b"glrt-", 20, b"_-"),
    pattern("SendGrid key", b"SG.", 60, b"_-."),
];

/// Names under which a credential stands, in small letters.
const KEYS: [&str; 16] = [
    "password",
    "passwd",
    "api_key",
    "apikey",
    "api-key",
    "secret_key",
    "secretkey",
    "secret_access_key",
    "access_token",
    "accesstoken",
    "auth_token",
    "client_secret",
    "clientsecret",
    "private_token",
    "secret_token",
    "_authtoken",
];
/// Credentials by name of one text.
pub const MAX_NAMED: usize = 64;
/// Letters of a value that is too random for a word: fewer are a name, more are data.
const VALUE: std::ops::RangeInclusive<usize> = 16..=128;

/// Credentials by the names they stand under: what follows is a value that nobody would write by hand.
#[must_use]
pub fn named(text: &str) -> Vec<Secret> {
    named_in(text.as_bytes(), false)
}

/// The same in a pickle, where the opcodes of the value stand between a name and it.
#[must_use]
pub fn named_in_pickle(bytes: &[u8]) -> Vec<Secret> {
    named_in(bytes, true)
}

fn named_in(bytes: &[u8], pickle: bool) -> Vec<Secret> {
    static FINDER: std::sync::OnceLock<Option<aho_corasick::AhoCorasick>> = std::sync::OnceLock::new();
    let finder = FINDER
        .get_or_init(|| aho_corasick::AhoCorasick::builder().ascii_case_insensitive(true).build(KEYS).ok());
    let mut found = Vec::new();
    let Some(finder) = finder else { return found };
    for hit in finder.find_iter(bytes) {
        if found.len() >= MAX_NAMED {
            break;
        }
        // The end of the name, and what stands between it and its value: `": "`, `=`, ` = '`.
        let rest = &bytes[hit.end()..];
        let between = if pickle {
            // The name is kept for later, then comes how long the value is.
            let memo = if rest.first() == Some(&b'q') { 2 } else { 0 };
            let opcode = |byte: &&u8| !(b' '..=b'~').contains(*byte) || matches!(byte, b'X' | b'U' | b'T');
            let opcodes = rest.iter().skip(memo).take(12).take_while(opcode).count();
            // Of short texts the length is one byte, whichever letter that is.
            let short = opcodes > 0 && rest.get(memo + opcodes - 1) == Some(&b'\x8c');
            if short || opcodes >= 2 { memo + opcodes + usize::from(short) } else { 0 }
        } else {
            let between = rest.iter().take(8).take_while(|byte| b"\"' :=\t>".contains(byte)).count();
            if rest[..between].iter().any(|byte| matches!(byte, b':' | b'=')) { between } else { 0 }
        };
        if between == 0 {
            continue;
        }
        let value = rest.get(between..).unwrap_or(&[]);
        let inside = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=_-.~!@#%^&*".contains(byte);
        let value = &value[..value.iter().take(VALUE.end() + 1).take_while(inside).count()];
        let before = &bytes[hit.start().saturating_sub(96)..hit.start()];
        if VALUE.contains(&value.len()) && random(value) && !placeholder(value) && !announced(before) {
            found.push(Secret { kind: "credential", offset: (hit.end() + between) as u64 });
        }
    }
    found
}

/// Whether letters of both sizes and digits are mixed as only chance mixes them: no name, path, address or hash.
fn random(value: &[u8]) -> bool {
    let count = |is: fn(&u8) -> bool| value.iter().filter(|byte| is(byte)).count();
    let (upper, lower, digits) =
        (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit));
    // How often the kind of letter changes from one to the next.
    let kind = |byte: u8| match byte {
        b'A'..=b'Z' => 0,
        b'a'..=b'z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    };
    let changes = value.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let mut seen = [0_u32; 256];
    value.iter().for_each(|&byte| seen[usize::from(byte)] += 1);
    let length = value.len() as f64;
    let entropy: f64 = seen
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / length)
        .map(|part| -part * part.log2())
        .sum();
    upper >= 2 && lower >= 2 && digits >= 2 && changes * 3 >= value.len() && entropy >= 3.4
}

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
    // One byte before it may be the length that a binary format gives it.
    let before = |back: usize| {
        at.checked_sub(back).and_then(|before| chunk.get(before)).is_some_and(u8::is_ascii_alphanumeric)
    };
    if before(1) && (before(2) || at == 1) {
        return false;
    }
    let tail: &[u8] = &rest[..rest.iter().take(200).take_while(|&&byte| inside(byte)).count()];
    if tail.len() < pattern.tail || (pattern.prefix.ends_with(b"IA") && tail.len() != pattern.tail) {
        return false;
    }
    if pattern.prefix.ends_with(b"IA") && !tail.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) {
        return false;
    }
    !placeholder(tail) && !announced(&chunk[at.saturating_sub(96)..at])
}

/// Whether the characters after the prefix are of the kind that documentation shows.
fn placeholder(tail: &[u8]) -> bool {
    const WORDS: [&[u8]; 18] = [
        b"example",
        b"sample",
        b"placeholder",
        b"dummy",
        b"your",
        b"secret",
        b"insert",
        b"replace",
        b"changeme",
        b"redact",
        b"fake",
        b"token",
        b"xxxx",
        b"testtest",
        b"notreal",
        b"deadbeef",
        b"apikey",
        b"hunter2",
    ];
    let lower = tail.to_ascii_lowercase();
    if WORDS.iter().any(|word| memchr::memmem::find(&lower, word).is_some()) {
        return true;
    }
    // Random characters hardly repeat one, or count up or down; whoever types an example does.
    let mut seen = [0_u32; 256];
    lower.iter().for_each(|&byte| seen[usize::from(byte)] += 1);
    let distinct = seen.iter().filter(|&&count| count > 0).count();
    let steps =
        |step: i16| lower.windows(2).filter(|pair| i16::from(pair[1]) - i16::from(pair[0]) == step).count();
    let pairs = lower.len().saturating_sub(1).max(1);
    let regular = [0, 1, -1].into_iter().any(|step| steps(step) * 3 >= pairs);
    let period = (1..=lower.len() / 2)
        .any(|period| lower.iter().skip(period).eq(lower.iter().take(lower.len() - period)));
    let most = seen.iter().copied().max().unwrap_or(0) as usize;
    distinct < 8 || regular || period || most * 3 > lower.len()
}

/// Whether what stands before says that this is an example.
fn announced(before: &[u8]) -> bool {
    let line = before.rsplit(|&byte| byte == b'\n').next().unwrap_or(before).to_ascii_lowercase();
    let says = |word: &[u8]| memchr::memmem::find(&line, word).is_some();
    says(b"e.g.")
        || says(b"for example")
        || says(b"placeholder")
        || says(b"looks like")
        || says(b"dummy")
        || says(b"fake")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    #[test]
    fn credentials_are_told_by_the_names_they_stand_under() {
        let value = ["q7Rk2ZtV", "9mXw4LpB"].concat();
        for text in [
            format!("{{\"db_password\": \"{value}\"}}"),
            format!("API_KEY={value}"),
            format!("client_secret: '{value}'"),
            format!("aws_secret_access_key = {value}/{value}"),
        ] {
            assert_eq!(named(&text).len(), 1, "{text}");
        }
        for text in [
            "password: correct-horse-battery-staple".to_owned(),
            "api_key = os.environ['SERVICE_API_KEY_V2']".into(),
            "\"api_key\": \"YOUR_API_KEY_HERE_1234\"".into(),
            "password = getpass.getpass()".into(),
            "access_token: 0f1e2d3c4b5a69788796a5b4c3d2e1f0".into(),
            format!("the password {value}"),
            format!("e.g. password={value}"),
            "secret_key: /run/secrets/My_Key_2024.pem".into(),
            "password=Summer2024".into(),
        ] {
            assert_eq!(named(&text), [], "{text}");
        }
    }

    #[test]
    fn credentials_in_pickles_are_told_by_their_names() {
        let value = ["q7Rk2ZtV", "9mXw4LpB"].concat();
        let pickle = |value: &str| {
            let mut bytes = b"\x80\x04\x95\x30\0\0\0\0\0\0\0}\x94\x8c\x07api_key\x94\x8c".to_vec();
            bytes.push(value.len() as u8);
            bytes.extend(value.as_bytes());
            bytes.extend(b"\x94s.");
            bytes
        };
        assert_eq!(named_in_pickle(&pickle(&value)).len(), 1);
        assert_eq!(named_in_pickle(&pickle(&format!("{value}{value}w3Tq9Zx2"))).len(), 1, "forty letters");
        assert_eq!(named_in_pickle(&pickle("correct-horse-battery")), []);
        let older =
            [b"\x80\x02}q\0X\x07\0\0\0api_keyq\x01X\x10\0\0\0".as_slice(), value.as_bytes(), b"q\x02s."]
                .concat();
        assert_eq!(named_in_pickle(&older).len(), 1);
    }

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
        for example in [
            "AKIA1234567890ABCDEF",
            "AKIAABCDABCDABCDABCD",
            "hf_aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567",
            "hf_yourtokenhereyourtokenhereyourtoke",
            "ghp_0123456789abcdefghijklmnopqrstuvwxyz",
            "sk-proj-your-api-key-goes-here-and-is-forty-chars-long",
            "AIzaSyDaGmWKa4JsXZ-HjGw7ISLn_3nEXAMPLE0",
        ] {
            assert_eq!(kinds(example), [""; 0], "{example}");
        }
        assert!(kinds(&format!("A key looks like {key}")).is_empty());
        assert_eq!(kinds(&format!("A key looks like this:\n{key}")), ["AWS access key"]);
        let token = ["hf", "_qWmZkTbXpLvNcRyDhGsJfAeUoIiYwQnBzM"].concat();
        assert_eq!(kinds(&token), ["Hugging Face token"]);
        let pem = ["-----BEGIN EC PRIV", "ATE KEY-----\n", &"MHcCAQEEIB".repeat(6), "\n"].concat();
        assert_eq!(kinds(&pem), ["private key"]);
        assert!(kinds("-----BEGIN PRIVATE KEY-----\n...").is_empty());
    }
}
