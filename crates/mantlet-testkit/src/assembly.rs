//! Pickle assembly: opcodes as `pickletools` names them, one a line, to bytes.

use crate::ForgeError;

/// How an opcode's argument is written.
#[derive(Clone, Copy)]
enum Form {
    Bare,
    Line,
    TwoLines,
    Uint(usize),
    Int(usize),
    Counted(usize),
    Float,
    Long,
}

const OPCODES: [(&str, u8, Form); 68] = [
    ("MARK", b'(', Form::Bare),
    ("STOP", b'.', Form::Bare),
    ("POP", b'0', Form::Bare),
    ("POP_MARK", b'1', Form::Bare),
    ("DUP", b'2', Form::Bare),
    ("FLOAT", b'F', Form::Line),
    ("INT", b'I', Form::Line),
    ("BININT", b'J', Form::Int(4)),
    ("BININT1", b'K', Form::Uint(1)),
    ("LONG", b'L', Form::Line),
    ("BININT2", b'M', Form::Uint(2)),
    ("NONE", b'N', Form::Bare),
    ("PERSID", b'P', Form::Line),
    ("BINPERSID", b'Q', Form::Bare),
    ("REDUCE", b'R', Form::Bare),
    ("STRING", b'S', Form::Line),
    ("BINSTRING", b'T', Form::Counted(4)),
    ("SHORT_BINSTRING", b'U', Form::Counted(1)),
    ("UNICODE", b'V', Form::Line),
    ("BINUNICODE", b'X', Form::Counted(4)),
    ("APPEND", b'a', Form::Bare),
    ("BUILD", b'b', Form::Bare),
    ("GLOBAL", b'c', Form::TwoLines),
    ("DICT", b'd', Form::Bare),
    ("EMPTY_DICT", b'}', Form::Bare),
    ("APPENDS", b'e', Form::Bare),
    ("GET", b'g', Form::Line),
    ("BINGET", b'h', Form::Uint(1)),
    ("INST", b'i', Form::TwoLines),
    ("LONG_BINGET", b'j', Form::Uint(4)),
    ("LIST", b'l', Form::Bare),
    ("EMPTY_LIST", b']', Form::Bare),
    ("OBJ", b'o', Form::Bare),
    ("PUT", b'p', Form::Line),
    ("BINPUT", b'q', Form::Uint(1)),
    ("LONG_BINPUT", b'r', Form::Uint(4)),
    ("SETITEM", b's', Form::Bare),
    ("TUPLE", b't', Form::Bare),
    ("EMPTY_TUPLE", b')', Form::Bare),
    ("SETITEMS", b'u', Form::Bare),
    ("BINFLOAT", b'G', Form::Float),
    ("PROTO", 0x80, Form::Uint(1)),
    ("NEWOBJ", 0x81, Form::Bare),
    ("EXT1", 0x82, Form::Uint(1)),
    ("EXT2", 0x83, Form::Uint(2)),
    ("EXT4", 0x84, Form::Int(4)),
    ("TUPLE1", 0x85, Form::Bare),
    ("TUPLE2", 0x86, Form::Bare),
    ("TUPLE3", 0x87, Form::Bare),
    ("NEWTRUE", 0x88, Form::Bare),
    ("NEWFALSE", 0x89, Form::Bare),
    ("LONG1", 0x8a, Form::Long),
    ("LONG4", 0x8b, Form::Counted(4)),
    ("BINBYTES", b'B', Form::Counted(4)),
    ("SHORT_BINBYTES", b'C', Form::Counted(1)),
    ("SHORT_BINUNICODE", 0x8c, Form::Counted(1)),
    ("BINUNICODE8", 0x8d, Form::Counted(8)),
    ("BINBYTES8", 0x8e, Form::Counted(8)),
    ("EMPTY_SET", 0x8f, Form::Bare),
    ("ADDITEMS", 0x90, Form::Bare),
    ("FROZENSET", 0x91, Form::Bare),
    ("NEWOBJ_EX", 0x92, Form::Bare),
    ("STACK_GLOBAL", 0x93, Form::Bare),
    ("MEMOIZE", 0x94, Form::Bare),
    ("FRAME", 0x95, Form::Uint(8)),
    ("BYTEARRAY8", 0x96, Form::Counted(8)),
    ("NEXT_BUFFER", 0x97, Form::Bare),
    ("READONLY_BUFFER", 0x98, Form::Bare),
];

/// Assembles a pickle. Beside the opcodes: `RAW hex` for bytes as they are, `TEXT "..."` for the shortest
/// text opcode, `NEST` with indented opcodes for a pickle as a bytes literal, `#` for comments.
///
/// # Errors
/// When a line is not an opcode with its argument.
pub fn assemble(text: &str) -> Result<Vec<u8>, ForgeError> {
    let mut out = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    let mut at = 0;
    while let Some(&raw) = lines.get(at) {
        at += 1;
        let line = raw.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = |reason| ForgeError::new(at, reason, line);
        let (name, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        match name {
            "RAW" => {
                let digits: String = argument.split_whitespace().collect();
                out.extend(hex(&digits).ok_or_else(|| fault("not hexadecimal"))?);
                continue;
            }
            "TEXT" => {
                let bytes = string(argument).ok_or_else(|| fault("not a quoted string"))?;
                out.push(b'X');
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend(bytes);
                continue;
            }
            "NEST" => {
                let inner: Vec<&str> =
                    lines[at..].iter().take_while(|line| line.starts_with("  ")).copied().collect();
                at += inner.len();
                let bytes = assemble(&inner.join("\n"))?;
                out.push(b'B');
                out.extend((bytes.len() as u32).to_le_bytes());
                out.extend(bytes);
                continue;
            }
            _ => {}
        }
        let &(_, code, form) =
            OPCODES.iter().find(|(known, ..)| *known == name).ok_or_else(|| fault("not an opcode"))?;
        out.push(code);
        let number = || argument.parse::<i128>().map_err(|_| fault("needs a number"));
        match form {
            Form::Bare => {}
            Form::Line => {
                out.extend(argument.as_bytes());
                out.push(b'\n');
            }
            Form::TwoLines => {
                let (module, attribute) = argument.split_once(' ').ok_or_else(|| fault("needs two names"))?;
                out.extend(format!("{module}\n{attribute}\n").as_bytes());
            }
            Form::Uint(width) | Form::Int(width) => {
                out.extend(number()?.to_le_bytes().get(..width).unwrap_or_default());
            }
            Form::Counted(width) => {
                let bytes = string(argument).ok_or_else(|| fault("needs a quoted string"))?;
                out.extend((bytes.len() as u64).to_le_bytes().get(..width).unwrap_or_default());
                out.extend(bytes);
            }
            Form::Float => {
                let value: f64 = argument.parse().map_err(|_| fault("needs a number"))?;
                out.extend(value.to_be_bytes());
            }
            Form::Long => {
                let bytes = number()?.to_le_bytes();
                out.push(16);
                out.extend(bytes);
            }
        }
    }
    Ok(out)
}

/// A quoted string with `\n`, `\\`, `\"` and `\xHH`.
fn string(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = inner.get(at) {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = *inner.get(at)?;
        at += 1;
        match escape {
            b'n' => out.push(b'\n'),
            b'x' => {
                out.extend(hex(std::str::from_utf8(inner.get(at..at + 2)?).ok()?)?);
                at += 2;
            }
            other => out.push(other),
        }
    }
    Some(out)
}

pub(crate) fn hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assembly_is_what_pickletools_would_print() {
        let bytes =
            assemble("PROTO 2\nGLOBAL posix system\nTEXT \"i\\x64\"\nTUPLE1\nREDUCE\nSTOP\n").unwrap();
        assert_eq!(bytes, b"\x80\x02cposix\nsystem\nX\x02\0\0\0id\x85R.");
        assert_eq!(assemble("NEST\n  NONE\n  STOP\nSTOP").unwrap(), b"B\x02\0\0\0N..");
        assert_eq!(assemble("PROTO 2\nFLY").unwrap_err().line, 2);
    }
}
