//! Any bytes as what a registry answers, document by document: Hugging Face, OCI, MLflow, tokens, Artifactory, files of
//! PyTorch Hub. Files are listed below the server that was named, under paths that stay where they are put.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&kind, answers)) = data.split_first() else { return };
    let files = mantlet_remote::read_answers(kind, answers);
    assert!(files.len() <= 40, "no more than are listed");
    for (path, url) in files {
        assert!(!path.split('/').any(|part| part == ".."), "{path} stays where it is put");
        let rest = url.strip_prefix("http://127.0.0.1:1/").expect("the server is the one that was named");
        assert!(!rest.split('/').any(|part| matches!(part, "." | "..")), "{url} stays below its repository");
        assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\\".contains(&byte)), "{url} is one");
    }
});
