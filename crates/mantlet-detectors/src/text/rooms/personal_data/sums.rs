//! Second looks at numbers: check digits, ranges and lengths that tell a card from an order number.

fn digits(text: &[u8]) -> Vec<u8> {
    text.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect()
}

/// Luhn (ISO/IEC 7812-1, annex B), the ranges networks issue, and one way of grouping.
pub(super) fn card(text: &[u8]) -> Option<(f64, usize)> {
    let number = digits(text);
    let value =
        |count: usize| number.iter().take(count).fold(0_u32, |sum, &digit| sum * 10 + u32::from(digit));
    let issued = matches!(
        (value(1), value(2), value(3), value(4), number.len()),
        (4, _, _, _, 13 | 16 | 19)
            | (_, 51..=55, _, _, 16)
            | (_, _, _, 2221..=2720, 16)
            | (_, 34 | 37, _, _, 15)
            | (_, _, _, 6011, 16..=19)
            | (_, 65, _, _, 16..=19)
            | (_, _, 644..=649, _, 16..=19)
            | (_, _, _, 3528..=3589, 16..=19)
            | (_, 36 | 38 | 39, _, _, 14..=19)
            | (_, _, 300..=305, _, 14..=19)
            | (_, 62, _, _, 16..=19)
            | (_, 50 | 56..=58 | 67 | 63, _, _, 12..=19)
    );
    let groups: Vec<usize> = text.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).collect();
    let grouped = match groups.as_slice() {
        [_] | [4, 6, 5] | [4, 6, 4] => true,
        [head @ .., last] => head.iter().all(|&len| len == 4) && (1..=4).contains(last),
        [] => false,
    };
    let one = number.iter().all(|digit| Some(digit) == number.first());
    (issued && grouped && !one && luhn(&number)).then_some((1.5, 0))
}

fn luhn(number: &[u8]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(index, &digit)| match index % 2 {
            0 => u32::from(digit),
            _ => u32::from(digit) * 2 - if digit > 4 { 9 } else { 0 },
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Lengths of national account numbers (ISO 13616 registry).
const LENGTHS: &[u8] = b"AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27DK18DO28EE20EG29\
ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21\
LY25MC27MD24ME22MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31SD18SE24SI19SK24SM27\
SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/// The remainder by 97 (ISO 7064, MOD 97-10) and the country's length.
pub(super) fn iban(text: &[u8]) -> Option<(f64, usize)> {
    let plain: Vec<u8> =
        text.iter().filter(|byte| byte.is_ascii_alphanumeric()).map(u8::to_ascii_uppercase).collect();
    let entry = LENGTHS.chunks(4).find(|entry| entry[..2] == plain[..2])?;
    // Groups of an account number with a slip in it are no telephone numbers.
    let slip = (digits(text).len() >= 10).then_some((0.0, 0));
    if usize::from(entry[2] - b'0') * 10 + usize::from(entry[3] - b'0') != plain.len() {
        return slip;
    }
    let rest = plain[4..].iter().chain(&plain[..4]).fold(0_u32, |rest, &byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    if rest == 1 { Some((1.5, 0)) } else { slip }
}

/// Numbers the Social Security Administration does not give out are none.
pub(super) fn ssn(text: &[u8]) -> Option<(f64, usize)> {
    let (area, group, serial) = (&text[..3], &text[4..6], &text[7..]);
    let given = area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000";
    // Printed in leaflets and sold with wallets.
    let sample = matches!(text, b"078-05-1120" | b"219-09-9999" | b"123-45-6789");
    (given && !sample).then_some((1.0, 0))
}

pub(super) fn email(text: &[u8]) -> Option<(f64, usize)> {
    let at = text.iter().position(|&byte| byte == b'@')?;
    let (local, domain) = (&text[..at], &text[at + 1..]);
    let top = domain.rsplit(|&byte| byte == b'.').next()?;
    let sane = local.len() <= 64
        && domain.len() <= 253
        && !local.windows(2).any(|pair| pair == b"..")
        && local.last() != Some(&b'.')
        && (2..=24).contains(&top.len())
        && (top.iter().all(u8::is_ascii_alphabetic) || top.starts_with(b"xn--"));
    // `image@2x.png` and its kind are file names.
    let file = matches!(top, b"png" | b"jpg" | b"jpeg" | b"gif" | b"svg" | b"webp" | b"css" | b"js" | b"py");
    (sane && !file).then_some((1.0, 0))
}

/// Addresses that can belong to somebody: not private, local, reserved or for documentation (RFC 6890).
pub(super) fn ipv4(text: &[u8]) -> Option<(f64, usize)> {
    let mut octets = Vec::new();
    for part in text.split(|&byte| byte == b'.') {
        if part.len() > 1 && part[0] == b'0' {
            return None;
        }
        let value = part.iter().fold(0_u16, |sum, byte| sum * 10 + u16::from(byte - b'0'));
        octets.push(u8::try_from(value).ok()?);
    }
    let [a, b, c, _] = octets[..] else { return None };
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    // Dotted version numbers look alike, and hardly ever have a part above 20 in each place.
    let version = octets.iter().filter(|&&octet| octet > 20).count() < 2;
    (!special && !version).then_some((1.0, 0))
}

/// Global unicast (RFC 4291, section 2.4), not for documentation.
pub(super) fn ipv6(text: &[u8]) -> Option<(f64, usize)> {
    let doubled = text.windows(2).filter(|pair| *pair == b"::").count();
    let groups: Vec<&[u8]> = text.split(|&byte| byte == b':').filter(|group| !group.is_empty()).collect();
    let whole = (groups.len() == 8 && doubled == 0) || (doubled == 1 && (3..8).contains(&groups.len()));
    let first = groups.first()?;
    let global = first.len() == 4 && matches!(first[0], b'2' | b'3');
    let documented =
        first.eq_ignore_ascii_case(b"2001") && groups.get(1).is_some_and(|g| g.eq_ignore_ascii_case(b"db8"));
    (whole && global && !documented).then_some((1.0, 0))
}

fn balanced(text: &[u8]) -> bool {
    let count = |byte: u8| text.iter().filter(|&&other| other == byte).count();
    count(b'(') == count(b')') && count(b'(') <= 1
}

/// Country codes of two digits (ITU-T E.164, annex); 1 and 7 have one, the others three.
const TWO: [u8; 42] = [
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58,
    60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94,
];

fn has_country(number: &[u8]) -> bool {
    let (Some(&a), Some(&b)) = (number.first(), number.get(1)) else { return false };
    let two = a * 10 + b;
    match a {
        1 => number.len() == 11 && b >= 2,
        7 => number.len() == 11,
        _ if TWO.contains(&two) || two == 95 || two == 98 => (9..=14).contains(&number.len()),
        _ => {
            matches!(two, 21..=26 | 29 | 35 | 37 | 38 | 42 | 50 | 59 | 67..=69 | 85 | 87 | 88 | 96 | 97 | 99)
                && (10..=15).contains(&number.len())
        }
    }
}

pub(super) fn international(text: &[u8]) -> Option<(f64, usize)> {
    (balanced(text) && has_country(&digits(text))).then_some((1.5, 0))
}

pub(super) fn zeros(text: &[u8]) -> Option<(f64, usize)> {
    (balanced(text) && has_country(&digits(text)[2..])).then_some((1.0, 0))
}

/// Ten digits of the North American plan: neither area nor exchange begins with 0 or 1, nor is one a service code.
pub(super) fn american(text: &[u8]) -> Option<(f64, usize)> {
    let number = digits(text);
    let service = |at: usize| number[at + 1] == 1 && number[at + 2] == 1;
    (balanced(text) && !service(0) && !service(3)).then_some((1.0, 0))
}

/// A trunk nought and nine to eleven digits, in groups that are no date.
pub(super) fn national(text: &[u8]) -> Option<(f64, usize)> {
    let groups: Vec<usize> =
        text.split(|byte| !byte.is_ascii_digit()).map(<[u8]>::len).filter(|&len| len > 0).collect();
    let date = matches!(groups[..], [2, 2, 4, ..] | [2, 2, 2, ..]) && text[2] == text[5] && text[2] != b' ';
    let count = digits(text).len();
    (balanced(text) && !date && (9..=12).contains(&count) && groups.len() >= 2).then_some((1.0, 0))
}

/// A number beside a word for telephones; the word stays readable.
pub(super) fn after_a_word(text: &[u8]) -> Option<(f64, usize)> {
    let from = text.iter().position(|byte| byte.is_ascii_digit() || *byte == b'(')?;
    let number = &text[from..];
    (balanced(number) && (7..=13).contains(&digits(number).len())).then_some((1.0, from))
}
