//! What an exchange costs by configured prices, and how many tokens a text is before anybody counted them.

use std::collections::BTreeMap;

use mantlet_vocab::Piece;
use mantlet_wire::text::Usage;
use serde::{Deserialize, Serialize};

/// Tokens of a message beside its text: role, separators, the start of the answer.
const AROUND: u64 = 4;

/// What one model's exchanges cost, in the currency of whoever configured it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Price {
    /// A million tokens of requests.
    pub input: f64,
    /// A million tokens of replies.
    pub output: f64,
    /// A request.
    pub request: f64,
    /// A row of classic inference.
    pub row: f64,
}

/// Prices by the model's name; `default` is every other's.
pub type Prices = BTreeMap<String, Price>;

impl Price {
    /// What one exchange costs, in millionths of the currency. A price of a million tokens is a token's in millionths.
    #[must_use]
    pub fn cost(&self, usage: Usage, requests: u32, rows: u64) -> u64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of one exchange, far below 2^52")]
        let of_tokens = usage.input_tokens as f64 * self.input + usage.output_tokens as f64 * self.output;
        #[expect(clippy::cast_precision_loss, reason = "rows of one request")]
        let of_rows = f64::from(requests) * self.request + rows as f64 * self.row;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let cost = (of_tokens + of_rows * 1e6).clamp(0.0, 1e15).round() as u64;
        cost
    }
}

/// The price of a model: its own, else the default, else nothing.
#[must_use]
pub fn price(prices: &Prices, model: Option<&str>) -> Price {
    let named = model.and_then(|model| prices.get(model));
    named.or_else(|| prices.get("default")).copied().unwrap_or_default()
}

/// About how many tokens a text is. Byte-pair encodings of today make a token of about four letters of English and one
/// or more of each character of most other scripts; this counts a little too much rather than too little.
#[must_use]
pub fn tokens_of(text: &str) -> u64 {
    let plain = text.bytes().filter(u8::is_ascii).count() as u64;
    let other = text.bytes().filter(|byte| *byte >= 0xC0).count() as u64;
    plain.div_ceil(4) + other
}

/// About how many tokens the texts of a message are.
#[must_use]
pub fn tokens_of_pieces(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| tokens_of(&piece.text)).sum::<u64>() + AROUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_a_million_are_prices_of_a_token_in_millionths() {
        let price = Price { input: 3.0, output: 15.0, request: 0.01, row: 0.002 };
        let usage = Usage { input_tokens: 1_000, output_tokens: 200 };
        assert_eq!(price.cost(usage, 0, 0), 3_000 + 3_000);
        assert_eq!(price.cost(Usage::default(), 1, 0), 10_000);
        assert_eq!(price.cost(Usage::default(), 1, 5), 20_000);
        assert_eq!(Price { input: -1.0, ..price }.cost(usage, 0, 0), 2_000);
        assert_eq!(Price { input: f64::NAN, ..price }.cost(usage, 0, 0), 0);
        let prices: Prices = [("default".to_owned(), price), ("small".to_owned(), Price::default())].into();
        assert_eq!(super::price(&prices, Some("small")), Price::default());
        assert_eq!(super::price(&prices, Some("other")), price);
        assert_eq!(super::price(&Prices::new(), None), Price::default());
    }

    #[test]
    fn the_estimate_of_tokens_is_of_the_right_size() {
        for (text, low, high) in [
            ("", 0, 0),
            ("The quick brown fox jumps over the lazy dog.", 9, 12),
            ("東京は日本の首都です", 10, 10),
            ("Größe", 2, 3),
        ] {
            assert!((low..=high).contains(&tokens_of(text)), "{text}: {}", tokens_of(text));
        }
    }
}
