//! Tables behind addresses: of an HTTP server, of one that speaks as S3 does, and of a PostgreSQL server of this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use mantlet_testkit::servers::Postgres;

use crate::data::{person, with_password};
use crate::program::{Folder, expect, mantlet, ran, run};

/// Serves one text under every path.
fn serve(text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap_or(Ok(String::new())).unwrap_or_default();
            for line in lines.by_ref().map_while(Result::ok) {
                if line.is_empty() {
                    break;
                }
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\netag: \"1\"\r\nconnection: close\r\n\r\n",
                text.len()
            );
            let body = if first.starts_with("HEAD") { "" } else { text.as_str() };
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    format!("http://{address}/weeks/week-1.csv")
}

fn table() -> String {
    let row = |row: u32| format!("{},{},{}\n", row % 7, row * 31 % 101, ["no", "yes"][(row % 2) as usize]);
    let mut text = String::from("kind,amount,label\n");
    (0..400).for_each(|at| text += &row(at));
    // A row three times: told.
    text += &row(1).repeat(30);
    text
}

/// Serves one text as the object of a store: its head, and the bytes that are asked for.
fn store(text: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let range = head.iter().find_map(|line| {
                let (from, to) = line
                    .to_lowercase()
                    .strip_prefix("range: bytes=")?
                    .split_once('-')
                    .map(|(from, to)| (from.parse::<usize>().ok(), to.parse::<usize>().ok()))?;
                Some((from?, to?.min(text.len() - 1)))
            });
            let (first, part) = match range {
                Some((from, to)) => (
                    format!("206 Partial Content\r\ncontent-range: bytes {from}-{to}/{}", text.len()),
                    &text[from..=to],
                ),
                None => ("200 OK".to_owned(), text.as_str()),
            };
            let fixed = "etag: \"1\"\r\nlast-modified: Wed, 21 Oct 2026 07:28:00 GMT\r\nconnection: close";
            let told = format!("HTTP/1.1 {first}\r\ncontent-length: {}\r\n{fixed}\r\n\r\n", part.len());
            let body = if head.first().is_some_and(|line| line.starts_with("HEAD")) { "" } else { part };
            let _ = stream.write_all(told.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    format!("http://{address}")
}

/// Writes a table into a database; gives its address.
fn fill(server: &Postgres, text: &str) -> String {
    let rows: Vec<String> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("({},{},'{}')", cells[0], cells[1], cells[2])
        })
        .collect();
    for sql in [
        "CREATE TABLE weeks (kind int, amount int, label text)".to_owned(),
        format!("INSERT INTO weeks VALUES {}", rows.join(",")),
    ] {
        let done = Command::new("psql").args([&server.url(), "-v", "ON_ERROR_STOP=1", "-c", &sql]).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let url = server.url();
    format!("{url}{}table=weeks", if url.contains('?') { "&" } else { "?" })
}

#[test]
fn a_monitor_tells_the_same_of_a_table_wherever_it_lies() {
    let holder = tempfile::tempdir().unwrap();
    let at = |name: &str| holder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("before.csv"), table()).unwrap();
    // Later every amount is 60 more.
    let later: String = table()
        .lines()
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            match cells[1].parse::<u32>() {
                Ok(amount) => format!("{},{},{}\n", cells[0], amount + 60, cells[2]),
                Err(_) => format!("{line}\n"),
            }
        })
        .collect();
    std::fs::write(at("week-1.csv"), &later).unwrap();
    let (profile, keys) = (at("profile.json"), at("keys"));
    expect(0, ["monitor", "baseline", &at("before.csv"), "--out", &profile, "--storage", &keys]);
    let server = Postgres::start();
    let (web, objects, database) = (serve(later.clone()), store(later.clone()), fill(&server, &later));
    let told = |table: &str| {
        let mut asked = mantlet([
            "monitor",
            "drift",
            table,
            "--baseline",
            &profile,
            "--storage",
            &keys,
            "--format",
            "json",
        ]);
        let ran = ran(&asked.env("AWS_ENDPOINT_URL", &objects).output().unwrap());
        let report: serde_json::Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{table}: {}", ran.err));
        let findings = report["findings"].as_array().unwrap().iter();
        let said = |finding: &serde_json::Value| {
            [&finding["name"], &finding["place"]["part"], &finding["message"]].map(ToString::to_string)
        };
        (ran.code, findings.map(said).collect::<Vec<_>>())
    };
    let (code, found) = told(&at("week-1.csv"));
    assert!(
        code == 1 && found.iter().any(|[name, part, _]| name.contains("drift-") && part.contains("amount")),
        "{found:?}"
    );
    for address in [&web, "s3://bucket/weeks/week-1.csv", &database] {
        assert_eq!(told(address), (code, found.clone()), "{address}");
    }
}

#[test]
fn data_are_checked_and_delivered_from_where_they_lie() {
    let text = table();
    let web = serve(text.clone());
    let server = Postgres::start();
    let database = fill(&server, &text);

    // The same findings as of a copy, under the address's name.
    let system = Folder::with_model();
    let local = system.path.join("week.csv");
    std::fs::write(&local, &text).unwrap();
    let names = |table: &str| {
        let ran = run(["data", "check", table, "--label", "label", "--format", "json"]);
        let report: serde_json::Value =
            serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
        let findings = report["findings"].as_array().unwrap().iter();
        (ran.code, findings.map(|finding| finding["name"].clone()).collect::<Vec<_>>(), ran.out)
    };
    let (code, found, _) = names(local.to_str().unwrap());
    assert!(!found.is_empty());
    for address in [&web, &database] {
        let (same, also, out) = names(address);
        assert_eq!((same, &also), (code, &found), "{out}");
        assert!(out.contains("week"), "{out}");
    }

    let home = system.path.to_str().unwrap();
    let password = person(home, "ann", "admin");
    for (name, address) in [("web-1", &web), ("bank-1", &database)] {
        let arguments =
            ["data", "deliver", name, address, "--feed", "bank", "--folder", home, "--user", "ann"];
        let arguments: Vec<&str> = arguments.into_iter().chain(["--password-stdin"]).collect();
        let came = with_password(&password, &arguments);
        assert!(came.code == 0 && came.out.contains("is quarantined"), "{} {}", came.out, came.err);
        assert!(came.err.contains("is kept as"), "{}", came.err);
        // A second time it is not taken for a new one, and the copy of the first stays.
        let again = with_password(&password, &arguments);
        assert!(again.code == 4 && again.err.contains("delivered before"), "{}", again.err);
    }
    let batches = expect(0, ["data", "batches", "--folder", home]).out;
    assert!(batches.contains("web-1") && batches.contains("bank-1"), "{batches}");
}
