//! The model of the streamed cells of `cargo xtask bench gateway`: it answers every request with a chat as server-sent
//! events, each written by itself, with a turn of the runtime between two.
//!
//! `event_source LISTEN EVENTS`, as `address:port` and a count.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes of a request's head at most.
const HEAD: usize = 64 << 10;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().unwrap_or_default().parse()?;
    let events: usize = arguments.next().unwrap_or_default().parse()?;
    let answer = answer(events);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve(listen, answer.leak()))
}

/// The head of an answer, then its events, each a chunk.
fn answer(events: usize) -> Vec<Vec<u8>> {
    const WORDS: [&str; 8] = ["The", "shop", "opens", "at", "nine", "and", "closes", "soon"];
    let chunk = |data: &str| format!("{:x}\r\n{data}\r\n", data.len()).into_bytes();
    let mut answer = vec![
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
    ];
    for number in 0..events {
        let word = WORDS[number % WORDS.len()];
        answer.push(chunk(&format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{word} \"}},\"finish_reason\":null}}]}}\n\n"
        )));
    }
    let mut last = chunk("data: [DONE]\n\n");
    last.extend_from_slice(b"0\r\n\r\n");
    answer.push(last);
    answer
}

async fn serve(listen: SocketAddr, answer: &'static [Vec<u8>]) -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that hangs up ends its connection and nothing else.
        tokio::spawn(async move { drop(connection(stream, answer).await) });
    }
}

async fn connection(mut stream: TcpStream, answer: &[Vec<u8>]) -> std::io::Result<()> {
    let mut taken = Vec::new();
    loop {
        let Some(whole) = request(&taken) else {
            let more = stream.read_buf(&mut taken).await?;
            if more == 0 || taken.len() > HEAD {
                return Ok(());
            }
            continue;
        };
        taken.drain(..whole);
        for piece in answer {
            stream.write_all(piece).await?;
            tokio::task::yield_now().await;
        }
    }
}

/// The length of the request that these bytes begin with, when all of it is there.
fn request(taken: &[u8]) -> Option<usize> {
    let head = taken.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&taken[..head]).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let whole = head.checked_add(body.unwrap_or(0))?;
    (taken.len() >= whole).then_some(whole)
}
