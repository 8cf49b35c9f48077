//! Programs inside other data: ELF, PE and Mach-O headers whose fields agree with each other.
//!
//! A magic of four bytes turns up in random weights every four gigabytes, `MZ` every 64 KiB. So a candidate
//! counts only when its header holds together. Chances on random bytes, per offset: ELF 2^-32 for the magic
//! times about 2^-79 for class, order, version, padding, type, machine and sizes; Mach-O 2^-31 times 2^-40 for
//! processor, file type and load commands; PE 2^-16 times 2^-12 for an offset below 4,096 within the data,
//! 2^-32 for the second magic and 2^-30 for machine, sections and optional header. Even PE, the weakest,
//! stays below 1e-26 per offset: a terabyte of random weights has one by chance with probability 1e-14. The first
//! line of a script is seven bytes, 2^-56, with the name of an interpreter and eight bytes of text after it.

/// A program found by its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// `ELF`, `PE` or `Mach-O`, with the processor, or a script with its interpreter.
    pub kind: String,
    /// Where it starts.
    pub offset: u64,
}

/// What a search looks for. The second magic of a PE file is far rarer than its first.
pub(crate) const MAGICS: [&[u8]; 6] =
    [b"\x7fELF", b"PE\0\0", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"#!/bin/", b"#!/usr/bin/"];

/// From this magic on they begin scripts.
pub(crate) const SCRIPTS: usize = 4;

/// The start and kind of the program whose magic of this index lies at `at`.
pub(crate) fn at(bytes: &[u8], at: usize, magic: usize) -> Option<(usize, String)> {
    let rest = bytes.get(at..)?;
    match magic {
        0 => Some((at, elf(rest)?)),
        1 => {
            let kind = pe(rest)?;
            let from = at.saturating_sub(4_096);
            let start = memchr::memmem::rfind_iter(&bytes[from..at], b"MZ").map(|start| from + start).find(
                |&start| u32_at(&bytes[start..], 0x3c).is_some_and(|offset| offset as usize == at - start),
            )?;
            Some((start, kind))
        }
        4 | 5 => Some((at, script(rest)?)),
        _ => Some((at, mach_o(rest)?)),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn elf(bytes: &[u8]) -> Option<String> {
    let &[_, _, _, _, class, order, version, abi, ..] = bytes else { return None };
    if !matches!(class, 1 | 2) || !matches!(order, 1 | 2) || version != 1 || abi > 18 {
        return None;
    }
    if bytes.get(9..16)?.iter().any(|&byte| byte != 0) {
        return None;
    }
    let half = |at: usize| {
        let pair: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(if order == 1 { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    let (kind, machine) = (half(16)?, half(18)?);
    let (header, program) = if class == 2 { (half(52)?, half(54)?) } else { (half(40)?, half(42)?) };
    let sizes = if class == 2 {
        header == 64 && matches!(program, 0 | 56)
    } else {
        header == 52 && matches!(program, 0 | 32)
    };
    if !(1..=4).contains(&kind) || !sizes {
        return None;
    }
    let machine = match machine {
        3 => "x86",
        0x3e => "x86-64",
        0x28 => "ARM",
        0xb7 => "AArch64",
        0xf3 => "RISC-V",
        _ => "another processor",
    };
    Some(format!("ELF for {machine}"))
}

/// A line that names an interpreter, with lines of text after it.
fn script(bytes: &[u8]) -> Option<String> {
    let end = memchr::memchr(b'\n', bytes.get(..64.min(bytes.len()))?)?;
    let line = std::str::from_utf8(&bytes[2..end]).ok()?.trim_end();
    let mut words = line.split_ascii_whitespace();
    let mut program = words.next()?.rsplit('/').next()?;
    if program == "env" {
        program = words.find(|word| !word.starts_with('-'))?;
    }
    let known = ["sh", "bash", "dash", "zsh", "ksh", "python", "python3", "perl", "ruby", "node", "php"];
    let body = bytes.get(end + 1..(end + 17).min(bytes.len()))?;
    let text = body.iter().all(|&byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e));
    (known.contains(&program) && body.len() >= 8 && text).then(|| format!("script for {program}"))
}

/// From `PE\0\0` on.
fn pe(bytes: &[u8]) -> Option<String> {
    let machine = match u16_at(bytes, 4)? {
        0x014c => "x86",
        0x8664 => "x86-64",
        0x01c0 | 0x01c4 => "ARM",
        0xaa64 => "AArch64",
        _ => return None,
    };
    let sections = u16_at(bytes, 6)?;
    let optional = u16_at(bytes, 20)?;
    let magic = u16_at(bytes, 24)?;
    let fits = matches!((magic, optional), (0x10b, 0x60..=0x160) | (0x20b, 0x70..=0x170));
    (1..=96).contains(&sections).then_some(()).filter(|()| fits)?;
    Some(format!("PE for {machine}"))
}

fn mach_o(bytes: &[u8]) -> Option<String> {
    let wide = bytes.first()? == &0xcf;
    let machine = match u32_at(bytes, 4)? {
        0x0100_0007 => "x86-64",
        0x0100_000c => "AArch64",
        7 => "x86",
        12 => "ARM",
        _ => return None,
    };
    let (kind, commands, size) = (u32_at(bytes, 12)?, u32_at(bytes, 16)?, u32_at(bytes, 20)?);
    if !(1..=12).contains(&kind) || !(1..=1_000).contains(&commands) {
        return None;
    }
    if size < commands.checked_mul(8)? || size > 1 << 20 {
        return None;
    }
    // The first load command.
    let first = if wide { 32 } else { 28 };
    let command = u32_at(bytes, first)? & 0x7fff_ffff;
    let length = u32_at(bytes, first + 4)?;
    (command <= 0x40 && (8..=size).contains(&length) && length % 4 == 0)
        .then(|| format!("Mach-O for {machine}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn elf_header() -> Vec<u8> {
        let mut header = b"\x7fELF\x02\x01\x01".to_vec();
        header.resize(64, 0);
        header[16] = 3;
        header[18] = 0x3e;
        header[52] = 64;
        header[54] = 56;
        header
    }

    pub(crate) fn pe_header() -> Vec<u8> {
        let mut header = vec![0; 0x80];
        header[..2].copy_from_slice(b"MZ");
        header[0x3c] = 0x80;
        header.extend(b"PE\0\0\x64\x86\x03\0");
        header.extend([0; 12]);
        header.extend([0xf0, 0, 2, 0, 0x0b, 2]);
        header
    }

    #[test]
    fn a_magic_alone_is_no_program() {
        let noise: Vec<u8> = (0..4_096_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for (index, magic) in MAGICS.iter().enumerate() {
            let bytes = [&noise[..1_000], magic, &noise[1_000..]].concat();
            assert_eq!(at(&bytes, 1_000, index), None);
        }
        let pe = pe_header();
        assert_eq!(at(&pe, 0x80, 1), Some((0, "PE for x86-64".into())));
        assert_eq!(at(&elf_header(), 0, 0), Some((0, "ELF for x86-64".into())));
    }
}
