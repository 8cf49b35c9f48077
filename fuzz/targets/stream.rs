//! Any bytes as a stream of events, in every dialect: the cut between chunks changes nothing, every byte comes out again, and a frame with another text is an event with that text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mantlet_wire::Defect;
use mantlet_wire::text::{Frame, StreamReader, Surface};

fn read(surface: Surface, parts: &[&[u8]]) -> Result<Vec<Frame>, Defect> {
    let limits = mantlet_wire::Limits::default();
    let mut reader = StreamReader::new(surface, limits);
    let mut frames = Vec::new();
    for part in parts {
        frames.extend(reader.feed(part)?);
    }
    frames.extend(reader.finish()?);
    Ok(frames)
}

fuzz_target!(|data: &[u8]| {
    let [first, cut, bytes @ ..] = data else { return };
    let surfaces = [
        Surface::OpenAiChat,
        Surface::OpenAiCompletions,
        Surface::OpenAiResponses,
        Surface::AnthropicMessages,
        Surface::Mcp,
    ];
    let surface = surfaces[usize::from(*first) % surfaces.len()];
    let cut = bytes.len() * usize::from(*cut) / 256;
    let whole = read(surface, &[bytes]);
    assert_eq!(read(surface, &[&bytes[..cut], &bytes[cut..]]), whole);
    let Ok(frames) = whole else { return };
    let raw: Vec<u8> = frames.iter().flat_map(|frame| frame.raw.clone()).collect();
    assert_eq!(raw, bytes);
    for frame in &frames {
        let Some(fragment) = frame.fragments.first() else { continue };
        if let Ok(other) = frame.with_texts(&[(fragment.channel, "[taken out]".to_owned())]) {
            let mut reader = StreamReader::new(surface, mantlet_wire::Limits::default());
            let again = reader.feed(&[&other.raw[..], b"\n\n"].concat());
            assert!(again.is_ok(), "{again:?}");
        }
    }
});
