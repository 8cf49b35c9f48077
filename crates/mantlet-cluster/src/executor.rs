//! An executor: asks the scheduler for parts of plans, does them, and keeps what comes out until it is fetched.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::error::BallistaError;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::utils::GrpcServerConfig;
use ballista_core::{ConfigProducer, RuntimeProducer};
use ballista_executor::ArrowFlightServerProvider;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::flight_service::BallistaFlightService;
use ballista_executor::shutdown::Shutdown;
use datafusion::prelude::SessionConfig;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use crate::client::address;
use crate::codec::Codec;
use crate::known::Known;
use crate::trust::{MESSAGE_MOST, joined, over_tls};
use crate::{Bounds, ClusterError, Roots, Trust, Vouching, session};

/// Seconds for which a scheduler that does not answer is waited for.
const WAIT_FOR_SCHEDULER: u16 = 60;
/// Seconds after which what nobody fetched is removed, and between two looks for it.
const FORGET_AFTER: u64 = 3600;
/// How long labels are held that no part of a table asks for any more.
const FORGET_LABELS_AFTER: Duration = Duration::from_secs(60);
/// Bytes of what one part came to: a message, and what stands around it.
const STATE_MOST: usize = MESSAGE_MOST - (64 << 10);

/// Where an executor listens for those who fetch results.
pub struct Executor {
    listener: TcpListener,
    address: SocketAddr,
    host: String,
}

/// Listens at this address; `host` is the name under which others reach it, its address when absent.
///
/// # Errors
/// When the address is taken, or it is every address of the machine and no name is given.
pub async fn executor(listen: SocketAddr, host: Option<String>) -> Result<Executor, ClusterError> {
    let taken = |source| ClusterError::Listen { address: listen, source };
    if host.is_none() && listen.ip().is_unspecified() {
        return Err(ClusterError::Nameless { address: listen });
    }
    let listener = TcpListener::bind(listen).await.map_err(taken)?;
    let address = listener.local_addr().map_err(taken)?;
    let host = host.unwrap_or_else(|| match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    });
    Ok(Executor { listener, address, host })
}

impl Executor {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Works for the scheduler at `host:port` until interrupted or terminated: reads what lies below these roots, and
    /// counts with profiles that are vouched for.
    ///
    /// # Errors
    /// When the scheduler cannot be reached or does not belong to this trust, or the port fails.
    pub async fn run(
        self,
        scheduler: &str,
        trust: &Trust,
        (roots, vouching): (&Roots, &Vouching),
        bounds: &Bounds,
    ) -> Result<(), ClusterError> {
        let (scheduler_host, scheduler_port) = address(scheduler)?;
        let mut functions = BallistaFunctionRegistry::default();
        let known = Known::new(STATE_MOST);
        for function in session::scalars(&known) {
            functions.scalar_functions.insert(function.name().to_owned(), function);
        }
        for aggregate in session::aggregates(&known) {
            functions.aggregate_functions.insert(aggregate.name().to_owned(), aggregate);
        }
        let forgetting = {
            let known = known.clone();
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(FORGET_LABELS_AFTER).await;
                    known.forget(FORGET_LABELS_AFTER);
                }
            })
        };
        let codec = Codec::running(known, roots.clone(), vouching.clone());
        let world = session::world(bounds, roots)?;
        let worlds: RuntimeProducer = Arc::new(move |_: &SessionConfig| Ok(Arc::clone(&world)));
        let configs: ConfigProducer = {
            let trust = trust.clone();
            Arc::new(move || joined(SessionConfig::new_with_ballista(), &trust))
        };
        let message = u32::try_from(MESSAGE_MOST).unwrap_or(u32::MAX);
        let config = ExecutorProcessConfig {
            bind_host: self.address.ip().to_string(),
            external_host: Some(self.host),
            port: self.address.port(),
            // Nobody listens there: executors that ask for work take no orders.
            grpc_port: self.address.port(),
            scheduler_host: scheduler_host.to_owned(),
            scheduler_port,
            scheduler_connect_timeout_seconds: WAIT_FOR_SCHEDULER,
            vcores: bounds.cores.get(),
            task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
            work_dir: Some(bounds.scratch.display().to_string()),
            job_data_ttl_seconds: FORGET_AFTER,
            job_data_clean_up_interval_seconds: FORGET_AFTER,
            grpc_max_decoding_message_size: message,
            grpc_max_encoding_message_size: message,
            memory_pool_size: Some(bounds.memory as u64),
            override_function_registry: Some(Arc::new(functions)),
            override_physical_codec: Some(Arc::new(codec)),
            override_runtime_producer: Some(worlds),
            override_config_producer: Some(configs),
            override_arrow_flight_service: Some(flights(self.listener, trust)),
            override_create_grpc_client_endpoint: Some(over_tls(trust)),
            ..ExecutorProcessConfig::default()
        };
        let ended = start_executor_process(Arc::new(config)).await;
        forgetting.abort();
        ended?;
        Ok(())
    }
}

/// Serves what was worked out to holders of the cluster's token.
fn flights(listener: TcpListener, trust: &Trust) -> Arc<ArrowFlightServerProvider> {
    let listener = Mutex::new(Some(listener));
    let tls = trust.server();
    Arc::new(move |work: String, _: SocketAddr, mut shutdown: Shutdown, _: GrpcServerConfig| {
        let listener = listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        let tls = tls.clone();
        tokio::spawn(async move {
            let Some(listener) = listener else {
                return Err(BallistaError::Internal("the port of results is served already".into()));
            };
            let service = FlightServiceServer::new(BallistaFlightService::new(work))
                .max_decoding_message_size(MESSAGE_MOST)
                .max_encoding_message_size(MESSAGE_MOST);
            Server::builder()
                .tls_config(tls)
                .map_err(BallistaError::TonicError)?
                .tcp_nodelay(true)
                .add_service(service)
                .serve_with_incoming_shutdown(TcpListenerStream::new(listener), shutdown.recv())
                .await
                .map_err(BallistaError::TonicError)
        })
    })
}
