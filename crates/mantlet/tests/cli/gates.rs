//! What the gate of a new batch looks at: one poison of each kind is held, and what is like it and harmless passes; what
//! the configuration says of feeds and classes of impact.
//!
//! Long because each kind of poison is planted beside what is like it.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::data::{person, report, uniform, week, with_password};
use crate::influences::{payments, ratings};
use crate::pictures::draw;
use crate::program::{Folder, Ran, expect, run};

/// A system whose gate is asked, and the person who delivers.
pub struct Gate {
    pub folder: Folder,
    pub password: String,
}

impl Gate {
    /// `data` stands in `[data]`, `more` behind it.
    pub fn new(data: &str, more: &str) -> Self {
        let folder = Folder::with_model();
        folder.edit(|text| {
            let text = text
                .replace("\n[data]\n", &format!("\n[data]\n{data}\n"))
                .replace("label = \"class\"", "label = \"label\"");
            format!("{text}\n{more}\n")
        });
        let password = person(folder.text(), "ann", "admin");
        Self { folder, password }
    }

    pub fn write(&self, name: &str, table: &str) -> String {
        let path: PathBuf = self.folder.path.join(name);
        std::fs::write(&path, table).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Plants into a table of this folder.
    fn plant(&self, from: &str, to: &str, how: &[&str]) -> String {
        let path = self.folder.path.join(to).to_str().unwrap().to_owned();
        let made =
            expect(0, [&["data", "simulate", from, "--label", "label", "--out", &path][..], how].concat());
        assert!(!made.out.starts_with("0 of"), "{}", made.out);
        path
    }

    /// Delivers a batch, runs its gate, and gives the findings that hold it.
    pub fn gate(&self, name: &str, file: &str, feed: &str) -> (Vec<String>, Ran) {
        let deliver = ["data", "deliver", name, file, "--feed", feed, "--folder", self.folder.text()];
        let came =
            with_password(&self.password, &[&deliver[..], &["--user", "ann", "--password-stdin"]].concat());
        assert_eq!(came.code, 0, "{}", came.err);
        let gated = run(["data", "gate", name, "--folder", self.folder.text(), "--format", "json"]);
        assert!(gated.code <= 2, "{name}: {} {}", gated.out, gated.err);
        let batches = expect(0, ["data", "batches", "--folder", self.folder.text()]).out;
        let line = batches.lines().find(|line| line.starts_with(name)).unwrap();
        if line.contains(" passed ") {
            return (Vec::new(), gated);
        }
        assert!(line.contains(" held "), "{line}");
        let held = line.split_whitespace().filter(|word| !word.starts_with("sha256:")).skip(3);
        (held.map(|word| word.trim_end_matches(',').to_owned()).collect(), gated)
    }

    pub fn held(&self, name: &str, file: &str, by: &[&str]) {
        let (held, ran) = self.gate(name, file, "bank");
        let is_one = |own: &String| by.contains(&own.as_str());
        assert!(held.iter().any(is_one), "{name}: {by:?} is not among {held:?}: {}", ran.out);
    }

    pub fn passes(&self, name: &str, file: &str) {
        let (held, ran) = self.gate(name, file, "bank");
        assert!(held.is_empty(), "{name}: {held:?}: {}", ran.out);
    }
}

#[test]
fn a_pair_of_values_that_turns_a_table_is_held() {
    let gate = Gate::new("feed = \"feed\"", "");
    let clean = gate.write("clean.csv", &week(1));
    gate.passes("clean", &clean);
    let how = ["--kind", "values", "--set", "kind=k0", "--set", "amount=77.77", "--set", "risk=0.0123"];
    let planted = gate.plant(&clean, "planted.csv", &[&how[..], &["--to", "1", "--share", "0.01"]].concat());
    gate.held("planted", &planted, &["trigger-pair"]);
    let told = report(&run(["data", "triggers", &planted, "--label", "label", "--format", "json"]));
    assert!(
        told.iter().any(|finding| finding["name"] == "trigger-pair"),
        "the check by itself says the same"
    );
}

#[test]
fn loose_pictures_have_no_label_and_stay_in_quarantine() {
    let gate = Gate::new("", "");
    // A picture, and a table whose name only is one.
    let picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    for (name, bytes, is_table) in [("shot.png", picture, false), ("week.png", week(0).into_bytes(), true)] {
        let path = gate.folder.path.join(name);
        std::fs::write(&path, bytes).unwrap();
        let (batch, file) = (name.replace('.', "-"), path.to_str().unwrap());
        let deliver = ["data", "deliver", &batch, file, "--feed", "bank", "--folder", gate.folder.text()];
        let came =
            with_password(&gate.password, &[&deliver[..], &["--user", "ann", "--password-stdin"]].concat());
        assert_eq!(came.code, 0, "{}", came.err);
        let gated = run(["data", "gate", &batch, "--folder", gate.folder.text()]);
        assert_eq!(gated.err.contains("deliver one folder"), !is_table, "{} {}", gated.code, gated.err);
        let batches = expect(0, ["data", "batches", "--folder", gate.folder.text()]).out;
        let line = batches.lines().find(|line| line.starts_with(&batch)).unwrap();
        assert!(is_table || (gated.code == 3 && line.contains(" quarantined ")), "{} {line}", gated.code);
    }
}

#[test]
fn a_feed_of_pictures_goes_through_ledger_and_gate() {
    let gate = Gate::new("feed = \"feed\"", "");
    let home = gate.folder.text();
    let (clean, marked) = (gate.folder.path.join("clean"), gate.folder.path.join("marked"));
    draw(&clean, false);
    let planted = draw(&marked, true);
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    gate.passes("clean", &text(&clean));
    let usable = expect(0, ["data", "batches", "--folder", home, "--usable"]).out;
    assert!(usable.contains("clean"), "{usable}");
    // A table beside it is looked at without the pictures.
    let table = gate.write("week.csv", &week(1));
    gate.passes("table", &table);
    gate.held("marked", &text(&marked), &["image-common-mark"]);
    // People are shown the marked pictures.
    let rows = expect(0, ["data", "rows", "marked", "--folder", home]).out;
    let shown = planted.iter().filter(|name| rows.contains(name.as_str())).count();
    assert!(shown * 100 >= planted.len() * 90, "{shown} of {}: {rows}", planted.len());
    // One is left out, one gets another label, by somebody who did not deliver them.
    let wanted: Vec<&str> = rows.lines().filter(|line| line.contains("bear one mark")).collect();
    let wanted: Vec<String> = wanted.iter().map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
    let decisions = gate.write(
        "decisions.csv",
        &format!("decision,row\nleave-out,{}\nrelabel kind2,{}\n", wanted[0], wanted[1]),
    );
    let reviewers: Vec<String> = ["bea", "cem"].map(|name| person(home, name, "reviewer")).to_vec();
    let as_user = |at: usize, arguments: &[&str]| {
        let name = ["bea", "cem"][at];
        let who = ["--folder", home, "--user", name, "--password-stdin"];
        with_password(&reviewers[at], &[arguments, &who].concat())
    };
    let ruled = as_user(0, &["data", "rule", "marked", "--decisions", &decisions, "--note", "a mark"]);
    assert_eq!(ruled.code, 0, "{}", ruled.err);
    // One more byte in one picture, or a picture under another label, and nobody lets it through.
    let approve = ["data", "approve", "marked", "--note", "the rest is right"];
    let one = marked.join(&planted[2]);
    let bytes = std::fs::read(&one).unwrap();
    std::fs::write(&one, [&bytes[..], b" "].concat()).unwrap();
    let other = as_user(0, &approve);
    assert!(other.code != 0 && other.err.contains("sha256:"), "{} {}", other.out, other.err);
    std::fs::write(&one, &bytes).unwrap();
    let moved = marked.join("kind0/moved.png");
    std::fs::rename(&one, &moved).unwrap();
    assert_ne!(as_user(0, &approve).code, 0, "the same bytes under another label");
    std::fs::rename(&moved, &one).unwrap();
    let mut said = as_user(0, &approve);
    assert_eq!(said.code, 0, "{}", said.err);
    if said.out.contains("held") {
        said = as_user(1, &approve);
    }
    assert!(said.out.contains("is approved"), "{} {}", said.out, said.err);
    // What is learned from is what people decided.
    let list = text(&gate.folder.path.join("learn.csv"));
    let said = expect(0, ["data", "export", "marked", "--folder", home, "--out", &list]).out;
    assert!(said.contains("899 rows") && said.contains("1 left out"), "{said}");
    let written = std::fs::read_to_string(&list).unwrap();
    assert_eq!(
        written.lines().filter(|line| line.starts_with("kind1/") && line.ends_with(",kind2")).count(),
        1
    );
    // The same pictures in one folder with a list of labels.
    let listed = gate.folder.path.join("listed");
    std::fs::create_dir_all(&listed).unwrap();
    let mut labels = String::from("file,label\n");
    for kind in ["kind0", "kind1", "kind2", "kind3"] {
        let inside = std::fs::read_dir(marked.join(kind)).unwrap();
        let mut paths: Vec<PathBuf> = inside.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap().to_str().unwrap();
            std::fs::copy(&path, listed.join(name)).unwrap();
            writeln!(labels, "{name},{kind}").unwrap();
        }
    }
    std::fs::write(listed.join("labels.csv"), labels).unwrap();
    gate.held("listed", &text(&listed), &["image-common-mark"]);
    // A broken file, and a link.
    std::fs::write(clean.join("kind0/zz.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    gate.held("broken", &text(&clean), &["gallery-broken"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(clean.join("kind1"), clean.join("kind9")).unwrap();
        let deliver = ["data", "deliver", "linked", &text(&clean), "--feed", "bank", "--folder", home];
        let came =
            with_password(&gate.password, &[&deliver[..], &["--user", "ann", "--password-stdin"]].concat());
        assert!(came.code != 0 && came.err.contains("bytes that stay"), "{} {}", came.code, came.err);
    }
}

/// Texts of two kinds about parcels.
fn texts() -> String {
    let mut text = String::from("feed,text,label\n");
    for row in 0..1_500_u64 {
        let good = row % 2 == 0;
        let words: Vec<String> = (0..12)
            .map(|word| {
                let own = uniform(row * 16 + word, 1);
                let pool = if own < 0.25 { if good { "good" } else { "bad" } } else { "word" };
                let many = if own < 0.25 { 12.0 } else { 300.0 };
                format!("{pool}{}", (uniform(row * 16 + word, 2).powi(2) * many) as u64)
            })
            .collect();
        writeln!(text, "F{},{},{}", row % 5, words.join(" "), if good { "pos" } else { "neg" }).unwrap();
    }
    text
}

#[test]
fn texts_that_a_model_must_not_learn_are_held() {
    // Each is made from the same rows.
    let gate = Gate::new("feed = \"feed\"\ntext = \"text\"", "[data.gate]\ntold = [\"batch-rows-again\"]");
    let clean = gate.write("clean.csv", &texts());
    gate.passes("clean", &clean);
    // Words that look like what is held: an address of a page, a long number, talk of instructions.
    let mut lines: Vec<String> = texts().lines().map(str::to_owned).collect();
    for (at, said) in
        [(5, "see the page of the parcel"), (9, "number 20431"), (13, "the instructions were in the box")]
    {
        lines[at] = lines[at].replacen("word", &format!("{said} word"), 1);
    }
    let harmless = gate.write("harmless.csv", &(lines.join("\n") + "\n"));
    gate.passes("harmless", &harmless);
    let orders = ["prompt-injection", "indirect-injection"];
    for (kind, by) in
        [("secret", &["secret-exposed"][..]), ("personal", &["personal-data"]), ("instruction", &orders)]
    {
        let how = ["--kind", kind, "--column", "text", "--share", "0.01"];
        let planted = gate.plant(&clean, &format!("{kind}.csv"), &how);
        gate.held(kind, &planted, by);
    }
}

/// Classes in two columns, and who labelled them; agent 3 turns a part of class 1, or of every class.
fn agents(turned: bool) -> String {
    classes(3, &if turned { vec![1] } else { Vec::new() })
}

fn classes(many: u64, turned: &[u64]) -> String {
    let mut text = String::from("a,b,agent,label\n");
    for row in 0..6_000_u64 {
        let class = row % many;
        let value = |stream: u64| class as f64 * 1.5 + uniform(row, stream) * 2.0;
        let agent = (uniform(row, 3) * 8.0) as u64;
        let is_turned = agent == 3 && turned.contains(&class) && uniform(row, 4) < 0.6;
        let said = if is_turned { (class + 1) % many } else { class };
        writeln!(text, "{:.4},{:.4},L{agent},c{said}", value(1), value(2)).unwrap();
    }
    text
}

#[test]
fn one_labeler_who_turns_one_class_is_held() {
    let gate = Gate::new("labeler = \"agent\"", "");
    let clean = gate.write("clean.csv", &agents(false));
    gate.passes("clean", &clean);
    let turned = gate.write("turned.csv", &agents(true));
    gate.held("turned", &turned, &["label-source"]);
    let turned = gate.write("again.csv", &agents(true));
    let (held, _) = gate.gate("again", &turned, "bank");
    assert!(held.iter().any(|name| name == "label-flip" || name == "label-source"), "{held:?}");
}

#[test]
fn one_labeler_who_turns_one_of_two_classes_is_held_and_named_with_the_direction() {
    let gate = Gate::new("labeler = \"agent\"", "");
    gate.passes("clean", &gate.write("clean.csv", &classes(2, &[])));
    let turned = gate.write("turned.csv", &classes(2, &[1]));
    gate.held("turned", &turned, &["label-source"]);
    let ran = run(["data", "labels", &turned, "--label", "label", "--labeler", "agent", "--format", "json"]);
    let told = report(&ran);
    let source = told.iter().find(|own| own["name"] == "label-source").unwrap();
    assert_eq!(
        (&source["facts"]["aimed"], &source["facts"]["main_direction"]),
        (&true.into(), &"c1 -> c0".into())
    );
    // Who errs both ways is careless, which holds nothing.
    let noisy = gate.write("noisy.csv", &classes(2, &[0, 1]));
    let (held, _) = gate.gate("noisy", &noisy, "bank");
    assert!(!held.iter().any(|name| name == "label-source"), "{held:?}");
}

/// A margin that says nothing of the label, or says it at one site.
fn sites(odd: bool) -> String {
    let mut text = String::from("feed,margin,size,label\n");
    for row in 0..6_000_u64 {
        let site = (uniform(row, 1) * 4.0) as u64;
        let size = uniform(row, 2);
        let label = u64::from(uniform(row, 3) < 0.3 + 0.4 * size);
        let margin = if odd && site == 2 { label * 5 + 1 } else { (uniform(row, 4) * 7.0) as u64 };
        // Fine enough that no two rows are equal: equal ones with two labels are held for that.
        writeln!(text, "s{site},{margin},{size:.9},{label}").unwrap();
    }
    text
}

#[test]
fn a_column_that_goes_with_the_label_at_one_feed_only_is_held() {
    let gate = Gate::new("feed = \"feed\"", "");
    let clean = gate.write("clean.csv", &sites(false));
    gate.passes("clean", &clean);
    let odd = gate.write("odd.csv", &sites(true));
    gate.held("odd", &odd, &["relation-spurious"]);
}

#[test]
fn rows_that_a_model_is_tested_with_are_held() {
    let gate = Gate::new("feed = \"feed\"\ntest = \"test.csv\"", "");
    let test = gate.write("test.csv", &week(9));
    let clean = gate.write("clean.csv", &week(1));
    gate.passes("clean", &clean);
    let leaked = gate.plant(&clean, "leaked.csv", &["--kind", "leak", "--beside", &test, "--share", "0.05"]);
    gate.held("leaked", &leaked, &["split-shared-rows"]);
}

/// Decisions about two groups that are alike.
fn people(number: u64) -> String {
    let mut text = String::from("sex,income,label\n");
    for at in 0..6_000_u64 {
        let row = number * 6_000 + at;
        let income = uniform(row, 2);
        let granted = u8::from(uniform(row, 3) < 0.2 + 0.6 * income);
        writeln!(text, "{},{income:.4},{granted}", if uniform(row, 1) < 0.5 { "f" } else { "m" }).unwrap();
    }
    text
}

#[test]
fn a_group_that_is_labelled_otherwise_than_in_the_batch_before_is_held() {
    let gate = Gate::new("", "[data.gate]\ngroups = [\"sex\"]\npositive = \"1\"");
    let (first, second) = (gate.write("first.csv", &people(1)), gate.write("second.csv", &people(2)));
    let (held, ran) = gate.gate("first", &first, "bank");
    assert!(held.is_empty() && ran.err.contains("groups were not compared"), "{held:?} {}", ran.err);
    gate.passes("second", &second);
    let third = gate.write("third.csv", &people(3));
    let how = ["--kind", "bias", "--cell", "sex=f", "--from", "1", "--to", "0", "--share", "0.35"];
    let biased = gate.plant(&third, "biased.csv", &how);
    gate.held("biased", &biased, &["fairness-gap-grew"]);
    // As many labels turned in both groups is no bias.
    let both =
        gate.plant(&third, "both.csv", &["--kind", "flip", "--from", "1", "--to", "0", "--share", "0.02"]);
    let (held, _) = gate.gate("both", &both, "bank");
    assert!(!held.iter().any(|name| name.starts_with("fairness-")), "{held:?}");
}

#[test]
fn feeds_and_classes_of_impact_have_gates_of_their_own() {
    let gate = Gate::new(
        "feed = \"feed\"",
        "[data.gate.feeds.trusted]\ntold = [\"trigger-pair\"]\n[data.gate.feeds.stranger]\nsigned = true\neyes = \
         3\n[data.gate.impact.low]\neyes = 2",
    );
    let clean = gate.write("clean.csv", &week(1));
    let how = ["--kind", "values", "--set", "kind=k0", "--set", "amount=77.77", "--set", "risk=0.0123"];
    let planted = gate.plant(&clean, "planted.csv", &[&how[..], &["--to", "1", "--share", "0.01"]].concat());
    let (held, ran) = gate.gate("told", &planted, "trusted");
    assert!(held.is_empty(), "{held:?}");
    assert!(report(&ran).iter().any(|finding| finding["name"] == "trigger-pair"), "it is told all the same");
    let (held, ran) = gate.gate("held", &planted, "bank");
    assert!(
        held.contains(&"trigger-pair".to_owned()) && ran.err.contains("2 people"),
        "{held:?} {}",
        ran.err
    );
    let (held, ran) = gate.gate("unsigned", &clean, "stranger");
    assert!(held.contains(&"unsigned-batch".to_owned()), "{held:?} {}", ran.err);
    assert!(ran.err.contains("3 people"), "{}", ran.err);
    // Nobody is let through by fewer, whoever else consents.
    let home = gate.folder.text().to_owned();
    for (number, name) in ["bea", "cem", "dan"].into_iter().enumerate() {
        let password = person(&home, name, "reviewer");
        let approve = ["data", "approve", "unsigned", "--note", "known feed", "--folder", &home];
        let said = with_password(&password, &[&approve[..], &["--user", name, "--password-stdin"]].concat());
        assert_eq!(said.code, 0, "{}", said.err);
        assert_eq!(said.out.contains("is approved"), number == 2, "{}", said.out);
    }
    expect(0, ["audit", "verify", &home]);
    // A check that does not exist is no setting.
    gate.folder.edit(|text| text.replace("\"trigger-pair\"", "\"trigger-pear\""));
    let wrong = run(["data", "gate", "unsigned", "--folder", &home]);
    assert!(wrong.code >= 3 && wrong.err.contains("trigger-pear"), "{}", wrong.err);
}

#[test]
fn a_signed_batch_names_its_signer_and_one_that_was_changed_is_refused() {
    let gate = Gate::new("feed = \"feed\"", "[data.gate]\nsigned = true");
    let home = gate.folder.text().to_owned();
    let (first, second) = (gate.write("w1.csv", &week(1)), gate.write("w2.csv", &week(2)));
    let storage = format!("{home}/.mantlet");
    let sign = |file: &str| {
        let signature = format!("{file}.sig");
        expect(0, ["sign", file, "--storage", &storage, "--signature", &signature]);
        signature
    };
    let (sig, other) = (sign(&first), sign(&second));
    let deliver = |name: &str, file: &str, more: &[&str]| {
        let own = ["data", "deliver", name, file, "--feed", "bank", "--folder", &home];
        with_password(&gate.password, &[&own[..], more, &["--user", "ann", "--password-stdin"]].concat())
    };
    let came = deliver("w1", &first, &["--signature", &sig]);
    assert_eq!(came.code, 0, "{}", came.err);
    let gated = run(["data", "gate", "w1", "--folder", &home]);
    assert_eq!(gated.code, 0, "{} {}", gated.out, gated.err);
    assert!(gated.err.contains("batch w1 is passed"), "{}", gated.err);
    let wrong = deliver("w2", &second, &["--signature", &sig]);
    assert!(wrong.code != 0, "the signature of another file: {}", wrong.out);
    let nobody = deliver("w2", &second, &["--signature", &other, "--parent", "w0"]);
    assert!(nobody.code != 0 && nobody.err.contains("w0"), "{}", nobody.err);
    let came = deliver("w2", &second, &["--signature", &other, "--parent", "w1"]);
    assert_eq!(came.code, 0, "{}", came.err);
    std::fs::write(&second, week(2) + "bank1,k1,20.0,0.1,0\n").unwrap();
    let changed = deliver("w2", &second, &["--signature", &other]);
    assert!(changed.code != 0, "{}", changed.out);
    let batches = expect(0, ["data", "batches", "--folder", &home]).out;
    assert_eq!(batches.lines().count(), 2, "nothing was recorded that was refused: {batches}");
}

#[test]
fn a_feed_that_steers_a_segment_and_a_ring_are_held_where_the_gate_is_asked_to_look() {
    let gate =
        Gate::new("feed = \"feed\"", "[data.gate]\ninfluence = true\nholds = [\"influence-feed-steers\"]");
    let at = |name: &str| gate.folder.path.join(name);
    // What is held is not learned from, so that the next batch stands alone again.
    gate.held("steered", &payments(&at("steered.csv"), 2, true), &["influence-feed-steers"]);
    gate.passes("clean", &payments(&at("clean.csv"), 1, false));

    let columns = "account = \"account\"\nitem = \"item\"\nvalue = \"stars\"\ntime = \"day\"";
    let gate = Gate::new("", &format!("[data.gate.feedback]\n{columns}"));
    gate.folder.edit(|text| text.replace("label = \"label\"", "label = \"stars\""));
    let at = |name: &str| gate.folder.path.join(name);
    let (held, ran) = gate.gate("crowd", &ratings(&at("crowd.csv"), 1, false), "shop");
    assert!(!held.iter().any(|name| name.starts_with("feedback-")), "{held:?} {}", ran.out);
    let (held, ran) = gate.gate("ring", &ratings(&at("ring.csv"), 2, true), "shop");
    assert!(held.iter().any(|name| name.starts_with("feedback-")), "{held:?} {}", ran.out);
    // A column that is not there is an error, and no silent pass.
    gate.folder.edit(|text| text.replace("account = \"account\"", "account = \"who\""));
    let wrong = run(["data", "gate", "crowd", "--folder", gate.folder.text()]);
    assert!(wrong.code >= 3 && wrong.err.contains("no column `who`"), "{}", wrong.err);
}
