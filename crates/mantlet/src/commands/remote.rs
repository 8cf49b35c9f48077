//! Addresses in place of paths: scanned where they lie, by builds that have the `remote` feature.

use mantlet_vocab::Examination;

use crate::exit::Usage;
use crate::terminal::Terminal;

const SCHEMES: [&str; 13] =
    ["hf", "s3", "gs", "az", "abfs", "abfss", "https", "http", "oci", "mlflow", "jfrog", "dvc", "torchhub"];

/// Whether an argument is an address and no path.
pub fn is_address(argument: &str) -> bool {
    argument.split_once("://").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

/// Scans what addresses stand for, one file after the other.
///
/// # Errors
/// When one is malformed; what cannot be reached is a gap.
#[cfg(feature = "remote")]
pub fn scan(
    terminal: Terminal,
    addresses: &[String],
    authorities: Option<&std::path::Path>,
    settings: &mantlet_scan::Options,
    progress: &mut dyn mantlet_scan::Progress,
) -> anyhow::Result<Examination> {
    use anyhow::Context as _;
    use mantlet_remote::{Limits, Listing, Outward, Remote, RemoteError};
    use mantlet_vocab::Gap;

    if addresses.is_empty() {
        return Ok(Examination::default());
    }
    let gap = |what: &str, error: &RemoteError| Gap {
        what: what.to_owned(),
        why: error.to_string(),
        remedy: "check the address and the credentials, or scan a copy".to_owned(),
    };
    let environment = |name: &str| std::env::var(name).ok();
    let mut outward = Outward::from_environment(&environment).map_err(|error| Usage(error.to_string()))?;
    if let Some(file) = authorities {
        let pem = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        outward = outward.trust(&pem).map_err(|why| Usage(format!("{}: {why}", file.display())))?;
    }
    let remote = Remote::through(Limits::default(), &outward)?;
    let mut examination = Examination::default();
    for address in addresses {
        let listing = match remote.list(address, &environment) {
            Ok(listing) => listing,
            Err(error @ RemoteError::Unreachable { .. }) => {
                let RemoteError::Unreachable { uri, .. } = &error else { continue };
                examination.gaps.push(gap(uri, &error));
                continue;
            }
            Err(error) => return Err(Usage(error.to_string()).into()),
        };
        let Listing { mut objects, gaps, notes, .. } = listing;
        for note in notes {
            terminal.note(&note);
        }
        examination.gaps.extend(gaps);
        let all = objects.len();
        objects.retain(|object| {
            object.path.is_empty() || settings.selection.takes(std::path::Path::new(&object.path))
        });
        progress.start(objects.len(), all - objects.len());
        for (index, object) in objects.iter().enumerate() {
            match remote.open(object, settings.full_content) {
                Ok(source) => {
                    examination.merge(mantlet_scan::scan_source(&object.name, &source, settings));
                }
                Err(error) => examination.gaps.push(gap(&object.name, &error)),
            }
            progress.file(&object.name, index + 1, objects.len());
        }
    }
    Ok(examination)
}

/// Says which build can do it.
///
/// # Errors
/// When there is any address.
#[cfg(not(feature = "remote"))]
pub fn scan(
    _: Terminal,
    addresses: &[String],
    _: Option<&std::path::Path>,
    _: &mantlet_scan::Options,
    _: &mut dyn mantlet_scan::Progress,
) -> anyhow::Result<Examination> {
    match addresses.first() {
        None => Ok(Examination::default()),
        Some(address) => {
            let scheme = address.split("://").next().unwrap_or("");
            Err(Usage(format!(
                "`{scheme}://` is not in this build, which scans local files only: build mantlet with \
                 `--features remote`, or scan a copy"
            ))
            .into())
        }
    }
}
