//! A line to a server that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const OPEN: u8 = 0;
/// Nothing passes in either direction, and nobody is told.
const CUT: u8 = 1;
/// What is sent arrives, what is answered does not.
const DEAF: u8 = 2;
/// Answers take this long.
const SLOW: u8 = 3;
const SLOWNESS: std::time::Duration = std::time::Duration::from_millis(20);

/// A line to a server.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    state: Arc<AtomicU8>,
}

impl Line {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, state) = (listener.local_addr().unwrap(), Arc::new(AtomicU8::new(OPEN)));
        let watched = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = watched.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    // What is small and alone would wait for an acknowledgement otherwise.
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let there = pass(from_client, to_server, state.clone(), [CUT, CUT]);
                    let back = pass(from_server, to_client, state, [CUT, DEAF]);
                    tokio::join!(there, back);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn open(&self) {
        self.state.store(OPEN, Ordering::SeqCst);
    }
    pub(crate) fn cut(&self) {
        self.state.store(CUT, Ordering::SeqCst);
    }
    pub(crate) fn slow(&self) {
        self.state.store(SLOW, Ordering::SeqCst);
    }
    pub(crate) fn deafen(&self) {
        self.state.store(DEAF, Ordering::SeqCst);
    }
}

/// Passes bytes on unless the line's state is one of `stops`; then they are lost, as the packets of a cut line are.
async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    state: Arc<AtomicU8>,
    stops: [u8; 2],
) {
    let mut buffer = vec![0; 16 << 10];
    let mut lost = false;
    while let Ok(count) = from.read(&mut buffer).await {
        // A stream that lost bytes carries nothing sensible any more.
        lost |= stops.contains(&state.load(Ordering::SeqCst));
        if state.load(Ordering::SeqCst) == SLOW && stops.contains(&DEAF) {
            tokio::time::sleep(SLOWNESS).await;
        }
        if count == 0 || (!lost && to.write_all(&buffer[..count]).await.is_err()) {
            return;
        }
    }
}
