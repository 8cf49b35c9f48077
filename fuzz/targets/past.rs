//! Any lines as what a log says of past exchanges, and those looked at by a guard. Never a panic, never stopped.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use mantlet_guard::past::{access_line, instant, json_line};
use mantlet_guard::{Controls, Guard, GuardConfig};
use mantlet_vocab::Action;

fn guard() -> &'static Guard {
    static GUARD: OnceLock<Guard> = OnceLock::new();
    GUARD.get_or_init(|| {
        let config = GuardConfig { limit: None, ..GuardConfig::default() };
        Guard::new(config, None, Vec::new(), Arc::new(Controls::new())).expect("the rules that are built in")
    })
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let limits = mantlet_wire::Limits::default();
    for line in text.lines().take(8) {
        let _ = instant(line);
        for past in [access_line(line), json_line(line, None), json_line(line, Some("/v1/chat/completions"))] {
            let Ok(past) = past else { continue };
            let seen = guard().look_back(&past, "", &limits);
            assert!(seen.decision.action <= Action::Flag, "what happened is marked at most");
        }
    }
});
