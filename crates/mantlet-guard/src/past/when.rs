//! Instants as logs write them.

use mantlet_vocab::Millis;

/// Seconds from 1970 to 2100, and the same in milliseconds: what is larger is the finer unit.
const SECONDS_MOST: f64 = 4_102_444_800.0;

/// Reads an instant: RFC 3339 (`2026-01-31T12:00:00.5Z`, `+02:00`, a space for the `T`), the common log's form
/// (`31/Jan/2026:12:00:00 +0000`), or a number of seconds, milliseconds, microseconds or nanoseconds since 1970.
#[must_use]
pub fn instant(text: &str) -> Option<Millis> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return of_number(number);
    }
    if text.get(2..3) == Some("/") { common(text) } else { rfc3339(text) }
}

/// A number since 1970, in whichever unit it must be.
#[must_use]
pub(super) fn of_number(number: f64) -> Option<Millis> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let millis = [1e3, 1.0, 1e-3, 1e-6].into_iter().map(|unit| number * unit);
    let millis = millis.into_iter().find(|millis| *millis <= SECONDS_MOST * 1e3)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 2100")]
    Some(Millis(millis.round() as u64))
}

fn rfc3339(text: &str) -> Option<Millis> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (number(parts.next()?)?, number(parts.next()?)?, number(parts.next()?)?);
    let zone = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at(zone);
    civil(year, month, day, time, offset(zone)?)
}

fn common(text: &str) -> Option<Millis> {
    let (date, rest) = text.split_once(':')?;
    let mut parts = date.splitn(3, '/');
    let day = number(parts.next()?)?;
    let name = parts.next()?;
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = names.iter().position(|month| month.eq_ignore_ascii_case(name))? as i64 + 1;
    let year = number(parts.next()?)?;
    let (time, zone) = rest.split_once(' ').unwrap_or((rest, ""));
    civil(year, month, day, time, offset(zone)?)
}

/// Minutes east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.split_at_checked(1) {
        None => return Some(0),
        Some(("Z" | "z", "")) => return Some(0),
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        Some(_) => return None,
    };
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    Some(sign * (number(hours)? * 60 + if minutes.is_empty() { 0 } else { number(minutes)? }))
}

/// Days from civil (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(year: i64, month: i64, day: i64, time: &str, offset: i64) -> Option<Millis> {
    if !(1970..=2099).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut parts = time.splitn(3, ':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let (second, fraction) = parts.next().map_or((0, 0), |seconds| {
        let (whole, part) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
        let part: String = part.chars().chain("000".chars()).take(3).collect();
        (number(whole).unwrap_or(99), number(&part).unwrap_or(0))
    });
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = era * 146_097 + doe - 719_468;
    let millis = ((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1_000 + fraction;
    u64::try_from(millis).ok().map(Millis)
}

fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_logs_are_one_instant() {
        let expected = Some(Millis(1_790_035_199_000));
        for text in [
            "2026-09-21T23:59:59Z",
            "2026-09-21T23:59:59.000+00:00",
            "2026-09-22 01:59:59+0200",
            "21/Sep/2026:23:59:59 +0000",
            "21/Sep/2026:18:29:59 -0530",
            "1790035199",
            "1790035199.000",
            "1790035199000",
            "1790035199000000",
            "1790035199000000000",
        ] {
            assert_eq!(instant(text), expected, "{text}");
        }
        assert_eq!(instant("2000-02-29T00:00:00.123Z"), Some(Millis(951_782_400_123)));
        for text in
            ["", "yesterday", "2026-13-01T00:00:00Z", "-5", "2026-09-21", "99/Sep/2026:00:00:00", "NaN"]
        {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
