//! Who asks: the plan is run in this process, or handed to a cluster's scheduler.

use arrow_array::cast::AsArray as _;
use ballista_core::extension::{SessionConfigExt as _, SessionStateExt as _};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use mantlet_dataset::{Column, Dataset, Measured};
use mantlet_drift::{Counts, Profile, Tally};

use crate::trust::{MESSAGE_MOST, joined, over_tls};
use crate::{Bounds, ClusterError, Roots, Trust, plan, session};

/// Parts into which a table is divided for a cluster: what one executor loses is a few of them.
const PARTS: usize = 64;

/// Counts the wanted columns of a table in the buckets of a profile, in this process.
///
/// # Errors
/// When the table is not of Parquet files that can be read alike and to their ends, or the bounds do not suffice.
pub async fn count_here(
    dataset: &Dataset,
    profile: &Profile,
    wanted: &[Column],
    bounds: &Bounds,
) -> Result<Measured<Counts>, ClusterError> {
    let config = session::settings(SessionConfig::new(), bounds.cores.get());
    let state = state(config, dataset, bounds)?.build();
    ask(SessionContext::new_with_state(state), dataset, profile, wanted).await
}

/// The same on the cluster of the scheduler at `host:port`. Scheduler and executors have to reach the files under the
/// same paths and to have been allowed to read them.
///
/// # Errors
/// As [`count_here`]; and when the scheduler cannot be reached or does not belong to this trust, or no executor is
/// left.
pub async fn count_there(
    dataset: &Dataset,
    profile: &Profile,
    wanted: &[Column],
    bounds: &Bounds,
    (scheduler, trust): (&str, &Trust),
) -> Result<Measured<Counts>, ClusterError> {
    let (host, port) = address(scheduler)?;
    let config = joined(session::settings(SessionConfig::new_with_ballista(), PARTS), trust)
        .with_ballista_grpc_client_max_message_size(MESSAGE_MOST);
    // A scheduler that cannot be reached is told at once and by name, not by a query that waits.
    over_tls(trust)(tonic::transport::Endpoint::from_shared(format!("http://{host}:{port}"))?)
        .map_err(|_| ClusterError::Address { address: scheduler.to_owned() })?
        .connect()
        .await?;
    let state =
        state(config, dataset, bounds)?.build().upgrade_for_ballista(format!("http://{host}:{port}"))?;
    ask(SessionContext::new_with_state(state), dataset, profile, wanted).await
}

/// Host and port of a scheduler.
pub(crate) fn address(scheduler: &str) -> Result<(&str, u16), ClusterError> {
    let bare = scheduler.strip_prefix("https://").unwrap_or(scheduler).trim_end_matches('/');
    let parts = bare.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parts
        .filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@']))
        .ok_or_else(|| ClusterError::Address { address: scheduler.to_owned() })
}

fn state(
    config: SessionConfig,
    dataset: &Dataset,
    bounds: &Bounds,
) -> Result<SessionStateBuilder, ClusterError> {
    let roots = Roots::new(dataset.files())?;
    Ok(SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(session::world(bounds, &roots)?))
}

async fn ask(
    context: SessionContext,
    dataset: &Dataset,
    profile: &Profile,
    wanted: &[Column],
) -> Result<Measured<Counts>, ClusterError> {
    if wanted.is_empty() {
        return Ok(Measured { value: Counts::empty(&profile.columns), gaps: Vec::new() });
    }
    context.register_udf(session::bucket().as_ref().clone());
    context.register_udaf(session::tally().as_ref().clone());
    let state: SessionState = context.state();
    let table = plan::table(&state, dataset, wanted).await?;
    context.register_table(plan::TABLE, std::sync::Arc::new(table))?;
    let batches = context.sql(&plan::sql(profile, wanted)?).await?.collect().await?;
    let rows: usize = batches.iter().map(arrow_array::RecordBatch::num_rows).sum();
    let cell = batches
        .iter()
        .find(|batch| batch.num_rows() > 0)
        .and_then(|batch| batch.columns().first()?.as_binary_opt::<i32>())
        .filter(|_| rows == 1)
        .ok_or_else(|| ClusterError::Answer { found: format!("{rows} rows") })?;
    let value = Tally::from_bytes(cell.value(0))?.counts(&profile.columns)?;
    // Parquet has types: no cell is unreadable.
    Ok(Measured { value, gaps: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedulers_address_is_a_host_and_a_port() {
        assert_eq!(address("127.0.0.1:8490").unwrap(), ("127.0.0.1", 8490));
        assert_eq!(address("https://[::1]:8490/").unwrap(), ("[::1]", 8490));
        for wrong in ["", "host", "host:", ":80", "a/b:80", "user@host:80", "host:99999"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
