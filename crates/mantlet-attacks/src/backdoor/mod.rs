//! Finding a backdoor in a model by finding what sets it off.

pub mod trigger;
