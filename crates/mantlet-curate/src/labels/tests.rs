//! Planted wrong labels in tables, texts and pictures.

use std::fmt::Write as _;

use super::*;

fn uniform(row: u64, stream: u64) -> f64 {
    ((mantlet_drift::mix(row ^ mantlet_drift::mix(stream)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Three classes in three places of a plane; one labeler calls a part of its `red` rows `green`.
#[test]
fn a_labeler_with_an_aim_is_named_by_own_and_by_given_probabilities() {
    let mut text = String::from("x,y,shade,labeler,p_red,p_green,p_blue,label\n");
    let mut flipped = Vec::new();
    for row in 0..3000_u64 {
        let class = row % 3;
        let labeler = (uniform(row, 1) * 6.0) as u64;
        let noise = |stream| uniform(row, stream) - uniform(row, stream + 1);
        let (x, y) = (class as f64 + noise(2) * 0.6, (class * class) as f64 * 0.5 + noise(4) * 0.6);
        let turned = class == 0 && labeler == 4 && uniform(row, 6) < 0.4;
        if turned {
            flipped.push(row);
        }
        let p = [0, 1, 2].map(|other| if other == class { 0.9 } else { 0.05 });
        let label = ["red", "green", "blue"][if turned { 1 } else { class as usize }];
        let shade = ["dark", "light", "?"][(row % 7 % 3) as usize];
        writeln!(text, "{x:.3},{y:.3},{shade},l{labeler},{},{},{},{label}", p[0], p[1], p[2]).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), text).unwrap();
    let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
    let without = ["p_red", "p_green", "p_blue"].map(String::from).to_vec();
    let roles = Roles { label: "label".into(), labeler: Some("labeler".into()), without, ..Roles::default() };
    let given = ["red", "green", "blue"].map(|class| (class.to_owned(), format!("p_{class}"))).to_vec();
    for probabilities in [Vec::new(), given] {
        let own = probabilities.is_empty();
        let found = labels(&dataset, &Asked { roles: roles.clone(), probabilities, text: None }).unwrap();
        let rows: Vec<u64> = found.confident.rows.iter().map(|row| found.rows[row.row]).collect();
        let hits = rows.iter().filter(|row| flipped.contains(row)).count();
        // Where the classes overlap a flipped row may look like what it is called.
        assert!(hits * 100 >= flipped.len() * if own { 75 } else { 100 }, "{hits} of {}", flipped.len());
        assert!(hits * 10 >= rows.len() * if own { 5 } else { 10 }, "{hits} of {} flagged", rows.len());
        let findings = found.findings(&Place::artifact("t"));
        let source = findings.iter().find(|finding| finding.name == "label-source").unwrap();
        assert_eq!(source.place.to_string(), "t (labeler=l4)");
        assert_eq!(source.facts["main_direction"], "red -> green");
    }
    let missing = vec![("red".to_owned(), "p_red".to_owned())];
    let error = labels(&dataset, &Asked { roles, probabilities: missing, text: None }).unwrap_err();
    assert!(error.to_string().contains("3 values and 1 probabilities"), "{error}");
}

#[test]
fn what_is_no_probability_is_refused_by_row_and_column_and_a_missing_one_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    // Two classes; what row 8 says of them.
    let look = |eighth: &str, scale: f64| {
        let mut text = String::from("p_no,p_yes,label\n");
        for row in 0..300_u64 {
            let yes = if row % 2 == 0 { 0.1 } else { 0.9 };
            let own = format!("{},{}", (1.0 - yes) * scale, yes * scale);
            let label = if row % 2 == 0 { "no" } else { "yes" };
            writeln!(text, "{},{label}", if row == 7 { eighth } else { &own }).unwrap();
        }
        std::fs::write(&path, text).unwrap();
        let roles = Roles { label: "label".into(), ..Roles::default() };
        let probabilities = ["no", "yes"].map(|class| (class.to_owned(), format!("p_{class}"))).to_vec();
        labels(
            &Dataset::open(std::slice::from_ref(&path)).unwrap(),
            &Asked { roles, probabilities, text: None },
        )
    };
    for (eighth, scale, why) in [
        ("0.1,1.5", 1.0, "column `p_yes` cannot be the probability: it holds 1.5 in row 8"),
        ("-0.2,0.9", 1.0, "column `p_no` cannot be the probability: it holds -0.2 in row 8"),
        ("0.5,0.9", 1.0, "adds up to 1.400, not to 1, in row 8"),
        ("10,90", 100.0, "it holds 90 in row 1"),
    ] {
        let error = look(eighth, scale).unwrap_err().to_string();
        assert!(error.contains(why), "{eighth}: {error}");
    }
    // A word in a column of numbers is read as a number that is missing.
    for eighth in ["NaN,0.9", "0.1,much"] {
        let found = look(eighth, 1.0).unwrap();
        assert_eq!((found.rows.len(), found.confident.rows.len()), (299, 0));
        assert!(!found.rows.contains(&7));
        assert_eq!(found.gaps, ["1 rows lack a probability of a class and were not examined"]);
    }
    // Rounded to two digits.
    let found = look("0.1,0.89", 1.0).unwrap();
    assert_eq!((found.rows.len(), found.gaps.len()), (300, 0));
}

#[test]
fn a_text_is_said_to_teach_trees_nothing_and_few_words_are_not() {
    let mut text = String::from("x,message,shade,label\n");
    for row in 0..600_u64 {
        let (x, shade) = (row % 2, ["dark", "light", "grey"][(row % 3) as usize]);
        writeln!(text, "{x},message number {row},{shade},c{}", row % 2).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), text).unwrap();
    let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
    let gaps = |without: &[&str]| {
        let without = without.iter().map(|name| (*name).to_owned()).collect();
        let roles = Roles { label: "label".into(), without, ..Roles::default() };
        labels(&dataset, &Asked { roles, ..Asked::default() }).unwrap().gaps
    };
    let told = gaps(&[]);
    assert!(told.len() == 1 && told[0].contains("`message`"), "{told:?}");
    assert!(gaps(&["message"]).is_empty());
}

/// Messages of two kinds that share most of their words, each with a few words of its kind; some labels are turned.
fn messages(turn: impl Fn(u64, u64) -> bool) -> (String, Vec<u64>) {
    let common =
        ["we", "will", "see", "you", "on", "monday", "with", "the", "letter", "and", "thanks", "then"];
    let kinds = [
        ["invoice", "payment", "refund", "balance", "account", "charged"],
        ["deploy", "rollback", "pipeline", "container", "commit", "branch"],
    ];
    let (mut text, mut turned) = (String::from("message,desk,topic\n"), Vec::new());
    for row in 0..1_500_u64 {
        let class = row % 2;
        let pick =
            |words: &[&'static str], stream: u64| words[(uniform(row, stream) * words.len() as f64) as usize];
        let mut words: Vec<&str> = (0..8).map(|at| pick(&common, 20 + at)).collect();
        words.extend((0..3).map(|at| pick(&kinds[class as usize], 40 + at)));
        let desk = (uniform(row, 50) * 5.0) as u64;
        let flipped = turn(row, desk);
        if flipped {
            turned.push(row);
        }
        let topic = ["billing", "operations"][(class ^ u64::from(flipped)) as usize];
        writeln!(text, "{} number {row},d{desk},{topic}", words.join(" ")).unwrap();
    }
    (text, turned)
}

#[test]
fn turned_labels_of_texts_are_found_by_the_words_of_the_others_and_right_ones_are_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let look = |text: &str, name: Option<&str>| {
        std::fs::write(folder.path().join("t.csv"), text).unwrap();
        let dataset = Dataset::open(&[folder.path().to_owned()]).unwrap();
        let roles = Roles { label: "topic".into(), labeler: Some("desk".into()), ..Roles::default() };
        labels(&dataset, &Asked { roles, text: name.map(str::to_owned), ..Asked::default() })
    };
    // One desk calls a third of what it bills operations.
    let (text, turned) = messages(|row, desk| row % 2 == 0 && desk == 3 && uniform(row, 60) < 0.35);
    let found = look(&text, Some("message")).unwrap();
    let rows: Vec<u64> = found.confident.rows.iter().map(|row| found.rows[row.row]).collect();
    let hits = rows.iter().filter(|row| turned.contains(row)).count();
    assert!(
        hits * 100 >= turned.len() * 60 && hits * 100 >= rows.len() * 95,
        "{hits} of {}, {} told",
        turned.len(),
        rows.len()
    );
    let findings = found.findings(&Place::artifact("t"));
    let source = findings.iter().find(|finding| finding.name == "label-source").unwrap();
    assert_eq!(source.place.to_string(), "t (desk=d3)");
    assert_eq!(source.facts["main_direction"], "billing -> operations");
    let (text, _) = messages(|_, _| false);
    let found = look(&text, Some("message")).unwrap();
    assert!(found.confident.rows.len() <= 3 && found.gaps.is_empty(), "{found:#?}");
    // Without the name of the text nothing is left to learn from, which is said.
    assert!(look(&text, None).unwrap_err().to_string().contains("no other column"));
    assert!(look(&text, Some("massage")).is_err());
}

#[test]
fn turned_labels_of_real_digits_are_found_by_name() {
    let table = mantlet_learn::digits();
    let folder = tempfile::tempdir().unwrap();
    let pixels: Vec<u8> = table.x.data().iter().map(|value| (value * 255.0) as u8).collect();
    let turned = |row: usize| uniform(row as u64, 70) < 0.05;
    let labels: Vec<String> = table
        .y
        .iter()
        .enumerate()
        .map(|(row, label)| if turned(row) { (label + 1 + row % 9) % 10 } else { *label }.to_string())
        .collect();
    let found = pictures(&crate::images::tests::opened(folder.path(), 8, &pixels, &labels)).unwrap();
    let flagged: Vec<usize> = found.names.iter().map(|name| name.parse().unwrap()).collect();
    let hits = flagged.iter().filter(|&&row| turned(row)).count();
    let all = (0..labels.len()).filter(|&row| turned(row)).count();
    assert!(
        hits * 100 >= all * 85 && hits * 100 >= flagged.len() * 85,
        "{hits} of {all}, {} told",
        flagged.len()
    );
    let first = &found.confident.rows[0];
    assert_eq!((first.row, found.classes[first.given].as_str()), (flagged[0], labels[flagged[0]].as_str()));
    let told = &found.findings(&Place::artifact("digits"))[0];
    assert!(!told.trace[0].starts_with("row"), "{told:#?}");
    // As they are, hardly any is told.
    let labels: Vec<String> = table.y.iter().map(usize::to_string).collect();
    let found = pictures(&crate::images::tests::opened(folder.path(), 8, &pixels, &labels)).unwrap();
    assert!(found.names.len() * 200 <= labels.len(), "{:?}", found.names);
    let one = vec!["1".to_owned(); labels.len()];
    assert!(pictures(&crate::images::tests::opened(folder.path(), 8, &pixels, &one)).is_err());
}
