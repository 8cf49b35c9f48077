//! Classic inference over REST in the dialects beside the Open Inference Protocol.

use mantlet_vocab::{NamedValue, Request, Tensor, Value};
use mantlet_wire::classic::{
    Ask, Classic, Mapping, classic_call, read_classic_reply, read_classic_request, refuse_classic,
    rewrite_scores,
};
use mantlet_wire::{Defect, Limits};
use proptest::prelude::*;

fn request(dialect: Classic, body: &str) -> Result<Request, Defect> {
    read_classic_request(
        dialect,
        "m",
        None,
        Some("application/json"),
        body.as_bytes(),
        None,
        &Limits::default(),
    )
}

fn csv(body: &str) -> Result<Request, Defect> {
    let kind = Some("text/csv; charset=utf-8");
    read_classic_request(Classic::Mlflow, "m", None, kind, body.as_bytes(), None, &Limits::default())
}

fn numbers(name: &str, shape: &[usize], data: &[f64]) -> NamedValue {
    NamedValue { name: name.into(), value: Value::F64(Tensor::new(shape, data.to_vec()).unwrap()) }
}

fn texts(name: &str, shape: &[usize], data: &[&str]) -> NamedValue {
    let data = data.iter().map(|&text| text.to_owned()).collect();
    NamedValue { name: name.into(), value: Value::Text(Tensor::new(shape, data).unwrap()) }
}

#[test]
fn each_form_of_each_dialect_is_read() {
    use Classic::{Kserve, Mlflow, Seldon, TfServing};
    let x = || vec![numbers("x", &[2], &[1.0, 3.0]), numbers("y", &[2], &[2.5, 4.0])];
    for (dialect, body, inputs) in [
        (
            TfServing,
            r#"{"signature_name":"s","instances":[[1,2],[3,4]]}"#,
            vec![numbers("instances", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        ),
        (TfServing, r#"{"instances":[{"x":1,"y":2.5},{"y":4,"x":3}]}"#, x()),
        (TfServing, r#"{"inputs":{"x":[1,3],"y":[2.5,4]}}"#, x()),
        (TfServing, r#"{"inputs":[[1,2],[3,4]]}"#, vec![numbers("inputs", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]),
        (
            TfServing,
            r#"{"instances":[{"b64":"aGk="},{"b64":"//8="}]}"#,
            vec![texts("instances", &[2], &["hi", "//8="])],
        ),
        (TfServing, r#"{"examples":[{"x":[1]},{"x":[3]}]}"#, vec![numbers("x", &[2, 1], &[1.0, 3.0])]),
        (Kserve, r#"{"instances":[1,2]}"#, vec![numbers("instances", &[2], &[1.0, 2.0])]),
        (Mlflow, r#"{"dataframe_split":{"columns":["x","y"],"index":[0,1],"data":[[1,2.5],[3,4]]}}"#, x()),
        (
            Mlflow,
            r#"{"dataframe_split":{"data":[[1,2.5],[3,4]],"columns":["x","y"]},"params":{"k":"v"}}"#,
            x(),
        ),
        (Mlflow, r#"{"dataframe_records":[{"x":1,"y":2.5},{"x":3,"y":4}]}"#, x()),
        (Mlflow, r#"{"instances":[{"x":1,"y":2.5},{"x":3,"y":4}]}"#, x()),
        (Mlflow, r#"{"inputs":{"x":[1,3],"y":[2.5,4]}}"#, x()),
        (
            Seldon,
            r#"{"data":{"names":["a","b"],"ndarray":[[1,2],[3,4]]},"meta":{}}"#,
            vec![numbers("ndarray", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        ),
        (
            Seldon,
            r#"{"data":{"tensor":{"values":[1,2,3,4],"shape":[2,2]}}}"#,
            vec![numbers("tensor", &[2, 2], &[1.0, 2.0, 3.0, 4.0])],
        ),
        (Seldon, r#"{"strData":"hello"}"#, vec![texts("strData", &[1], &["hello"])]),
    ] {
        let read = request(dialect, body).unwrap_or_else(|defect| panic!("{body}: {defect}"));
        let trimmed = |inputs: Vec<NamedValue>| {
            // One text that stands alone has no axis of rows.
            inputs.into_iter().map(|input| format!("{input:?}")).collect::<Vec<_>>()
        };
        assert_eq!(trimmed(read.inputs), trimmed(inputs), "{body}");
    }
    assert_eq!(csv("x,y\n1,2.5\n3,4\n").unwrap().inputs, x());
    let read = csv("x,t\n1,a\n,\"b,c\"\n").unwrap();
    assert!(matches!(&read.inputs[0].value, Value::F64(t) if t.data()[1].is_nan()));
    assert_eq!(read.inputs[1], texts("t", &[2], &["a", "b,c"]));
    assert_eq!(read.pieces.iter().map(|piece| piece.text.as_str()).collect::<Vec<_>>(), ["a", "b,c", "x\nt"]);
}

#[test]
fn texts_and_unknown_members_are_pieces() {
    let read = request(
        Classic::Mlflow,
        r#"{"dataframe_records":[{"t":"say \u0041","n":1},{"t":null,"n":true}],"params":{"p":"q"},"extra":["\u0042"]}"#,
    )
    .unwrap();
    let pieces: Vec<_> =
        read.pieces.iter().map(|piece| (piece.pointer.as_str(), piece.text.as_str())).collect();
    for piece in
        [("/dataframe_records/0/t", "say A"), ("/params", r#"{"p":"q"}"#), ("/extra", "B\n"), ("~#", "t\nn")]
    {
        assert!(pieces.contains(&piece), "{piece:?} in {pieces:?}");
    }
    assert_eq!(read.inputs[0], texts("t", &[2], &["say A", ""]));
    assert_eq!(read.inputs[1], numbers("n", &[2], &[1.0, 1.0]));
}

#[test]
fn replies_are_read() {
    for (dialect, body, outputs) in [
        (
            Classic::TfServing,
            r#"{"predictions":[[0.5],[0.25]]}"#,
            vec![numbers("predictions", &[2, 1], &[0.5, 0.25])],
        ),
        (Classic::TfServing, r#"{"outputs":{"p":[0.5]}}"#, vec![numbers("p", &[1], &[0.5])]),
        (
            Classic::Mlflow,
            r#"{"predictions":["yes","no"]}"#,
            vec![texts("predictions", &[2], &["yes", "no"])],
        ),
        (Classic::Mlflow, "[1,2]", vec![numbers("predictions", &[2], &[1.0, 2.0])]),
        (Classic::Kserve, r#"{"predictions":[1]}"#, vec![numbers("predictions", &[1], &[1.0])]),
        (
            Classic::Seldon,
            r#"{"data":{"ndarray":[[1]]},"meta":{"tags":{}}}"#,
            vec![numbers("ndarray", &[1, 1], &[1.0])],
        ),
    ] {
        let read = read_classic_reply(dialect, body.as_bytes(), None, &Limits::default());
        assert_eq!(read.unwrap_or_else(|defect| panic!("{body}: {defect}")).outputs, outputs, "{body}");
    }
}

#[test]
fn what_two_servers_could_read_differently_is_refused() {
    use Classic::{Kserve, Mlflow, Seldon, TfServing};
    let deep = format!(r#"{{"instances":{}1{}}}"#, "[".repeat(20), "]".repeat(20));
    for (dialect, body, name) in [
        (TfServing, r#"{"instances":[1],"inputs":[1]}"#, "wire-both-forms"),
        (Mlflow, r#"{"instances":[1],"dataframe_records":[{"a":1}]}"#, "wire-both-forms"),
        (TfServing, r#"{"instances":[1],"instances":[2]}"#, "wire-duplicate-key"),
        (TfServing, r#"{"instances":[{"a":1},{"b":1}]}"#, "wire-ragged"),
        (TfServing, r#"{"instances":[{"a":1},2]}"#, "wire-ragged"),
        (TfServing, r#"{"instances":[[1,2],[3]]}"#, "wire-ragged"),
        (TfServing, r#"{"instances":[[1,[2]]]}"#, "wire-ragged"),
        (TfServing, r#"{"instances":[NaN]}"#, "wire-syntax"),
        (TfServing, r#"{"instances":[1e999]}"#, "wire-out-of-range"),
        (TfServing, r#"{"instances":[{"b64":"!"}]}"#, "wire-syntax"),
        (TfServing, r#"{"instances":[{"b64":"aGk=","x":1}]}"#, "wire-syntax"),
        (TfServing, r#"{}"#, "wire-missing-field"),
        (TfServing, deep.as_str(), "wire-too-deep"),
        (Kserve, "[1]", "wire-syntax"),
        (Mlflow, r#"{"dataframe_split":{"columns":["a","a"],"data":[[1,2]]}}"#, "wire-duplicate-key"),
        (Mlflow, r#"{"dataframe_split":{"columns":["a"],"data":[[1,2]]}}"#, "wire-ragged"),
        (Mlflow, r#"{"dataframe_split":{"columns":["a","b"],"data":[[1]]}}"#, "wire-ragged"),
        (Seldon, r#"{"data":{"ndarray":[1],"tensor":{"shape":[1],"values":[1]}}}"#, "wire-both-forms"),
        (Seldon, r#"{"data":{"tensor":{"shape":[3],"values":[1]}}}"#, "wire-count"),
        (
            Seldon,
            r#"{"data":{"tensor":{"shape":[4294967296,4294967296],"values":[1]}}}"#,
            "wire-shape-overflow",
        ),
    ] {
        assert_eq!(request(dialect, body).unwrap_err().name(), name, "{body}");
    }
    for (body, name) in [
        ("a,a\n1,2\n", "wire-duplicate-key"),
        ("a,b\n1\n", "wire-syntax"),
        ("a\ninf\n", "wire-out-of-range"),
        ("\u{feff}a\n1\n", "wire-syntax"),
        ("a\n1\0\n", "wire-syntax"),
    ] {
        assert_eq!(csv(body).unwrap_err().name(), name, "{body:?}");
    }
    let limits = Limits { values: 3, ..Limits::default() };
    let body = br#"{"instances":[1,2,3,4]}"#;
    let read = read_classic_request(TfServing, "m", None, None, body, None, &limits);
    assert_eq!(read.unwrap_err().name(), "wire-too-many");
}

#[test]
fn any_json_is_read_by_a_mapping() {
    let pair = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    let mapping = Mapping::new(
        &[pair("x", "$.rows[*].features"), pair("who", "$.rows[*].name"), pair("scale", "$.scale")],
        &[pair("score", "$.result.scores")],
    )
    .unwrap();
    let body =
        r#"{"rows":[{"name":"a","features":[1,2]},{"name":"b","features":[3,4]}],"scale":2,"note":"hi"}"#;
    let read = |body: &str| {
        let limits = Limits::default();
        read_classic_request(Classic::Mapped, "m", None, None, body.as_bytes(), Some(&mapping), &limits)
    };
    let request = read(body).unwrap();
    assert_eq!(
        request.inputs,
        [
            numbers("x", &[2, 2], &[1.0, 2.0, 3.0, 4.0]),
            texts("who", &[2], &["a", "b"]),
            numbers("scale", &[1], &[2.0]),
        ]
    );
    assert!(request.pieces.iter().any(|piece| piece.pointer == "/note" && piece.text == "hi"));
    assert_eq!(read(r#"{"rows":[],"scale":1}"#).unwrap_err().name(), "wire-missing-field");
    assert_eq!(read(&body.replace("\"note\"", "\"scale\"")).unwrap_err().name(), "wire-duplicate-key");
    let reply = br#"{"result":{"scores":[0.5,0.25]}}"#;
    let reply = read_classic_reply(Classic::Mapped, reply, Some(&mapping), &Limits::default()).unwrap();
    assert_eq!(reply.outputs, [numbers("score", &[2], &[0.5, 0.25])]);
    assert!(Mapping::new(&[pair("x", "rows[")], &[]).unwrap_err().to_string().contains("`x`"));
}

#[test]
fn paths_are_read_one_way_only() {
    use Classic::{Kserve, Mapped, Mlflow, Seldon, TfServing};
    for (dialect, method, path, expected) in [
        (TfServing, "POST", "/v1/models/m:predict", Some((Some("m"), None, Ask::Infer))),
        (TfServing, "POST", "/v1/models/m/versions/3:classify", Some((Some("m"), Some("3"), Ask::Infer))),
        (TfServing, "GET", "/v1/models/m/metadata", Some((Some("m"), None, Ask::About))),
        (TfServing, "GET", "/v1/models/m", Some((Some("m"), None, Ask::About))),
        (TfServing, "GET", "/v1/models/m:predict", None),
        (TfServing, "POST", "/v1/models/m:explain", None),
        (TfServing, "POST", "/v1/models/../m:predict", None),
        (TfServing, "POST", "/v1/models/%6d:predict", None),
        (Kserve, "POST", "/v1/models/m:explain", Some((Some("m"), None, Ask::Infer))),
        (Kserve, "POST", "/v1/models/m/versions/3:predict", None),
        (Mlflow, "POST", "/invocations", Some((None, None, Ask::Infer))),
        (Mlflow, "POST", "/invocations/", None),
        (Mlflow, "GET", "/ping", Some((None, None, Ask::About))),
        (Seldon, "POST", "/seldon/ns/dep/api/v1.0/predictions", Some((Some("dep"), None, Ask::Infer))),
        (Seldon, "POST", "/api/v1.0/feedback", None),
        (Mapped, "POST", "/score/now", Some((None, None, Ask::Infer))),
        (Mapped, "POST", "/score//now", None),
    ] {
        let call = classic_call(dialect, method, path);
        let call = call.as_ref().map(|call| (call.model.as_deref(), call.version.as_deref(), call.ask));
        assert_eq!(call, expected, "{dialect:?} {method} {path}");
    }
}

#[test]
fn refusals_have_the_dialects_shape() {
    let refusal = refuse_classic(Classic::Mlflow, 403, "no", "");
    assert_eq!(refusal.body, r#"{"error_code":"PERMISSION_DENIED","message":"no"}"#);
    let refusal = refuse_classic(Classic::TfServing, 403, "no", "e1");
    assert_eq!(refusal.body, r#"{"error":"no (exchange e1)"}"#);
    assert!(refuse_classic(Classic::Seldon, 403, "no", "").body.contains(r#""status":"FAILURE""#));
}

proptest! {
    /// What a general library sees as numbers of a body, the columns hold, in the same order.
    #[test]
    fn numbers_are_those_of_the_message(rows in prop::collection::vec(prop::collection::vec(-1e6..1e6_f64, 3), 1..6)) {
        let flat: Vec<f64> = rows.iter().flatten().copied().collect();
        for (dialect, body) in [
            (Classic::TfServing, serde_json::json!({ "instances": rows })),
            (Classic::Mlflow, serde_json::json!({ "inputs": rows })),
            (Classic::Seldon, serde_json::json!({ "data": { "ndarray": rows } })),
        ] {
            let read = request(dialect, &body.to_string()).unwrap();
            prop_assert_eq!(read.inputs[0].value.shape(), &[rows.len(), 3]);
            match &read.inputs[0].value {
                Value::F64(tensor) => prop_assert_eq!(tensor.data(), &flat[..]),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), table in "[a-c0-9,\"\r\n. ]{0,60}") {
        for dialect in Classic::ALL {
            let _ = read_classic_request(dialect, "m", None, None, &bytes, None, &Limits::default());
            let _ = read_classic_reply(dialect, &bytes, None, &Limits::default());
            let _ = request(dialect, &format!("{{\"instances\":[{table}]}}"));
        }
        let _ = csv(&table);
    }
}

#[test]
fn scores_are_rewritten_where_they_stand_and_nothing_else() {
    let found = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    let mapping = Mapping::new(&[], &[found("p", "$.answers[*].risk")]).unwrap();
    let mut halves = |row: &[f64]| row.iter().map(|value| value / 2.0).collect();
    for (dialect, body, expected) in [
        (
            Classic::TfServing,
            r#"{"predictions":[[0.5,1],[1.0,3]]}"#,
            r#"{"predictions":[[0.25,0.5],[0.5,1.5]]}"#,
        ),
        (
            Classic::TfServing,
            r#"{"outputs":{"a":[0.5],"b":[[1.0]]}}"#,
            r#"{"outputs":{"a":[0.25],"b":[[0.5]]}}"#,
        ),
        (Classic::TfServing, r#"{"results":[[["a",0.5]]],"n":0.5}"#, r#"{"n":0.5,"results":[[["a",0.25]]]}"#),
        // Whole numbers are labels.
        (Classic::Kserve, r#"{"predictions":[3,[1,2],0.5]}"#, r#"{"predictions":[3,[1,2],0.25]}"#),
        (Classic::Mlflow, "[0.5,[1.0]]", "[0.25,[0.5]]"),
        (
            Classic::Mlflow,
            r#"{"predictions":[{"a":0.5,"b":"x"}]}"#,
            r#"{"predictions":[{"a":0.25,"b":"x"}]}"#,
        ),
        (
            Classic::Seldon,
            r#"{"data":{"tensor":{"shape":[1,2],"values":[0.5,1]}}}"#,
            r#"{"data":{"tensor":{"shape":[1,2],"values":[0.25,0.5]}}}"#,
        ),
        (Classic::Mapped, r#"{"answers":[{"risk":0.5,"x":0.5}]}"#, r#"{"answers":[{"risk":0.25,"x":0.5}]}"#),
    ] {
        let written = rewrite_scores(dialect, body.as_bytes(), Some(&mapping), &mut halves).unwrap();
        let tree = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(tree(&written), tree(expected.as_bytes()), "{body}");
    }
    for body in ["{}", "nonsense", "[0.5]"] {
        assert!(rewrite_scores(Classic::TfServing, body.as_bytes(), None, &mut halves).is_err(), "{body}");
    }
}
