//! Tree ensembles as the file has them: attributes read, nodes placed, shared nodes and cycles refused.

use std::collections::HashMap;

use mantlet_vocab::{Aggregate, Compare, Node, Post, Tree, TreeEnsemble, Value};

use super::trees::{Ensemble, Finish};
use super::{Labels, post};
use crate::attrs::Attrs;
use crate::run::Fail;
use crate::values::singles;

/// One node as the file has it; children are named, not yet placed.
struct Raw {
    feature: usize,
    threshold: f32,
    compare: Compare,
    missing_left: bool,
    children: (usize, usize),
}

/// Places the nodes under `root` so that children come after their parent, refusing shared nodes and cycles.
fn grow(
    root: usize,
    seen: &mut [bool],
    mut split: impl FnMut(usize) -> Result<Option<Raw>, Fail>,
    mut votes: impl FnMut(usize) -> Vec<(usize, f32)>,
) -> Result<Tree, Fail> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut todo = vec![(root, None)];
    while let Some((at, parent)) = todo.pop() {
        match seen.get_mut(at) {
            Some(seen @ false) => *seen = true,
            Some(true) => return Err(format!("tree node {at} is reached twice").into()),
            None => return Err(format!("tree node {at} does not exist").into()),
        }
        let own = nodes.len();
        if let Some((parent, is_left)) = parent
            && let Some(Node::Split { left, right, .. }) = nodes.get_mut(parent)
        {
            *(if is_left { left } else { right }) = own;
        }
        match split(at)? {
            None => nodes.push(Node::Leaf { votes: votes(at) }),
            Some(Raw { feature, threshold, compare, missing_left, children }) => {
                nodes.push(Node::Split { feature, threshold, compare, left: 0, right: 0, missing_left });
                todo.push((children.1, Some((own, false))));
                todo.push((children.0, Some((own, true))));
            }
        }
    }
    Ok(Tree { nodes })
}

fn comparison(mode: &str) -> Result<Option<Compare>, Fail> {
    Ok(Some(match mode {
        "LEAF" => return Ok(None),
        "BRANCH_LEQ" => Compare::LessOrEqual,
        "BRANCH_LT" => Compare::Less,
        "BRANCH_GTE" => Compare::GreaterOrEqual,
        "BRANCH_GT" => Compare::Greater,
        "BRANCH_EQ" => Compare::Equal,
        "BRANCH_NEQ" => Compare::NotEqual,
        other => return Err(format!("tree nodes of mode `{other}` are not supported").into()),
    }))
}

/// Reads an attribute that may come as floats or as a tensor of doubles.
fn reals(attrs: Attrs<'_>, name: &str, tensor: &TensorOf<'_>) -> Result<Vec<f32>, Fail> {
    match attrs.floats(name).filter(|list| !list.is_empty()) {
        Some(list) => Ok(list.to_vec()),
        None => match tensor(&format!("{name}_as_tensor"))? {
            Some(value) => Ok(singles(&value)?.into_owned()),
            None => Ok(Vec::new()),
        },
    }
}

/// A tensor attribute by name, decoded.
type TensorOf<'a> = dyn Fn(&str) -> Result<Option<Value>, Fail> + 'a;

fn whole(attrs: Attrs<'_>, name: &str) -> Vec<i64> {
    attrs.ints(name).unwrap_or_default().to_vec()
}

fn index(value: i64) -> Result<usize, Fail> {
    usize::try_from(value)
        .ok()
        .filter(|&v| v < 1 << 32)
        .ok_or_else(|| Fail::Bad(format!("index {value} in a tree")))
}

/// The trees of the forms with `nodes_treeids`; votes come from the attributes called `prefix`.
fn forest(attrs: Attrs<'_>, prefix: &str, tensor: &TensorOf<'_>) -> Result<(Vec<Tree>, usize), Fail> {
    let (tree_ids, node_ids) = (whole(attrs, "nodes_treeids"), whole(attrs, "nodes_nodeids"));
    let features = whole(attrs, "nodes_featureids");
    let modes = attrs.texts("nodes_modes").unwrap_or_default();
    let (yes, no) = (whole(attrs, "nodes_truenodeids"), whole(attrs, "nodes_falsenodeids"));
    let missing = whole(attrs, "nodes_missing_value_tracks_true");
    let thresholds = reals(attrs, "nodes_values", tensor)?;
    let count = node_ids.len();
    let lists = [tree_ids.len(), features.len(), modes.len(), yes.len(), no.len(), thresholds.len()];
    if lists.iter().any(|&len| len != count) || !(missing.is_empty() || missing.len() == count) {
        return Err("the tree attributes have different lengths".into());
    }
    let mut place = HashMap::with_capacity(count);
    for (at, key) in tree_ids.iter().copied().zip(node_ids.iter().copied()).enumerate() {
        if place.insert(key, at).is_some() {
            return Err(format!("tree {} has node {} twice", key.0, key.1).into());
        }
    }
    let (vote_trees, vote_nodes) =
        (whole(attrs, &format!("{prefix}_treeids")), whole(attrs, &format!("{prefix}_nodeids")));
    let (vote_ids, weights) =
        (whole(attrs, &format!("{prefix}_ids")), reals(attrs, &format!("{prefix}_weights"), tensor)?);
    if [vote_nodes.len(), vote_ids.len(), weights.len()].iter().any(|&len| len != vote_trees.len()) {
        return Err("the vote attributes have different lengths".into());
    }
    let mut votes: Vec<Vec<(usize, f32)>> = vec![Vec::new(); count];
    for (at, &weight) in weights.iter().enumerate() {
        let key = (vote_trees[at], vote_nodes[at]);
        let &node = place.get(&key).ok_or_else(|| Fail::Bad(format!("a vote for no node: {key:?}")))?;
        votes[node].push((index(vote_ids[at])?, weight));
    }
    let mut seen = vec![false; count];
    let mut trees = Vec::new();
    let mut most = 0;
    for at in 0..count {
        // The first node listed of each tree is its root.
        if !trees.is_empty() && tree_ids[at] == tree_ids[at - 1] {
            continue;
        }
        let split = |at: usize| {
            let Some(compare) = comparison(&modes[at])? else { return Ok(None) };
            let child = |id: i64| {
                let key = (tree_ids[at], id);
                place.get(&key).copied().ok_or_else(|| Fail::Bad(format!("tree {} has no node {id}", key.0)))
            };
            let feature = index(features[at])?;
            most = most.max(feature + 1);
            Ok(Some(Raw {
                feature,
                threshold: thresholds[at],
                compare,
                missing_left: missing.get(at).is_some_and(|&flag| flag != 0),
                children: (child(yes[at])?, child(no[at])?),
            }))
        };
        trees.push(grow(at, &mut seen, split, |at| std::mem::take(&mut votes[at]))?);
    }
    Ok((trees, most))
}

fn aggregate(name: Option<&str>) -> Result<Aggregate, Fail> {
    Ok(match name {
        None | Some("SUM" | "") => Aggregate::Sum,
        Some("AVERAGE") => Aggregate::Average,
        Some("MIN") => Aggregate::Min,
        Some("MAX") => Aggregate::Max,
        Some(other) => return Err(format!("aggregate_function `{other}` does not exist").into()),
    })
}

fn check(trees: &TreeEnsemble) -> Result<(), Fail> {
    let leaves = trees.trees.iter().flat_map(|tree| &tree.nodes);
    let largest = leaves.filter_map(|node| match node {
        Node::Leaf { votes } => votes.iter().map(|&(output, _)| output).max(),
        Node::Split { .. } => None,
    });
    if largest.max().is_some_and(|output| output >= trees.outputs) {
        return Err(format!("a vote for an output past {}", trees.outputs).into());
    }
    if trees.outputs > 1 << 20 || !(trees.base.is_empty() || trees.base.len() == trees.outputs) {
        return Err(format!("{} base values for {} outputs", trees.base.len(), trees.outputs).into());
    }
    Ok(())
}

/// `TreeEnsembleClassifier`.
pub(crate) fn classifier(attrs: Attrs<'_>, tensor: &TensorOf<'_>) -> Result<Ensemble, Fail> {
    let labels = Labels::read(attrs, "classlabels_int64s");
    let (mut trees, features) = forest(attrs, "class", tensor)?;
    let mut base = reals(attrs, "base_values", tensor)?;
    let mut outputs = labels.len();
    let mut positive = false;
    let ids = whole(attrs, "class_ids");
    if outputs == 2 && ids.first().is_some_and(|first| ids.iter().all(|id| id == first)) {
        // One score for two classes.
        outputs = 1;
        positive = true;
        for vote in trees.iter_mut().flat_map(|tree| &mut tree.nodes) {
            if let Node::Leaf { votes } = vote {
                for (output, weight) in votes {
                    *output = 0;
                    positive &= *weight >= 0.0;
                }
            }
        }
        if base.len() == 2 {
            base.remove(0);
        }
    }
    let trees =
        TreeEnsemble { features, outputs, trees, base, aggregate: Aggregate::Sum, post: post(attrs)? };
    check(&trees)?;
    Ensemble::new(trees, Finish::Classes { labels, positive })
}

/// `TreeEnsembleRegressor`.
pub(crate) fn regressor(attrs: Attrs<'_>, tensor: &TensorOf<'_>) -> Result<Ensemble, Fail> {
    let (trees, features) = forest(attrs, "target", tensor)?;
    let outputs = index(attrs.int("n_targets", 1))?;
    let base = reals(attrs, "base_values", tensor)?;
    let aggregate = aggregate(attrs.text("aggregate_function").as_deref())?;
    let trees = TreeEnsemble { features, outputs, trees, base, aggregate, post: post(attrs)? };
    check(&trees)?;
    Ensemble::new(trees, Finish::Targets)
}

/// `TreeEnsemble` (version 5): nodes and leaves in one numbering each.
pub(crate) fn modern(attrs: Attrs<'_>, tensor: &TensorOf<'_>) -> Result<Ensemble, Fail> {
    let list = |name: &str| tensor(name)?.ok_or_else(|| Fail::Bad(format!("attribute `{name}` is missing")));
    let thresholds = singles(&list("nodes_splits")?)?.into_owned();
    let modes = crate::values::integers(&list("nodes_modes")?)?;
    let weights = singles(&list("leaf_weights")?)?.into_owned();
    let [features, yes, yes_leaf, no, no_leaf, missing, targets, roots] = [
        "nodes_featureids",
        "nodes_truenodeids",
        "nodes_trueleafs",
        "nodes_falsenodeids",
        "nodes_falseleafs",
        "nodes_missing_value_tracks_true",
        "leaf_targetids",
        "tree_roots",
    ]
    .map(|name| whole(attrs, name));
    let count = modes.len();
    let lists = [features.len(), yes.len(), yes_leaf.len(), no.len(), no_leaf.len(), thresholds.len()];
    if lists.iter().any(|&len| len != count) || targets.len() != weights.len() {
        return Err("the tree attributes have different lengths".into());
    }
    let mut seen = vec![false; count + weights.len()];
    let mut most = 0;
    let mut trees = Vec::new();
    for root in roots {
        let split = |at: usize| {
            if at >= count {
                return Ok(None);
            }
            let compare = match modes[at] {
                0 => Compare::LessOrEqual,
                1 => Compare::Less,
                2 => Compare::GreaterOrEqual,
                3 => Compare::Greater,
                4 => Compare::Equal,
                5 => Compare::NotEqual,
                other => return Err(format!("tree nodes of mode {other} are not supported").into()),
            };
            let child = |id: i64, leaf: i64| Ok::<_, Fail>(index(id)? + if leaf != 0 { count } else { 0 });
            let feature = index(features[at])?;
            most = most.max(feature + 1);
            Ok(Some(Raw {
                feature,
                threshold: thresholds[at],
                compare,
                missing_left: missing.get(at).is_some_and(|&flag| flag != 0),
                children: (child(yes[at], yes_leaf[at])?, child(no[at], no_leaf[at])?),
            }))
        };
        let votes = |at: usize| {
            let leaf = at - count;
            vec![(usize::try_from(targets[leaf]).unwrap_or(usize::MAX), weights[leaf])]
        };
        // A leaf may be shared by trees, so the marks are cleared after each.
        trees.push(grow(index(root)?, &mut seen, split, votes)?);
        seen.fill(false);
        if trees.iter().map(|tree| tree.nodes.len()).sum::<usize>() > 4 * (count + weights.len()) {
            return Err("the trees share too many nodes".into());
        }
    }
    let aggregate = match attrs.int("aggregate_function", 1) {
        0 => Aggregate::Average,
        1 => Aggregate::Sum,
        2 => Aggregate::Min,
        3 => Aggregate::Max,
        other => return Err(format!("aggregate_function {other} does not exist").into()),
    };
    let post = match attrs.int("post_transform", 0) {
        0 => Post::None,
        1 => Post::Softmax,
        2 => Post::Logistic,
        3 => Post::SoftmaxZero,
        4 => Post::Probit,
        other => return Err(format!("post_transform {other} does not exist").into()),
    };
    let outputs = index(attrs.int("n_targets", 1))?;
    let trees = TreeEnsemble { features: most, outputs, trees, base: Vec::new(), aggregate, post };
    check(&trees)?;
    Ensemble::new(trees, Finish::Targets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_nodes_and_cycles_are_refused() {
        let raw = |children| Raw {
            feature: 0,
            threshold: 0.0,
            compare: Compare::Less,
            missing_left: false,
            children,
        };
        for children in [(0, 1), (1, 1), (5, 1)] {
            let split = |at: usize| Ok((at == 0).then(|| raw(children)));
            assert!(grow(0, &mut [false; 2], split, |_| vec![]).is_err(), "{children:?}");
        }
        let split = |at: usize| Ok((at == 1).then(|| raw((2, 0))));
        let tree = grow(1, &mut [false; 3], split, |at| vec![(at, 1.0)]).unwrap();
        let Node::Split { left, right, .. } = tree.nodes[0] else { panic!() };
        assert_eq!(tree.nodes[left], Node::Leaf { votes: vec![(2, 1.0)] });
        assert_eq!(tree.nodes[right], Node::Leaf { votes: vec![(0, 1.0)] });
    }
}
