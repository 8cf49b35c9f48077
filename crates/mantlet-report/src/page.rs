//! The frame and the style sheet that reports and the console share.

use maud::{DOCTYPE, Markup, PreEscaped, html};

/// The style sheet: colours, type, tables, plots. Light and dark by the reader's preference.
pub const STYLE: &str = include_str!("style.css");

/// A whole self-contained page: one file, no script, nothing fetched.
pub(crate) fn page(title: &str, extra: &str, body: &Markup) -> String {
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                // Even if foreign text should ever get through as markup, nothing runs and nothing is fetched.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                title { (title) }
                style { (PreEscaped(STYLE)) (PreEscaped(extra)) }
            }
            body { (body) }
        }
    };
    visible(&whole.into_string())
}

/// A page in which characters that could steer a terminal or reorder a line stand as visible escapes.
fn visible(page: &str) -> String {
    let mut out = String::with_capacity(page.len());
    for c in page.chars() {
        if c != '\n' && crate::words::unsafe_to_print(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn luminance(hex: &str) -> f64 {
        let channel = |from: usize| {
            let value = f64::from(u8::from_str_radix(&hex[from..from + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn variables(block: &str) -> BTreeMap<String, String> {
        let declared = block.split(';').filter_map(|part| part.split_once(':'));
        let named =
            declared.filter_map(|(name, value)| Some((name.trim().rsplit_once("--")?.1, value.trim())));
        named.filter(|(_, value)| value.starts_with('#')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    #[test]
    fn every_pair_of_text_and_ground_has_enough_contrast_in_both_themes() {
        let mut themes =
            STYLE.split(":root {").skip(1).map(|rest| variables(rest.split('}').next().unwrap()));
        let (light, dark) = (themes.next().unwrap(), themes.next().unwrap());
        assert_eq!(light.len(), dark.len());
        for theme in [light, dark] {
            for ground in ["paper", "sheet", "soft"] {
                for text in ["ink", "quiet", "accent", "good", "warning", "bad"] {
                    let found = contrast(&theme[text], &theme[ground]);
                    assert!(found >= 4.5, "{text} on {ground}: {found:.2}");
                }
            }
            for tone in ["good", "warning", "bad", "accent"] {
                assert!(contrast(&theme[tone], &theme[&format!("{tone}-soft")]) >= 4.5, "{tone} on its soft");
                assert!(contrast(&theme["ink"], &theme[&format!("{tone}-soft")]) >= 7.0);
                assert!(contrast(&theme["on-strong"], &theme[tone]) >= 4.5, "on-strong on {tone}");
            }
            for mark in ["added", "removed"] {
                assert!(contrast(&theme[mark], &theme["soft"]) >= 3.0, "{mark} on soft");
            }
        }
    }
}
