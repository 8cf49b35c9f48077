//! Programs put together field by field: what decides over what, through jumps and through XNNPACK.

use mantlet_vocab::MemorySource;

use super::graph::graph;
use super::{TENSOR, program as facts_of, xnnpack};
use crate::flat::forge::{self, Field};

fn number(kind: u32, value: Field) -> Vec<Field> {
    vec![Field::Number(kind), Field::Table(vec![value])]
}

/// A tensor; a constant one lies in the buffer of that number.
fn tensor(sizes: &[u32], buffer: u32) -> Vec<Field> {
    let nothing = || Field::Nothing;
    let allocated = if buffer > 0 { nothing() } else { Field::Table(vec![Field::Number(1)]) };
    let fields = vec![
        Field::Number(6),
        nothing(),
        Field::Numbers(sizes.to_vec()),
        Field::Bytes((0..sizes.len() as u8).collect()),
        nothing(),
        Field::Number(buffer),
        allocated,
    ];
    vec![Field::Number(TENSOR as u32), Field::Table(fields)]
}

fn call(kind: u32, index: u32, operands: &[u32]) -> Vec<Field> {
    let fields = vec![Field::Number(index), Field::Numbers(operands.to_vec())];
    vec![Field::Number(kind), Field::Table(fields)]
}

fn jump(condition: u32, target: u32) -> Vec<Field> {
    vec![Field::Number(4), Field::Table(vec![Field::Number(condition), Field::Number(target)])]
}

fn moved(source: u32, target: u32) -> Vec<Field> {
    vec![Field::Number(3), Field::Table(vec![Field::Number(source), Field::Number(target)])]
}

const OPERATORS: [&str; 6] =
    ["aten::linear", "aten::amax", "aten::gt", "aten::where", "aten::mul", "aten::relu"];

/// x (0), weights (1), y (2), z (3), largest (4), 0.9 (5), answer (6), another (7), the output (8).
fn program(steps: Vec<Vec<Field>>, delegate: Option<Vec<u8>>) -> Vec<u8> {
    let values = vec![
        tensor(&[1, 8], 0),
        tensor(&[8, 8], 1),
        tensor(&[1, 8], 0),
        tensor(&[1, 8], 0),
        tensor(&[1, 1], 0),
        number(4, Field::Double(0.9)),
        tensor(&[1, 1], 0),
        tensor(&[1, 8], 2),
        tensor(&[1, 8], 0),
        number(3, Field::Number(0)),
    ];
    let operators = OPERATORS.iter().map(|name| vec![Field::Bytes(name.as_bytes().to_vec())]).collect();
    let delegates = match delegate {
        Some(_) => vec![vec![
            Field::Bytes(xnnpack::NAME.into()),
            Field::Table(vec![Field::Nothing, Field::Number(0)]),
        ]],
        None => Vec::new(),
    };
    let plan = vec![
        Field::Bytes(b"forward".to_vec()),
        Field::Nothing,
        Field::Tables(values),
        Field::Numbers(vec![0]),
        Field::Numbers(vec![8]),
        Field::Tables(vec![vec![Field::Nothing, Field::Nothing, Field::Tables(steps)]]),
        Field::Tables(operators),
        Field::Tables(delegates),
    ];
    let small: Vec<u8> = (0..64_u32).flat_map(|n| (n as f32 / 64.0).to_le_bytes()).collect();
    let buffers = [vec![], small.clone(), small[..32].to_vec()];
    let root = vec![
        Field::Number(0),
        Field::Tables(vec![plan]),
        Field::Tables(buffers.into_iter().map(|bytes| vec![Field::Bytes(bytes)]).collect()),
        Field::Tables(delegate.into_iter().map(|bytes| vec![Field::Bytes(bytes)]).collect()),
    ];
    forge::build(b"ET12", root)
}

fn found(bytes: &[u8]) -> usize {
    let source = MemorySource::new(bytes);
    let facts = facts_of(&source);
    assert_eq!((facts.defects.len(), facts.code.len()), (0, 0), "{facts:?}");
    graph(&source).overrides().len()
}

/// Two layers; then the largest of `of`, whether it is above a number, and what `last` makes of that.
fn asked(of: u32, last: Vec<Vec<Field>>) -> Vec<u8> {
    let mut steps = vec![
        call(1, 0, &[0, 1, 2, 2]),
        call(1, 0, &[2, 1, 3, 3]),
        call(1, 1, &[of, 5, 4, 4]),
        call(1, 2, &[4, 5, 6, 6]),
    ];
    steps.extend(last);
    program(steps, None)
}

#[test]
fn an_answer_about_the_raw_input_that_decides_is_found() {
    let chosen = || vec![call(1, 3, &[6, 7, 3, 8, 8])];
    assert_eq!((found(&asked(0, chosen())), found(&asked(3, chosen()))), (1, 0));
    let factor = || vec![call(1, 4, &[3, 6, 8, 8])];
    assert_eq!((found(&asked(0, factor())), found(&asked(2, factor()))), (1, 0));
    assert_eq!(found(&asked(0, vec![call(1, 5, &[3, 8, 8])])), 0, "nobody hears the answer");
}

#[test]
fn jumps_are_choices() {
    // Steps 4 to 8: if not 6 go to 7; 8 = 7; over; 8 = 3.
    let ways = || vec![jump(6, 7), moved(7, 8), jump(9, 8), moved(3, 8)];
    assert_eq!((found(&asked(0, ways())), found(&asked(3, ways()))), (1, 0));
    assert_eq!(
        found(&asked(0, vec![moved(3, 8), jump(6, 6), call(1, 5, &[3, 8, 8])])),
        0,
        "both are learned"
    );
}

/// A graph for XNNPACK: x, weights, two layers, the largest of `of`, a steep gate, a product.
fn handed(of: u32, factor: f32) -> Vec<u8> {
    let value = |id: u32, sizes: &[u32], constant: u32| {
        let fields = vec![
            Field::Number(1),
            Field::Number(sizes.len() as u32),
            Field::Numbers(sizes.to_vec()),
            Field::Number(constant),
            Field::Nothing,
            Field::Nothing,
            Field::Number(id),
        ];
        vec![Field::Number(1), Field::Table(fields)]
    };
    let node = |kind: u32, fields: &[u32]| {
        let fields = fields.iter().map(|field| Field::Number(*field)).collect();
        vec![Field::Number(kind), Field::Table(fields)]
    };
    let pool = [0, 0, 0, 0, 1, 8, 1, 1, 1, 1, of, 4];
    let root = vec![
        Field::Bytes(b"1".to_vec()),
        Field::Tables(vec![
            node(2, &[0, 1, u32::MAX, 2]),
            node(2, &[2, 1, u32::MAX, 3]),
            node(14, &pool),
            node(15, &[4, 5, 6]),
            node(4, &[6, 7]),
            node(15, &[3, 7, 8]),
        ]),
        Field::Tables(vec![
            value(0, &[1, 8], 0),
            value(1, &[8, 8], 1),
            value(2, &[1, 8], 0),
            value(3, &[1, 8], 0),
            value(4, &[1, 1], 0),
            value(5, &[1, 1], 2),
            value(6, &[1, 1], 0),
            value(7, &[1, 1], 0),
            value(8, &[1, 8], 0),
        ]),
        Field::Number(2),
        Field::Numbers(vec![0]),
        Field::Numbers(vec![8]),
        Field::Nothing,
        Field::Nothing,
        Field::Tables(vec![
            vec![Field::Number(0), Field::Number(0)],
            vec![Field::Number(0), Field::Number(256)],
            vec![Field::Number(256), Field::Number(4)],
        ]),
    ];
    let flat = forge::build(b"XN01", root);
    let mut bytes = b"\0\0\0\0XH00".to_vec();
    bytes.extend(30_u16.to_le_bytes());
    for number in [32, flat.len() as u32, 32 + flat.len() as u32] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.resize(32, 0);
    bytes.extend(flat);
    bytes.extend((0..64_u32).flat_map(|n| (n as f32 / 64.0).to_le_bytes()));
    bytes.extend(factor.to_le_bytes());
    bytes
}

#[test]
fn graphs_that_are_handed_to_xnnpack_are_followed() {
    let whole = |of: u32, factor: f32| program(vec![call(2, 0, &[0, 8])], Some(handed(of, factor)));
    assert_eq!((found(&whole(0, 900.0)), found(&whole(3, 900.0))), (1, 0));
    let limits = |bytes: &[u8]| facts_of(&MemorySource::new(bytes)).limits;
    assert_eq!(limits(&whole(0, 1.0)), [""; 0]);
    let unknown = program(vec![call(2, 0, &[0, 8])], Some(b"\0\0\0\0ZZ00 compiled".to_vec()));
    assert_eq!(limits(&unknown), ["the graph that it hands to `XnnpackBackend` is not followed"]);
}

#[test]
fn every_prefix_ends() {
    let bytes = asked(0, vec![jump(6, 0), jump(6, 7), moved(7, 8), jump(9, 8), moved(3, 8)]);
    for len in 0..bytes.len() {
        let _ = graph(&MemorySource::new(&bytes[..len]));
    }
}
