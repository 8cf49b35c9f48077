//! `filesize` for regions of any length.
//!
//! The engine knows the size only of what it has whole in memory. Larger regions are handed to it window by window, so
//! the keyword is written as a variable of the same length, which keeps the columns of error messages right.

/// The variable that stands for `filesize`. As long as the keyword.
pub(crate) const VARIABLE: &str = "_mtl_len";
const KEYWORD: &[u8] = b"filesize";

/// The rules with the keyword replaced wherever it is one: not in strings, regular expressions and comments.
pub(crate) fn portable(rules: &str) -> String {
    let bytes = rules.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            b'"' => quoted(rest, b'"'),
            b'/' if rest.starts_with(b"//") => {
                rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
            }
            b'/' if rest.starts_with(b"/*") => {
                rest.windows(2).skip(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 4)
            }
            // Division is written `\`, so a slash always opens a regular expression.
            b'/' => quoted(rest, b'/'),
            _ if is_name(byte) || matches!(byte, b'$' | b'#' | b'@' | b'!' | b'.') => {
                let end = 1 + rest[1..].iter().position(|&byte| !is_name(byte)).unwrap_or(rest.len() - 1);
                if &rest[..end] == KEYWORD {
                    out[at..at + end].copy_from_slice(VARIABLE.as_bytes());
                }
                end
            }
            _ => 1,
        };
    }
    String::from_utf8(out).unwrap_or_else(|_| rules.to_owned())
}

const fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Length of a quoted run, its quotes and escapes included; a line end closes what was never closed.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while let Some(&byte) = rest.get(at) {
        at += 1;
        match byte {
            b'\\' => at += 1,
            b'\n' => break,
            byte if byte == quote => break,
            _ => {}
        }
    }
    at.min(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyword_is_replaced_where_it_is_one() {
        for (rules, expected) in [
            ("condition: filesize < 1KB", "condition: _mtl_len < 1KB"),
            ("(filesize\\2) > filesize", "(_mtl_len\\2) > _mtl_len"),
            ("\"filesize\" /a\\/filesize/ filesize", "\"filesize\" /a\\/filesize/ _mtl_len"),
            ("// filesize\nfilesize /* filesize */", "// filesize\n_mtl_len /* filesize */"),
            ("/**/filesize", "/**/_mtl_len"),
            (
                "$filesize #filesize filesizes my_filesize pe.filesize",
                "$filesize #filesize filesizes my_filesize pe.filesize",
            ),
            ("\"never closed\nfilesize", "\"never closed\n_mtl_len"),
            ("é filesize \"é", "é _mtl_len \"é"),
            ("\"ends \\", "\"ends \\"),
        ] {
            assert_eq!(portable(rules), expected);
        }
    }
}
