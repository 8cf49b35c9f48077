//! Any bytes as an inference request or reply, with and without a binary tail; what is read is written back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((head, body)) = data.split_first() else { return };
    let limits = mantlet_wire::Limits::default();
    let head = (head % 2 == 1).then(|| usize::from(head / 2).min(body.len()));
    let head = head.map(|head| body.iter().rposition(|byte| *byte == b'}').map_or(head, |at| at + 1));
    let _ = mantlet_wire::read_reply(head, body, &limits);
    if let Ok(request) = mantlet_wire::read_request("m", None, head, body, &limits) {
        let written = mantlet_wire::write_request(&request);
        let again = mantlet_wire::read_request("m", None, written.head, &written.body, &limits);
        let again = again.unwrap_or_else(|defect| panic!("what was written is not read back: {defect}"));
        assert_eq!(format!("{:?}", request.request.inputs), format!("{:?}", again.request.inputs));
    }
});
