//! A release archive: the program, the licences of all it holds, and checksums.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use crate::project::Project;
use crate::run::{self, Outcome};
use crate::supply::{Metadata, Package};

pub(crate) fn run(project: &Project, arguments: &[String]) -> Result<()> {
    let build = ["build", "--profile", "dist", "-p", "mantlet", "--locked"];
    let features = features(arguments)?;
    if let Outcome::Failed(why) = run::shown(run::cargo(project).args(build).args(&features))? {
        bail!("cannot build: {why}");
    }
    let program = project.target.join("dist").join("mantlet");
    let version = run::captured(Command::new(&program).arg("--version"))?;
    let version = version.split_whitespace().nth(1).context("the program tells no version")?.to_owned();
    let output = project.root.join("dist");
    let name = format!("mantlet-{version}-{}", crate::supply::platform()?);
    let folder = output.join(&name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    create(&folder)?;
    copy(&program, &folder.join("mantlet"))?;
    for file in ["README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-APACHE", "LICENSE-MIT"] {
        copy(&project.root.join(file), &folder.join(file))?;
    }
    let named = features.iter().skip(1).flat_map(|names| names.split([',', ' ']));
    let named: Vec<String> = named.map(|name| format!("mantlet/{name}")).collect();
    let metadata = Metadata::with(project, &named.iter().map(String::as_str).collect::<Vec<_>>())?;
    licences(&metadata.packages, &folder)?;
    let archive = format!("{name}.tar.gz");
    // Sorted, without owner and time: the same content gives the same archive.
    let mut tar = Command::new("tar");
    tar.current_dir(&output)
        .args([
            "--sort=name",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mtime=@0",
            "--use-compress-program=gzip -9n",
        ])
        .args(["-cf", &archive, &name]);
    if let Outcome::Failed(why) = run::shown(&mut tar)? {
        bail!("cannot pack: {why}");
    }
    let bytes = std::fs::read(output.join(&archive)).with_context(|| format!("cannot read {archive}"))?;
    let sum: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    std::fs::write(output.join("SHA256SUMS"), format!("{sum}  {archive}\n"))
        .context("cannot write SHA256SUMS")?;
    println!("dist/{archive}: {} bytes, sha256 {sum}", bytes.len());
    Ok(())
}

/// What the build is told of features: none but the usual ones unless somebody names more.
fn features(arguments: &[String]) -> Result<Vec<String>> {
    match arguments {
        [] => Ok(Vec::new()),
        [flag, names] if flag == "--features" && !names.starts_with('-') => Ok(arguments.to_vec()),
        _ => bail!("dist takes `--features NAMES` and nothing else"),
    }
}

/// One list of all third-party packages, and their licence files as they came.
fn licences(packages: &[Package], folder: &Path) -> Result<()> {
    let mut list = String::from(
        "# Third-party packages in this program\n\n| package | version | licence |\n|---|---|---|\n",
    );
    for package in packages.iter().filter(|package| package.shipped && package.source.is_some()) {
        let licence = package.licence.as_deref().unwrap_or("see its files");
        list.push_str(&format!("| {} | {} | {licence} |\n", package.name, package.version));
        let own = folder.join("licences").join(format!("{}-{}", package.name, package.version));
        for entry in std::fs::read_dir(&package.folder)
            .with_context(|| format!("cannot list {}", package.folder.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let upper = name.to_uppercase();
            let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"]
                .iter()
                .any(|word| upper.starts_with(word));
            if is_licence && path.is_file() {
                create(&own)?;
                copy(&path, &own.join(name))?;
            }
        }
    }
    std::fs::write(folder.join("THIRD-PARTY.md"), list).context("cannot write THIRD-PARTY.md")
}

fn create(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::copy(from, to)
        .map(|_| ())
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::features;

    #[test]
    fn features_are_named_or_left_as_they_are() {
        let words =
            |words: &[&str]| features(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert!(words(&[]).unwrap().is_empty());
        assert_eq!(words(&["--features", "remote"]).unwrap(), ["--features", "remote"]);
        for wrong in
            [&["--features"][..], &["remote"], &["--features", "--release"], &["--features", "a", "b"]]
        {
            assert!(words(wrong).is_err(), "{wrong:?}");
        }
    }
}
