//! Reports hold their promises: layout, versions, links between rules and results, and that foreign text
//! stays text in every format.

mod hostile;
mod layout;
mod sample;
mod sarif;
