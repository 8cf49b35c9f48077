//! Passes over coded rows, in parts and as bytes.

use mantlet_datachecks::feed::Role;

use super::*;

/// Two features, two axes, a label; rows told apart by their numbers.
fn chunk(first: u64, rows: u64) -> Chunk {
    let of = |stream: u64, many: u64| {
        (first..first + rows).map(move |row| mantlet_drift::mix(row ^ (stream << 40)) % many)
    };
    let levels = |stream, many| of(stream, many).map(|level| level as u16).collect();
    Chunk {
        first,
        features: (1..3).map(|stream| of(stream, 6).map(|code| code as u8).collect()).collect(),
        levels: vec![levels(3, 3), levels(4, 4)],
        batch: levels(5, 3),
        label: of(6, 5).map(|code| if code == 4 { NO_LABEL } else { (code % 2) as u8 }).collect(),
    }
}

fn coding() -> Coding {
    let axes = (0..2).map(|lane| (lane, BTreeMap::new())).collect();
    let features = (0..2).map(|lane| (lane, Feature::Numbers(vec![0.1, 0.3]))).collect();
    Coding { features, axes, time: None, label: 0, codes: BTreeMap::new() }
}

fn looks() -> [Look; 2] {
    let axis = |name: &str, levels: usize| Axis {
        name: name.to_owned(),
        role: Role::Segment,
        levels: (0..levels).map(|level| level.to_string()).collect(),
    };
    let named = vec![Spot { axes: vec![0, 1], levels: vec![1, 2] }];
    let whole = chunk(0, 4000);
    let truth: Vec<bool> = whole.label.iter().map(|&label| label == 1).collect();
    let model = Additive::fit(&whole.features, &truth);
    let axes = vec![axis("feed", 2), axis("kind", 3)];
    let batches = vec!["a".to_owned(), "b".to_owned(), "c".to_owned()];
    [
        Look::Sample { every: 3, code: 1, named: named.clone() },
        Look::Cells { axes, batches, model, code: 1, named },
    ]
}

#[test]
fn parts_that_travel_in_any_order_are_the_whole() {
    for look in looks() {
        assert!(look.fits(&coding()));
        // As it travels.
        let text = serde_json::to_string(&look).unwrap();
        let read: Look = serde_json::from_str(&text).unwrap();
        assert_eq!(read, look);
        let mut whole = look.nothing(2);
        look.add(&chunk(0, 4000), &mut whole);
        let mut merged = look.nothing(2);
        for part in [3, 0, 2, 1] {
            let mut own = read.nothing(2);
            read.add(&chunk(part * 1000, 1000), &mut own);
            merged.merge(Looked::read(&own.to_bytes()).unwrap()).unwrap();
        }
        match (whole, merged) {
            (Looked::Sample(whole), Looked::Sample(merged)) => {
                let (columns, truth) = whole.columns();
                assert!(truth.len() > 500 && truth.iter().any(|&one| one), "{}", truth.len());
                assert_eq!(merged.columns(), (columns, truth));
            }
            (Looked::Cells(whole), Looked::Cells(merged)) => assert_eq!(merged, whole),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let [sample, cells] = looks();
    let looked = |look: &Look| {
        let mut looked = look.nothing(2);
        look.add(&chunk(0, 200), &mut looked);
        looked
    };
    for look in [&sample, &cells] {
        let bytes = looked(look).to_bytes();
        // Cut anywhere, nothing comes of it.
        assert!((0..bytes.len()).all(|to| Looked::read(&bytes[..to]).is_none()));
    }
    // Counts of another grid, and of another pass.
    let mut other = cells.clone();
    if let Look::Cells { batches, .. } = &mut other {
        batches.pop();
    }
    let read = |look: &Look| Looked::read(&looked(look).to_bytes()).unwrap();
    assert!(looked(&cells).merge(read(&other)).is_err());
    assert!(looked(&cells).merge(read(&sample)).is_err());
    assert!(read(&cells).merge(read(&other)).is_err());
    // Cells that take more than there is, a sample of no rows, and a cell of an axis that is not there.
    let Look::Cells { axes, model, named, .. } = cells else { panic!() };
    let batches = vec![String::new(); COUNTS_MOST];
    assert!(!Look::Cells { axes, batches, model, code: 1, named }.fits(&coding()));
    assert!(!Look::Sample { every: 0, code: 1, named: Vec::new() }.fits(&coding()));
    let named = vec![Spot { axes: vec![2], levels: vec![1] }];
    assert!(!Look::Sample { every: 1, code: 1, named }.fits(&coding()));
}
