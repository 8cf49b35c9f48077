//! What was counted since the start, as metrics of the OpenTelemetry protocol.
//!
//! Names and buckets of `gen_ai.*` are those of the semantic conventions for generative AI metrics.

use std::collections::BTreeMap;

use super::Done;
use super::proto::{Buckets, CUMULATIVE, Data, Histogram, KeyValue, Metric, Number, Sum};

/// Series of one metric; further ones are counted together under `other`.
const SERIES: usize = 256;
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const SECONDS: &[f64] =
    &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

type Labels = Vec<(&'static str, String)>;

#[derive(Debug, Clone)]
struct Spread {
    count: u64,
    sum: f64,
    counts: Vec<u64>,
}

/// Everything counted.
#[derive(Debug, Default)]
pub(super) struct Series {
    exchanges: BTreeMap<Labels, u64>,
    signals: BTreeMap<Labels, u64>,
    cost: BTreeMap<Labels, u64>,
    tokens: BTreeMap<Labels, Spread>,
    took: BTreeMap<Labels, Spread>,
    took_other: BTreeMap<Labels, Spread>,
}

/// The place of a series; when there are too many, the last label's value gives way.
fn place<T>(series: &mut BTreeMap<Labels, T>, mut labels: Labels, new: impl FnOnce() -> T) -> &mut T {
    if series.len() >= SERIES && !series.contains_key(&labels) {
        labels.iter_mut().for_each(|(_, value)| "other".clone_into(value));
    }
    series.entry(labels).or_insert_with(new)
}

fn see(series: &mut BTreeMap<Labels, Spread>, labels: Labels, bounds: &[f64], value: f64) {
    let new = || Spread { count: 0, sum: 0.0, counts: vec![0; bounds.len() + 1] };
    let spread = place(series, labels, new);
    spread.count += 1;
    spread.sum += value;
    // A bucket holds what is at most its bound.
    let at = bounds.iter().position(|bound| value <= *bound).unwrap_or(bounds.len());
    if let Some(count) = spread.counts.get_mut(at) {
        *count += 1;
    }
}

impl Series {
    pub(super) fn see(&mut self, done: &Done) {
        let route = ("mantlet.route", done.route.clone());
        let action = ("mantlet.action", done.action.to_owned());
        let status = ("http.response.status_code", done.status.to_string());
        *place(&mut self.exchanges, vec![route.clone(), action, status], || 0) += 1;
        for (signal, _) in &done.signals {
            *place(&mut self.signals, vec![route.clone(), ("mantlet.signal", signal.clone())], || 0) += 1;
        }
        if done.cost > 0 {
            *place(&mut self.cost, vec![route.clone()], || 0) += done.cost;
        }
        let seconds = done.took_ms / 1_000.0;
        let Some(operation) = done.operation else {
            see(&mut self.took_other, vec![route], SECONDS, seconds);
            return;
        };
        let mut labels = vec![
            ("gen_ai.operation.name", operation.to_owned()),
            ("gen_ai.provider.name", done.provider.to_owned()),
            ("gen_ai.request.model", done.model.clone()),
        ];
        if let Some(usage) = done.usage {
            for (kind, count) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
                let labels = [&labels[..], &[("gen_ai.token.type", kind.to_owned())]].concat();
                #[expect(clippy::cast_precision_loss, reason = "tokens of one exchange")]
                see(&mut self.tokens, labels, TOKENS, count as f64);
            }
        }
        if done.status >= 400 {
            labels.push(("error.type", done.status.to_string()));
        }
        see(&mut self.took, labels, SECONDS, seconds);
    }

    pub(super) fn metrics(&self, start: u64, time: u64) -> Vec<Metric> {
        let sum = |name: &str, unit: &str, description: &str, series: &BTreeMap<Labels, u64>| {
            let point = |(labels, count): (&Labels, &u64)| Number {
                start,
                time,
                int: Some(i64::try_from(*count).unwrap_or(i64::MAX)),
                attributes: attributes(labels),
            };
            let points: Vec<Number> = series.iter().map(point).collect();
            let data = Data::Sum(Sum { points, temporality: CUMULATIVE, monotonic: true });
            (!series.is_empty()).then(|| metric(name, unit, description, data))
        };
        let spread =
            |name: &str, unit: &str, description: &str, bounds: &[f64], series: &BTreeMap<Labels, Spread>| {
                let point = |(labels, spread): (&Labels, &Spread)| Buckets {
                    start,
                    time,
                    count: spread.count,
                    sum: Some(spread.sum),
                    counts: spread.counts.clone(),
                    bounds: bounds.to_vec(),
                    attributes: attributes(labels),
                };
                let points: Vec<Buckets> = series.iter().map(point).collect();
                let data = Data::Histogram(Histogram { points, temporality: CUMULATIVE });
                (!series.is_empty()).then(|| metric(name, unit, description, data))
            };
        [
            spread("gen_ai.client.token.usage", "{token}", "Tokens used", TOKENS, &self.tokens),
            spread("gen_ai.client.operation.duration", "s", "Duration of calls", SECONDS, &self.took),
            spread("mantlet.exchange.duration", "s", "Duration of other calls", SECONDS, &self.took_other),
            sum("mantlet.exchanges", "{exchange}", "Exchanges by what was done", &self.exchanges),
            sum("mantlet.signals", "{signal}", "Signals of detectors and rules", &self.signals),
            sum("mantlet.cost", "{millionth}", "Cost, in millionths of the currency", &self.cost),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn metric(name: &str, unit: &str, description: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        unit: unit.to_owned(),
        description: description.to_owned(),
        data: Some(data),
    }
}

fn attributes(labels: &[(&'static str, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(key, value)| KeyValue::text(key, value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded_and_buckets_hold_their_bounds() {
        let mut spread = BTreeMap::new();
        for value in [1.0, 1.5, 4.0, 1e9] {
            see(&mut spread, Vec::new(), TOKENS, value);
        }
        let counts = &spread[&Vec::new()].counts;
        assert_eq!((counts[0], counts[1], counts[14]), (1, 2, 1));
        let mut series = BTreeMap::new();
        for n in 0..1_000 {
            *place(&mut series, vec![("model", n.to_string())], || 0) += 1;
        }
        assert_eq!(series.len(), SERIES + 1);
        assert_eq!(series[&vec![("model", "other".to_owned())]], 1_000 - SERIES);
    }
}
