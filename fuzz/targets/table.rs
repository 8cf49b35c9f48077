//! Any text as a table: kinds are guessed, rows summarised, checks run.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let rows: Vec<Vec<&str>> =
        text.lines().take(200).map(|line| line.split(',').take(20).collect()).collect();
    let Some((header, rows)) = rows.split_first() else { return };
    let mut table = mantlet_datachecks::TableSummary::new(mantlet_datachecks::infer(
        header,
        rows,
        header.last().copied(),
    ));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| mantlet_datachecks::Cell::parse(cell)).collect();
        table.row(&cells);
    }
    let _ = mantlet_datachecks::check(&table, mantlet_vocab::Place::artifact("t"));
});
