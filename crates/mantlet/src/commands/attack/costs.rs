//! What a battery may cost, as it is said on the command line.

use clap::Args;
use mantlet_redteam::{Patience, Target};
use mantlet_vocab::Tensor;
use mantlet_worker::battery::Caps;

use crate::exit::Usage;

/// What the whole battery may spend; never exceeded.
#[derive(Debug, Clone, Copy, Args)]
pub struct Costs {
    /// The most rows asked of the target, by all attacks together.
    #[arg(long, value_name = "N")]
    max_queries: Option<u64>,
    /// The most minutes spent.
    #[arg(long, value_name = "MINUTES")]
    max_minutes: Option<u64>,
    /// What one query costs, in any currency.
    #[arg(long, value_name = "PRICE")]
    price: Option<f64>,
    /// The most money spent, in the same currency.
    #[arg(long, value_name = "MONEY", requires = "price")]
    max_cost: Option<f64>,
    /// The most tokens billed, for targets that say what a request costs (`tokens` or `tokens-per-request` in the target
    /// file).
    #[arg(long, value_name = "N")]
    max_tokens: Option<u64>,
    /// The longest wait, in seconds, when the target says to come back later (`Retry-After`); one that asks for more is
    /// left alone, and what was not asked is undecided.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    max_wait: u64,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            max_queries: None,
            max_minutes: None,
            price: None,
            max_cost: None,
            max_tokens: None,
            max_wait: 2,
        }
    }
}

impl Costs {
    /// The options that set these caps again.
    pub fn again(self) -> Vec<String> {
        let set = |name: &str, value: Option<String>| value.map(|value| [format!("--{name}"), value]);
        [
            set("max-queries", self.max_queries.map(|value| value.to_string())),
            set("max-minutes", self.max_minutes.map(|value| value.to_string())),
            set("price", self.price.map(|value| value.to_string())),
            set("max-cost", self.max_cost.map(|value| value.to_string())),
            set("max-tokens", self.max_tokens.map(|value| value.to_string())),
            set("max-wait", (self.max_wait != 2).then(|| self.max_wait.to_string())),
        ]
        .into_iter()
        .flatten()
        .flatten()
        .collect()
    }

    /// How refusals are borne.
    pub fn patience(self) -> Patience {
        Patience { wait_ms: self.max_wait.saturating_mul(1_000), ..Patience::default() }
    }

    /// Refuses a cap on tokens where the target does not say what a request costs.
    ///
    /// # Errors
    /// In that case.
    pub fn countable(self, target: &dyn Target) -> Result<(), Usage> {
        let row =
            Tensor::full(std::iter::once(1).chain(target.describe().input_shape).collect::<Vec<_>>(), 0.0);
        if self.max_tokens.is_some() && target.tokens_at_most(&row) == 0 {
            return Err(Usage(
                "--max-tokens needs a target that is billed by tokens: say in its file where the answer counts them \
                 (`tokens = \"/usage/total_tokens\"`) or what a request costs at most (`tokens-per-request = 200`)"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// The caps of a battery.
    ///
    /// # Errors
    /// When the price makes no sense.
    pub fn caps(self) -> Result<Caps, Usage> {
        let mut caps = Caps { price: self.price, ..Caps::default() };
        caps.queries = self.max_queries.unwrap_or(caps.queries);
        caps.tokens = self.max_tokens.unwrap_or(caps.tokens);
        caps.millis = self.max_minutes.map_or(caps.millis, |minutes| minutes.saturating_mul(60_000));
        if let (Some(price), Some(money)) = (self.price, self.max_cost) {
            if !(price > 0.0 && price.is_finite() && money >= 0.0) {
                return Err(Usage("--price must be positive and --max-cost not negative".to_owned()));
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a quotient of positives, rounded down; the cast saturates"
            )]
            let affordable = (money / price).floor() as u64;
            caps.queries = caps.queries.min(affordable);
        }
        Ok(caps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_a_number_of_queries() {
        let costs = Costs {
            price: Some(0.002),
            max_cost: Some(1.0),
            max_queries: Some(900),
            max_minutes: Some(2),
            max_tokens: Some(7_000),
            max_wait: 2,
        };
        let caps = costs.caps().expect("a plain price");
        assert_eq!((caps.queries, caps.millis, caps.tokens), (500, 120_000, 7_000));
        assert_eq!(Costs { max_queries: Some(100), ..costs }.caps().expect("a plain price").queries, 100);
        assert!(Costs { price: Some(0.0), ..costs }.caps().is_err());
        assert_eq!(Costs::default().caps().expect("no price").queries, u64::MAX);
    }
}
