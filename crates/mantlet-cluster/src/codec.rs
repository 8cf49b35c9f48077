//! Scans as bytes: how a table and the step that reads it travel between client, scheduler and executors.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference, plan_datafusion_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Roots;
use crate::known::{Known, Vouching};
use crate::scan::{Scan, ScanExec, ScanTable, Spec, as_table};

/// What the bytes of ours begin with; all others are Ballista's.
const MARK: &[u8] = b"mantlet scan 1\n";

/// What a process does with the plans it is handed.
#[derive(Debug, Clone)]
enum Does {
    /// Hands them on.
    Plans,
    /// Runs them, over what lies below these roots and with profiles that are vouched for.
    Runs(Roots, Vouching),
}

/// The codec of all of a process's plans.
#[derive(Debug)]
pub(crate) struct Codec {
    known: Known,
    does: Does,
    logical: BallistaLogicalExtensionCodec,
    physical: BallistaPhysicalExtensionCodec,
}

impl Codec {
    /// Of a process that hands plans on.
    pub(crate) fn planning() -> Self {
        Self::new(Known::new(usize::MAX), Does::Plans)
    }

    /// Of a process that runs them.
    pub(crate) fn running(known: Known, roots: Roots, vouching: Vouching) -> Self {
        Self::new(known, Does::Runs(roots, vouching))
    }

    fn new(known: Known, does: Does) -> Self {
        let (logical, physical) = (Default::default(), Default::default());
        Self { known, does, logical, physical }
    }
}

fn write<T: Serialize>(value: &T, to: &mut Vec<u8>) -> Result<()> {
    to.extend_from_slice(MARK);
    serde_json::to_writer(to, value)
        .map_err(|error| plan_datafusion_err!("a scan cannot be written: {error}"))
}

fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| plan_datafusion_err!("a scan is damaged: {error}"))
}

impl LogicalExtensionCodec for Codec {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        self.logical.try_decode(buf, inputs, ctx)
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.logical.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table_ref: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        match buf.strip_prefix(MARK) {
            Some(text) => Ok(Arc::new(ScanTable::new(Arc::new(read::<Spec>(text)?), None))),
            None => self.logical.try_decode_table_provider(buf, table_ref, schema, ctx),
        }
    }

    fn try_encode_table_provider(
        &self,
        table_ref: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        match as_table(&node) {
            Some(table) => write(table.spec.as_ref(), buf),
            None => self.logical.try_encode_table_provider(table_ref, node, buf),
        }
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.logical.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.logical.try_encode_file_format(buf, node)
    }
}

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(text) = buf.strip_prefix(MARK) else {
            return self.physical.try_decode(buf, inputs, ctx, converter);
        };
        let [shares] = inputs else {
            return Err(plan_datafusion_err!("a scan reads from one list of parts"));
        };
        let (scan, shares) = (Arc::new(read::<Scan>(text)?), Arc::clone(shares));
        let exec = match &self.does {
            Does::Plans => ScanExec::new(scan, shares, None, None)?,
            Does::Runs(roots, vouching) => {
                let held = self.known.take(scan.job(), vouching)?;
                ScanExec::new(scan, shares, Some(held), Some(roots.clone()))?
            }
        };
        Ok(Arc::new(exec))
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match node.downcast_ref::<ScanExec>() {
            Some(exec) => write(exec.scan.as_ref(), buf),
            None => self.physical.try_encode(node, buf, converter),
        }
    }
}
