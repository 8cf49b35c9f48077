//! The rooms of dependency files: each looks at the facts of one file.

mod direct_url;
mod insecure_index;
mod look_alike;
mod mixed_index;
mod unhashed;
mod unpinned;
mod unread_part;

use mantlet_vocab::{About, Finding, Place};

use crate::{Dependency, Facts};

/// One room: what it says about itself, and its check.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Its identity card.
    pub about: &'static About,
    /// Facts in, findings out.
    pub check: fn(&Facts, &Place, &mut Vec<Finding>),
}

/// Every room, in order of name.
#[must_use]
pub fn all() -> &'static [Room] {
    &[
        Room { about: &direct_url::ABOUT, check: direct_url::check },
        Room { about: &insecure_index::ABOUT, check: insecure_index::check },
        Room { about: &look_alike::ABOUT, check: look_alike::check },
        Room { about: &mixed_index::ABOUT, check: mixed_index::check },
        Room { about: &unhashed::ABOUT, check: unhashed::check },
        Room { about: &unpinned::ABOUT, check: unpinned::check },
        Room { about: &unread_part::ABOUT, check: unread_part::check },
    ]
}

/// The place of a line, or of the whole file when the line is not known.
fn at_line(place: &Place, line: Option<u32>) -> Place {
    line.map_or_else(|| place.clone(), |line| place.part(format!("line {line}")))
}

/// `line 4: numpy>=1.2`, for the traces of findings about many dependencies at once.
fn shown(dependency: &Dependency) -> String {
    let name = crate::place::plain(&dependency.name);
    let condition = crate::place::plain(&dependency.condition);
    match dependency.line {
        Some(line) => format!("line {line}: {name}{condition}"),
        None => format!("{name}{condition}"),
    }
}

/// At most twenty lines, and how many more there are.
fn shortened(found: &[&Dependency]) -> Vec<String> {
    let mut lines: Vec<String> = found.iter().take(20).map(|dependency| shown(dependency)).collect();
    if found.len() > 20 {
        lines.push(format!("and {} more", found.len() - 20));
    }
    lines
}

#[cfg(test)]
mod tests;
