//! What arrives together goes on together.

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::text::{begin, config, events, gateway};

/// Events that lie in the connection when the gateway looks are sent on with one write, not with one each.
#[tokio::test]
async fn events_that_came_together_leave_together() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let whole = events(&["one ", "two ", "three ", "four ", "five ", "six ", "seven ", "eight "]);
    let pieces: Vec<String> =
        String::from_utf8(whole.clone()).unwrap().split_inclusive("\n\n").map(str::to_owned).collect();
    let sent = pieces.clone();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&got).contains("\"messages\"") {
            let read = stream.read(&mut buffer).await.unwrap();
            got.extend_from_slice(&buffer[..read]);
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let chunks: String = sent.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
        stream.write_all(format!("{head}{chunks}0\r\n\r\n").as_bytes()).await.unwrap();
        let _ = stream.read(&mut buffer).await;
    });
    let (gateway, _) = gateway(address, config()).await;
    let mut body = begin(gateway.address(), "hello").await.into_body();
    let (mut frames, mut got) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        frames += 1;
        got.extend_from_slice(&frame.unwrap().into_data().unwrap());
    }
    assert_eq!(got, whole);
    assert!(frames <= pieces.len() / 2, "{frames} writes for {} events", pieces.len());
}
