//! States that a library executes or evaluates when it restores an object from them.

use super::effect::Effect;
use super::facts::How;
use super::machine::Machine;
use super::value::{Node, Val, View};

impl Machine<'_> {
    /// Says so when not every entry of a state that is judged by its keys was kept.
    fn whole(&mut self, state: Val) {
        if !matches!(self.heap.node(state), Some(Node::Container { more: 0, .. })) {
            self.limit("the state of an object that may execute parts of it is too large to follow");
        }
    }

    /// statsmodels evaluates a formula, which is Python, when it restores the design of a model.
    pub(super) fn formula(&mut self, state: Val, at: u64) {
        self.whole(state);
        let restores = ["restore_design_info", "restore_model_spec"];
        if !restores.iter().any(|key| self.entry(state, key).is_some()) {
            return;
        }
        let formula = self.entry(state, "formula");
        let text = formula.and_then(|formula| self.string(formula)).map(|(text, _)| text);
        if !text.is_some_and(|text| is_ordinary_formula(&text)) {
            let shown = formula.map(|formula| self.show(formula)).unwrap_or_default();
            self.record(
                "statsmodels formula".into(),
                Effect::Executes,
                How::Build,
                format!("eval({shown})"),
                at,
            );
        }
    }

    /// scipy distributions execute a template that their state carries.
    pub(super) fn distribution(&mut self, state: Val, at: u64) {
        self.whole(state);
        let Some(template) = self.entry(state, "_parse_arg_template") else { return };
        let literal = match template.view() {
            View::Text(offset) => super::text::read(self.source, offset, 8_192),
            _ => None,
        };
        let ordinary = literal.is_some_and(|literal| {
            !literal.cut && std::str::from_utf8(&literal.bytes).is_ok_and(is_ordinary_template)
        });
        if !ordinary {
            let text = format!("exec({})", self.show(template));
            self.record("scipy.stats exec of its state".into(), Effect::Executes, How::Build, text, at);
        }
    }
}

/// Whether a model formula only has columns, operators and the usual transformations.
fn is_ordinary_formula(text: &str) -> bool {
    const CALLS: [&str; 22] = [
        "",
        "C",
        "I",
        "Q",
        "np.log",
        "np.log1p",
        "np.log10",
        "np.log2",
        "np.exp",
        "np.sqrt",
        "np.power",
        "np.abs",
        "np.square",
        "log",
        "exp",
        "sqrt",
        "center",
        "standardize",
        "scale",
        "bs",
        "cr",
        "poly",
    ];
    let allowed = |c: char| c.is_alphanumeric() || "_~+-*:/^()., |=<>\"'\n".contains(c);
    let mut word = String::new();
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' || c == '.' {
            word.push(c);
            continue;
        }
        if !allowed(c) || (c == '(' && !CALLS.contains(&word.as_str())) || word.contains("__") {
            return false;
        }
        // `log (x)` is still a call of `log`.
        if c != ' ' {
            word.clear();
        }
    }
    !word.contains("__")
}

/// Whether this is the template that scipy itself writes (`parse_arg_template` of
/// `scipy/stats/_distn_infrastructure.py`) for some names of shape parameters.
fn is_ordinary_template(text: &str) -> bool {
    let plain = |text: &str| {
        text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | ' ' | '=' | '.'))
    };
    text.lines().filter(|line| !line.trim().is_empty()).all(|line| {
        let inner = if let Some(rest) = line.strip_prefix("def _parse_args") {
            let rest = rest.trim_start_matches("_rvs").trim_start_matches("_stats");
            rest.strip_prefix("(self,").and_then(|rest| rest.strip_suffix("):"))
        } else if let Some(rest) = line.strip_prefix("    return self._argcheck_rvs(") {
            rest.strip_suffix(')')
        } else if let Some(rest) = line.strip_prefix("    return (") {
            return rest.split_once(')').is_some_and(|(shapes, rest)| {
                let rest = rest.trim_end_matches(", moments");
                plain(shapes) && (plain(rest) || rest == ", loc, scale")
            });
        } else {
            None
        };
        inner.is_some_and(|inner| plain(&inner.replace("'mv'", "")))
    })
}

#[cfg(test)]
mod tests {
    use super::{is_ordinary_formula, is_ordinary_template};

    #[test]
    fn formulas_with_code_are_told_from_formulas() {
        assert!(is_ordinary_formula("y ~ x1 + C(region) + np.log(x2):x3 + I(x1**2) - 1"));
        assert!(!is_ordinary_formula("y ~ x + I(__import__('os').system('id'))"));
        assert!(!is_ordinary_formula("y ~ x + eval('1')"));
        assert!(!is_ordinary_formula("y ~ x + open ('f')"));
        assert!(!is_ordinary_formula("y ~ [z for z in x]"));
    }

    #[test]
    fn only_the_template_scipy_writes_is_ordinary() {
        let template = "\ndef _parse_args(self, s, loc=0, scale=1):\n    return (s), loc, scale\n\n\
             def _parse_args_rvs(self, s, loc=0, scale=1, size=None):\n    return self._argcheck_rvs(s, loc, scale, size=size)\n\n\
             def _parse_args_stats(self, s, loc=0, scale=1, moments='mv'):\n    return (s), loc, scale, moments\n";
        assert!(is_ordinary_template(template));
        assert!(!is_ordinary_template(&format!("{template}import os\n")));
        assert!(!is_ordinary_template(
            "def _parse_args(self, s=__import__('os').system('x')):\n    return (s), loc\n"
        ));
    }
}
