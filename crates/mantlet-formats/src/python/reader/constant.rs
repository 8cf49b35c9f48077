//! What constants become: methods of text, decoders, and what a dotted name stands for.

use std::io::Read as _;
use std::rc::Rc;

use super::{MAX_TEXT, Val};
use crate::python::calls::Power;
use crate::python::{Origin, calls};

/// Whether a function of this name does anything that is listed.
pub(super) fn tells(path: &str) -> bool {
    calls::power(path) != Power::Computes || calls::decodes(path)
}

/// Methods that make text of text.
pub(super) fn text_method(
    path: &str,
    callee: &Val,
    first: &Val,
    arguments: &[(Option<String>, Val)],
    origin: Origin,
) -> Option<Val> {
    let method = path.rsplit('.').next().unwrap_or("");
    if callee.text.is_none() && !matches!(path, "str" | "bytes" | "chr") {
        return None;
    }
    let base = callee.text.clone();
    let text = match (method, base) {
        ("join", Some(separator)) => {
            let items = first.items.as_ref()?;
            let bytes = items.iter().map(|item| item.len() + separator.len()).sum::<usize>();
            (bytes <= MAX_TEXT + separator.len()).then(|| items.join(&*separator).into())
        }
        ("encode" | "decode" | "strip", Some(base)) => match first.text.as_deref() {
            Some("rot13" | "rot_13") => Some(rot13(&base).into()),
            Some("hex") => unhex(&base).map(Into::into),
            _ => Some(base),
        },
        ("lower", Some(base)) => Some(base.to_lowercase().into()),
        ("replace", Some(base)) => {
            let to = arguments.get(1).and_then(|(_, value)| value.text.clone())?;
            let from = first.text.clone().filter(|from| !from.is_empty())?;
            let bytes = base.matches(&*from).count().saturating_mul(to.len());
            (bytes <= MAX_TEXT).then(|| base.replace(&*from, &to).into())
        }
        ("str" | "bytes", None) => first.text.clone(),
        _ => None,
    };
    let text = text.filter(|text: &Rc<str>| text.len() <= MAX_TEXT);
    if text.is_none() && matches!(path, "str" | "bytes" | "chr") {
        return None;
    }
    let assembled = !matches!(method, "str" | "bytes" | "strip");
    Some(Val { text, origin, assembled, ..Val::default() })
}

/// What a dotted name stands for.
pub(in crate::python) fn origin_of(path: &str) -> Origin {
    let is = |prefix: &str| {
        path.strip_prefix(prefix).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    const ASKED: [&str; 16] = [
        "streamlit.text_input",
        "streamlit.text_area",
        "streamlit.chat_input",
        "streamlit.query_params",
        "streamlit.experimental_get_query_params",
        "streamlit.file_uploader",
        "st.text_input",
        "st.text_area",
        "st.chat_input",
        "st.query_params",
        "flask.request.args",
        "flask.request.form",
        "flask.request.json",
        "flask.request.data",
        "flask.request.values",
        "flask.request.get_json",
    ];
    const SECRETS: [&str; 16] = [
        "streamlit.secrets",
        "st.secrets",
        "google.colab.userdata.get",
        "kaggle_secrets.UserSecretsClient",
        "huggingface_hub.HfFolder.get_token",
        "huggingface_hub.get_token",
        "huggingface_hub.utils.get_token",
        "keyring.get_password",
        "dotenv.dotenv_values",
        "boto3.Session().get_credentials",
        "botocore.session.get_session().get_credentials",
        "browser_cookie3.load",
        "browser_cookie3.chrome",
        "win32crypt.CryptUnprotectData",
        "netrc.netrc",
        "os.environb",
    ];
    let asked = ASKED.iter().any(|name| is(name));
    Origin {
        asked,
        input: asked
            || is("sys.argv")
            || is("input")
            || is("request.args")
            || is("request.form")
            || is("request.json"),
        secret: path == "os.environ" || path == "os.environ.copy" || SECRETS.iter().any(|name| is(name)),
        ..Origin::default()
    }
}

/// Whether a path leads where programs start by themselves, or where people are let in.
pub(in crate::python) fn is_trusted_place(text: &str) -> bool {
    const PLACES: [&str; 20] = [
        ".ssh/authorized_keys",
        "/.bashrc",
        "/.bash_profile",
        "/.bash_login",
        "/.profile",
        "/.zshrc",
        "/.zshenv",
        "/etc/profile.d/",
        "/etc/cron",
        "/var/spool/cron",
        "/etc/ld.so.preload",
        "/etc/sudoers",
        "/etc/rc.local",
        "/etc/systemd/system/",
        ".config/systemd/user/",
        ".config/autostart/",
        "Library/LaunchAgents/",
        "Start Menu/Programs/Startup",
        "Start Menu\\Programs\\Startup",
        ".git/hooks/",
    ];
    PLACES.iter().any(|place| text.contains(place))
        || matches!(text, ".bashrc" | ".bash_profile" | ".profile" | ".zshrc" | ".zshenv")
}

pub(in crate::python) fn is_secret_path(text: &str) -> bool {
    [
        ".ssh/id_",
        ".aws/credentials",
        "/etc/shadow",
        ".config/gcloud",
        ".kube/config",
        "huggingface/token",
        "huggingface/stored_tokens",
        ".git-credentials",
        ".netrc",
        ".pypirc",
        ".docker/config.json",
        "/proc/self/environ",
        "Login Data",
        "cookies.sqlite",
        ".config/gh/hosts.yml",
        "wallet.dat",
    ]
    .iter()
    .any(|part| text.contains(part))
}

/// The text that a decoder gives for a constant.
pub(in crate::python) fn decoded(callee: &str, text: &str) -> Option<String> {
    let last = callee.rsplit('.').next().unwrap_or("");
    let latin = |bytes: Vec<u8>| -> Option<String> {
        Some(match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => error.into_bytes().iter().map(|&byte| byte as char).collect(),
        })
    };
    match last {
        "b64decode" | "urlsafe_b64decode" | "standard_b64decode" | "decodebytes" | "a2b_base64" => {
            latin(unbase64(text)?)
        }
        "fromhex" | "unhexlify" | "a2b_hex" | "b16decode" => unhex(text),
        "decompress" => {
            // Bytes of a constant are kept as Latin-1.
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(c as u32).ok()).collect();
            let bytes = bytes?;
            let mut out = Vec::new();
            let mut reader = flate2::read::ZlibDecoder::new(bytes.as_slice()).take(MAX_TEXT as u64);
            reader.read_to_end(&mut out).ok()?;
            latin(out)
        }
        "decode" => Some(text.to_owned()),
        _ => None,
    }
}

pub(in crate::python) fn unhex(text: &str) -> Option<String> {
    let digits: Vec<u32> =
        text.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for c in text.bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\n' | b'\r' | b' ' => continue,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

pub(in crate::python) fn rot13(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' => ((c as u8 - b'a' + 13) % 26 + b'a') as char,
            'A'..='Z' => ((c as u8 - b'A' + 13) % 26 + b'A') as char,
            other => other,
        })
        .collect()
}
