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
use crate::sum::Sum;
use crate::{Bounds, Roots};

/// The function that turns a value into a cell.
pub(crate) fn bucket() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Bucket::new()))
}

/// The aggregate that adds cells up.
pub(crate) fn tally() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Sum::new()))
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
        // Words as they are in the file; views would be copied on their way between processes.
        .set_bool("datafusion.execution.parquet.schema_force_view_types", false)
        // Each file is read once, by whoever counts it.
        .set_bool("datafusion.execution.collect_statistics", false)
        .set_bool("datafusion.catalog.information_schema", false)
}
