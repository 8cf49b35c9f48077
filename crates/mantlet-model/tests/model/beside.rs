//! Rows side by side: the same answers and gradients as rows a few at a time, whatever stands beside them.

use mantlet_formats::onnx::schema::{ModelProto, dimension, type_proto};
use mantlet_model::{Limits, Model, ModelError, load};
use mantlet_vocab::{MemorySource, NamedValue, Tensor, Value};
use prost::Message as _;

use crate::sketch::{noise, parse};

/// Networks of layers that treat each row by itself; the batch of `x` is made free.
const NETS: [&str; 12] = [
    "mlp | x=37x9 a=6x9 b=6 c=6x4 d=4 | h = Gemm(x, a, b) transB=1 alpha=0.5 beta=2.0 ; r = Relu(h) ; m = MatMul(r, c) ; y = Add(m, d)",
    "cnn | x=37x2x8x7 k=5x2x3x3 b=5 l=4x5x2x2 v=36x3 | c = Conv(x, k, b) pads=[1,1,1,1] ; r = Relu(c) ; d = Conv(r, l) ; e = Sigmoid(d) ; p = MaxPool(e) kernel_shape=[2,2] strides=[2,2] ; f = Flatten(p) axis=1 ; g = MatMul(f, v) ; y = Softmax(g) axis=-1",
    "even | x=37x3x6x6 k=4x3x3x3 w=4x3 | c = Conv(x, k) ; a = AveragePool(c) kernel_shape=[3,3] pads=[1,1,1,1] strides=[1,1] ; t = Tanh(a) ; g = GlobalAveragePool(t) ; f = Flatten(g) ; y = MatMul(f, w)",
    "padded-means | x=37x2x5x5 | a = AveragePool(x) kernel_shape=[2,3] pads=[1,1,0,1] count_include_pad=1 ; y = Flatten(a)",
    "largest-of-all | x=37x2x4x5 | a = MaxPool(x) kernel_shape=[3,3] pads=[1,1,1,1] strides=[2,1] ; g = GlobalMaxPool(a) ; y = Flatten(g)",
    "residual | x=37x3x5x5 k=3x3x3x3 l=3x3x1x1 | a = Conv(x, k) pads=[1,1,1,1] ; b = Relu(a) ; c = Conv(b, l) ; d = Add(c, x) ; e = Relu(d) ; f = Add(e, b) ; y = Flatten(f)",
    "twice | x=37x6 | y = Add(x, x)",
    "normed | x=37x3x4x4 s=3@0.5:2.0 b=3 m=3 v=3@0.5:2.0 k=2x3x2x2 | n = BatchNormalization(x, s, b, m, v) ; c = Conv(n, k) ; y = Flatten(c)",
    "scaled | x=37x4 a=1x4 b=4@0.5:2.0 s=f[3.0] | d = Sub(x, a) ; e = Div(d, b) ; f = Sub(s, e) ; g = Mul(f, s) ; y = Gelu(g) | opset 20",
    "line | x=37x3x12 k=4x3x5 | c = Conv(x, k) pads=[2,2] ; p = MaxPool(c) kernel_shape=[2] strides=[2] ; y = Flatten(p)",
    "shaped | x=37x3x2x2 i=i[-1,12] w=12x2 | r = Reshape(x, i) ; y = MatMul(r, w)",
    "wide | x=37x1x16x16 k=1x1x5x5 | c = Conv(x, k) pads=[2,2,2,2] ; e = Elu(c) ; y = Flatten(e)",
];

fn open(line: &str) -> (std::sync::Arc<dyn Model>, Tensor) {
    let sketch = parse(line);
    let mut file = ModelProto::decode(&sketch.bytes[..]).unwrap();
    for input in &mut file.graph.as_mut().unwrap().input {
        let Some(type_proto::Value::TensorType(tensor)) = input.r#type.as_mut().unwrap().value.as_mut()
        else {
            panic!()
        };
        let axes = &mut tensor.shape.as_mut().unwrap().dim;
        axes[0].value = Some(dimension::Value::DimParam("N".to_owned()));
    }
    let Value::F32(x) = sketch.x else { panic!() };
    let model = load(&MemorySource::new(&file.encode_to_vec()), Limits::default());
    (model.unwrap_or_else(|error| panic!("{}: {error}", sketch.name)), x)
}

fn slope(at: usize, row: usize) -> f32 {
    2.0 * noise(77, (at * 64 + row) as u32) - 1.0
}

/// Output and gradient of these rows, asked for at once.
fn ask(model: &dyn Model, x: &Tensor, rows: &[usize]) -> (Tensor, Tensor) {
    let input = NamedValue { name: "x".to_owned(), value: Value::F32(x.select(rows)) };
    let mut weigh = |y: &Tensor| {
        let len = y.row_len();
        let data = rows.iter().flat_map(|row| (0..len).map(|at| slope(at, *row))).collect();
        Tensor::new(y.shape(), data).unwrap()
    };
    let (scores, mut gradients) =
        model.gradient(std::slice::from_ref(&input), "y", &["x"], &mut weigh).unwrap();
    let outputs = model.infer(std::slice::from_ref(&input)).unwrap();
    assert_eq!(outputs[0].value, Value::F32(scores.clone()));
    assert_eq!(model.activations(&[input], &["y"]).unwrap()[0], scores);
    (scores, gradients.remove(0))
}

#[test]
fn rows_side_by_side_get_what_rows_by_few_get() {
    for line in NETS {
        let (model, x) = open(line);
        let all: Vec<usize> = (0..x.rows()).collect();
        let (scores, gradient) = ask(&*model, &x, &all);
        for rows in all.chunks(4) {
            let (few_scores, few_gradient) = ask(&*model, &x, rows);
            for (place, row) in rows.iter().enumerate() {
                let pairs = [(&scores, &few_scores), (&gradient, &few_gradient)];
                for (side, few) in pairs {
                    for (a, b) in side.row(*row).iter().zip(few.row(place)) {
                        assert!((a - b).abs() <= 1e-5 + 1e-5 * b.abs(), "{line}: {a} {b}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_a_row_gets_does_not_depend_on_its_neighbours() {
    for line in NETS {
        let (model, x) = open(line);
        let all: Vec<usize> = (0..x.rows()).collect();
        let (scores, gradient) = ask(&*model, &x, &all);
        // Other orders, other numbers of rows, and memory that other rows were in before.
        for rows in
            [all.iter().rev().copied().collect::<Vec<_>>(), vec![3, 3, 9, 30, 1, 22, 5], all[10..].to_vec()]
        {
            let (other_scores, other_gradient) = ask(&*model, &x, &rows);
            for (place, row) in rows.iter().enumerate() {
                assert_eq!(scores.row(*row), other_scores.row(place), "{line}");
                assert_eq!(gradient.row(*row), other_gradient.row(place), "{line}");
            }
        }
    }
}

#[test]
fn limits_hold_for_rows_side_by_side() {
    let sketch = parse(NETS[1]);
    let limits = Limits { max_millis: Some(0), ..Limits::default() };
    // Folding constants looks at the clock as well: the file has none to fold.
    let model = load(&MemorySource::new(&sketch.bytes), limits).unwrap();
    let Value::F32(x) = sketch.x else { panic!() };
    let input = NamedValue { name: "x".to_owned(), value: Value::F32(x) };
    let refused = model.activations(std::slice::from_ref(&input), &["y"]);
    assert_eq!(refused, Err(ModelError::Time { limit: 0 }));
    let limits = Limits { max_memory: 30_000, ..Limits::default() };
    let model = load(&MemorySource::new(&sketch.bytes), limits).unwrap();
    assert_eq!(model.activations(&[input], &["y"]), Err(ModelError::Memory { limit: 30_000 }));
}
