//! Any bytes as a signature bundle, a statement, a key or a checkpoint.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(bundle) = mantlet_seal::Bundle::read(data) {
        let _ = bundle.verify(&[]);
    }
    if let Ok(statement) = mantlet_seal::Statement::read(data) {
        let _ = statement.manifest();
    }
    let _ = mantlet_seal::log::unpack_entries(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = mantlet_seal::PublicKey::from_pem(text);
        let _ = mantlet_seal::log::Checkpoint::read(text);
    }
});
