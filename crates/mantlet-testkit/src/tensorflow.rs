//! TensorFlow models from text: saved models as protobuf, TensorFlow Lite as a flatbuffer.

use crate::ForgeError;
use crate::containers::blocks;

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), varint(bytes.len() as u64), bytes.to_vec()].concat()
}

/// A saved model with one meta graph.
pub(crate) fn saved_model(text: &str) -> Result<Vec<u8>, ForgeError> {
    let (mut main, mut functions, mut assets) = (Vec::new(), Vec::new(), Vec::new());
    let mut open: Option<Vec<u8>> = None;
    let mut cut = 0;
    for block in blocks(text) {
        let name = block.word(1)?;
        let node = match block.word(0)? {
            "function" => {
                functions.extend(open.take().map(|open| field(1, &open)).into_iter().flatten());
                open = Some(field(1, &field(1, name.as_bytes())));
                continue;
            }
            "asset" => {
                assets.extend(field(6, &field(2, name.as_bytes())));
                continue;
            }
            "cut" => {
                cut = block.number(1)? as usize;
                continue;
            }
            "const" => {
                let tensor = field(8, block.words[2..].join(" ").as_bytes());
                let value = [field(1, b"value"), field(2, &field(8, &tensor))].concat();
                [field(1, name.as_bytes()), field(2, b"Const"), field(5, &value)].concat()
            }
            _ => {
                let mut node = [field(1, name.as_bytes()), field(2, block.word(2)?.as_bytes())].concat();
                for input in block.words.get(3).into_iter().flat_map(|inputs| inputs.split(',')) {
                    node.extend(field(3, input.as_bytes()));
                }
                node
            }
        };
        match &mut open {
            Some(function) => function.extend(field(3, &node)),
            None => main.extend(field(1, &node)),
        }
    }
    functions.extend(open.take().map(|open| field(1, &open)).into_iter().flatten());
    if !functions.is_empty() {
        main.extend(field(2, &functions));
    }
    main.truncate(main.len() - cut);
    let meta = [field(1, b""), field(2, &main), assets].concat();
    Ok([vec![8, 1], field(2, &meta)].concat())
}

/// A model with operator codes and one empty graph. Each table stands right behind its list of fields.
pub(crate) fn lite(text: &str) -> Result<Vec<u8>, ForgeError> {
    let mut codes: Vec<(u64, Option<String>)> = Vec::new();
    let (mut tail, mut lie) = (0, false);
    for block in blocks(text) {
        match block.word(0)? {
            "builtin" => codes.push((block.number(1)?, None)),
            "custom" => codes.push((32, Some(block.word(1)?.to_owned()))),
            "tail" => tail = block.number(1)? as usize,
            _ => lie = true,
        }
    }
    let mut out = vec![0_u8; 8];
    out[4..8].copy_from_slice(b"TFL3");
    // Gives the place of the table and of its fields, all of four bytes.
    let table = |out: &mut Vec<u8>, present: &[bool]| {
        let list = out.len();
        let size = 4 + 2 * present.len();
        let own = 4 + 4 * present.iter().filter(|&&present| present).count();
        out.extend((size as u16).to_le_bytes());
        out.extend((own as u16).to_le_bytes());
        let mut next = 4_u16;
        let mut places = Vec::new();
        let at = list + size.next_multiple_of(4);
        for &present in present {
            out.extend((if present { next } else { 0 }).to_le_bytes());
            places.push(at + next as usize);
            next += if present { 4 } else { 0 };
        }
        out.resize(at, 0);
        out.extend((at as i32 - list as i32).to_le_bytes());
        out.resize(at + own, 0);
        (at, places)
    };
    let put =
        |out: &mut Vec<u8>, at: usize, value: u32| out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let point = |out: &mut Vec<u8>, at: usize, to: usize| {
        out[at..at + 4].copy_from_slice(&((to - at) as u32).to_le_bytes())
    };
    let (root, model) = table(&mut out, &[true, true, true, false, true]);
    put(&mut out, 0, root as u32);
    put(&mut out, model[0], 3);
    for (field, count) in [(1, codes.len()), (2, 1), (4, 1)] {
        let at = out.len();
        point(&mut out, model[field], at);
        out.extend((count as u32).to_le_bytes());
        out.resize(at + 4 + 4 * count, 0);
        for index in 0..count {
            let present: &[bool] = if field == 1 { &[true, true, false, true] } else { &[] };
            let (inner, places) = table(&mut out, present);
            point(&mut out, at + 4 + 4 * index, inner);
            if let (1, Some((code, name))) = (field, codes.get(index)) {
                put(&mut out, places[0], *code as u32);
                put(&mut out, places[3], *code as u32);
                let text = out.len();
                point(&mut out, places[1], text);
                let name = name.clone().unwrap_or_default();
                out.extend((name.len() as u32).to_le_bytes());
                out.extend(name.as_bytes());
                out.resize(out.len().next_multiple_of(4) + 4, 0);
            }
        }
        if lie && field == 1 {
            put(&mut out, at, 1 << 28);
        }
    }
    out.resize(out.len() + tail, 7);
    Ok(out)
}
