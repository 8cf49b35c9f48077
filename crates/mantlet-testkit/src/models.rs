//! Models from text: graphs with edges, and weights with lists that lie.

use mantlet_formats::onnx::schema;
use prost::Message as _;

use crate::containers::{Block, blocks};
use crate::{ForgeError, forge};

fn dims(word: &str) -> Vec<u64> {
    word.split(',').filter_map(|extent| extent.parse().ok()).collect()
}

fn value_info(name: &str, dims: &[u64], elem_type: i32) -> schema::ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&extent| schema::Dimension {
            value: Some(schema::dimension::Value::DimValue(extent.cast_signed())),
            ..Default::default()
        })
        .collect();
    let tensor = schema::type_proto::Tensor { elem_type, shape: Some(schema::TensorShapeProto { dim }) };
    schema::ValueInfoProto {
        name: name.into(),
        r#type: Some(schema::TypeProto {
            value: Some(schema::type_proto::Value::TensorType(tensor)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn graph(text: &str) -> Result<Vec<u8>, ForgeError> {
    let mut graph = schema::GraphProto { name: "main".into(), ..Default::default() };
    for block in blocks(text) {
        let name = block.word(1)?.to_owned();
        match block.word(0)? {
            "input" => {
                let whole = block.option("int").is_some();
                graph.input.push(value_info(&name, &dims(block.word(2)?), if whole { 7 } else { 1 }));
            }
            "output" => graph.output.push(value_info(&name, &[], 1)),
            "weights" => {
                let dims = dims(block.word(2)?);
                let count: u64 = dims.iter().product();
                let mut state = count + 1;
                let mut value = || {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) as f32 / (1_u64 << 31) as f32 - 0.5
                };
                let random = block.option("random").is_some();
                let values = (0..count).map(|_| if random { value() } else { 0.0 });
                let raw: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
                graph.initializer.push(schema::TensorProto {
                    name,
                    data_type: 1,
                    dims: dims.iter().map(|&extent| extent.cast_signed()).collect(),
                    raw_data: raw.into(),
                    ..Default::default()
                });
            }
            "values" => {
                let values: Vec<f32> = block.words[2..].iter().filter_map(|word| word.parse().ok()).collect();
                let whole = block.words.iter().any(|word| word == "int");
                let raw: Vec<u8> = if whole {
                    values.iter().flat_map(|&value| (value as i64).to_le_bytes()).collect()
                } else {
                    values.iter().flat_map(|value| value.to_le_bytes()).collect()
                };
                graph.initializer.push(schema::TensorProto {
                    name,
                    data_type: if whole { 7 } else { 1 },
                    dims: if values.len() == 1 { vec![] } else { vec![values.len() as i64] },
                    raw_data: raw.into(),
                    ..Default::default()
                });
            }
            _ => graph.node.push(node(&block, name)?),
        }
    }
    let model = schema::ModelProto {
        ir_version: 8,
        producer_name: "forge".into(),
        opset_import: vec![schema::OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(graph),
        ..Default::default()
    };
    Ok(model.encode_to_vec())
}

fn node(block: &Block, name: String) -> Result<schema::NodeProto, ForgeError> {
    let mut attribute = Vec::new();
    if let Some(axes) = block.option("axes") {
        attribute.push(schema::AttributeProto {
            name: "axes".into(),
            r#type: 7,
            ints: dims(axes).into_iter().map(u64::cast_signed).collect(),
            ..Default::default()
        });
    }
    for key in ["to", "axis"] {
        if let Some(value) = block.option(key).and_then(|value| value.parse().ok()) {
            let name = key.into();
            attribute.push(schema::AttributeProto { name, r#type: 2, i: Some(value), ..Default::default() });
        }
    }
    Ok(schema::NodeProto {
        op_type: block.word(2)?.to_owned(),
        input: block.word(3)?.split(',').map(str::to_owned).collect(),
        name: name.clone(),
        output: vec![name],
        attribute,
        ..Default::default()
    })
}

pub(crate) fn gguf(text: &str) -> Result<Vec<u8>, ForgeError> {
    let (mut entries, mut tensors) = (Vec::new(), Vec::new());
    let (mut entry_count, mut tensor_count) = (0_u64, 0_u64);
    let (mut declared, mut data, mut tail, mut next) = (None, 0, Vec::new(), 0_u64);
    let string = |text: &str| [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat();
    for block in blocks(text) {
        match block.word(0)? {
            "text" => {
                entries.extend(string(block.word(1)?));
                entries.extend(8_u32.to_le_bytes());
                entries.extend(string(&block.words[2..].join(" ")));
                entry_count += 1;
            }
            "number" => {
                entries.extend(string(block.word(1)?));
                entries.extend(4_u32.to_le_bytes());
                entries.extend((block.number(2)? as u32).to_le_bytes());
                entry_count += 1;
            }
            "tensor" => {
                let kind = block.number(2)?;
                let shape = dims(block.word(3)?);
                let offset = block.option("offset").and_then(|offset| offset.parse().ok()).unwrap_or(next);
                tensors.extend(string(block.word(1)?));
                tensors.extend((shape.len() as u32).to_le_bytes());
                tensors.extend(shape.iter().flat_map(|extent| extent.to_le_bytes()));
                tensors.extend((kind as u32).to_le_bytes());
                tensors.extend(offset.to_le_bytes());
                let count = shape.iter().fold(1_u64, |count, &extent| count.wrapping_mul(extent));
                let bytes = if kind == 2 { count / 32 * 18 } else { count.wrapping_mul(4) };
                next = next.wrapping_add(bytes.checked_next_multiple_of(32).unwrap_or(0));
                tensor_count += 1;
            }
            "entries" => declared = Some(block.number(1)?),
            "data" => data = block.number(1)? as usize,
            _ => tail = block.words[1..].join(" ").into_bytes(),
        }
    }
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    out.extend(tensor_count.to_le_bytes());
    out.extend(declared.unwrap_or(entry_count).to_le_bytes());
    out.extend(entries);
    out.extend(tensors);
    out.resize(out.len().next_multiple_of(32), 0);
    out.resize(out.len() + data, 0);
    out.extend(tail);
    Ok(out)
}

/// A file of the newer kind: a root group with attributes, data sets and external links. Checksums are left
/// out.
pub(crate) fn hdf5(text: &str) -> Result<Vec<u8>, ForgeError> {
    let message = |kind: u8, body: &[u8]| {
        let mut out = vec![kind];
        out.extend((body.len() as u16).to_le_bytes());
        out.push(0);
        out.extend(body);
        out
    };
    let header = |messages: &[u8]| {
        let mut out = b"OHDR\x02\x02".to_vec();
        out.extend((messages.len() as u32).to_le_bytes());
        out.extend(messages);
        out.extend([0; 4]);
        out
    };
    let link = |name: &str, kind: u8, value: &[u8]| {
        let mut body = vec![1, 8, kind, name.len() as u8];
        body.extend(name.as_bytes());
        body.extend(value);
        message(6, &body)
    };
    let (mut root, mut later, mut tail) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks(text) {
        let name = block.word(1)?;
        match block.word(0)? {
            "attribute" => {
                let value = block.words[2..].join(" ");
                let mut body = vec![3, 0];
                for len in [name.len() + 1, 8, 4] {
                    body.extend((len as u16).to_le_bytes());
                }
                body.push(0);
                body.extend(name.as_bytes());
                body.extend([0, 0x13, 0, 0, 0]);
                body.extend((value.len() as u32).to_le_bytes());
                body.extend([2, 0, 0, 0]);
                body.extend(value.as_bytes());
                root.extend(message(0x0c, &body));
            }
            "link" => {
                let mut value = vec![0];
                value.extend(block.word(2)?.as_bytes());
                value.extend(b"\0/x\0");
                let value = [&(value.len() as u16).to_le_bytes()[..], &value].concat();
                root.extend(link(name, 64, &value));
            }
            "dataset" => later.push((name.to_owned(), block.number(2)?, true)),
            // Values that are claimed and not there.
            "claim" => later.push((name.to_owned(), block.number(2)?, false)),
            _ => tail = block.words[1..].join(" ").into_bytes(),
        }
    }
    // The links to the data sets take this much room in the root's header.
    let links: usize = later.iter().map(|(name, ..)| 4 + 4 + name.len() + 8).sum();
    let mut address = 48 + 10 + root.len() as u64 + links as u64 + 4;
    let mut objects = Vec::new();
    for (name, count, stored) in &later {
        root.extend(link(name, 0, &address.to_le_bytes()));
        let mut messages = message(1, &[&[2, 1, 0, 1][..], &count.to_le_bytes()].concat());
        messages.extend(message(
            3,
            &[&[0x11, 0x20, 31, 0, 4, 0, 0, 0][..], &[0, 0, 32, 0, 23, 8, 0, 23], &[127, 0, 0, 0]].concat(),
        ));
        let size = (messages.len() + 4 + 18 + 14) as u64;
        let data = if *stored { address + size } else { u64::MAX };
        messages.extend(message(8, &[&[3, 1][..], &data.to_le_bytes(), &(count * 4).to_le_bytes()].concat()));
        let mut object = header(&messages);
        if *stored {
            object.resize(object.len() + *count as usize * 4, 0);
        }
        address += object.len() as u64;
        objects.extend(object);
    }
    let body = [header(&root), objects].concat();
    let mut out = b"\x89HDF\r\n\x1a\n\x02\x08\x08\0".to_vec();
    for address in [0, u64::MAX, 48 + body.len() as u64, 48] {
        out.extend(address.to_le_bytes());
    }
    out.extend([0; 4]);
    out.extend(body);
    out.extend(tail);
    Ok(out)
}

/// A safetensors file with one tensor of float weights, and what was done to them: `values N`, `payload N`
/// (text in the low byte of the first values), `coarse`, `rows N OF`, `spike`, `bits N`, `trained`, `same`;
/// `torch` makes it an archive of torch.
pub(crate) fn floats(text: &str) -> Result<Vec<u8>, ForgeError> {
    let mut values = 40_000_usize;
    let mut rows = 1_000;
    let mut torch = false;
    let mut changes: Vec<(String, usize)> = Vec::new();
    for block in blocks(text) {
        let number = block.number(1).unwrap_or(0) as usize;
        match block.word(0)? {
            "values" => values = number,
            "torch" => torch = true,
            other => changes.push((other.to_owned(), number)),
        }
        if let Ok(of) = block.number(2) {
            rows = of as usize;
        }
    }
    let mut state = 7_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f32 / (1_u64 << 31) as f32 - 0.5
    };
    let mut weights: Vec<u32> = (0..values).map(|_| noise().powi(3).to_bits()).collect();
    let row = values / rows;
    let words = b"nothing to see here, only plain text in the lowest byte of the weights. ";
    for (change, number) in changes {
        for (index, weight) in weights.iter_mut().enumerate() {
            let value = f32::from_bits(*weight);
            match change.as_str() {
                "payload" if index < number => {
                    *weight = *weight & !0xff | u32::from(words[index % words.len()]);
                }
                "coarse" => *weight &= !0xfff,
                "rows" if index / row < number => *weight = (value + 0.1).to_bits(),
                "spike" if index == 5 => *weight = 4_000.0_f32.to_bits(),
                "bits" => *weight ^= (noise() * 1e6) as i32 as u32 & ((1 << number) - 1),
                "trained" => *weight = (value + noise() * 1e-4).to_bits(),
                _ => {}
            }
        }
    }
    let bytes: Vec<u8> = weights.into_iter().flat_map(u32::to_le_bytes).collect();
    if torch {
        return torch_archive(&bytes, values, rows);
    }
    let len = values * 4;
    let header =
        format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{rows},{row}],\"data_offsets\":[0,{len}]}}}}");
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(bytes);
    Ok(out)
}

/// One tensor of floats as torch saves it.
fn torch_archive(bytes: &[u8], values: usize, rows: usize) -> Result<Vec<u8>, ForgeError> {
    let row = values / rows;
    let pickle = format!(
        "PROTO 2\nGLOBAL torch._utils _rebuild_tensor_v2\nMARK\nMARK\nTEXT \"storage\"\n\
         GLOBAL torch FloatStorage\nTEXT \"0\"\nTEXT \"cpu\"\nBININT {values}\nTUPLE\nBINPERSID\nBININT1 0\n\
         BININT {rows}\nBININT {row}\nTUPLE2\nBININT {row}\nBININT1 1\nTUPLE2\nNEWFALSE\n\
         GLOBAL collections OrderedDict\nEMPTY_TUPLE\nREDUCE\nTUPLE\nREDUCE\nSTOP\n"
    );
    let indented: String = pickle.lines().map(|line| format!("  {line}\n")).collect();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    forge("zip", &format!("member m/data.pkl pickle\n{indented}member m/data/0 hex\n  {hex}\n"))
}
