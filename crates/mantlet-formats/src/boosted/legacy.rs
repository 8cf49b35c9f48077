//! XGBoost's binary format before UBJSON, with and without its mark.

use mantlet_vocab::Source;

use super::cycle;
use crate::structure::Structure;
use crate::window::Window;

/// The parameters of the learner, of the booster and of one tree, in bytes.
const LEARNER: u64 = 136;
const BOOSTER: u64 = 160;
const TREE: u64 = 148;
const MAX_TREES: u64 = 1 << 20;
const MAX_NODES: u64 = 1 << 20;

const BOOSTERS: [&[u8]; 3] = [b"gbtree", b"dart", b"gblinear"];

/// Whether the bytes are a model of this format: its two names are where they must be.
#[must_use]
pub fn is_legacy(head: &[u8]) -> bool {
    let start = if head.starts_with(b"binf") { 4 } else { 0 };
    names(head, start).is_some()
}

fn names(head: &[u8], start: usize) -> Option<()> {
    let text = |at: usize| {
        let len = u64::from_le_bytes(head.get(at..at + 8)?.try_into().ok()?);
        let len = usize::try_from(len).ok().filter(|&len| (1..64).contains(&len))?;
        head.get(at + 8..at + 8 + len)
    };
    let objective = text(start + LEARNER as usize)?;
    let booster = text(start + LEARNER as usize + 8 + objective.len())?;
    let printable = objective.iter().all(|byte| byte.is_ascii_graphic());
    (printable && BOOSTERS.contains(&booster)).then_some(())
}

/// The facts of a model. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source) -> Structure {
    let mut walk = Walk { window: Window::new(source, 0), facts: Structure::of("XGBoost binary") };
    let at = match walk.model() {
        Some(()) => {
            walk.facts.end = walk.window.offset();
            None
        }
        None => Some(walk.window.offset()),
    };
    if let Some(at) = at.filter(|_| walk.facts.limits.is_empty() && walk.facts.defects.is_empty()) {
        walk.facts.defect("it ends early or a length in it is wrong", at);
    }
    if let Some(error) = walk.window.failed {
        walk.facts.limit(error.to_string());
    }
    walk.facts
}

struct Walk<'a> {
    window: Window<'a>,
    facts: Structure,
}

impl Walk<'_> {
    fn int(&mut self) -> Option<i64> {
        self.window.array().map(|bytes| i64::from(i32::from_le_bytes(bytes)))
    }

    fn length(&mut self) -> Option<u64> {
        let len = u64::from_le_bytes(self.window.array()?);
        if len > self.window.rest() {
            let at = self.window.offset();
            self.facts.defect(format!("a length of {len} reaches past the end"), at);
            return None;
        }
        Some(len)
    }

    fn text(&mut self) -> Option<String> {
        let len = self.length()?;
        let start = self.window.offset();
        let kept = self.window.take(len.min(8 << 10) as usize)?;
        let text = String::from_utf8_lossy(kept).into_owned();
        self.window.seek(start + len);
        Some(text)
    }

    fn model(&mut self) -> Option<()> {
        if self.window.array() != Some(*b"binf") {
            self.window.seek(0);
        }
        let start = self.window.offset();
        self.window.skip(4).then_some(())?;
        let features = self.int()?;
        self.int()?;
        let (attributes, metrics) = (self.int()? != 0, self.int()? != 0);
        self.window.seek(start + LEARNER);
        let objective = self.text()?;
        let booster = self.text()?;
        match booster.as_str() {
            "gbtree" => self.trees(features)?,
            "dart" => {
                self.trees(features)?;
                let weights = self.length()?;
                self.window.skip(weights.checked_mul(4)?).then_some(())?;
            }
            "gblinear" => {
                self.window.skip(132 + 4).then_some(())?;
                let weights = self.length()?;
                self.window.skip(weights.checked_mul(4)?).then_some(())?;
            }
            _ => {
                self.facts.limit("its booster is not known");
                return None;
            }
        }
        if attributes {
            let count = self.length()?;
            for _ in 0..count {
                let (key, value) = (self.text()?, self.text()?);
                self.facts.says(&key, &value);
            }
        }
        if objective == "count:poisson" && !attributes {
            self.text()?;
        }
        if metrics {
            let count = self.length()?;
            for _ in 0..count {
                self.text()?;
            }
        }
        Some(())
    }

    fn trees(&mut self, features: i64) -> Option<()> {
        let start = self.window.offset();
        let trees = self.int()?;
        self.window.seek(start + 16);
        let buffers = i64::from_le_bytes(self.window.array()?);
        if !self.window.skip(BOOSTER - 24) {
            return None;
        }
        let Some(trees) = u64::try_from(trees).ok().filter(|&trees| trees <= MAX_TREES) else {
            self.facts.defect(format!("it declares {trees} trees"), start);
            return None;
        };
        for _ in 0..trees {
            self.tree(features)?;
        }
        self.window.skip(trees * 4).then_some(())?;
        if buffers != 0 {
            self.facts.limit("it keeps predictions of training, which are not examined");
            return None;
        }
        Some(())
    }

    fn tree(&mut self, features: i64) -> Option<()> {
        let start = self.window.offset();
        self.int()?;
        let nodes = self.int()?;
        if !self.window.skip(TREE - 8) {
            return None;
        }
        let Some(nodes) = u64::try_from(nodes).ok().filter(|&n| n > 0 && n * 36 <= self.window.rest()) else {
            self.facts.defect(format!("a tree declares {nodes} nodes"), start);
            return None;
        };
        if nodes > MAX_NODES {
            self.facts.limit(format!("a tree has more than {MAX_NODES} nodes"));
            return None;
        }
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for _ in 0..nodes {
            self.int()?;
            let (one, two) = (self.int()?, self.int()?);
            let split = u32::from_le_bytes(self.window.array()?) & 0x7fff_ffff;
            self.window.skip(4).then_some(())?;
            if one >= 0 && features > 0 && i64::from(split) >= features {
                self.facts.defect(format!("a tree asks for feature {split} of {features}"), start);
            }
            left.push(one);
            right.push(if one < 0 { -1 } else { two });
        }
        self.window.skip(nodes * 16).then_some(())?;
        if let Some(what) = cycle(&left, &right) {
            self.facts.defect(format!("a tree is none: {what}"), start);
        }
        Some(())
    }
}
