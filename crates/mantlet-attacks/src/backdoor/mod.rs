//! Planted triggers: finding them in a model, and the rows that planted them.

pub mod poisoned_rows;
pub mod stubborn_rows;
pub mod trigger;
