//! Checks of training data over a bounded summary of a table.
