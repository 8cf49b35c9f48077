//! Rows in a write-ahead.
//!
//! A frame is the length of its payload (four bytes), the first eight bytes of the payload's SHA-256, and the payload:
//! a byte that names the form, then the row's fields in the order of [`mantlet_columns::Row`], features last. Numbers
//! are little-endian; texts and lists begin with their length in four bytes. A payload that begins with a brace is of
//! an earlier form: the row as JSON without its features, a newline, and the features as four bytes each.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use mantlet_columns::{Fields, Row};
use mantlet_vocab::{Digest, Millis};

use crate::StoreError;
use crate::error::io;

/// Bytes before the payload of a frame.
const HEAD: usize = 12;

/// No row is longer: features are bounded, and so is what a configuration names.
const MOST: usize = 16 << 20;

/// The form that is written.
const FORM: u8 = 1;

/// Appends one row.
pub(super) fn put_frame(out: &mut Vec<u8>, row: &Fields<'_>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD]);
    out.push(FORM);
    put_text(out, row.id);
    out.extend_from_slice(&row.at.0.to_le_bytes());
    for text in [row.system, row.route, row.caller, row.version] {
        put_text(out, text);
    }
    out.extend_from_slice(&row.generation.to_le_bytes());
    for text in [row.action, row.proposed, row.mode] {
        put_text(out, text);
    }
    out.extend_from_slice(&row.status.to_le_bytes());
    out.extend_from_slice(&row.took_ms.to_le_bytes());
    put_text(out, &row.request);
    out.extend_from_slice(&row.rows.to_le_bytes());
    out.extend_from_slice(&row.features_cut.to_le_bytes());
    put_text(out, &row.label);
    put_floats(out, &row.scores);
    put_count(out, row.signals.len());
    row.signals.iter().for_each(|name| put_text(out, name));
    put_floats(out, &row.signal_scores);
    put_floats(out, &row.features);
    let payload = out.len() - start - HEAD;
    let Some(length) = u32::try_from(payload).ok().filter(|_| payload <= MOST) else {
        out.truncate(start);
        return;
    };
    let digest = Digest::of(&out[start + HEAD..]);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEAD].copy_from_slice(&digest.0[..8]);
}

/// A length; what is too long for it is too long for a frame, which is then not written.
fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_floats(out: &mut Vec<u8>, values: &[f32]) {
    put_count(out, values.len());
    let start = out.len();
    out.resize(start + values.len() * 4, 0);
    let (places, _) = out[start..].as_chunks_mut::<4>();
    places.iter_mut().zip(values).for_each(|(place, value)| *place = value.to_le_bytes());
}

/// What is left of a payload.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn count(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = self.count()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn floats(&mut self) -> Option<Vec<f32>> {
        let count = self.count()?;
        let (values, _) = self.bytes(count.checked_mul(4)?)?.as_chunks::<4>();
        Some(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    fn texts(&mut self) -> Option<Vec<&'a str>> {
        let count = self.count()?;
        // Each takes four bytes at least.
        (count <= self.0.len() / 4).then(|| (0..count).map(|_| self.text()).collect())?
    }
}

fn frame(payload: &[u8]) -> Option<Row> {
    match payload.split_first()? {
        (&FORM, rest) => binary(Rest(rest)).map(|fields| fields.row()),
        (b'{', _) => json(payload),
        _ => None,
    }
}

fn binary(mut rest: Rest<'_>) -> Option<Fields<'_>> {
    let row = Fields {
        id: rest.text()?,
        at: Millis(u64::from_le_bytes(rest.array()?)),
        system: rest.text()?,
        route: rest.text()?,
        caller: rest.text()?,
        version: rest.text()?,
        generation: u64::from_le_bytes(rest.array()?),
        action: rest.text()?,
        proposed: rest.text()?,
        mode: rest.text()?,
        status: u16::from_le_bytes(rest.array()?),
        took_ms: f64::from_le_bytes(rest.array()?),
        request: rest.text()?.into(),
        rows: u32::from_le_bytes(rest.array()?),
        features_cut: u32::from_le_bytes(rest.array()?),
        label: rest.text()?.into(),
        scores: rest.floats()?.into(),
        signals: rest.texts()?,
        signal_scores: rest.floats()?.into(),
        features: rest.floats()?.into(),
    };
    rest.0.is_empty().then_some(row)
}

fn json(payload: &[u8]) -> Option<Row> {
    let end = payload.iter().position(|&byte| byte == b'\n')?;
    let mut row: Row = serde_json::from_slice(&payload[..end]).ok()?;
    let (values, rest) = payload[end + 1..].as_chunks::<4>();
    row.features = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    rest.is_empty().then_some(row)
}

/// The rows of frames that [`put_frame`] put behind one another.
pub(super) fn rows_of(frames: &[u8]) -> impl Iterator<Item = Fields<'_>> {
    let mut rest = frames;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_first_chunk::<HEAD>()?;
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let (payload, behind) = behind.split_at_checked(length)?;
        rest = behind;
        binary(Rest(payload.strip_prefix(&[FORM])?))
    })
}

/// Whole rows of a write-ahead, and how many frames were torn or damaged. Behind a damaged length nothing can be
/// found any more; a damaged payload costs its own row only.
pub(super) fn read_wal(path: &Path) -> Result<(Vec<Row>, usize), StoreError> {
    let file = File::open(path).map_err(io("read", path))?;
    let mut file = BufReader::new(file);
    let (mut rows, mut torn) = (Vec::new(), 0);
    let mut head = [0; HEAD];
    loop {
        match read_full(&mut file, &mut head).map_err(io("read", path))? {
            0 => return Ok((rows, torn)),
            HEAD => {}
            _ => return Ok((rows, torn + 1)),
        }
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if length > MOST {
            return Ok((rows, torn + 1));
        }
        let mut payload = vec![0; length];
        if read_full(&mut file, &mut payload).map_err(io("read", path))? < length {
            return Ok((rows, torn + 1));
        }
        let whole = Digest::of(&payload).0[..8] == head[4..];
        match frame(&payload).filter(|_| whole) {
            Some(row) => rows.push(row),
            None => torn += 1,
        }
    }
}

/// Fills the buffer as far as there is something; says how far.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(fault) if fault.kind() == std::io::ErrorKind::Interrupted => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Row {
        Row {
            id: "e".into(),
            at: Millis(u64::MAX),
            system: "s".into(),
            route: "r".into(),
            caller: "é".into(),
            version: "v".into(),
            generation: 7,
            action: "flag".into(),
            proposed: "refuse".into(),
            mode: "observe".into(),
            status: 499,
            took_ms: 0.1,
            request: "00ff".into(),
            rows: 2,
            features: vec![0.5, f32::MIN_POSITIVE],
            features_cut: 3,
            label: "9".into(),
            scores: vec![0.25, 0.75],
            signals: vec!["a".into(), String::new()],
            signal_scores: vec![1.5, 2.5],
        }
    }

    #[test]
    fn rows_come_back_from_both_forms_and_never_from_a_part_of_one() {
        let row = full();
        let mut bytes = Vec::new();
        put_frame(&mut bytes, &(&row).into());
        assert_eq!(frame(&bytes[HEAD..]), Some(row.clone()));
        for end in HEAD..bytes.len() {
            assert_eq!(frame(&bytes[HEAD..end]), None, "{end}");
        }
        // No count makes more room than the payload has bytes for.
        for at in HEAD + 1..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0xff;
            let _ = frame(&other[HEAD..]);
        }
        // Behind one another, as they travel to the writer.
        put_frame(&mut bytes, &(&Row { id: "f".into(), ..row.clone() }).into());
        let ids: Vec<String> = rows_of(&bytes).map(|fields| fields.row().id).collect();
        assert_eq!(
            (ids, rows_of(&bytes).next().map(|fields| fields.row())),
            (vec!["e".into(), "f".into()], Some(row.clone()))
        );
        let mut earlier = serde_json::to_vec(&Row { features: Vec::new(), ..row.clone() }).unwrap();
        earlier.push(b'\n');
        row.features.iter().for_each(|value| earlier.extend(value.to_le_bytes()));
        assert_eq!(frame(&earlier), Some(row));
    }
}
