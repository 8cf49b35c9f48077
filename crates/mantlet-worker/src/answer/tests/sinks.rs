//! A tiny HTTP sink and a minimal SMTP sink on loopback.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request as the sink got it.
#[derive(Debug, Clone)]
pub(super) struct Got {
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> String {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).expect("the header")
    }
}

/// Answers with one status after the other, the last one for ever.
#[derive(Debug, Clone)]
pub(super) struct HttpSink {
    pub(super) addr: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    location: Arc<Mutex<String>>,
}

impl HttpSink {
    pub(super) async fn start(statuses: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink =
            Self { addr: listener.local_addr().unwrap(), got: Arc::default(), location: Arc::default() };
        let shared = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let turn = shared.got.lock().unwrap().len();
                let status = statuses[turn.min(statuses.len() - 1)];
                shared.serve(stream, status).await;
            }
        });
        sink
    }

    pub(super) fn requests(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    pub(super) fn redirect_to(&self, other: &Self) {
        *self.location.lock().unwrap() = format!("location: http://{}/\r\n", other.addr);
    }

    async fn serve(&self, stream: TcpStream, status: u16) {
        let mut stream = BufReader::new(stream);
        let (mut headers, mut line) = (Vec::new(), String::new());
        loop {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let length =
            headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, n)| n.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        self.got.lock().unwrap().push(Got { headers, body });
        let location = self.location.lock().unwrap().clone();
        let reply =
            format!("HTTP/1.1 {status} x\r\n{location}content-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(reply.as_bytes()).await.unwrap();
    }
}

/// Takes every mail.
#[derive(Debug, Clone)]
pub(super) struct SmtpSink {
    pub(super) addr: SocketAddr,
    mails: Arc<Mutex<Vec<String>>>,
}

impl SmtpSink {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self { addr: listener.local_addr().unwrap(), mails: Arc::default() };
        let shared = sink.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.serve(stream).await;
            }
        });
        sink
    }

    pub(super) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    async fn serve(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut line, mut data) = (String::new(), None::<String>);
        stream.write_all(b"220 sink\r\n").await.unwrap();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            if let Some(mail) = &mut data {
                if line == ".\r\n" {
                    self.mails.lock().unwrap().push(std::mem::take(mail));
                    data = None;
                    stream.write_all(b"250 taken\r\n").await.unwrap();
                } else {
                    mail.push_str(&line);
                }
                continue;
            }
            let reply: &[u8] = match line.get(..4).unwrap_or_default() {
                "EHLO" => b"250-sink\r\n250 8BITMIME\r\n",
                "DATA" => {
                    data = Some(String::new());
                    b"354 go on\r\n"
                }
                "QUIT" => b"221 bye\r\n",
                _ => b"250 fine\r\n",
            };
            if stream.write_all(reply).await.is_err() {
                return;
            }
        }
    }
}
