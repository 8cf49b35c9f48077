//! Tables behind addresses, of an HTTP server and of a PostgreSQL server of this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use mantlet_testkit::servers::Postgres;

use crate::data::{person, with_password};
use crate::program::{Folder, expect, run};

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

#[test]
fn data_are_checked_and_delivered_from_where_they_lie() {
    let text = table();
    let web = serve(text.clone());
    let server = Postgres::start();
    let run_sql = |sql: &str| {
        let ran = Command::new("psql").args([&server.url(), "-v", "ON_ERROR_STOP=1", "-c", sql]).output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    run_sql("CREATE TABLE weeks (kind int, amount int, label text)");
    let values: Vec<String> = text
        .lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("({},{},'{}')", cells[0], cells[1], cells[2])
        })
        .collect();
    run_sql(&format!("INSERT INTO weeks VALUES {}", values.join(",")));
    let url = server.url();
    let database = format!("{url}{}table=weeks", if url.contains('?') { "&" } else { "?" });

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
