//! Every form of an answer, and answers that are none.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;

use super::*;

/// Answers each request with the next of these (status line and headers, body); gives back what was asked.
fn serve(answers: Vec<(&'static str, String)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let handle = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for (head, body) in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut text, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                text.push_str(&line);
                if line == "\r\n" {
                    break;
                }
            }
            let mut bytes = vec![0; length];
            reader.read_exact(&mut bytes).unwrap();
            text.push_str(&String::from_utf8(bytes).unwrap());
            asked.push(text);
            write!(
                &stream,
                "HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
        }
        asked
    });
    (address, handle)
}

fn config(url: &str) -> TemplateConfig {
    TemplateConfig {
        url: format!("{url}/score"),
        body: json!({"instances": "$rows", "model": "m"}),
        scores: Some("/predictions/*/p".to_owned()),
        labels: None,
        shape: vec![2],
        classes: ["no", "yes", "maybe"].map(str::to_owned).to_vec(),
        columns: Vec::new(),
        header: Some("x-api-key".to_owned()),
        key_env: None,
        max_rows: 8,
        timeout_ms: 5_000,
        tokens: None,
        tokens_per_request: None,
    }
}

fn rows(count: usize) -> Tensor {
    Tensor::new([count, 2], (0..count * 2).map(|value| value as f32 / 4.0).collect()).unwrap()
}

#[test]
fn every_form_of_scores_comes_out_in_the_order_of_the_classes() {
    let forms = [
        (json!([0.1, 0.7, 0.2]), [0.1, 0.7, 0.2]),
        (json!({"yes": 0.7, "maybe": 0.2, "no": 0.1}), [0.1, 0.7, 0.2]),
        (json!([{"label": "yes", "score": 0.7}, {"label": "maybe", "score": 0.2}]), [0.1, 0.7, 0.2]),
        (json!([{"class": 1, "probability": 0.5}]), [0.25, 0.5, 0.25]),
        (json!([3.5, -1.0, 0.0]), [3.5, -1.0, 0.0]),
    ];
    let answers = forms.iter().map(|(form, _)| ("200 OK", json!({"predictions": [{"p": form}]}).to_string()));
    let (address, server) = serve(answers.collect());
    let mut target = TemplateTarget::new(config(&address), Some("secret-key")).unwrap();
    for (form, wanted) in &forms {
        let scores = target.scores(&rows(1)).unwrap();
        let near = scores.data().iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{form}: {:?}", scores.data());
    }
    assert_eq!(target.describe().score_kind, Some(ScoreKind::Logits));
    let asked = server.join().unwrap();
    assert!(
        asked[0].contains("x-api-key: secret-key")
            && asked[0].ends_with(r#"{"instances":[[0.0,0.25]],"model":"m"}"#),
        "{}",
        asked[0]
    );
    assert!(!format!("{:?} {:?}", target.describe(), target.config).contains("secret-key"));
}

#[test]
fn labels_records_and_single_rows() {
    let (address, server) = serve(vec![("200 OK", r#"{"answer": "maybe"}"#.to_owned())]);
    let config = TemplateConfig {
        body: json!({"input": "$record"}),
        scores: None,
        labels: Some("/answer".to_owned()),
        columns: vec!["age".to_owned(), "pay".to_owned()],
        ..config(&address)
    };
    let mut target = TemplateTarget::new(config, None).unwrap();
    assert_eq!(target.labels(&rows(1)).unwrap(), [2]);
    assert_eq!(target.describe().max_rows, 1);
    assert!(server.join().unwrap()[0].ends_with(r#"{"input":{"age":0.0,"pay":0.25}}"#));
}

#[test]
fn lies_refusals_and_redirects_are_what_they_are() {
    // Nobody listens at the address a redirect leads to; were it followed, the answer would be a failure.
    let other = "307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/elsewhere";
    let (address, server) = serve(vec![
        (other, String::new()),
        ("429 Too Many Requests\r\nretry-after: 2", "{}".to_owned()),
        ("500 Oops", String::new()),
        ("200 OK", "not json".to_owned()),
        ("200 OK", r#"{"predictions": [{"p": [0.1, 0.9]}]}"#.to_owned()),
        ("200 OK", r#"{"predictions": []}"#.to_owned()),
        ("200 OK", r#"{"predictions": [{"p": {"perhaps": 1.0}}]}"#.to_owned()),
        ("200 OK", r#"{"predictions": [{"p": [null, 0.5, 0.5]}]}"#.to_owned()),
    ]);
    let mut target = TemplateTarget::new(config(&address), None).unwrap();
    let mut ask = || target.scores(&rows(1)).unwrap_err();
    assert!(matches!(ask(), TargetError::Unsupported { .. }));
    assert!(matches!(ask(), TargetError::Refused { status: 429, retry_after_ms: Some(2_000), .. }));
    assert!(matches!(ask(), TargetError::Failed { .. }));
    for _ in 0..5 {
        assert!(matches!(ask(), TargetError::Malformed { .. }));
    }
    assert_eq!(server.join().unwrap().len(), 8);
}

#[test]
fn a_template_that_cannot_work_is_refused_before_anything_is_asked() {
    let good = config("http://127.0.0.1:1");
    for bad in [
        TemplateConfig { url: "127.0.0.1".to_owned(), ..good.clone() },
        TemplateConfig { body: json!({"x": 1}), ..good.clone() },
        TemplateConfig { body: json!("$records"), ..good.clone() },
        TemplateConfig { scores: None, ..good.clone() },
        TemplateConfig { classes: Vec::new(), ..good.clone() },
    ] {
        assert!(matches!(TemplateTarget::new(bad, None), Err(TargetError::Unsupported { .. })));
    }
}

#[test]
fn a_cap_on_tokens_holds_and_what_is_not_counted_is_taken_at_its_most() {
    use mantlet_attacks::Material;
    use mantlet_redteam::{Budget, Campaign, NoClock, NoJournal};

    let run = |answer: Value, per_request: Option<u64>| {
        let (address, _server) = serve(vec![("200 OK", answer.to_string()); 100]);
        let config = TemplateConfig {
            tokens: Some("/usage/total_tokens".to_owned()),
            tokens_per_request: per_request,
            max_rows: 1,
            ..config(&address)
        };
        let mut target = TemplateTarget::new(config, None).unwrap();
        let campaign = Campaign::new("evasion-hop-skip-jump", 1, Material::new(rows(2), Vec::new(), 3))
            .budget(Budget { tokens: 400, ..Budget::default() });
        let report = campaign.run(&mut target, &mut NoJournal, &mut NoClock::default()).unwrap();
        assert_eq!(report.counts.undecided, 2, "{report:?}");
        (report.queries, report.facts["tokens"].as_u64().unwrap())
    };
    let p = json!([{"p": [0.2, 0.5, 0.3]}]);
    // Counted by the answer: thirty each, and never a question that might go past the cap.
    let (queries, tokens) = run(json!({"predictions": p, "usage": {"total_tokens": 30}}), None);
    assert!(tokens == 30 * queries && (300..=400).contains(&tokens), "{queries} {tokens}");
    // Not counted: the most that is stated for each.
    let (queries, tokens) = run(json!({"predictions": p}), Some(90));
    assert_eq!((queries, tokens), (4, 360));
}
