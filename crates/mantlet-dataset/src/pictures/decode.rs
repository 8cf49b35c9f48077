//! PNG and JPEG to bytes, in bounded memory.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use super::Frame;

/// Pixels of a side at most.
const SIDE: usize = 16_384;
/// Bytes of a decoded picture at most.
const DECODED: usize = 256 << 20;

/// Decodes by content; the words of the error say why not.
pub(super) fn decode(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    // Decoders of others promise errors, not the absence of panics, on any bytes.
    let decoded = catch_unwind(AssertUnwindSafe(|| {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            png(bytes, frame)
        } else if bytes.starts_with(&[0xff, 0xd8]) {
            jpeg(bytes, frame)
        } else {
            Err("it is neither PNG nor JPEG".to_owned())
        }
    }));
    decoded.unwrap_or_else(|_| Err("the decoder gave up on it".to_owned()))
}

fn size(width: usize, height: usize, channels: usize) -> Result<usize, String> {
    let most = || format!("{width} times {height} pixels are more than are decoded");
    let size = width.checked_mul(height).and_then(|size| size.checked_mul(channels)).ok_or_else(most)?;
    if width > SIDE || height > SIDE || size > DECODED {
        return Err(most());
    }
    Ok(size)
}

fn png(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let wrong = |error: png::DecodingError| error.to_string();
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: DECODED });
    // Eight bits a channel, palettes and less than a byte a pixel expanded.
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(wrong)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let (colour, _) = reader.output_color_type();
    let channels = colour.samples();
    let need = size(width, height, channels)?;
    let given = reader.output_buffer_size().ok_or("its size does not fit this machine")?;
    if given != need {
        return Err("its pixels are not of eight bits a channel".to_owned());
    }
    frame.pixels.clear();
    frame.pixels.resize(need, 0);
    reader.next_frame(&mut frame.pixels).map_err(wrong)?;
    (frame.width, frame.height, frame.channels) = (width, height, channels);
    Ok(())
}

fn jpeg(bytes: &[u8], frame: &mut Frame) -> Result<(), String> {
    let options = DecoderOptions::default().set_max_width(SIDE).set_max_height(SIDE).jpeg_set_max_scans(64);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no header")?;
    let grey = info.components == 1;
    let (colour, channels) = if grey { (ColorSpace::Luma, 1) } else { (ColorSpace::RGB, 3) };
    decoder.set_options(options.jpeg_set_out_colorspace(colour));
    let need = size(usize::from(info.width), usize::from(info.height), channels)?;
    if decoder.output_buffer_size() != Some(need) {
        return Err("its size is not what its header says".to_owned());
    }
    frame.pixels.clear();
    frame.pixels.resize(need, 0);
    decoder.decode_into(&mut frame.pixels).map_err(|error| error.to_string())?;
    (frame.width, frame.height) = (usize::from(info.width), usize::from(info.height));
    frame.channels = channels;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(width: u32, height: u32, colour: png::ColorType, pixels: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(pixels).unwrap();
        out
    }

    /// A grey baseline JPEG of eight by eight pixels of one brightness.
    const JPEG: &str = "ffd8ffdb00430001010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101ffc0000b080008000801011100ffc40014000100000000000000000000000000000000ffc40014100100000000000000000000000000000000ffda0008010100003f003fffd9";

    #[test]
    fn pictures_are_read_and_broken_ones_are_told() {
        let mut frame = Frame::default();
        let grey: Vec<u8> = (0..12).collect();
        decode(&written(4, 3, png::ColorType::Grayscale, &grey), &mut frame).unwrap();
        assert_eq!((frame.width, frame.height, frame.channels, &frame.pixels), (4, 3, 1, &grey));
        let colours: Vec<u8> = (0..24).collect();
        let whole = written(4, 2, png::ColorType::Rgb, &colours);
        decode(&whole, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height, frame.channels, &frame.pixels), (4, 2, 3, &colours));
        assert!(decode(&whole[..whole.len() / 2], &mut frame).is_err());
        assert!(decode(b"GIF89a", &mut frame).is_err());
        // A header that promises more than is decoded.
        let mut huge = whole;
        huge[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        assert!(decode(&huge, &mut frame).is_err());
    }

    #[test]
    fn a_grey_jpeg_is_read_or_told_and_never_more_than_its_pixels() {
        let bytes: Vec<u8> =
            (0..JPEG.len()).step_by(2).map(|at| u8::from_str_radix(&JPEG[at..at + 2], 16).unwrap()).collect();
        let mut frame = Frame::default();
        decode(&bytes, &mut frame).unwrap();
        assert_eq!((frame.width, frame.height, frame.channels, frame.pixels.len()), (8, 8, 1, 64));
        assert!(frame.pixels.iter().all(|&pixel| pixel == frame.pixels[0]));
        for cut in 0..bytes.len() {
            let _ = decode(&bytes[..cut], &mut frame);
        }
    }

    /// A small change to a whole picture, or anything behind the first bytes of one.
    fn hostile() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
        use proptest::prelude::*;
        let whole = prop_oneof![
            Just(written(5, 4, png::ColorType::Rgba, &[7; 80])),
            Just(written(9, 2, png::ColorType::Grayscale, &[9; 18])),
            Just(
                (0..JPEG.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&JPEG[at..at + 2], 16).unwrap())
                    .collect()
            ),
        ];
        let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
        let changed = (whole, changes, any::<prop::sample::Index>()).prop_map(|(mut bytes, changes, cut)| {
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(cut.index(bytes.len() * 2).max(8));
            bytes
        });
        let behind = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(png, rest)| {
            let lead: &[u8] = if png { b"\x89PNG\r\n\x1a\n" } else { &[0xff, 0xd8, 0xff] };
            [lead, &rest].concat()
        });
        prop_oneof![changed, behind]
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_pixels_or_a_reason(bytes in hostile()) {
            let once = Frame::of_bytes(&bytes);
            if let Ok(frame) = &once {
                proptest::prop_assert_eq!(frame.pixels.len(), frame.width * frame.height * frame.channels);
                proptest::prop_assert!((1..=4).contains(&frame.channels));
            }
            proptest::prop_assert_eq!(Frame::of_bytes(&bytes), once);
        }
    }
}
