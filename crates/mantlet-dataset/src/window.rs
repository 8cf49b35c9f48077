//! Windows of decisions: how they are cut, named and put in order.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// How decisions are cut into windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// So many rows each, in the table's order.
    Rows(u64),
    /// By the day, ISO week or month in UTC of the time in this column.
    Time(String, Span),
    /// By the value of this column: a batch, a year.
    Value(String),
}

/// The length of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// A day.
    Day,
    /// An ISO week, Monday to Sunday.
    Week,
    /// A month.
    Month,
}

/// Where a window stands among the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Key {
    Order(i64),
    Number(#[serde(with = "bits")] f64),
    Word(String),
}

/// A number as its bits: digits may come back as a neighbour, and infinities are no JSON numbers.
mod bits {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(number.to_bits())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(f64::from_bits(u64::deserialize(from)?))
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let rank = |key: &Self| match key {
            Self::Order(_) => 0,
            Self::Number(_) => 1,
            Self::Word(_) => 2,
        };
        match (self, other) {
            (Self::Order(one), Self::Order(other)) => one.cmp(other),
            (Self::Number(one), Self::Number(other)) => one.total_cmp(other),
            (Self::Word(one), Self::Word(other)) => one.cmp(other),
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

impl Key {
    pub(crate) fn name(&self, cut: &Cut) -> String {
        match (self, cut) {
            (Self::Order(day), Cut::Time(_, span)) => span.name(*day),
            (Self::Order(at), Cut::Rows(rows)) => {
                let from = u64::try_from(*at).unwrap_or(0).saturating_mul(*rows);
                format!("rows {} to {}", from + 1, from.saturating_add(*rows))
            }
            (Self::Order(at), Cut::Value(_)) => at.to_string(),
            (Self::Number(number), _) => number.to_string(),
            (Self::Word(word), _) => word.chars().filter(|c| !c.is_control()).take(60).collect(),
        }
    }
}

impl Span {
    /// The first day of the window, in days since 1970.
    pub(crate) fn start(self, seconds: f64) -> Option<i64> {
        let day = date((seconds / 86_400.0).floor())?;
        let start = match self {
            Self::Day => day,
            Self::Week => {
                day.checked_sub(jiff::Span::new().days(day.weekday().to_monday_zero_offset())).ok()?
            }
            Self::Month => day.first_of_month(),
        };
        let since = start.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
        Some(since.div_euclid(86_400))
    }

    /// `2026-11-03`, `2026-W45` or `2026-11`.
    fn name(self, days: i64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "days of the calendar are few")]
        let Some(day) = date(days as f64) else { return days.to_string() };
        match self {
            Self::Day => day.to_string(),
            Self::Week => {
                let week = day.iso_week_date();
                format!("{}-W{:02}", week.year(), week.week())
            }
            Self::Month => format!("{:04}-{:02}", day.year(), day.month()),
        }
    }
}

/// The date so many days after 1970-01-01.
#[expect(clippy::cast_possible_truncation, reason = "a number out of range saturates, and is no date")]
pub(crate) fn date(days: f64) -> Option<Date> {
    let second = (days as i64).checked_mul(86_400)?;
    Some(Timestamp::from_second(second).ok()?.to_zoned(TimeZone::UTC).date())
}
