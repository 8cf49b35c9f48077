//! Which functions of a model call which: circles, and calls that multiply beyond any machine.

use std::collections::{BTreeMap, HashMap};

type Key = (String, String);

/// Functions that are followed.
const MAX_FUNCTIONS: usize = 4_096;
/// Calls of one function.
const MAX_CALLS: usize = 65_536;
/// Nodes that the model may stand for when every call is written out.
const MAX_NODES: u64 = 50_000_000;

/// The calls of every function, by (domain, name).
#[derive(Default)]
pub(super) struct Calls {
    functions: BTreeMap<Key, BTreeMap<Key, u64>>,
    open: Option<BTreeMap<Key, u64>>,
}

impl Calls {
    /// A function begins; its nodes come before its name.
    pub(super) fn open(&mut self) {
        self.open = Some(BTreeMap::new());
    }

    /// A node of the function that is open.
    pub(super) fn node(&mut self, operator: &Key) {
        if let Some(open) = &mut self.open
            && (open.len() < MAX_CALLS || open.contains_key(operator))
        {
            *open.entry(operator.clone()).or_default() += 1;
        }
    }

    /// The function that is open ends.
    pub(super) fn close(&mut self, (domain, name): (&str, &str)) {
        if let Some(open) = self.open.take().filter(|_| self.functions.len() < MAX_FUNCTIONS) {
            self.functions.insert((domain.to_owned(), name.to_owned()), open);
        }
    }

    /// What is wrong with them.
    pub(super) fn defects(&self) -> Vec<String> {
        let mut sizes: HashMap<&Key, u64> = HashMap::new();
        for start in self.functions.keys() {
            // Depth first without recursion: a function is entered, its calls are sized, it is sized.
            let mut path: Vec<(&Key, bool)> = vec![(start, false)];
            let mut entered: Vec<&Key> = Vec::new();
            while let Some((key, leaving)) = path.pop() {
                let Some(calls) = self.functions.get(key) else { continue };
                if leaving {
                    entered.pop();
                    let all = calls
                        .iter()
                        .map(|(call, times)| sizes.get(call).copied().unwrap_or(1).saturating_mul(*times));
                    let size = all.fold(0_u64, u64::saturating_add);
                    if size > MAX_NODES {
                        return vec![format!("function `{}` stands for {size} nodes", shown(key))];
                    }
                    sizes.insert(key, size);
                } else if entered.contains(&key) {
                    return vec![format!("function `{}` calls itself", shown(key))];
                } else if !sizes.contains_key(key) {
                    entered.push(key);
                    path.push((key, true));
                    path.extend(calls.keys().map(|call| (call, false)));
                }
            }
        }
        Vec::new()
    }
}

fn shown((domain, name): &Key) -> String {
    crate::pickle::clean(&format!("{domain}.{name}"))
}
