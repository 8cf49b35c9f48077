//! A fake of MLflow's tracking server and artifact proxy, which knows no ranges, as the real one.

use mantlet_vocab::Verdict;
use serde_json::json;

use super::server::{Reply, Seen, Server};
use super::{EVIL, list, look, names, reasons, verdict};

fn tracking(place: &'static str) -> Server {
    Server::start(move |seen: &Seen| {
        if seen.header("authorization") != Some("Basic YWRhOmdlaGVpbQ==") {
            return Reply::new(401, "");
        }
        let dir = |name: &str| json!({ "path": name, "is_dir": true });
        let file = |name: &str, size: usize| json!({ "path": name, "is_dir": false, "file_size": size });
        match seen.target.as_str() {
            "/api/2.0/mlflow/registered-models/alias?name=fraud&alias=champion" => {
                Reply::json(&json!({ "model_version": { "version": "3" } }))
            }
            "/api/2.0/mlflow/model-versions/get-download-uri?name=fraud&version=3" => {
                Reply::json(&json!({ "artifact_uri": place }))
            }
            "/api/2.0/mlflow/runs/get?run_id=r1" => Reply::json(
                &json!({ "run": { "info": { "artifact_uri": "mlflow-artifacts:/0/r1/artifacts" } } }),
            ),
            "/api/2.0/mlflow/logged-models/m-1" => Reply::json(
                &json!({ "model": { "info": { "artifact_uri": "mlflow-artifacts:/0/r1/artifacts/model" } } }),
            ),
            "/api/2.0/mlflow-artifacts/artifacts?path=0%2Fr1%2Fartifacts" => {
                Reply::json(&json!({ "files": [dir("model"), file("note.txt", 5), file("..", 1)] }))
            }
            "/api/2.0/mlflow-artifacts/artifacts?path=0%2Fr1%2Fartifacts%2Fmodel" => {
                Reply::json(&json!({ "files": [file("model.pkl", EVIL.len())] }))
            }
            "/api/2.0/mlflow-artifacts/artifacts/0/r1/artifacts/model/model.pkl" => Reply::new(200, EVIL),
            "/api/2.0/mlflow-artifacts/artifacts/0/r1/artifacts/note.txt" => Reply::new(200, "hello"),
            target if target.contains("artifacts?path=") => Reply::json(&json!({})),
            _ => Reply::new(404, ""),
        }
    })
}

/// The credentials, and the server they are for.
fn person(url: &str) -> [(&str, &str); 3] {
    [
        ("MLFLOW_TRACKING_USERNAME", "ada"),
        ("MLFLOW_TRACKING_PASSWORD", "geheim"),
        ("MLFLOW_TRACKING_URI", url),
    ]
}

#[test]
fn versions_aliases_and_runs_lead_to_their_files() {
    for place in ["mlflow-artifacts:/0/r1/artifacts/model", "models:/m-1", "runs:/r1/model"] {
        let server = tracking(place);
        let url = server.url("/");
        for what in ["models:/fraud/3", "models:/fraud@champion"] {
            let uri = format!("mlflow://{}/{what}", server.address);
            let seen = look(&uri, &person(&url), false);
            assert_eq!(names(&seen), [format!("{uri}/model.pkl")], "{place}: {}", reasons(&seen));
            assert_eq!(verdict(&seen), Verdict::Found);
        }
    }
    let server = tracking("");
    let url = server.url("/");
    let run = format!("mlflow://{}/runs:/r1", server.address);
    let seen = look(&run, &person(&url), false);
    assert_eq!(names(&seen), [format!("{run}/model/model.pkl"), format!("{run}/note.txt")]);
    assert_eq!(seen.gaps.len(), 1, "{:?}", seen.gaps);
    let one = look(&format!("{run}/model/model.pkl"), &person(&url), false);
    assert_eq!(names(&one), [format!("{run}/model/model.pkl")]);
    assert!(list("mlflow:///runs:/r1", &person(&url)).is_ok());
    assert!(list(&run, &[]).unwrap_err().to_string().contains("401"));
    assert!(list("mlflow:///runs:/r1", &[]).unwrap_err().to_string().contains("MLFLOW_TRACKING_URI"));
}

#[test]
fn files_that_lie_elsewhere_are_not_fetched_from_there() {
    let server = tracking("s3://bucket/path?key=geheim");
    let seen =
        look(&format!("mlflow://{}/models:/fraud/3", server.address), &person(&server.url("/")), false);
    assert_eq!(verdict(&seen), Verdict::NotFullyExamined);
    assert!(reasons(&seen).contains("s3://bucket/path") && !reasons(&seen).contains("geheim"));
}

#[test]
fn credentials_go_to_the_server_they_are_for_and_no_other() {
    let evil = Server::start(|_| Reply::new(401, ""));
    let uri = format!("mlflow://{}/models:/x/1", evil.address);
    let (token, corp) =
        (("MLFLOW_TRACKING_TOKEN", "geheim"), ("MLFLOW_TRACKING_URI", "https://corp.example"));
    let port = ("MLFLOW_TRACKING_URI", "http://127.0.0.1:1");
    for environment in [&[token][..], &[token, corp], &[token, port], &person("https://corp.example")] {
        let fault = list(&uri, environment).unwrap_err().to_string();
        assert!(fault.contains("MLFLOW_TRACKING_URI") && !fault.contains("geheim"), "{fault}");
    }
    assert!(evil.requests().iter().all(|request| request.header("authorization").is_none()));
    // Where none are needed, it is said all the same.
    let open = Server::start(|seen: &Seen| match seen.path() {
        path if path.ends_with("/get") => {
            Reply::json(&json!({ "run": { "info": { "artifact_uri": "mlflow-artifacts:/0" } } }))
        }
        _ => Reply::json(&json!({ "files": [{ "path": "a.pkl", "is_dir": false }] })),
    });
    let listing = list(&format!("mlflow://{}/runs:/r1", open.address), &[token, corp]).unwrap();
    assert!(listing.notes.iter().any(|note| note.contains("no credentials")), "{:?}", listing.notes);
}

#[test]
fn folders_without_end_and_long_names_are_cut_and_said() {
    for (name, is_dir) in
        [("f".to_owned(), true), ("f".to_owned(), false), ("f".repeat(5_000), true), ("..".into(), true)]
    {
        let server = Server::start(move |seen: &Seen| match seen.path() {
            path if path.ends_with("/get") => {
                Reply::json(&json!({ "run": { "info": { "artifact_uri": "mlflow-artifacts:/0" } } }))
            }
            _ => {
                let file = |index: usize| json!({ "path": format!("{name}{}", "g".repeat(index * usize::from(name == "f"))), "is_dir": is_dir });
                Reply::json(&json!({ "files": (0..200).map(file).collect::<Vec<_>>() }))
            }
        });
        let listing = super::hurried(&format!("mlflow://{}/runs:/r1", server.address), &[]).unwrap();
        assert!(listing.objects.len() <= 5 && (1..=6).contains(&listing.gaps.len()), "{listing:?}");
        assert!(server.requests().len() <= 3);
    }
}
