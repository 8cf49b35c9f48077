//! Any bytes as a request to or a reply of a classic model, in the dialects beside the Open Inference Protocol; shapes and values agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mantlet_wire::classic::{Classic, Mapping, read_classic_reply, read_classic_request};

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let limits = mantlet_wire::Limits::default();
    let path = |name: &str, path: &str| (name.to_owned(), path.to_owned());
    let mapping =
        Mapping::new(&[path("x", "$.x"), path("y", "$.rows[*].y")], &[path("z", "$.z")]).expect("two paths");
    let dialect = Classic::ALL[usize::from(first / 4) % Classic::ALL.len()];
    let kind = (first % 4 == 1).then_some("text/csv");
    let values = if first % 2 == 0 {
        read_classic_reply(dialect, body, Some(&mapping), &limits).map(|read| read.outputs)
    } else {
        read_classic_request(dialect, "m", None, kind, body, Some(&mapping), &limits).map(|read| read.inputs)
    };
    for value in values.into_iter().flatten() {
        assert!(value.value.shape().iter().product::<usize>() <= limits.values);
    }
});
