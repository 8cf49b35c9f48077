//! Any bytes as a picture: as many pixels as its size says, within bounds, or a reason; the same twice.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use mantlet_dataset::Frame;

/// A decoder of others that panics is caught by ours and is a reason like any other; what breaks a promise of ours ends
/// the run.
fn promised(holds: bool, what: &str) {
    if !holds {
        eprintln!("broken promise: {what}");
        std::process::abort();
    }
}

fuzz_target!(|data: &[u8]| {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    let Some((&kind, rest)) = data.split_first() else { return };
    let lead: &[u8] = match kind % 4 {
        0 => b"\x89PNG\r\n\x1a\n",
        1 => &[0xff, 0xd8],
        _ => &[],
    };
    let bytes = [lead, rest].concat();
    let once = Frame::of_bytes(&bytes);
    if let Ok(frame) = &once {
        let size = frame.width * frame.height * frame.channels;
        promised(size == frame.pixels.len(), "as many pixels as its size says");
        promised(size <= 256 << 20 && frame.width.max(frame.height) <= 16_384, "no more than are decoded");
    }
    // What takes long to decode is not decoded twice.
    if once.as_ref().map_or(true, |frame| frame.pixels.len() < 1 << 20) {
        promised(Frame::of_bytes(&bytes) == once, "the same twice");
    }
});
