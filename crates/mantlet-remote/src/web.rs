//! One file behind a web address, in ranges; or, where the server knows none, once as a whole.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;

use crate::Limits;
use crate::blocks::{BLOCK, Reach, RemoteSource};
use crate::http::{Answer, Ask, Http, chain, text};

/// Opens a file behind a web address.
pub(crate) fn open(http: &Http, runtime: &Handle, ask: Ask) -> Result<RemoteSource, String> {
    runtime.block_on(first(http, runtime, ask))
}

async fn first(http: &Http, runtime: &Handle, ask: Ask) -> Result<RemoteSource, String> {
    let answer = http.send(&Ask { range: Some((0, BLOCK)), ..ask.clone() }).await?;
    refuse_encoding(&answer.headers)?;
    let limits = &http.limits;
    match answer.status {
        StatusCode::PARTIAL_CONTENT => {
            let (start, end, total) = content_range(&answer.headers)?;
            if start != 0 || end != total.min(BLOCK) {
                return Err(format!(
                    "the server answers with bytes {start} to {end} of {total}: not what was asked for"
                ));
            }
            let reach = Ranges {
                http: http.clone(),
                runtime: runtime.clone(),
                ask,
                total,
                tag: tag(&answer.headers),
                shortcut: Mutex::new(Some(answer.url)),
            };
            let body = http.collect(answer.body, BLOCK as usize).await?;
            if body.len() as u64 != end {
                return Err(format!("{} bytes came where {end} were declared", body.len()));
            }
            Ok(RemoteSource::new(Box::new(reach), total, Some(body), limits))
        }
        StatusCode::RANGE_NOT_SATISFIABLE
            if text(&answer.headers, header::CONTENT_RANGE) == Some("bytes */0") =>
        {
            Ok(RemoteSource::new(Box::new(Nothing), 0, None, limits))
        }
        StatusCode::OK => spool(http, answer).await,
        status => Err(said(status)),
    }
}

/// What an answer that is none means.
pub(crate) fn said(status: StatusCode) -> String {
    let hint = match status.as_u16() {
        401 | 403 => ": it needs credentials, or these may not read it",
        404 | 410 => ": it is not there",
        429 => ": the server wants fewer requests; try later",
        _ => "",
    };
    format!("the server answers {}{hint}", status.as_u16())
}

fn refuse_encoding(headers: &HeaderMap) -> Result<(), String> {
    match text(headers, header::CONTENT_ENCODING) {
        None | Some("" | "identity") => Ok(()),
        Some(_) => {
            Err("the server compresses it on the way, so that its bytes are not those of the file".into())
        }
    }
}

/// Start, end (exclusive) and total of a `Content-Range`.
fn content_range(headers: &HeaderMap) -> Result<(u64, u64, u64), String> {
    let value = text(headers, header::CONTENT_RANGE).ok_or("the server does not say which bytes it sends")?;
    range_of(value).ok_or_else(|| "the server's `Content-Range` makes no sense".to_owned())
}

/// `bytes START-LAST/TOTAL` (RFC 9110, 14.4).
pub(crate) fn range_of(value: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, last) = range.split_once('-')?;
    let (start, last) = (start.parse::<u64>().ok()?, last.parse::<u64>().ok()?);
    let total = total.parse::<u64>().ok()?;
    (start <= last && last < total).then_some((start, last + 1, total))
}

/// What tells one state of a file from another.
fn tag(headers: &HeaderMap) -> [Option<String>; 2] {
    [header::ETAG, header::LAST_MODIFIED].map(|name| text(headers, name).map(str::to_owned))
}

struct Ranges {
    http: Http,
    runtime: Handle,
    ask: Ask,
    total: u64,
    tag: [Option<String>; 2],
    /// Where the redirects ended.
    shortcut: Mutex<Option<String>>,
}

impl Ranges {
    async fn ask(&self, start: u64, end: u64) -> Result<Bytes, String> {
        let ask = Ask { range: Some((start, end)), ..self.ask.clone() };
        let shortcut = self.shortcut.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut answer = None;
        if let Some(url) = shortcut.filter(|url| *url != ask.url) {
            // Such addresses end after a while.
            let quick = self.http.send(&Ask { url, ..ask.clone() }).await;
            answer = quick.ok().filter(|answer| answer.status == StatusCode::PARTIAL_CONTENT);
        }
        let answer = match answer {
            Some(answer) => answer,
            None => self.http.send(&ask).await?,
        };
        if answer.status != StatusCode::PARTIAL_CONTENT {
            return Err(said(answer.status));
        }
        refuse_encoding(&answer.headers)?;
        let range = content_range(&answer.headers)?;
        if range != (start, end, self.total) {
            let (start, end, total) = range;
            return Err(format!(
                "the server answers with bytes {start} to {end} of {total}: not what was asked for"
            ));
        }
        if tag(&answer.headers) != self.tag {
            return Err("it changed while it was read".into());
        }
        let url = answer.url;
        let body = self.http.collect(answer.body, (end - start) as usize).await?;
        *self.shortcut.lock().unwrap_or_else(PoisonError::into_inner) = Some(url);
        Ok(body)
    }
}

impl Reach for Ranges {
    fn range(&self, start: u64, end: u64) -> Result<Bytes, String> {
        self.runtime.block_on(self.ask(start, end))
    }
}

struct Nothing;

impl Reach for Nothing {
    fn range(&self, _: u64, _: u64) -> Result<Bytes, String> {
        Err("there are no bytes".into())
    }
}

/// Opens a regular file of this machine.
pub(crate) fn file(path: &Path, limits: &Limits) -> Result<RemoteSource, String> {
    // Opening a pipe would wait for somebody to write into it.
    let wrong = |error: std::io::Error| format!("{error}");
    if !std::fs::metadata(path).map_err(wrong)?.is_file() {
        return Err("it is not a regular file".into());
    }
    let file = File::open(path).map_err(wrong)?;
    let len = file.metadata().map_err(wrong)?.len();
    Ok(RemoteSource::new(Box::new(Spooled(Mutex::new(file))), len, None, limits))
}

/// A file on disk: a copy without a name that ends with the process, or one that was there.
struct Spooled(Mutex<File>);

impl Reach for Spooled {
    fn range(&self, start: u64, end: u64) -> Result<Bytes, String> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|e| e.to_string())?;
        Ok(bytes.into())
    }
}

async fn spool(http: &Http, answer: Answer) -> Result<RemoteSource, String> {
    let limits = &http.limits;
    let declared = text(&answer.headers, header::CONTENT_LENGTH).and_then(|len| len.parse::<u64>().ok());
    let too_long = || {
        format!(
            "the server knows no ranges, and the file is longer than the {} bytes that are copied",
            limits.spool
        )
    };
    if declared.is_none() && !answer.headers.contains_key(header::TRANSFER_ENCODING) {
        return Err("the server knows no ranges and does not say how long the file is".into());
    }
    if declared.is_some_and(|len| len > limits.spool) {
        return Err(too_long());
    }
    let mut file = tempfile::tempfile().map_err(|error| format!("there is no room for a copy: {error}"))?;
    let mut body = answer.body;
    let copying = async {
        let mut len = 0_u64;
        while let Some(frame) = tokio::time::timeout(limits.body, body.frame())
            .await
            .map_err(|_| format!("nothing came for {} s", limits.body.as_secs()))?
        {
            let frame = frame.map_err(|error| chain(&error))?;
            if let Some(data) = frame.data_ref() {
                len += data.len() as u64;
                if len > limits.spool {
                    return Err(too_long());
                }
                file.write_all(data).map_err(|error| format!("there is no room for a copy: {error}"))?;
            }
        }
        Ok(len)
    };
    let len = tokio::time::timeout(limits.object, copying)
        .await
        .map_err(|_| "it takes too long to transfer".to_owned())??;
    if declared.is_some_and(|declared| declared != len) {
        return Err(format!("{len} bytes came where {} were declared", declared.unwrap_or(0)));
    }
    Ok(RemoteSource::new(Box::new(Spooled(Mutex::new(file))), len, None, limits))
}
