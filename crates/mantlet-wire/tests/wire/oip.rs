//! Messages as clients write them, messages as attackers write them, and the laws of reading.

use mantlet_vocab::{NamedValue, Request, Tensor, Value};
use mantlet_wire::{
    Datatype, Defect, Encoded, InferReply, InferRequest, Limits, Output, Wire, read_reply, read_request,
    refuse, write_reply, write_request,
};
use proptest::prelude::*;

fn read(body: &str) -> Result<InferRequest, Defect> {
    read_request("m", None, None, body.as_bytes(), &Limits::default())
}

fn tensor(fields: &str) -> Result<InferRequest, Defect> {
    read(&format!(r#"{{"inputs":[{{{fields}}}]}}"#))
}

#[test]
fn json_requests_are_read() {
    let read = read(
        r#" {"id":"a\u00e9\ud83d\ude00","parameters":{"binary_data_output":true,"priority":3},
            "inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2.5],[-3e2,0.0]]},
                      {"data":["a","b\n"],"datatype":"BYTES","name":"t","shape":[2],"parameters":{"content_type":"str"}},
                      {"shape":[1],"data":[true],"name":"b","datatype":"BOOL"}],
            "outputs":[{"name":"y","parameters":{"binary_data":false}},{"name":"z"}],"extra":{"k":[1,null]}} "#,
    )
    .unwrap();
    assert_eq!(read.id.as_deref(), Some("aé😀"));
    assert!(read.binary_outputs);
    assert_eq!(
        read.request.inputs[0].value,
        Value::F32(Tensor::new([2, 2], vec![1.0, 2.5, -300.0, 0.0]).unwrap())
    );
    assert_eq!(
        read.request.inputs[1].value,
        Value::Text(Tensor::new([2], vec!["a".into(), "b\n".into()]).unwrap())
    );
    assert_eq!(read.outputs[0], Output { name: "y".into(), binary: Some(false) });
    let pointers: Vec<&str> = read.request.pieces.iter().map(|piece| piece.pointer.as_str()).collect();
    assert_eq!(pointers, ["/parameters/priority", "/inputs/1/parameters/content_type", "/extra"]);
    assert_eq!(read.request.pieces[2].text, r#"{"k":[1,null]}"#);
}

#[test]
fn each_malformed_request_has_a_name() {
    let x = r#""name":"x","datatype":"FP32""#;
    for (body, name) in [
        ("", "wire-syntax"),
        ("[]", "wire-syntax"),
        ("{}", "wire-missing-field"),
        (r#"{"inputs":[]} x"#, "wire-trailing-data"),
        (r#"{"inputs":[],"inputs":[]}"#, "wire-duplicate-key"),
        (r#"{"inputs":[],"inp\u0075ts":[]}"#, "wire-duplicate-key"),
        (r#"{"inputs":[],}"#, "wire-syntax"),
        (r#"{'inputs':[]}"#, "wire-syntax"),
        (r#"{"inputs":[{}]}"#, "wire-missing-field"),
        (r#"{"inputs":[],"id":"\ud800"}"#, "wire-syntax"),
        ("{\"inputs\":[],\"id\":\"\u{1}\"}", "wire-syntax"),
    ] {
        assert_eq!(read(body).unwrap_err().name(), name, "{body}");
    }
    for (fields, name) in [
        (format!(r#"{x},"shape":[2],"data":[1,NaN]"#), "wire-syntax"),
        (format!(r#"{x},"shape":[2],"data":[1,Infinity]"#), "wire-syntax"),
        (format!(r#"{x},"shape":[2],"data":[1,1e999]"#), "wire-out-of-range"),
        (format!(r#"{x},"shape":[2],"data":[1,1e39]"#), "wire-out-of-range"),
        (format!(r#"{x},"shape":[2],"data":[1,01]"#), "wire-syntax"),
        (format!(r#"{x},"shape":[2],"data":[1,null]"#), "wire-syntax"),
        (format!(r#"{x},"shape":[2],"data":[1,"2"]"#), "wire-syntax"),
        (format!(r#"{x},"shape":[2],"data":[1]"#), "wire-count"),
        (format!(r#"{x},"shape":[2],"data":[1,2,3]"#), "wire-count"),
        (format!(r#"{x},"shape":[2,2],"data":[[1,2,3],[4]]"#), "wire-ragged"),
        (format!(r#"{x},"shape":[2,2],"data":[[1,2],3,4]"#), "wire-ragged"),
        (format!(r#"{x},"shape":[4],"data":[[1,2],[3,4]]"#), "wire-ragged"),
        (format!(r#"{x},"shape":[2,-1],"data":[]"#), "wire-out-of-range"),
        (format!(r#"{x},"shape":[1.0],"data":[1]"#), "wire-out-of-range"),
        (format!(r#"{x},"shape":[18446744073709551616],"data":[1]"#), "wire-out-of-range"),
        (format!(r#"{x},"shape":[4294967296,4294967296],"data":[1]"#), "wire-shape-overflow"),
        (format!(r#"{x},"shape":[100000000],"data":[1]"#), "wire-too-many"),
        (format!(r#"{x},"shape":[1]"#), "wire-both-forms"),
        (format!(r#"{x},"shape":[1],"data":[1],"parameters":{{"binary_data_size":4}}"#), "wire-both-forms"),
        (format!(r#"{x},"shape":[1],"parameters":{{"binary_data_size":4}}"#), "wire-binary-tail"),
        (format!(r#"{x},"shape":[1],"parameters":{{"shared_memory_region":"r"}}"#), "wire-shared-memory"),
        (format!(r#"{x},"shape":[1],"data":{}1{}"#, "[".repeat(40), "]".repeat(40)), "wire-too-deep"),
        (r#""name":"x","datatype":"FP31","shape":[1],"data":[1]"#.into(), "wire-datatype"),
        (r#""name":"x","datatype":"INT8","shape":[1],"data":[128]"#.into(), "wire-out-of-range"),
        (r#""name":"x","datatype":"INT64","shape":[1],"data":[1.5]"#.into(), "wire-out-of-range"),
        (
            r#""name":"x","datatype":"UINT64","shape":[1],"data":[9223372036854775808]"#.into(),
            "wire-out-of-range",
        ),
        (r#""name":"x","datatype":"BOOL","shape":[1],"data":[1]"#.into(), "wire-syntax"),
        (format!(r#"{x},"shape":[1],"data":[1],"data":[2]"#), "wire-duplicate-key"),
    ] {
        assert_eq!(tensor(&fields).unwrap_err().name(), name, "{fields}");
    }
    let two = format!(r#"{{"inputs":[{{{x},"shape":[1],"data":[1]}},{{{x},"shape":[1],"data":[1]}}]}}"#);
    assert_eq!(read(&two).unwrap_err().name(), "wire-duplicate-tensor");
    let deep = format!(r#"{{"inputs":[],"p":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(&deep).unwrap_err().name(), "wire-too-deep");
    assert_eq!(read("{\"inputs\":[],\"id\":\"a\"").unwrap_err().name(), "wire-syntax");
    assert_eq!(
        read_request("m", None, None, b"\xff{}", &Limits::default()).unwrap_err().name(),
        "wire-not-utf8"
    );
}

#[test]
fn binary_lengths_must_agree() {
    let request = |size: usize, datatype: &str, shape: &str, tail: &[u8], head_by: isize| {
        let head = format!(
            r#"{{"inputs":[{{"name":"x","datatype":"{datatype}","shape":{shape},"parameters":{{"binary_data_size":{size}}}}}]}}"#
        );
        let length = head.len().checked_add_signed(head_by).unwrap();
        let body = [head.as_bytes(), tail].concat();
        read_request("m", None, Some(length), &body, &Limits::default())
    };
    let two = [1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat();
    let good = request(8, "FP32", "[1,2]", &two, 0).unwrap();
    assert_eq!(good.request.inputs[0].value, Value::F32(Tensor::new([1, 2], vec![1.5, -2.0]).unwrap()));
    assert!(good.wire[0].binary);
    let text = [&2_u32.to_le_bytes()[..], b"hi", &0_u32.to_le_bytes()].concat();
    assert!(request(10, "BYTES", "[2]", &text, 0).is_ok());
    for (got, name) in [
        (request(8, "FP32", "[1,3]", &two, 0), "wire-binary-size"),
        (request(4, "FP32", "[1,1]", &two, 0), "wire-binary-tail"),
        (request(9, "FP32", "[1,2]", &two, 0), "wire-binary-tail"),
        (request(8, "FP32", "[1,2]", &two, 1), "wire-not-utf8"),
        (request(8, "FP32", "[1,2]", &two, -1), "wire-syntax"),
        (request(8, "FP32", "[1,2]", &two, 1000), "wire-head-length"),
        (request(8, "FP32", "[4611686018427387904,4]", &two, 0), "wire-shape-overflow"),
        (request(8, "FP64", "[4611686018427387904]", &two, 0), "wire-too-many"),
        (request(8, "BYTES", "[2]", &two, 0), "wire-text"),
        (request(10, "BYTES", "[1]", &text, 0), "wire-binary-size"),
        (request(1, "BOOL", "[1]", &[2], 0), "wire-out-of-range"),
        (request(8, "UINT64", "[1]", &[255; 8], 0), "wire-out-of-range"),
        (request(usize::MAX, "UINT8", "[1]", &[1], 0), "wire-binary-tail"),
    ] {
        // A head cut one byte into the tail may also end as trailing data; which one is the tail's business.
        let found = got.unwrap_err().name();
        assert!(
            found == name || (name == "wire-not-utf8" && found == "wire-trailing-data"),
            "{found}, not {name}"
        );
    }
    assert_eq!(
        read_request("m", None, Some(0), &two, &Limits::default()).unwrap_err().name(),
        "wire-head-length"
    );
    // Nothing of this is a number in the binary form either, and it passes: the profile judges values.
    assert!(request(8, "FP64", "[1]", &f64::NAN.to_le_bytes(), 0).is_ok());
}

#[test]
fn limits_hold_over_all_tensors() {
    let limits = Limits { values: 3, tensors: 2, bytes: 400, depth: 8, ..Limits::default() };
    let tensor = |name: &str| format!(r#"{{"name":"{name}","datatype":"UINT8","shape":[2],"data":[1,2]}}"#);
    let body = |names: &[&str]| {
        format!(r#"{{"inputs":[{}]}}"#, names.iter().map(|name| tensor(name)).collect::<Vec<_>>().join(","))
    };
    let read = |body: String| read_request("m", None, None, body.as_bytes(), &limits).map(drop);
    assert_eq!(read(body(&["a"])), Ok(()));
    assert_eq!(read(body(&["a", "b"])).unwrap_err().name(), "wire-too-many");
    assert_eq!(read(body(&["a"]) + &" ".repeat(400)).unwrap_err().name(), "wire-too-large");
    let keys: String = (0..5000).map(|key| format!(r#""k{key}":0,"#)).collect();
    let many = format!(r#"{{{keys}"inputs":[]}}"#);
    assert_eq!(
        read_request("m", None, None, many.as_bytes(), &Limits::default()).unwrap_err().name(),
        "wire-too-many"
    );
}

#[test]
fn refusals_have_the_dialects_shape() {
    let refusal = refuse(403, "not \"now\"", "e-1");
    let body: serde_json::Value = serde_json::from_str(&refusal.body).unwrap();
    assert_eq!(body, serde_json::json!({ "error": "not \"now\" (exchange e-1)" }));
    assert!(refusal.headers.contains(&("content-type", "application/json".to_owned())));
}

fn finite() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |v| v.is_finite()),
        -10.0..10.0_f64,
        Just(0.0),
        Just(5e-324)
    ]
}

fn value() -> impl Strategy<Value = Value> {
    (0_usize..4, 1_usize..4).prop_flat_map(|(rows, columns)| {
        let n = rows * columns;
        let shape = vec![rows, columns];
        macro_rules! of {
            ($variant:ident, $strategy:expr) => {{
                let shape = shape.clone();
                prop::collection::vec($strategy, n)
                    .prop_map(move |data| Value::$variant(Tensor::new(shape.clone(), data).unwrap()))
                    .boxed()
            }};
        }
        prop_oneof![
            of!(F32, any::<f32>().prop_filter("finite", |v| v.is_finite())),
            of!(F64, finite()),
            of!(I64, any::<i64>()),
            of!(I32, any::<i32>()),
            of!(U8, any::<u8>()),
            of!(Bool, any::<bool>()),
            of!(Text, "\\PC{0,6}"),
        ]
    })
}

fn infer() -> impl Strategy<Value = InferRequest> {
    let inputs = prop::collection::vec((value(), any::<bool>()), 0..4);
    (inputs, prop::option::of("\\PC{0,8}"), any::<bool>(), prop::option::of(any::<bool>())).prop_map(
        |(inputs, id, binary_outputs, output)| InferRequest {
            wire: inputs
                .iter()
                .map(|(v, binary)| Wire { datatype: Datatype::of(v), binary: *binary })
                .collect(),
            request: Request {
                model: "m".into(),
                version: None,
                inputs: inputs
                    .into_iter()
                    .enumerate()
                    .map(|(index, (value, _))| NamedValue { name: format!("in\"{index}"), value })
                    .collect(),
                pieces: vec![],
            },
            id,
            outputs: output
                .map(|binary| Output { name: "y".into(), binary: Some(binary) })
                .into_iter()
                .collect(),
            binary_outputs,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read(request in infer()) {
        let Encoded { head, body } = write_request(&request);
        let read = read_request("m", None, head, &body, &Limits::default()).unwrap();
        prop_assert_eq!(&read, &request);
        let reply = InferReply {
            reply: mantlet_vocab::Reply { outputs: request.request.inputs, pieces: vec![] },
            wire: request.wire,
            model: "m".into(),
            version: Some("1".into()),
            id: request.id,
        };
        let Encoded { head, body } = write_reply(&reply);
        prop_assert_eq!(read_reply(head, &body, &Limits::default()).unwrap(), reply);
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in prop::collection::vec(any::<u8>(), 0..200), head in prop::option::of(0_usize..220)) {
        let _ = read_request("m", None, head, &body, &Limits::default());
        let _ = read_reply(head, &body, &Limits::default());
    }

    /// What this reader takes, a general one takes too: nothing passes here that means something else, or nothing,
    /// to the server behind.
    #[test]
    fn damaged_messages_are_refused_or_still_json(request in infer(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let Encoded { head, mut body } = write_request(&request);
        let place = at.index(body.len());
        if cut { body.remove(place); } else { body[place] = byte; }
        let head = head.map(|head| head.min(body.len()));
        if read_request("m", None, head, &body, &Limits::default()).is_ok() {
            let json = &body[..head.unwrap_or(body.len())];
            prop_assert!(serde_json::from_slice::<serde_json::Value>(json).is_ok());
        }
    }

    #[test]
    fn paths_never_panic(path in "[/a-z0-9.%\\PC]{0,60}", method in "GET|POST|PUT") {
        let _ = mantlet_wire::call(&method, &path);
    }
}
