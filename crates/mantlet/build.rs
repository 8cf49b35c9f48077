//! Links relative relocations in their packed form (`DT_RELR`, generic ABI) where the C library can load them.
//!
//! The table of relocations is read whole at every start; unpacked it takes two mebibytes of each process, packed some
//! twenty kibibytes. The GNU C library loads the form since 2.36, and the linker marks the program so that an older one
//! refuses it by name; built against an older one, the program keeps the unpacked form.
use std::env;
use std::process::Command;

/// The first version of the GNU C library that loads packed relative relocations.
const FIRST: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let says = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    let native = env::var("HOST").ok() == env::var("TARGET").ok();
    let gnu = says("CARGO_CFG_TARGET_OS", "linux") && says("CARGO_CFG_TARGET_ENV", "gnu");
    if native && gnu && library_version().is_some_and(|version| version >= FIRST) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// Major and minor version of this machine's GNU C library, `None` where it does not say.
fn library_version() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = minor.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
