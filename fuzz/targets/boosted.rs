//! Any bytes as boosted trees of each library: facts and defects, never a panic, the same twice.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use mantlet_formats::boosted::{catboost, legacy, lightgbm, xgboost};

fuzz_target!(|data: &[u8]| {
    let source = support::source(data);
    for analyse in
        [catboost::analyse, catboost::json, legacy::analyse, lightgbm::analyse, xgboost::json, xgboost::ubj]
    {
        let analyse: fn(&dyn mantlet_vocab::Source) -> _ = analyse;
        support::same(data, || analyse(&source));
    }
});
