//! SPDX licence expressions: `MIT OR (Apache-2.0 WITH LLVM-exception AND Zlib)`, and the old `MIT/Apache-2.0`.

/// Whether an expression can be met with allowed licences; `Err` says what in it is no expression.
pub(super) fn allowed(expression: &str, known: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let text = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let mut at = 0;
    let met = either(&tokens, &mut at, known)?;
    match tokens.get(at) {
        None => Ok(met),
        Some(rest) => Err(format!("unexpected `{rest}`")),
    }
}

fn either(tokens: &[&str], at: &mut usize, known: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut met = all(tokens, at, known)?;
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        // Both sides are read, so that a broken right side is not hidden by a met left one.
        let right = all(tokens, at, known)?;
        met = met || right;
    }
    Ok(met)
}

fn all(tokens: &[&str], at: &mut usize, known: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    let mut met = one(tokens, at, known)?;
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        let right = one(tokens, at, known)?;
        met = met && right;
    }
    Ok(met)
}

fn one(tokens: &[&str], at: &mut usize, known: &dyn Fn(&str) -> bool) -> Result<bool, String> {
    match tokens.get(*at) {
        Some(&"(") => {
            *at += 1;
            let met = either(tokens, at, known)?;
            if tokens.get(*at) != Some(&")") {
                return Err("unclosed `(`".into());
            }
            *at += 1;
            Ok(met)
        }
        None | Some(&")" | &"OR" | &"AND" | &"WITH") => Err("a licence is missing".into()),
        Some(licence) => {
            *at += 1;
            if tokens.get(*at) == Some(&"WITH") {
                let exception = tokens.get(*at + 1).ok_or("an exception is missing")?;
                *at += 2;
                // An exception only adds rights: the plain licence allowed is enough.
                return Ok(known(licence) || known(&format!("{licence} WITH {exception}")));
            }
            Ok(known(licence))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_met_as_spdx_says() {
        let known = |licence: &str| matches!(licence, "MIT" | "Apache-2.0" | "Zlib");
        let met = |expression: &str| allowed(expression, &known);
        for yes in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "Apache-2.0 WITH LLVM-exception",
            "(GPL-3.0 AND X) OR (MIT AND Zlib)",
        ] {
            assert_eq!(met(yes), Ok(true), "{yes}");
        }
        for no in ["GPL-3.0", "MIT AND GPL-3.0", "MIT AND (GPL-3.0 OR X)"] {
            assert_eq!(met(no), Ok(false), "{no}");
        }
        for broken in ["", "MIT OR", "(MIT", "MIT)", "MIT MIT", "MIT WITH"] {
            assert!(met(broken).is_err(), "{broken}");
        }
    }
}
