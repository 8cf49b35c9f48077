//! Any bytes as a call of the guard as a service, and as a form of several parts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mantlet_wire::form::read_form;
use mantlet_wire::service::{Judgement, Outcome, Service, read_service, write_service};

fuzz_target!(|data: &[u8]| {
    let Some((first, body)) = data.split_first() else { return };
    let limits = mantlet_wire::Limits::default();
    let _ = read_form("multipart/form-data; boundary=b", body, &limits);
    let service = Service::ALL[usize::from(*first) % Service::ALL.len()];
    if let Ok(examine) = read_service(service, body, &limits) {
        let (reason, id) = (String::new(), String::new());
        let judgement =
            Judgement { outcome: Outcome::Redacted, reason, id, hits: Vec::new(), edits: Vec::new() };
        let answer = write_service(service, &examine, &judgement);
        let _: serde_json::Value = serde_json::from_str(&answer.body).expect("an answer is JSON");
    }
});
