//! Scans the paths given and prints the examination as JSON: the station without the command line.

use std::io::Write as _;
use std::path::PathBuf;

use mantlet_scan::{Options, Silent, scan};
use mantlet_vocab::Severity;

fn main() -> std::io::Result<()> {
    let mut options = Options::default();
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.first().is_some_and(|first| first.as_os_str() == "--full-content") {
        options.full_content = true;
        paths.remove(0);
    }
    let examination = scan(&paths, &options, &mut Silent);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    serde_json::to_writer(&mut out, &examination)?;
    out.flush()?;
    let code = examination.verdict(Severity::Suspicious).exit_code();
    drop(out);
    std::process::exit(i32::from(code));
}
