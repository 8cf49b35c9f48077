//! Numbers and foreign text made fit for a reader.

use maud::{Markup, html};

/// The longest foreign text put on one line.
const LONGEST: usize = 4_000;

/// Whether a character could move the cursor, reorder the line, or hide in it.
pub(crate) const fn unsafe_to_print(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Foreign text on one line with nothing in it that a terminal or a reader's eye could be steered by:
/// control, direction, invisible and tag characters are written as `\u{1b}`; very long text is cut.
#[must_use]
pub fn clean_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, c) in text.chars().enumerate() {
        if index == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("  "),
            c if unsafe_to_print(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// A whole number with thin spaces between thousands.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A share from 0 to 1 as per cent, with a decimal where it says something.
#[must_use]
pub fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "not a number".to_owned();
    }
    let value = share * 100.0;
    let text = if value != 0.0 && value.abs() < 0.1 {
        format!("{value:.2}")
    } else if (value - value.round()).abs() < 0.05 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    };
    format!("{text}\u{a0}%")
}

/// A number to three or four figures, without needless zeros.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "not a number" } else { "infinite" }.to_owned();
    }
    let size = value.abs();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded just above")]
    if size == value && size.fract() == 0.0 && size < 1e15 {
        return count(size as u64);
    }
    if size != 0.0 && !(1e-3..1e9).contains(&size) {
        return format!("{value:.2e}");
    }
    let text = match size {
        s if s >= 100.0 => format!("{value:.0}"),
        s if s >= 10.0 => format!("{value:.1}"),
        s if s >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Bytes in the unit a person would choose.
#[must_use]
pub fn bytes(value: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown to three figures")]
    let mut size = value as f64;
    if value < 1_000 {
        return format!("{value} bytes");
    }
    for unit in ["kB", "MB", "GB", "TB"] {
        size /= 1_000.0;
        if size < 999.5 || unit == "TB" {
            return format!("{}\u{a0}{unit}", number((size * 10.0).round() / 10.0));
        }
    }
    String::new()
}

/// Milliseconds as a person would say them.
#[must_use]
pub fn duration(millis: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown to three figures")]
    let seconds = millis as f64 / 1_000.0;
    let two = |large: u64, one: &str, small: u64, other: &str| {
        if small == 0 {
            format!("{large}\u{a0}{one}")
        } else {
            format!("{large}\u{a0}{one} {small}\u{a0}{other}")
        }
    };
    match millis {
        0..1_000 => format!("{millis}\u{a0}ms"),
        1_000..60_000 => format!("{}\u{a0}s", number((seconds * 10.0).round() / 10.0)),
        60_000..3_600_000 => two(millis / 60_000, "min", millis / 1_000 % 60, "s"),
        3_600_000..86_400_000 => two(millis / 3_600_000, "h", millis / 60_000 % 60, "min"),
        _ => two(millis / 86_400_000, "d", millis / 3_600_000 % 24, "h"),
    }
}

/// Plain words in which `commands` between backticks stand as code. Everything else stays text.
#[must_use]
pub fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without a partner is one.
    let paired = parts.len() % 2 == 1;
    html! {
        @if paired {
            @for (index, part) in parts.iter().enumerate() { @if index % 2 == 1 { code { (part) } } @else { (part) } }
        } @else { (text) }
    }
}

/// Words as a sentence: a capital first, a full stop last.
#[must_use]
pub fn sentence(text: &str) -> String {
    let mut chars = text.trim().chars();
    let mut out: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    out.push_str(chars.as_str());
    if !out.is_empty() && !out.ends_with(['.', '!', '?', ':', '…']) {
        out.push('.');
    }
    out
}

/// `1 finding`, `2 findings`.
pub(crate) fn plural(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", count(n as u64)) }
}

/// An instant to the second, for people.
pub(crate) fn instant(at: mantlet_vocab::Millis) -> String {
    let text = at.rfc3339();
    format!("{} {} UTC", text.get(..10).unwrap_or(&text), text.get(11..19).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(percent(0.8), "80\u{a0}%");
        assert_eq!(percent(0.123_4), "12.3\u{a0}%");
        assert_eq!(percent(0.000_5), "0.05\u{a0}%");
        assert_eq!(number(0.5), "0.5");
        assert_eq!(number(-2.0), "-2");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(f64::NAN), "not a number");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1_500), "1.5\u{a0}kB");
        assert_eq!(bytes(999_999), "1\u{a0}MB");
        assert_eq!(duration(61_000), "1\u{a0}min 1\u{a0}s");
        assert_eq!(duration(59_999), "60\u{a0}s");
        assert_eq!(duration(7_200_000), "2\u{a0}h");
        assert_eq!(sentence("it ends"), "It ends.");
        assert_eq!(prose("run `a <b>` now").into_string(), "run <code>a &lt;b&gt;</code> now");
        assert_eq!(prose("one ` only").into_string(), "one ` only");
    }

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(clean_line("a\u{1b}[31mb\r\n\u{202e}c\u{9b}"), "a\\u{1b}[31mb\\u{d}\\n\\u{202e}c\\u{9b}");
        assert_eq!(clean_line(&"x".repeat(5_000)).chars().count(), LONGEST + 1);
    }
}
