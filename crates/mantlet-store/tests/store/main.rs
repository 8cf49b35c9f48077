//! The store as a whole: what it keeps, what it survives, and what it notices.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod batches;
mod faults;
mod history;
mod replicas;
mod reviews;
mod state;

use std::path::Path;
use std::sync::Arc;

use mantlet_store::{FixedClock, Options, Store, StoreError};
use mantlet_vocab::{Action, Decision, Exchange, Millis, Mode, NamedValue, Reply, Request, Tensor, Value};

/// Runs a test on a reactor of its own.
fn block<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

fn clock() -> Arc<FixedClock> {
    Arc::new(FixedClock::new(Millis(1_790_000_000_000)))
}

async fn open(folder: &Path) -> Store {
    try_open(folder, true).await.unwrap()
}

async fn try_open(folder: &Path, serve: bool) -> Result<Store, StoreError> {
    Store::open(folder, clock(), Options { serve, ..Options::default() }).await
}

fn exchange(id: &str, at: u64, caller: &str) -> Exchange {
    let named = |name: &str, data: Vec<f32>| NamedValue {
        name: name.into(),
        value: Value::F32(Tensor::new([1, data.len()], data).unwrap()),
    };
    Exchange {
        id: id.into(),
        at: Millis(at),
        system: "cheques".into(),
        route: "digits".into(),
        caller: caller.into(),
        version: "v1".into(),
        generation: 1,
        request: Request { inputs: vec![named("pixels", vec![0.5, f32::NAN])], ..Request::default() },
        reply: Some(Reply { outputs: vec![named("scores", vec![0.25, 0.75])], pieces: vec![] }),
        decision: Decision { action: Action::Allow, ..Decision::allow(Mode::Enforce) },
        status: 200,
        took_ms: 1.0,
    }
}
