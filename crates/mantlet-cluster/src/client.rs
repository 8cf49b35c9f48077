//! Who asks: the plan is run in this process, or handed to a cluster's scheduler.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch};
use ballista_core::extension::{SessionConfigExt as _, SessionStateExt as _};
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use mantlet_dataset::{Counted, Dataset, Gathered, Job, Part, Pass, Prepared, Reference};
use mantlet_drift::Tally;

use crate::codec::Codec;
use crate::known::{Held, Known, Vouching};
use crate::scan::{ScanTable, Spec};
use crate::trust::{MESSAGE_MOST, joined, over_tls};
use crate::{Bounds, ClusterError, Roots, Trust, plan, session};

/// Partitions into which a table is divided for a cluster: what one executor loses is a few of them.
const PARTS: usize = 64;

/// Where plans are run.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// In this process.
    Here,
    /// On the cluster of the scheduler at `host:port`. Executors have to reach the files under the same paths and to
    /// have been allowed to read them.
    There(&'a str, &'a Trust),
}

/// Bytes of a job, the profile in it, that is handed to a cluster: the plan around it has to fit into the message too.
const PLAN_MOST: usize = MESSAGE_MOST - (8 << 20);
/// Bytes that the sketches of one pass may take: as bytes they fit into a message.
pub const ROOM: u64 = 48 << 20;

/// Columns of one pass: the time in which DataFusion plans a query grows with their square.
pub const COLUMNS: usize = 500;

/// Makes a pass over a table.
///
/// # Errors
/// When the table cannot be read to its end, or the bounds do not suffice; on a cluster also when the scheduler cannot
/// be reached or does not belong to this trust, executors do not trust who signed the profile, or no executor is left.
pub async fn gather(
    asked: Asked<'_>,
    dataset: &Dataset,
    job: Job,
    bounds: &Bounds,
) -> Result<Gathered, ClusterError> {
    gather_parts(asked, dataset.parts()?, 0, job, bounds).await
}

/// Makes a pass over some parts of a table, the first row of which has this number.
///
/// # Errors
/// As [`gather`].
pub async fn gather_parts(
    asked: Asked<'_>,
    mut parts: Vec<Part>,
    first: u64,
    job: Job,
    bounds: &Bounds,
) -> Result<Gathered, ClusterError> {
    if job.is_numbered() {
        number(asked, &mut parts, &job, bounds).await?;
    }
    let mut first = first;
    let placed = parts.into_iter().map(|part| {
        let own = first;
        first = first.saturating_add(part.rows.unwrap_or(0));
        (own, part)
    });
    let placed = placed.collect();
    if let Pass::Counts { first } = job.pass {
        return count(asked, placed, first, job, bounds).await;
    }
    Table::of(asked, job, placed)?.gather(asked, bounds).await
}

/// Counts columns in the buckets of the job's profile, from this one of its columns on.
async fn count(
    asked: Asked<'_>,
    parts: Vec<(u64, Part)>,
    first: usize,
    job: Job,
    bounds: &Bounds,
) -> Result<Gathered, ClusterError> {
    let own = Prepared::new(job.clone())?;
    let mut gathered = own.nothing();
    let many = job.wanted.len();
    if many == 0 {
        return Ok(gathered);
    }
    let table = Table::of(asked, Job { pass: Pass::Nothing, ..job }, parts)?;
    let row = table.ask(asked, bounds, plan::counting(&table.held.id, first..first + many)).await?;
    let tally = Tally::from_bytes(binary(&row, 0).ok_or_else(|| answer("no tally"))?)?;
    let columns = own.job().reference.as_ref().map(Reference::columns).unwrap_or_default();
    let columns = columns.get(first..first + many).unwrap_or_default();
    let counts = if first == 0 { tally.counts(columns) } else { tally.plain_counts(columns) }?;
    if let Some(bytes) = binary(&row, 1) {
        let read = Gathered::from_bytes(bytes)?;
        if read.unreadable.len() != many {
            return Err(answer("what could not be read of other columns"));
        }
        gathered.unreadable = read.unreadable;
    }
    gathered.rows = counts.rows;
    gathered.counted = Counted::Counts(counts);
    Ok(gathered)
}

/// Counts the rows of the files that do not say how many they have, so that every row has its number.
async fn number(
    asked: Asked<'_>,
    parts: &mut [Part],
    job: &Job,
    bounds: &Bounds,
) -> Result<(), ClusterError> {
    let unknown: Vec<(u64, Part)> =
        parts.iter().filter(|part| part.rows.is_none()).map(|part| (0, part.clone())).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let column = job.wanted.first().cloned().into_iter().collect();
    let table = Table::of(asked, Job::new(column, Pass::Rows), unknown)?;
    let Counted::Rows(rows) = table.gather(asked, bounds).await?.counted else {
        return Err(answer("other counts than of rows"));
    };
    for part in parts.iter_mut().filter(|part| part.rows.is_none()) {
        part.rows = Some(rows.get(&part.file).copied().unwrap_or(0));
    }
    Ok(())
}

fn answer(found: &str) -> ClusterError {
    ClusterError::Answer { found: found.to_owned() }
}

/// The bytes of a column of the one row that came back.
fn binary(row: &RecordBatch, column: usize) -> Option<&[u8]> {
    let array = row.columns().get(column)?.as_binary_opt::<i32>()?;
    (array.is_valid(0)).then(|| array.value(0))
}

/// The table that a plan reads.
struct Table {
    spec: Arc<Spec>,
    known: Known,
    held: Arc<Held>,
}

impl Table {
    fn of(asked: Asked<'_>, mut job: Job, mut parts: Vec<(u64, Part)>) -> Result<Self, ClusterError> {
        let absolute = |path: &Path| {
            std::path::absolute(path).map_err(|source| ClusterError::Io { path: path.to_owned(), source })
        };
        for (_, part) in &mut parts {
            part.path = absolute(&part.path)?;
        }
        job.late = job.late.map(|late| late.placed(absolute)).transpose()?;
        let known = Known::new(usize::MAX);
        let wanted = job.wanted.clone();
        let (text, held) = match asked {
            // Nobody else has to read it.
            Asked::Here => (String::new(), known.hold(job)?),
            Asked::There(..) => {
                let text = serde_json::to_string(&job).map_err(|error| answer(&error.to_string()))?;
                let held = known.take(&text, &Vouching::own())?;
                (text, held)
            }
        };
        Ok(Self { spec: Arc::new(Spec { job: text, wanted, parts }), known, held })
    }

    async fn gather(&self, asked: Asked<'_>, bounds: &Bounds) -> Result<Gathered, ClusterError> {
        let row = self.ask(asked, bounds, plan::gathering(&self.held.id, self.spec.wanted.len())).await?;
        // Merged into nothing, so that counts of another shape are refused.
        let mut gathered = self.held.prepared.nothing();
        if let Some(bytes) = binary(&row, 0) {
            gathered.merge(Gathered::from_bytes(bytes)?)?;
        }
        Ok(gathered)
    }

    /// Runs a query that gives one row.
    async fn ask(&self, asked: Asked<'_>, bounds: &Bounds, sql: String) -> Result<RecordBatch, ClusterError> {
        if matches!(asked, Asked::There(..)) {
            // The job travels as a text within a text.
            let found = serde_json::to_string(&self.spec.job).map_or(usize::MAX, |text| text.len());
            if found > PLAN_MOST {
                return Err(ClusterError::Wide { found, most: PLAN_MOST });
            }
        }
        let context = self.context(asked, bounds).await?;
        for function in session::scalars(&self.known) {
            context.register_udf(function.as_ref().clone());
        }
        for aggregate in session::aggregates(&self.known) {
            context.register_udaf(aggregate.as_ref().clone());
        }
        let held = matches!(asked, Asked::Here).then(|| Arc::clone(&self.held));
        context.register_table(plan::TABLE, Arc::new(ScanTable::new(Arc::clone(&self.spec), held)))?;
        let batches = context.sql(&sql).await?.collect().await?;
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let row = batches.into_iter().find(|batch| batch.num_rows() > 0);
        row.filter(|_| rows == 1).ok_or_else(|| answer(&format!("{rows} rows")))
    }

    async fn context(&self, asked: Asked<'_>, bounds: &Bounds) -> Result<SessionContext, ClusterError> {
        // Files are read by scans only, which look at roots themselves.
        let world = session::world(bounds, &Roots::none())?;
        let state = SessionStateBuilder::new().with_default_features().with_runtime_env(world);
        let state = match asked {
            Asked::Here => {
                let config = session::settings(SessionConfig::new(), bounds.cores.get());
                state.with_config(config).build()
            }
            Asked::There(scheduler, trust) => {
                let (host, port) = address(scheduler)?;
                let config = joined(session::settings(SessionConfig::new_with_ballista(), PARTS), trust)
                    .with_ballista_logical_extension_codec(Arc::new(Codec::planning()))
                    .with_ballista_physical_extension_codec(Arc::new(Codec::planning()))
                    .with_ballista_grpc_client_max_message_size(MESSAGE_MOST);
                // A scheduler that cannot be reached is told at once and by name, not by a query that waits.
                over_tls(trust)(tonic::transport::Endpoint::from_shared(format!("http://{host}:{port}"))?)
                    .map_err(|_| ClusterError::Address { address: scheduler.to_owned() })?
                    .connect()
                    .await?;
                state.with_config(config).build().upgrade_for_ballista(format!("http://{host}:{port}"))?
            }
        };
        Ok(SessionContext::new_with_state(state))
    }
}

/// Host and port of a scheduler.
pub(crate) fn address(scheduler: &str) -> Result<(&str, u16), ClusterError> {
    let bare = scheduler.strip_prefix("https://").unwrap_or(scheduler).trim_end_matches('/');
    let parts = bare.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    parts
        .filter(|(host, _)| !host.is_empty() && !host.contains(['/', '@']))
        .ok_or_else(|| ClusterError::Address { address: scheduler.to_owned() })
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
