//! News between replicas through a real NATS, through its death.

use std::time::Duration;

use mantlet_replicas::{Bus, Tls, Topic};
use mantlet_testkit::servers::{Server, free_port};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(20);

async fn heard(changes: &mut tokio::sync::watch::Receiver<u64>) {
    timeout(SOON, changes.changed()).await.expect("a change is heard of").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_replica_hears_of_a_change_and_one_worker_takes_each_event() {
    let server = Server::nats();
    let url = format!("nats://127.0.0.1:{}", server.port);
    let (one, two) = (
        Bus::start(&url, "test.a", &Tls::default()).await.unwrap(),
        Bus::start(&url, "test.a", &Tls::default()).await.unwrap(),
    );
    let stranger = Bus::start(&url, "test-b", &Tls::default()).await.unwrap();
    let mut changes = [one.changes(), two.changes(), stranger.changes()];
    for changes in &mut changes {
        // Each hears once that it is connected.
        heard(changes).await;
    }
    one.tell(Topic::Changed, b"keys".to_vec()).unwrap();
    heard(&mut changes[0]).await;
    heard(&mut changes[1]).await;
    // Events wait for a worker, and each is taken once, in order.
    for n in 0..50_u8 {
        let from = if n % 2 == 0 { &one } else { &two };
        from.tell(Topic::Events, vec![n]).unwrap();
    }
    let mut work = two.work(Topic::Events, 8);
    let mut taken = Vec::new();
    while taken.len() < 50 {
        taken.push(timeout(SOON, work.recv()).await.expect("an event comes").unwrap()[0]);
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..50).collect::<Vec<u8>>());
    assert!(!changes[2].has_changed().unwrap(), "another installation hears nothing of it");
    assert!(timeout(Duration::from_millis(300), work.recv()).await.is_err(), "nothing comes twice");
    // The server is killed and comes back: what was told meanwhile arrives.
    let server = server.nats_again();
    one.tell(Topic::Events, b"after".to_vec()).unwrap();
    assert_eq!(timeout(SOON, work.recv()).await.expect("it comes").unwrap(), b"after");
    let mut changes = two.changes();
    one.tell(Topic::Changed, b"x".to_vec()).unwrap();
    heard(&mut changes).await;
    assert_eq!((one.status().lost, two.status().lost), (0, 0));
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_server_nobody_waits_and_what_is_given_up_is_counted() {
    let nowhere = free_port();
    let bus = Bus::start(&format!("nats://127.0.0.1:{nowhere}"), "test", &Tls::default()).await.unwrap();
    assert!(!bus.status().connected);
    let told = (0..40_000).filter(|_| bus.tell(Topic::Changed, Vec::new()).is_ok()).count();
    assert!(told <= 16_385, "{told}");
    assert_eq!(bus.status().lost, 40_000 - told as u64);
    assert!(Bus::start("http://", "test", &Tls::default()).await.is_err());
}
