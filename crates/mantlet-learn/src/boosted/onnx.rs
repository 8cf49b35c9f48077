//! Boosted trees as an ONNX file: `ai.onnx.ml` TreeEnsembleClassifier, the same bytes for the same trees.

use mantlet_formats::onnx::schema::{
    AttributeProto, AttributeType, DataType, Dimension, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto, dimension, type_proto,
};
use prost::Message as _;

use super::{Boosted, Tree};

impl Boosted {
    /// The trees as an ONNX model that takes rows of values as `input` and gives the name of a class as `label` and a
    /// chance for each class as `probabilities`. Classes without a name are called by their number.
    #[must_use]
    pub fn to_onnx(&self, name: &str, classes: &[&str]) -> Vec<u8> {
        let mut nodes = Nodes::default();
        let outputs = self.base.len();
        for (index, tree) in self.trees.iter().enumerate() {
            nodes.tree(tree, index as i64, (outputs > 1).then_some(index % outputs));
        }
        let base: Vec<f32> = match self.base.as_slice() {
            [one] => vec![-0.5 * one, 0.5 * one],
            many => many.to_vec(),
        };
        let names = (0..self.classes)
            .map(|at| classes.get(at).map_or_else(|| at.to_string(), |own| (*own).to_owned()));
        let attribute = nodes.attributes(&names.collect::<Vec<_>>(), base);
        let node = NodeProto {
            input: vec!["input".to_owned()],
            output: vec!["label".to_owned(), "probabilities".to_owned()],
            name: "trees".to_owned(),
            op_type: "TreeEnsembleClassifier".to_owned(),
            domain: "ai.onnx.ml".to_owned(),
            attribute,
            ..NodeProto::default()
        };
        let (rows, float) = (dimension::Value::DimParam("N".to_owned()), DataType::Float);
        let width = |wide: usize| dimension::Value::DimValue(wide as i64);
        let graph = GraphProto {
            node: vec![node],
            name: name.to_owned(),
            input: vec![port("input", float, vec![rows.clone(), width(self.features)])],
            output: vec![
                port("label", DataType::String, vec![rows.clone()]),
                port("probabilities", float, vec![rows, width(self.classes)]),
            ],
            ..GraphProto::default()
        };
        let version = |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        ModelProto {
            ir_version: 8,
            producer_name: "mantlet".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(graph),
            opset_import: vec![version("", 17), version("ai.onnx.ml", 3)],
            ..ModelProto::default()
        }
        .encode_to_vec()
    }
}

/// Nodes and votes as lists, as the operator has them.
#[derive(Default)]
struct Nodes {
    trees: Vec<i64>,
    ids: Vec<i64>,
    features: Vec<i64>,
    thresholds: Vec<f32>,
    splits: Vec<bool>,
    yes: Vec<i64>,
    no: Vec<i64>,
    votes: Vec<(i64, i64, i64, f32)>,
}

impl Nodes {
    /// Adds a tree that votes for one class, or, of two, for the second and against the first.
    fn tree(&mut self, tree: &Tree, number: i64, class: Option<usize>) {
        let mut next = 1_i64;
        // Places of the complete tree whose numbers in the file are given.
        let mut left = std::collections::VecDeque::from([(0_usize, 0_i64)]);
        while let Some((mut place, id)) = left.pop_front() {
            // Where nothing is split, all goes left.
            while tree.splits.get(place).is_some_and(|(_, threshold)| *threshold == f32::INFINITY) {
                place = 2 * place + 1;
            }
            let split = tree.splits.get(place).copied();
            let (feature, threshold) = split.unwrap_or((0, 0.0));
            self.trees.push(number);
            self.ids.push(id);
            self.features.push(i64::from(feature));
            self.thresholds.push(threshold);
            self.splits.push(split.is_some());
            if split.is_some() {
                self.yes.push(next);
                self.no.push(next + 1);
                left.extend([(2 * place + 1, next), (2 * place + 2, next + 1)]);
                next += 2;
                continue;
            }
            self.yes.push(0);
            self.no.push(0);
            let value = place.checked_sub(tree.splits.len()).and_then(|at| tree.leaves.get(at)).copied();
            let value = value.unwrap_or(0.0);
            match class {
                Some(class) => self.votes.push((number, id, class as i64, value)),
                None => self.votes.extend([(number, id, 0, -0.5 * value), (number, id, 1, 0.5 * value)]),
            }
        }
    }

    fn attributes(self, classes: &[String], base: Vec<f32>) -> Vec<AttributeProto> {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let modes =
            self.splits.iter().map(|split| bytes(if *split { "BRANCH_LEQ" } else { "LEAF" })).collect();
        let votes = |of: fn(&(i64, i64, i64, f32)) -> i64| self.votes.iter().map(of).collect::<Vec<i64>>();
        vec![
            ints("nodes_treeids", self.trees.clone()),
            ints("nodes_nodeids", self.ids.clone()),
            ints("nodes_featureids", self.features.clone()),
            floats("nodes_values", self.thresholds.clone()),
            strings("nodes_modes", modes),
            ints("nodes_truenodeids", self.yes.clone()),
            ints("nodes_falsenodeids", self.no.clone()),
            ints("class_treeids", votes(|vote| vote.0)),
            ints("class_nodeids", votes(|vote| vote.1)),
            ints("class_ids", votes(|vote| vote.2)),
            floats("class_weights", self.votes.iter().map(|vote| vote.3).collect()),
            floats("base_values", base),
            strings("classlabels_strings", classes.iter().map(|name| bytes(name)).collect()),
            AttributeProto {
                name: "post_transform".to_owned(),
                s: Some(bytes("SOFTMAX")),
                r#type: AttributeType::String as i32,
                ..AttributeProto::default()
            },
        ]
    }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        ints,
        r#type: AttributeType::Ints as i32,
        ..AttributeProto::default()
    }
}

fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        floats,
        r#type: AttributeType::Floats as i32,
        ..AttributeProto::default()
    }
}

fn strings(name: &str, strings: Vec<Vec<u8>>) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        strings,
        r#type: AttributeType::Strings as i32,
        ..AttributeProto::default()
    }
}

fn port(name: &str, kind: DataType, axes: Vec<dimension::Value>) -> ValueInfoProto {
    let dim =
        axes.into_iter().map(|value| Dimension { value: Some(value), ..Dimension::default() }).collect();
    let tensor = type_proto::Tensor { elem_type: kind as i32, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
