//! Tests of the weighing.
