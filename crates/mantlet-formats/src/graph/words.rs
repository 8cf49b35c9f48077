//! What names of operators say, whatever the format: which read sizes, which make many positions, which ask only
//! whether a value is a number.

/// Whether an operator reads how large its operand is; others of its kind read types and devices, or make new values.
pub(super) fn reads_size(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    lower == "len" || ["shape", "size", "numel"].iter().any(|word| lower.contains(word))
}

/// Whether what an operator makes of a size has as many positions as that says: no answer about the size itself.
pub(super) fn makes_positions(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    const MAKERS: [&str; 16] = [
        "range",
        "expand",
        "fill",
        "constantofshape",
        "tile",
        "eye",
        "onehot",
        "one_hot",
        "zeros",
        "ones",
        "full",
        "nonzero",
        "tri",
        "linspace",
        "broadcast",
        "mask",
    ];
    MAKERS.iter().any(|word| lower.contains(word))
}

/// Whether an operator goes round and round: it asks for sizes because it counts.
pub(super) fn turns(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    ["while", "loop", "scan", "for"].iter().any(|word| lower.starts_with(word) || lower.ends_with(word))
}

/// Whether an operator asks only whether its operand is a number.
pub(super) fn asks_for_numbers(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase().replace('_', "");
    matches!(lower.as_str(), "isnan" | "isinf" | "isfinite" | "isposinf" | "isneginf")
}

/// Whether an operator puts answers together without asking anything else.
pub(super) fn joins_answers(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    let lower = lower.trim_matches('_');
    ["not", "and", "or", "logical_not", "logical_and", "logical_or", "logicalnot", "logicaland", "logicalor"]
        .contains(&lower)
}

/// Whether an operator takes the larger or the smaller of its operands, place by place.
pub(super) fn bounds(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase().replace('_', "");
    let lower = lower.strip_prefix("elementwise").unwrap_or(&lower);
    matches!(lower, "max" | "min" | "maximum" | "minimum" | "fmax" | "fmin" | "clampmin" | "clampmax")
}

/// Whether an operator gives zeros.
pub(super) fn is_zeros(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase().replace('_', "");
    matches!(lower.as_str(), "zeros" | "zeroslike" | "newzeros")
}

/// Whether an operator, or a layer, copes with values that are no numbers.
pub(super) fn copes(operator: &str) -> bool {
    let lower = operator.to_ascii_lowercase();
    ["nan", "tree", "imputer", "mask", "where", "select"].iter().any(|word| lower.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        assert!(reads_size("Shape") && reads_size("sym_size") && reads_size("len"));
        assert!(!reads_size("zeros_like") && !reads_size("is_cuda"));
        assert!(makes_positions("Range") && makes_positions("Expand") && !makes_positions("Unsqueeze"));
        assert!(turns("While") && turns("StatelessWhile") && turns("for") && !turns("if"));
        assert!(asks_for_numbers("IsNaN") && asks_for_numbers("is_nan") && !asks_for_numbers("Less"));
        assert!(joins_answers("__and__") && joins_answers("LogicalNot") && !joins_answers("Equal"));
        assert!(bounds("Max") && bounds("elementwise_min") && bounds("MINIMUM") && !bounds("MaxPool"));
        assert!(is_zeros("zeros_like") && is_zeros("ZerosLike") && !is_zeros("ones_like"));
        assert!(copes("nan_to_num") && copes("Where") && !copes("MatMul"));
    }
}
