//! Sessions: the functions they know, the memory and disk they may take, the files they may read.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};
use datafusion::prelude::SessionConfig;

use crate::bucket::Bucket;
use crate::fence::Fence;
use crate::gather::Gather;
use crate::known::Known;
use crate::sum::Sum;
use crate::{Bounds, Roots};

/// The functions that plans know beside DataFusion's own.
pub(crate) fn scalars(known: &Known) -> Vec<Arc<ScalarUDF>> {
    vec![Arc::new(ScalarUDF::new_from_impl(Bucket::new(known.clone())))]
}

/// The aggregates that plans know beside DataFusion's own.
pub(crate) fn aggregates(known: &Known) -> Vec<Arc<AggregateUDF>> {
    vec![
        Arc::new(AggregateUDF::new_from_impl(Sum::new())),
        Arc::new(AggregateUDF::new_from_impl(Gather::new(known.clone()))),
    ]
}

/// The world as queries see it: memory, disk and files, all bounded.
pub(crate) fn world(bounds: &Bounds, roots: &Roots) -> Result<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![bounds.scratch.clone()]))
        .with_max_temp_directory_size(bounds.spill);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(bounds.memory)))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(Fence::new(roots.clone())))
        .build_arc()
}

/// What is the same for every query, wherever it runs.
pub(crate) fn settings(config: SessionConfig, partitions: usize) -> SessionConfig {
    config
        .with_target_partitions(partitions)
        .with_batch_size(8192)
        // Batches are counted where they are read.
        .set_bool("datafusion.optimizer.enable_round_robin_repartition", false)
        .set_bool("datafusion.catalog.information_schema", false)
}
