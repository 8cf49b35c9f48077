//! Messages of a gRPC stream, however its bytes are cut.

use crate::Defect;

/// A message with its head: a byte that says whether it is compressed, and its length (4 bytes, the largest first).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcFrame {
    /// The bytes as they came, head included. Those of all frames in order are the bytes that were fed.
    pub raw: Vec<u8>,
}

impl GrpcFrame {
    /// Whether the message is compressed, by what `grpc-encoding` says.
    #[must_use]
    pub fn compressed(&self) -> bool {
        self.raw.first() == Some(&1)
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        self.raw.get(5..).unwrap_or(&[])
    }
}

/// Cuts bytes into messages. Memory: one message, of at most the limit.
#[derive(Debug)]
pub struct GrpcFrames {
    buffer: Vec<u8>,
    limit: usize,
}

impl GrpcFrames {
    /// A reader of a stream from its first byte, for messages of at most so many bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), limit }
    }

    /// Takes the next bytes, and gives the messages they complete.
    ///
    /// # Errors
    /// When a message is longer than the limit, or its head says neither that it is compressed nor that it is not.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<GrpcFrame>, Defect> {
        self.buffer.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut start = 0;
        while let Some(([flag, length @ ..], rest)) =
            self.buffer.get(start..).and_then(|b| b.split_first_chunk::<5>())
        {
            if *flag > 1 {
                return Err(Defect::Syntax { offset: start, expected: "0 or 1" });
            }
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if length > self.limit {
                return Err(Defect::TooLarge { found: length, limit: self.limit });
            }
            if rest.len() < length {
                break;
            }
            let end = start + 5 + length;
            frames.push(GrpcFrame { raw: self.buffer[start..end].to_vec() });
            start = end;
        }
        self.buffer.drain(..start);
        Ok(frames)
    }

    /// The end of the stream.
    ///
    /// # Errors
    /// [`Defect::Unfinished`] when it comes in the middle of a message.
    pub const fn finish(&self) -> Result<(), Defect> {
        if self.buffer.is_empty() { Ok(()) } else { Err(Defect::Unfinished) }
    }
}

/// A message with its head, not compressed.
#[must_use]
pub fn grpc_frame(message: &[u8]) -> Vec<u8> {
    let mut raw = vec![0];
    raw.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    raw.extend_from_slice(message);
    raw
}
