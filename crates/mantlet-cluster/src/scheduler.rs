//! The scheduler of a cluster: takes plans, hands their parts to executors, and hands lost ones out again.

use std::net::SocketAddr;
use std::sync::Arc;

use ballista_core::ConfigProducer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::{
    SessionConfigExt as _, ballista_aggregate_functions, ballista_scalar_functions, ballista_window_functions,
};
use ballista_core::optimizer::ballista_default_optimizer_rules;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::SessionBuilder;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::codec::Codec;
use crate::known::Known;
use crate::trust::{MESSAGE_MOST, joined, over_tls};
use crate::{Bounds, ClusterError, Roots, Trust, session};

/// Seconds without a word after which an executor counts as lost. One that is busy speaks every five.
const LOST_AFTER: u64 = 12;
/// Seconds for which a query waits when no executor is left.
const WAIT_FOR_ONE: u64 = 60;
/// Seconds for which parts of a finished query are kept.
const KEEP_PARTS: u64 = 30;
/// Times a part, or a step of the plan, may fail.
const ATTEMPTS: usize = 4;

/// A scheduler that listens and does not serve yet.
pub struct Scheduler {
    listener: TcpListener,
    address: SocketAddr,
    server: SchedulerServer<LogicalPlanNode, PhysicalPlanNode>,
    trust: Trust,
}

impl Scheduler {
    /// Listens at this address. `roots` fence in what it may look at while it plans.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn bind(
        listen: SocketAddr,
        trust: Trust,
        roots: &Roots,
        bounds: &Bounds,
    ) -> Result<Self, ClusterError> {
        let taken = |source| ClusterError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(taken)?;
        let address = listener.local_addr().map_err(taken)?;
        let world = session::world(bounds, roots)?;
        let sessions: SessionBuilder = Arc::new(move |config: SessionConfig| {
            let mut scalars = ballista_scalar_functions();
            // A scheduler plans and counts nothing.
            let known = Known::new(usize::MAX);
            scalars.extend(session::scalars(&known));
            let mut aggregates = ballista_aggregate_functions();
            aggregates.extend(session::aggregates(&known));
            Ok(SessionStateBuilder::new()
                .with_default_features()
                .with_config(config)
                .with_runtime_env(Arc::clone(&world))
                .with_optimizer_rules(ballista_default_optimizer_rules())
                .with_scalar_functions(scalars)
                .with_aggregate_functions(aggregates)
                .with_window_functions(ballista_window_functions())
                .build())
        });
        let configs: ConfigProducer = {
            let trust = trust.clone();
            Arc::new(move || joined(SessionConfig::new_with_ballista(), &trust))
        };
        let message = u32::try_from(MESSAGE_MOST).unwrap_or(u32::MAX);
        let config = SchedulerConfig {
            bind_host: address.ip().to_string(),
            external_host: address.ip().to_string(),
            bind_port: address.port(),
            // Executors ask for work: none of them listens for orders.
            scheduling_policy: TaskSchedulingPolicy::PullStaged,
            task_distribution: TaskDistributionPolicy::RoundRobin,
            executor_timeout_seconds: LOST_AFTER,
            expire_dead_executor_interval_seconds: 1,
            no_executors_grace_period_seconds: WAIT_FOR_ONE,
            finished_job_data_clean_up_interval_seconds: KEEP_PARTS,
            finished_job_state_clean_up_interval_seconds: 10 * KEEP_PARTS,
            grpc_server_max_decoding_message_size: message,
            grpc_server_max_encoding_message_size: message,
            grpc_client_max_message_size: message,
            task_max_failures: ATTEMPTS,
            stage_max_failures: ATTEMPTS,
            use_tls: true,
            override_create_grpc_client_endpoint: Some(over_tls(&trust)),
            override_logical_codec: Some(Arc::new(Codec::planning())),
            override_physical_codec: Some(Arc::new(Codec::planning())),
            override_session_builder: Some(Arc::clone(&sessions)),
            override_config_producer: Some(Arc::clone(&configs)),
            ..SchedulerConfig::default()
        };
        let cluster = BallistaCluster::new_memory(config.scheduler_id.clone(), sessions, configs);
        let server = create_scheduler(cluster, Arc::new(config)).await?;
        Ok(Self { listener, address, server, trust })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until asked to end.
    ///
    /// # Errors
    /// When the port fails.
    pub async fn run(self, ending: impl Future<Output = ()>) -> Result<(), ClusterError> {
        let service = SchedulerGrpcServer::new(self.server)
            .max_decoding_message_size(MESSAGE_MOST)
            .max_encoding_message_size(MESSAGE_MOST);
        Server::builder()
            .tls_config(self.trust.server())?
            .tcp_nodelay(true)
            .add_service(service)
            .serve_with_incoming_shutdown(TcpListenerStream::new(self.listener), ending)
            .await?;
        Ok(())
    }
}
