//! Limits as configured, and what they ask of one request.

use serde::{Deserialize, Serialize};

use super::{Allowance, Ask};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// Requests.
    Requests,
    /// Rows of classic inference.
    Rows,
    /// Tokens of requests and replies.
    Tokens,
    /// Bytes of requests.
    Bytes,
    /// Cost, in millionths of the currency.
    Cost,
    /// Requests at the same time.
    Concurrency,
}

/// Whose count it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Each key's own.
    Key,
    /// Each user's own.
    User,
    /// Each tenant's own.
    Tenant,
    /// The route's, all callers together.
    Route,
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitRule {
    /// What is counted.
    pub what: What,
    /// Whose count it is.
    pub per: Per,
    /// Units a minute; for concurrency the number at the same time.
    pub most: f64,
    /// Units at once; a minute's worth when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<f64>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder<'a> {
    /// The key's id.
    pub key: &'a str,
    /// The user, when identity tells one.
    pub user: Option<&'a str>,
    /// The tenant, when identity tells one.
    pub tenant: Option<&'a str>,
    /// The route.
    pub route: &'a str,
}

/// How large a request is, as far as it is known; what is 0 asks nothing.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Size {
    /// Requests: 1 when it arrives, 0 when only more is learned of it.
    pub requests: u32,
    /// Rows.
    pub rows: u64,
    /// Tokens.
    pub tokens: u64,
    /// Bytes.
    pub bytes: u64,
    /// Cost, in millionths.
    pub cost: u64,
}

impl Size {
    /// How much of it one kind of limit counts.
    #[must_use]
    pub const fn of(&self, what: What) -> u64 {
        match what {
            What::Requests | What::Concurrency => self.requests as u64,
            What::Rows => self.rows,
            What::Tokens => self.tokens,
            What::Bytes => self.bytes,
            What::Cost => self.cost,
        }
    }
}

/// What the limits ask of a request. A limit per user or tenant of which nothing is known counts by the key, so
/// that leaving the name out gains nothing.
#[must_use]
pub fn asks(rules: &[LimitRule], holder: Holder<'_>, size: Size) -> Vec<Ask> {
    let ask = |rule: &LimitRule| {
        #[expect(clippy::cast_precision_loss, reason = "sizes of requests, far below 2^52")]
        let amount = size.of(rule.what) as f64;
        if amount == 0.0 {
            return None;
        }
        let (scope, name) = match rule.per {
            Per::Key => ("key", holder.key),
            Per::User => holder.user.map_or(("key", holder.key), |user| ("user", user)),
            Per::Tenant => holder.tenant.map_or(("key", holder.key), |tenant| ("tenant", tenant)),
            Per::Route => ("route", ""),
        };
        let what = match rule.what {
            What::Requests => "requests",
            What::Rows => "rows",
            What::Tokens => "tokens",
            What::Bytes => "bytes",
            What::Cost => "cost",
            What::Concurrency => "concurrency",
        };
        let most = rule.most.max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let allowance = match rule.what {
            What::Concurrency => Allowance::Concurrent(most.min(f64::from(u32::MAX)) as u32),
            _ => Allowance::Rate { per_minute: most, burst: rule.burst.unwrap_or(most).max(1.0) },
        };
        Some(Ask { bucket: format!("{}/{what}/{scope}/{name}", holder.route), allowance, amount })
    };
    rules.iter().filter_map(ask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_asks_for_its_own_holder_and_size() {
        let rule = |what, per, most| LimitRule { what, per, most, burst: None };
        let rules = [
            rule(What::Requests, Per::Key, 60.0),
            rule(What::Rows, Per::Tenant, 1_000.0),
            rule(What::Tokens, Per::User, 9.0),
            rule(What::Bytes, Per::Route, 1e6),
            rule(What::Concurrency, Per::Key, 4.0),
        ];
        let holder = Holder { key: "k", user: Some("u"), tenant: None, route: "r" };
        let size = Size { requests: 1, rows: 20, bytes: 300, ..Size::default() };
        let asked = asks(&rules, holder, size);
        let seen: Vec<(&str, f64)> = asked.iter().map(|ask| (ask.bucket.as_str(), ask.amount)).collect();
        assert_eq!(
            seen,
            [
                ("r/requests/key/k", 1.0),
                ("r/rows/key/k", 20.0),
                ("r/bytes/route/", 300.0),
                ("r/concurrency/key/k", 1.0)
            ]
        );
        assert_eq!(asked[3].allowance, Allowance::Concurrent(4));
        let later = asks(&rules, holder, Size { tokens: 7, ..Size::default() });
        assert_eq!(later.len(), 1);
        assert_eq!(later[0].bucket, "r/tokens/user/u");
    }
}
