//! Planted triggers: finding them in a model, and the rows that planted them.

pub mod activation_clusters;
pub mod all_to_all;
pub mod blend;
pub mod column_pair;
pub mod degraded_class;
pub mod one_source;
pub mod poisoned_rows;
pub mod spectral_rows;
pub mod stubborn_rows;
pub mod trigger;
pub mod weight_outliers;

mod inside;
mod search;
