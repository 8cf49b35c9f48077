//! Models from text: graphs with edges, and weights with lists that lie.

use mantlet_formats::onnx::schema;
use prost::Message as _;

use crate::ForgeError;
use crate::containers::{Block, blocks};

fn dims(word: &str) -> Vec<u64> {
    word.split(',').filter_map(|extent| extent.parse().ok()).collect()
}

fn value_info(name: &str, dims: &[u64]) -> schema::ValueInfoProto {
    let dim = dims
        .iter()
        .map(|&extent| schema::Dimension {
            value: Some(schema::dimension::Value::DimValue(extent.cast_signed())),
            ..Default::default()
        })
        .collect();
    let tensor = schema::type_proto::Tensor { elem_type: 1, shape: Some(schema::TensorShapeProto { dim }) };
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
            "input" => graph.input.push(value_info(&name, &dims(block.word(2)?))),
            "output" => graph.output.push(value_info(&name, &[])),
            "weights" => {
                let dims = dims(block.word(2)?);
                let count: u64 = dims.iter().product();
                graph.initializer.push(schema::TensorProto {
                    name,
                    data_type: 1,
                    dims: dims.iter().map(|&extent| extent.cast_signed()).collect(),
                    raw_data: vec![0_u8; count as usize * 4].into(),
                    ..Default::default()
                });
            }
            "values" => {
                let values: Vec<f32> = block.words[2..].iter().filter_map(|word| word.parse().ok()).collect();
                let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                graph.initializer.push(schema::TensorProto {
                    name,
                    data_type: 1,
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
