//! Past exchanges as they stand in files: access logs, and JSON Lines.

use serde_json::Value as Json;

use super::Past;
use super::when::{instant, of_number};

/// Why a line is no exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It is no JSON object.
    #[error("the line is no JSON object")]
    Json,
    /// It is not of the common or combined log format.
    #[error("the line is not of the common or combined log format")]
    Access,
    /// It names no path.
    #[error("the line names no path: give it as `path`, `uri` or `request_uri`")]
    Path,
}

/// A line of an access log in the common or combined format of Apache and nginx:
/// `host ident user [time] "method path protocol" status bytes ...`. The caller is the user, else the host.
///
/// # Errors
/// When it is no such line.
pub fn access_line(line: &str) -> Result<Past, LineError> {
    let (who, rest) = line.split_once('[').ok_or(LineError::Access)?;
    let (time, rest) = rest.split_once(']').ok_or(LineError::Access)?;
    let (asked, rest) =
        rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')).ok_or(LineError::Access)?;
    let mut who = who.split_ascii_whitespace();
    let host = who.next().ok_or(LineError::Access)?;
    let user = who.nth(1).filter(|user| *user != "-");
    let mut asked = asked.split(' ');
    let (Some(method), Some(path)) = (asked.next(), asked.next()) else { return Err(LineError::Access) };
    let status = rest.split_ascii_whitespace().next().and_then(|status| status.parse().ok());
    Ok(Past {
        at: instant(time).ok_or(LineError::Access)?,
        caller: user.unwrap_or(host).to_owned(),
        method: method.to_owned(),
        path: path.to_owned(),
        request: None,
        head: None,
        status: status.ok_or(LineError::Access)?,
        reply: None,
    })
}

/// A line of JSON. Each figure is known by several names, as servers write them: `at` `time` `timestamp` `@timestamp`
/// `time_iso8601` `msec`; `caller` `key` `user` `remote_user` `client` `remote_addr`; `method` `request_method`; `path`
/// `uri` `request_uri`; `request` `request_body`; `status` `status_code`; `reply` `response` `response_body`. Bodies are
/// text, or JSON as it is. `request_head` is the length of the JSON head of a binary request, which then is given in
/// base64 as `request_base64`. `default_path` stands for a path that is not named.
///
/// # Errors
/// When it is no JSON object or names no path.
pub fn json_line(line: &str, default_path: Option<&str>) -> Result<Past, LineError> {
    let Ok(Json::Object(line)) = serde_json::from_str::<Json>(line) else { return Err(LineError::Json) };
    let find =
        |names: &[&str]| names.iter().find_map(|name| line.get(*name).filter(|value| !value.is_null()));
    let text = |names: &[&str]| {
        let said =
            |name: &&str| line.get(*name).and_then(Json::as_str).filter(|text| !matches!(*text, "" | "-"));
        names.iter().find_map(said).map(str::to_owned)
    };
    let body = |names: &[&str]| match find(names)? {
        Json::String(text) if text == "-" => None,
        Json::String(text) => Some(text.clone().into_bytes()),
        json => Some(json.to_string().into_bytes()),
    };
    let at = match find(&["at", "time", "timestamp", "@timestamp", "time_iso8601", "time_local", "msec"]) {
        Some(Json::String(text)) => instant(text),
        Some(Json::Number(number)) => number.as_f64().and_then(of_number),
        _ => None,
    };
    let path = text(&["path", "uri", "request_uri"]);
    let path = path.or_else(|| default_path.map(str::to_owned)).ok_or(LineError::Path)?;
    let caller = text(&["caller", "key", "user", "remote_user", "client", "remote_addr"]);
    let status = match find(&["status", "status_code"]) {
        Some(Json::Number(number)) => number.as_u64().and_then(|status| u16::try_from(status).ok()),
        Some(Json::String(text)) => text.parse().ok(),
        _ => None,
    };
    let binary = text(&["request_base64"]).and_then(|text| base64(&text));
    Ok(Past {
        at: at.unwrap_or_default(),
        caller: caller.unwrap_or_else(|| "unknown".into()),
        method: text(&["method", "request_method"]).unwrap_or_default(),
        path,
        head: find(&["request_head"]).and_then(Json::as_u64).and_then(|head| usize::try_from(head).ok()),
        request: binary.or_else(|| body(&["request", "request_body"])),
        status: status.unwrap_or(0),
        reply: body(&["reply", "response", "response_body"]),
    })
}

/// Base64 with or without padding (RFC 4648, section 4).
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(value), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xFF).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::Millis;

    use super::*;

    #[test]
    fn access_logs_name_who_when_and_what() {
        let line = r#"10.0.0.7 - ann [21/Sep/2026:23:59:59 +0000] "POST /v1/chat/completions?x=1 HTTP/1.1" 200 512 "-" "curl""#;
        let past = access_line(line).unwrap();
        assert_eq!((past.at, past.caller.as_str()), (Millis(1_790_035_199_000), "ann"));
        assert_eq!(
            (past.method.as_str(), past.path.as_str(), past.status),
            ("POST", "/v1/chat/completions?x=1", 200)
        );
        assert_eq!(access_line(&line.replace("ann", "-")).unwrap().caller, "10.0.0.7");
        for bad in [
            "",
            "hello",
            r#"a b c [x] "GET / HTTP/1.1" 200 1"#,
            r#"a - - [21/Sep/2026:23:59:59 +0000] "" 400 0"#,
        ] {
            assert_eq!(access_line(bad), Err(LineError::Access), "{bad}");
        }
    }

    #[test]
    fn json_lines_are_read_as_servers_write_them() {
        let ours = r#"{"at":"2026-09-21T23:59:59Z","caller":"ann","path":"/v2/models/m/infer","request":{"inputs":[]},"status":200,"reply":"{}"}"#;
        let past = json_line(ours, None).unwrap();
        assert_eq!((past.at, past.caller.as_str(), past.status), (Millis(1_790_035_199_000), "ann", 200));
        assert_eq!(past.request.as_deref(), Some(&br#"{"inputs":[]}"#[..]));
        let nginx = r#"{"msec":1790035199.0,"remote_user":"","remote_addr":"10.0.0.7","request_method":"POST","request_uri":"/x","status":"201","request_body":"-","response_body":null}"#;
        let past = json_line(nginx, None).unwrap();
        // nginx writes an empty user for none.
        assert_eq!(
            (past.at, past.caller.as_str(), past.status),
            (Millis(1_790_035_199_000), "10.0.0.7", 201)
        );
        assert_eq!((past.request, past.reply), (None, None));
        assert_eq!(json_line("{}", None), Err(LineError::Path));
        assert_eq!(json_line("{}", Some("/v1/x")).unwrap().path, "/v1/x");
        assert_eq!(json_line("[]", None), Err(LineError::Json));
        let binary = r#"{"path":"/x","request_base64":"aGVsbG8=","request_head":2}"#;
        let past = json_line(binary, None).unwrap();
        assert_eq!((past.request.as_deref(), past.head), (Some(&b"hello"[..]), Some(2)));
    }
}
