//! What several replicas of one installation share beyond its database.
//!
//! [`RedisLimits`] keeps the counts of limits in Redis or Valkey, exactly while it can be reached and conservatively
//! while it cannot. [`RedisPeers`] tells the guards of all replicas what each saw of a caller. [`Bus`] tells replicas through NATS JetStream what changed, and workers what gateways saw.

mod bus;
mod limits;
mod peers;
mod tls;

pub use bus::{Bus, BusStatus, Topic};
pub use limits::{RedisLimits, RedisOptions, RedisStatus, ReplicasError};
pub use peers::RedisPeers;
pub use tls::Tls;
