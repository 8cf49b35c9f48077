//! The instructions of Python by version, as far as calls are made of them.

/// The version of Python that a magic number stands for, as its second number.
pub(super) fn version(magic: u16) -> Option<u8> {
    Some(match magic {
        3_360..=3_379 => 6,
        3_390..=3_399 => 7,
        3_400..=3_419 => 8,
        3_420..=3_429 => 9,
        3_430..=3_449 => 10,
        3_450..=3_499 => 11,
        3_500..=3_549 => 12,
        3_550..=3_599 => 13,
        3_600..=3_649 => 14,
        3_300..=3_359 => 5,
        _ => return None,
    })
}

/// What an instruction does, whatever its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Nothing,
    Extends,
    LoadName,
    LoadGlobal,
    LoadFast,
    LoadConst,
    LoadAttr,
    LoadMethod,
    ImportName,
    ImportFrom,
    StoreName,
    StoreFast,
    PushNull,
    Call,
    CallMethod,
    CallKeywords,
    CallUnpacked,
    Pop,
    Builds,
    Joins,
    /// Pushes what no call that matters is made of.
    PushOther,
    /// Makes a function of its code.
    Makes,
    /// Adds the top to the list below it.
    Appends,
    Unknown,
}

/// What an instruction does in a version.
pub(super) const fn does(version: u8, code: u8) -> Does {
    if version >= 13 {
        return match code {
            0 | 30 | 149 => Does::Nothing,
            71 => Does::Extends,
            92 => Does::LoadName,
            91 => Does::LoadGlobal,
            85 | 87 => Does::LoadFast,
            83 => Does::LoadConst,
            82 => Does::LoadAttr,
            75 => Does::ImportName,
            74 => Does::ImportFrom,
            114 | 113 => Does::StoreName,
            110 => Does::StoreFast,
            34 => Does::PushNull,
            53 => Does::Call,
            57 => Does::CallKeywords,
            54 => Does::CallUnpacked,
            32 => Does::Pop,
            47 | 50..=52 => Does::Builds,
            45 => Does::Joins,
            24 => Does::PushOther,
            26 => Does::Makes,
            80 | 81 => Does::Appends,
            _ => Does::Unknown,
        };
    }
    match code {
        0 | 9 if version >= 11 => Does::Nothing,
        9 => Does::Nothing,
        151 | 166 | 172 if version >= 11 => Does::Nothing,
        144 => Does::Extends,
        101 => Does::LoadName,
        116 => Does::LoadGlobal,
        124 => Does::LoadFast,
        100 => Does::LoadConst,
        106 => Does::LoadAttr,
        160 if version < 12 => Does::LoadMethod,
        108 => Does::ImportName,
        109 => Does::ImportFrom,
        90 | 97 => Does::StoreName,
        125 => Does::StoreFast,
        2 if version >= 11 => Does::PushNull,
        171 if version >= 11 => Does::Call,
        131 if version < 11 => Does::Call,
        161 if version < 11 => Does::CallMethod,
        141 if version < 11 => Does::CallKeywords,
        142 => Does::CallUnpacked,
        1 => Does::Pop,
        102 | 103 | 157 => Does::Builds,
        122 if version >= 11 => Does::Joins,
        23 if version < 11 => Does::Joins,
        71 => Does::PushOther,
        132 => Does::Makes,
        145 | 162 if version >= 9 => Does::Appends,
        _ => Does::Unknown,
    }
}
