//! Numbers as people read them.

/// A share as a percentage: `0 %`, `0.4 %`, `37 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 { format!("{percent:.1} %") } else { format!("{percent:.0} %") }
}

/// `n` trials with the 95 % interval, when there is one.
pub(crate) fn trials(n: u64, interval: Option<(f64, f64)>) -> String {
    match interval {
        Some((low, high)) => format!("n = {n}, 95 % interval {} to {}", percent(low), percent(high)),
        None => format!("n = {n}"),
    }
}
