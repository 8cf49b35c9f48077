//! Containers from text, with the options that make them lie.

use std::io::Write as _;

use mantlet_formats::onnx::schema;
use prost::Message as _;

use crate::{ForgeError, forge};

/// A heading line and the indented text below it.
pub(crate) struct Block {
    pub(crate) line: usize,
    pub(crate) words: Vec<String>,
    pub(crate) text: String,
}

pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(inner) = line.strip_prefix("  ") {
            if let Some(block) = blocks.last_mut() {
                block.text.push_str(inner);
                block.text.push('\n');
            }
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            let words = line.split_whitespace().map(str::to_owned).collect();
            blocks.push(Block { line: index + 1, words, text: String::new() });
        }
    }
    blocks
}

impl Block {
    pub(crate) fn word(&self, index: usize) -> Result<&str, ForgeError> {
        self.words
            .get(index)
            .map(String::as_str)
            .ok_or_else(|| ForgeError::new(self.line, "a word is missing", &self.words.join(" ")))
    }

    pub(crate) fn number(&self, index: usize) -> Result<u64, ForgeError> {
        let word = self.word(index)?;
        word.parse().map_err(|_| ForgeError::new(self.line, "not a number", word))
    }

    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        self.words.iter().skip(3).find_map(|word| {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            (key == name).then_some(value)
        })
    }
}

fn name(word: &str) -> String {
    word.replace("%20", " ")
}

pub(crate) fn compressed(kind: &str, text: &str) -> Result<Vec<u8>, ForgeError> {
    let mut out = Vec::new();
    for block in blocks(text) {
        let bytes = forge(block.word(0)?, &block.text)?;
        out.extend(deflated(kind, &bytes));
    }
    Ok(out)
}

fn deflated(kind: &str, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let written = match kind {
        "gzip" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).and_then(|()| encoder.finish())
        }
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).and_then(|()| encoder.finish())
        }
        _ => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(bytes).and_then(|()| encoder.finish())
        }
    };
    written.unwrap_or_default()
}

/// Options of a member: `deflate`, `local=NAME`, `crc=N`, `encrypted`, `unlisted`, `later` (sizes after the
/// data), `mode=OCTAL`.
pub(crate) fn zip(text: &str) -> Result<Vec<u8>, ForgeError> {
    let (mut out, mut directory, mut listed) = (Vec::new(), Vec::new(), 0_u16);
    for block in blocks(text) {
        match block.word(0)? {
            "prefix" => {
                out.extend(forge(block.word(1)?, &block.text)?);
                continue;
            }
            "no-end" => return Ok(out),
            _ => {}
        }
        let plain = forge(block.word(2)?, &block.text)?;
        let deflate = block.option("deflate").is_some();
        let data = if deflate { deflated("raw", &plain) } else { plain.clone() };
        let mut crc = flate2::Crc::new();
        crc.update(&plain);
        let crc = block.option("crc").and_then(|crc| crc.parse().ok()).unwrap_or(crc.sum());
        let later = block.option("later").is_some();
        let flags = u16::from(block.option("encrypted").is_some()) | u16::from(later) << 3;
        let method: u16 = if deflate { 8 } else { 0 };
        let file = name(block.word(1)?);
        let local = block.option("local").map_or_else(|| file.clone(), name);
        let header = out.len() as u32;
        let sizes = |known: bool| {
            let mut fields = Vec::new();
            for value in [crc, data.len() as u32, plain.len() as u32] {
                fields.extend((if known { value } else { 0 }).to_le_bytes());
            }
            fields
        };
        out.extend(b"PK\x03\x04\x14\0");
        out.extend(flags.to_le_bytes());
        out.extend(method.to_le_bytes());
        out.extend([0; 4]);
        out.extend(sizes(!later));
        out.extend((local.len() as u16).to_le_bytes());
        out.extend([0; 2]);
        out.extend(local.as_bytes());
        out.extend(&data);
        if later {
            out.extend(b"PK\x07\x08");
            out.extend(sizes(true));
        }
        if block.option("unlisted").is_some() {
            continue;
        }
        let mode = block.option("mode").and_then(|mode| u32::from_str_radix(mode, 8).ok());
        directory.extend(b"PK\x01\x02\x14");
        directory.push(if mode.is_some() { 3 } else { 0 });
        directory.extend(b"\x14\0");
        directory.extend(flags.to_le_bytes());
        directory.extend(method.to_le_bytes());
        directory.extend([0; 4]);
        directory.extend(sizes(true));
        directory.extend((file.len() as u16).to_le_bytes());
        directory.extend([0; 8]);
        directory.extend((mode.unwrap_or(0) << 16).to_le_bytes());
        directory.extend(header.to_le_bytes());
        directory.extend(file.as_bytes());
        listed += 1;
    }
    let start = out.len() as u32;
    let len = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(listed.to_le_bytes());
    out.extend(listed.to_le_bytes());
    out.extend(len.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0; 2]);
    Ok(out)
}

pub(crate) fn tar(text: &str) -> Result<Vec<u8>, ForgeError> {
    let mut out = Vec::new();
    for block in blocks(text) {
        let (data, kind, link) = match block.word(0)? {
            "link" => (Vec::new(), b'2', block.word(2)?),
            _ => (forge(block.word(2)?, &block.text)?, b'0', ""),
        };
        let mut header = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, name(block.word(1)?).as_bytes());
        put(100, b"0000644\0");
        put(124, format!("{:011o}\0", data.len()).as_bytes());
        put(148, b"        ");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(header);
        out.extend(&data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.extend([0; 1024]);
    Ok(out)
}

pub(crate) fn npy(text: &str) -> Result<Vec<u8>, ForgeError> {
    let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
    let mut out = b"\x93NUMPY\x01\0".to_vec();
    out.extend((header.len() as u16 + 1).to_le_bytes());
    out.extend(header.as_bytes());
    out.push(b'\n');
    for block in blocks(rest) {
        match block.word(0)? {
            "data" => out.resize(out.len() + block.number(1)? as usize, 0),
            kind => out.extend(forge(kind, &block.text)?),
        }
    }
    Ok(out)
}

pub(crate) fn safetensors(text: &str) -> Result<Vec<u8>, ForgeError> {
    let (header, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (mut length, mut data) = (header.len() as u64, 0);
    for block in blocks(rest) {
        match block.word(0)? {
            "length" => length = block.number(1)?,
            _ => data = block.number(1)? as usize,
        }
    }
    let mut out = length.to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.resize(out.len() + data, 0);
    Ok(out)
}

pub(crate) fn onnx(text: &str) -> Result<Vec<u8>, ForgeError> {
    let domain = |word: &str| if word == "-" { String::new() } else { word.to_owned() };
    let mut model = schema::ModelProto { ir_version: 8, producer_name: "forge".into(), ..Default::default() };
    let mut graph = schema::GraphProto { name: "main".into(), ..Default::default() };
    for block in blocks(text) {
        match block.word(0)? {
            "node" => graph.node.push(schema::NodeProto {
                domain: domain(block.word(1)?),
                op_type: block.word(2)?.to_owned(),
                ..Default::default()
            }),
            "subgraph" => {
                let inner = schema::GraphProto {
                    node: vec![schema::NodeProto {
                        domain: domain(block.word(1)?),
                        op_type: block.word(2)?.to_owned(),
                        ..Default::default()
                    }],
                    ..Default::default()
                };
                let attribute = schema::AttributeProto {
                    name: "then_branch".into(),
                    g: Some(Box::new(inner)),
                    ..Default::default()
                };
                graph.node.push(schema::NodeProto {
                    op_type: "If".into(),
                    attribute: vec![attribute],
                    ..Default::default()
                });
            }
            "function" => model.functions.push(schema::FunctionProto {
                domain: domain(block.word(1)?),
                name: block.word(2)?.to_owned(),
                node: block.words[3..]
                    .iter()
                    .map(|call| schema::NodeProto {
                        domain: domain(&block.words[1]),
                        op_type: call.to_string(),
                        ..Default::default()
                    })
                    .collect(),
                ..Default::default()
            }),
            "property" => model.metadata_props.push(schema::StringStringEntryProto {
                key: block.word(1)?.to_owned(),
                value: block.words[2..].join(" "),
            }),
            "external" => graph.initializer.push(schema::TensorProto {
                name: block.word(1)?.to_owned(),
                data_type: 1,
                dims: vec![1],
                data_location: 1,
                external_data: vec![schema::StringStringEntryProto {
                    key: "location".into(),
                    value: name(block.word(2)?),
                }],
                ..Default::default()
            }),
            _ => graph.initializer.push(schema::TensorProto {
                name: block.word(1)?.to_owned(),
                data_type: 1,
                dims: vec![block.number(2)?.cast_signed()],
                raw_data: vec![0_u8; block.number(3)? as usize].into(),
                ..Default::default()
            }),
        }
    }
    model.opset_import.push(schema::OperatorSetIdProto { domain: String::new(), version: 17 });
    model.graph = Some(graph);
    Ok(model.encode_to_vec())
}
