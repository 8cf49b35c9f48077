//! Boosted trees in the formats of the libraries that grow them: whether the arrays of a model agree, so that a
//! loader in native code finds what it looks for.

pub mod catboost;
pub mod legacy;
pub mod lightgbm;
pub(crate) mod needle;
pub mod xgboost;

/// Nodes of one tree that are followed.
const MAX_NODES: usize = 2 << 20;

/// A tree as its loader sees it: the children of each node, negative for none.
fn cycle(left: &[i64], right: &[i64]) -> Option<&'static str> {
    if left.len() != right.len() {
        return Some("its children do not pair up");
    }
    let mut seen = vec![false; left.len()];
    for child in left.iter().chain(right) {
        let Ok(child) = usize::try_from(*child) else { continue };
        match seen.get_mut(child) {
            None => return Some("a child lies outside the tree"),
            Some(seen) if *seen => return Some("a node has two parents"),
            Some(_) if child == 0 => return Some("the root is a child"),
            Some(seen) => *seen = true,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::cycle;

    #[test]
    fn children_lie_in_the_tree_and_have_one_parent() {
        assert_eq!(cycle(&[1, -1, -1], &[2, -1, -1]), None);
        assert_eq!(cycle(&[1, -1, -1], &[1, -1, -1]), Some("a node has two parents"));
        assert_eq!(cycle(&[1, -1, 0], &[2, -1, -1]), Some("the root is a child"));
        assert_eq!(cycle(&[7], &[-1]), Some("a child lies outside the tree"));
        assert_eq!(cycle(&[-1], &[]), Some("its children do not pair up"));
    }
}
