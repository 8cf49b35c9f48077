//! The command line of mantlet.
fn main() {}
