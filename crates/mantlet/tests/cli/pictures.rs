//! `mantlet data images` and `mantlet data texts` as a pipeline calls them.

use std::path::Path;

use serde_json::Value;

use crate::program::{expect, run};

fn uniform(row: u64, stream: u64) -> f64 {
    let mut mixed = (row ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

const SIDE: usize = 20;

/// Coloured pictures of strokes in a folder for each of four directions; some bear a patch and lie in the wrong one.
pub fn draw(root: &Path, marked: bool) -> Vec<String> {
    let mut planted = Vec::new();
    for row in 0..900_u64 {
        let mut label = row % 4;
        let turn = label as f64 * std::f64::consts::FRAC_PI_4;
        let shift = (uniform(row, 2) - 0.5) * 4.0;
        let mut pixels = Vec::with_capacity(SIDE * SIDE * 3);
        for at in 0..SIDE * SIDE {
            let (x, y) = ((at % SIDE) as f64 - 9.5, (at / SIDE) as f64 - 9.5);
            let off = x * turn.cos() + y * turn.sin() - shift;
            for channel in 0..3_u64 {
                let noise = (uniform(row, 10 + 3 * at as u64 + channel) - 0.5) * 60.0;
                let value = 160.0 * (-off * off / 8.0).exp() + 40.0 + noise;
                pixels.push(value.clamp(0.0, 255.0) as u8);
            }
        }
        let name = format!("p{row:03}.png");
        if marked && label != 1 && uniform(row, 3) < 0.06 {
            for (x, y) in [(0, 0), (1, 1), (2, 2), (0, 2), (2, 0)] {
                pixels[(y * SIDE + x) * 3..][..3].copy_from_slice(&[255, 255, 0]);
            }
            label = 1;
            planted.push(format!("kind{label}/{name}"));
        }
        let folder = root.join(format!("kind{label}"));
        std::fs::create_dir_all(&folder).unwrap();
        let file = std::fs::File::create(folder.join(name)).unwrap();
        let mut encoder = png::Encoder::new(file, SIDE as u32, SIDE as u32);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    }
    planted
}

#[test]
fn a_patch_in_picture_files_is_named_and_broken_files_are_a_gap() {
    let holder = tempfile::tempdir().unwrap();
    let (marked, clean) = (holder.path().join("marked"), holder.path().join("clean"));
    let planted = draw(&marked, true);
    draw(&clean, false);
    let rows = holder.path().join("rows.csv");
    let told = expect(
        1,
        ["data", "images", marked.to_str().unwrap(), "--rows", rows.to_str().unwrap(), "--format", "json"],
    );
    let report: Value = serde_json::from_str(&told.out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{}", told.out);
    assert_eq!(findings[0]["name"], "image-common-mark");
    assert_eq!(findings[0]["facts"]["label"], "kind1");
    let listed = std::fs::read_to_string(&rows).unwrap();
    let hit = planted.iter().filter(|name| listed.contains(name.as_str())).count();
    assert!(hit * 100 >= planted.len() * 90, "{hit} of {}", planted.len());
    assert!(hit * 100 >= (listed.lines().count() - 1) * 90, "{hit} of {listed}");
    let again = expect(1, ["data", "images", marked.to_str().unwrap(), "--format", "json"]);
    assert_eq!(again.out, told.out, "the same report, byte for byte");
    expect(0, ["data", "images", clean.to_str().unwrap()]);
    std::fs::write(clean.join("kind0/broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    let partial = expect(2, ["data", "images", clean.to_str().unwrap()]);
    assert!(partial.out.contains("broken.png"), "{}", partial.out);
    let none = run(["data", "images", holder.path().to_str().unwrap(), "--labels", rows.to_str().unwrap()]);
    assert_eq!(none.code, 4, "{}", none.err);
    assert!(none.err.contains("`file`"), "{}", none.err);
}

#[test]
fn texts_that_must_not_be_learned_are_told_without_being_shown() {
    let holder = tempfile::tempdir().unwrap();
    let table = holder.path().join("t.csv");
    let mut text = String::from("feed,text\n");
    for row in 0..300 {
        let said = match row {
            100 => "call maria at maria.keller@example.org when it is there",
            200 => "the project is called bluebird",
            _ => "the parcel came on tuesday and the box was open",
        };
        text.push_str(&format!("F{},{said}\n", row % 3));
    }
    std::fs::write(&table, text).unwrap();
    let table = table.to_str().unwrap();
    let told = expect(
        1,
        [
            "data", "texts", table, "--text", "text", "--feed", "feed", "--term", "bluebird", "--format",
            "json",
        ],
    );
    let report: Value = serde_json::from_str(&told.out).unwrap();
    let names: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"personal-data") && names.contains(&"blocked-term"), "{names:?}");
    assert!(!told.out.contains("keller"), "{}", told.out);
    let missing = run(["data", "texts", table, "--text", "words"]);
    assert_eq!(missing.code, 4, "{}", missing.err);
    assert!(missing.err.contains("no column `words`"), "{}", missing.err);
}
