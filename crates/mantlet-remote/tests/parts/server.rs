//! A small HTTP server on this machine that does what a test tells it, lies included.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or("")
    }
    /// Start and end (exclusive) of the range that is asked for.
    pub(crate) fn range(&self) -> Option<(u64, u64)> {
        let (start, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some((start.parse().ok()?, last.parse::<u64>().ok()? + 1))
    }
}

pub(crate) enum Body {
    Whole(Vec<u8>),
    /// Declares one length and sends other bytes.
    Lying(u64, Vec<u8>),
    Chunked(Vec<u8>),
    /// Ends with the connection.
    Open(Vec<u8>),
    /// Chunks without end.
    Endless,
    /// A byte now and then.
    Slow,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Body,
}

impl Reply {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(body.into()) }
    }
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
    pub(crate) fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }
    pub(crate) fn json(value: &serde_json::Value) -> Self {
        Self::new(200, value.to_string()).with("content-type", "application/json")
    }
    pub(crate) fn redirect(target: &str) -> Self {
        Self::new(302, "").with("location", target)
    }
    /// An honest answer to a request, with ranges.
    pub(crate) fn file(seen: &Seen, bytes: &[u8], tag: &str) -> Self {
        let len = bytes.len() as u64;
        match seen.range() {
            Some((start, _)) if start >= len => {
                Self::new(416, "").with("content-range", format!("bytes */{len}"))
            }
            Some((start, end)) => {
                let end = end.min(len);
                Self::new(206, &bytes[start as usize..end as usize])
                    .with("content-range", format!("bytes {start}-{}/{len}", end - 1))
                    .with("etag", tag)
            }
            None => Self::new(200, bytes).with("etag", tag),
        }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", answer)
    }

    pub(crate) fn on(address: &str, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a port on this machine");
        let address = listener.local_addr().expect("it has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let answer: Arc<dyn Fn(&Seen) -> Reply + Send + Sync> = Arc::new(answer);
        let (log, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let (log, answer, ended) = (Arc::clone(&log), Arc::clone(&answer), Arc::clone(&ended));
                std::thread::spawn(move || {
                    let _ = serve(&stream, &log, answer.as_ref(), &ended);
                });
            }
        });
        Self { address, seen, stop }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().expect("nobody panicked").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    stream: &TcpStream,
    log: &Mutex<Vec<Seen>>,
    answer: &dyn Fn(&Seen) -> Reply,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next().unwrap_or("").to_owned(), words.next().unwrap_or("").to_owned());
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let seen = Seen { method, target, headers };
    log.lock().expect("nobody panicked").push(seen.clone());
    let reply = answer(&seen);
    let mut out = stream;
    write!(out, "HTTP/1.1 {} Said\r\nconnection: close\r\n", reply.status)?;
    for (name, value) in &reply.headers {
        write!(out, "{name}: {value}\r\n")?;
    }
    let none = seen.method == "HEAD";
    match reply.body {
        Body::Whole(bytes) => {
            if !reply.headers.iter().any(|(name, _)| name == "content-length") {
                write!(out, "content-length: {}\r\n", bytes.len())?;
            }
            write!(out, "\r\n")?;
            out.write_all(if none { b"" } else { &bytes })?;
        }
        Body::Lying(len, bytes) => {
            write!(out, "content-length: {len}\r\n\r\n")?;
            out.write_all(&bytes)?;
        }
        Body::Chunked(bytes) => {
            write!(out, "transfer-encoding: chunked\r\n\r\n")?;
            for part in bytes.chunks(60_000) {
                write!(out, "{:x}\r\n", part.len())?;
                out.write_all(part)?;
                write!(out, "\r\n")?;
            }
            write!(out, "0\r\n\r\n")?;
        }
        Body::Open(bytes) => {
            write!(out, "\r\n")?;
            out.write_all(&bytes)?;
        }
        Body::Endless => {
            write!(out, "transfer-encoding: chunked\r\n\r\n")?;
            let part = vec![b'x'; 64 << 10];
            while !ended.load(Ordering::Relaxed) {
                write!(out, "{:x}\r\n", part.len())?;
                out.write_all(&part)?;
                write!(out, "\r\n")?;
            }
        }
        Body::Slow => {
            write!(out, "content-length: 1000\r\n\r\n")?;
            while !ended.load(Ordering::Relaxed) {
                out.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    out.flush()?;
    stream.shutdown(std::net::Shutdown::Write)
}
