//! Limits, controls, modes, failing rules.
