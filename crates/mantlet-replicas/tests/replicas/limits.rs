//! Three replicas, one limit: exact together, never above it apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mantlet_guard::shared::{Allowance, Ask, SharedLimits as _, Standing};
use mantlet_replicas::{RedisLimits, RedisOptions};
use mantlet_testkit::servers::Server;

use crate::servers::Line;

const PER_SECOND: f64 = 300.0;
const BURST: f64 = 30.0;
/// Seconds. A replica that is cut off for longer is out.
const LEASE: u64 = 15;

fn ask() -> Vec<Ask> {
    let allowance = Allowance::Rate { per_minute: PER_SECOND * 60.0, burst: BURST };
    vec![Ask { bucket: "route/requests/key/ann".into(), allowance, amount: 1.0 }]
}

fn options(line: &Line) -> RedisOptions {
    RedisOptions {
        wait: Duration::from_millis(50),
        quiet: Duration::from_millis(300),
        lease: Duration::from_secs(LEASE),
        ..RedisOptions::new(format!("redis://{}", line.address), "test", 3)
    }
}

/// A replica that asks as fast as it can, and counts what it was granted.
struct Replica {
    limits: RedisLimits,
    line: Line,
    granted: Arc<AtomicU64>,
    going: Arc<AtomicBool>,
}

impl Replica {
    async fn start(port: u16) -> Self {
        let line = Line::to(port).await;
        let limits = RedisLimits::start(options(&line)).unwrap();
        limits.connected().await;
        Self { limits, line, granted: Arc::default(), going: Arc::default() }
    }

    fn go(&self) {
        self.going.store(true, Ordering::SeqCst);
        for _ in 0..4 {
            let (limits, granted, going) = (self.limits.clone(), self.granted.clone(), self.going.clone());
            tokio::spawn(async move {
                while going.load(Ordering::SeqCst) {
                    match limits.take(&ask()).await {
                        Ok(_) => drop(granted.fetch_add(1, Ordering::SeqCst)),
                        Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
                    }
                }
            });
        }
    }

    fn granted(&self) -> u64 {
        self.granted.load(Ordering::SeqCst)
    }
}

struct Three {
    server: Option<Server>,
    replicas: Vec<Replica>,
}

impl Three {
    async fn start() -> Self {
        let server = Server::redis();
        let mut replicas = Vec::new();
        for _ in 0..3 {
            replicas.push(Replica::start(server.port).await);
        }
        Self { server: Some(server), replicas }
    }

    fn granted(&self) -> u64 {
        self.replicas.iter().map(Replica::granted).sum()
    }

    /// Grants of a span that begins now, and how long it really was.
    async fn over(&self, span: Duration) -> (f64, f64) {
        let (begun, before) = (Instant::now(), self.granted());
        tokio::time::sleep(span).await;
        let granted = self.granted() - before;
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let granted = granted as f64;
        (granted, begun.elapsed().as_secs_f64())
    }
}

impl Three {
    /// Waits until this part of the limit is granted in a span: a busy machine takes its time, and never takes more.
    async fn reaches(&self, part: f64, what: &str) -> f64 {
        let begun = Instant::now();
        loop {
            let (granted, seconds) = self.over(Duration::from_secs(1)).await;
            let rate = granted / (seconds * PER_SECOND);
            if rate >= part {
                return rate;
            }
            assert!(begun.elapsed() < Duration::from_secs(40), "{what}: {rate} of the limit, not {part}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_replicas_keep_one_limit_exactly() {
    let three = Three::start().await;
    let places: Vec<_> = three.replicas.iter().map(|replica| replica.limits.status().place).collect();
    assert!(
        places.iter().all(Option::is_some) && places[0] != places[1] && places[1] != places[2],
        "{places:?}"
    );
    three.replicas.iter().for_each(Replica::go);
    three.over(Duration::from_secs(1)).await;
    let (granted, seconds) = three.over(Duration::from_secs(3)).await;
    let error = granted / (seconds * PER_SECOND) - 1.0;
    println!("three replicas: {granted} granted in {seconds:.2} s, error {:.2} %", error * 100.0);
    assert!(error <= 0.05, "{error}");
    let rate = three.reaches(0.95, "three replicas").await;
    assert!(rate <= 1.05, "{rate}");
    assert!(three.replicas.iter().all(|replica| replica.limits.status().own == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_deaf_or_killed_they_never_grant_more_than_the_limit() {
    let mut three = Three::start().await;
    three.replicas.iter().for_each(Replica::go);
    let begun = Instant::now();
    let start = three.granted();
    let never_above = |three: &Three, what: &str| {
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let granted = (three.granted() - start) as f64;
        let allowed = begun.elapsed().as_secs_f64() * PER_SECOND + BURST + 1.0;
        println!("{what}: {granted} granted, {allowed:.0} allowed");
        assert!(granted <= allowed, "{what}: {granted} granted, {allowed} allowed");
    };
    three.over(Duration::from_secs(1)).await;
    never_above(&three, "together");
    three.replicas[0].line.cut();
    three.over(Duration::from_millis(700)).await;
    never_above(&three, "one cut off");
    assert_eq!(three.replicas[0].limits.standing(), Standing::Share);
    // The one spends its part, the others the rest.
    three.reaches(0.9, "one cut off").await;
    never_above(&three, "one cut off for longer");
    three.replicas[1].line.deafen();
    three.over(Duration::from_millis(1_500)).await;
    never_above(&three, "another hears no answer");
    three.replicas[0].line.open();
    three.replicas[1].line.open();
    for replica in &three.replicas[..2] {
        replica.limits.connected().await;
    }
    three.reaches(0.9, "together again").await;
    never_above(&three, "together again");
    // A replica that is killed leaves its part reserved until its lease ends.
    let dead = three.replicas.pop().unwrap();
    dead.going.store(false, Ordering::SeqCst);
    dead.limits.stop();
    let begun = Instant::now();
    three.over(Duration::from_millis(500)).await;
    let (granted, seconds) = three.over(Duration::from_secs(2)).await;
    assert!(
        granted <= seconds * PER_SECOND * 2.0 / 3.0 + BURST,
        "{granted} in {seconds}: its part was given away"
    );
    println!("one dead: {granted} in {seconds:.2} s");
    while begun.elapsed() < Duration::from_millis(LEASE * 1_000 + 800) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    three.reaches(0.9, "its lease is over").await;
    // Redis itself is killed: two parts of three go on.
    drop(three.server.take());
    three.over(Duration::from_millis(700)).await;
    let rate = three.reaches(2.0 / 3.0 * 0.8, "Redis dead").await;
    // A part of the burst may have gathered.
    assert!(rate <= 2.0 / 3.0 + 0.08, "{rate}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_are_counted_over_all_and_come_back_from_the_dead() {
    let three = Three::start().await;
    let place = vec![Ask {
        bucket: "route/concurrency/key/ann".into(),
        allowance: Allowance::Concurrent(9),
        amount: 1.0,
    }];
    // All at once from everywhere: never more than nine, and in the end exactly nine.
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..60 {
        let (limits, place) = (three.replicas[n % 3].limits.clone(), place.clone());
        asked.spawn(async move {
            let got = limits.take(&place).await.is_ok();
            (n % 3, got)
        });
    }
    let mut held = [0_usize; 3];
    while let Some(answer) = asked.join_next().await {
        let (replica, got) = answer.unwrap();
        held[replica] += usize::from(got);
    }
    // Those denied while others were still being counted may ask again.
    for (n, replica) in three.replicas.iter().enumerate() {
        while held.iter().sum::<usize>() < 9 && replica.limits.take(&place).await.is_ok() {
            held[n] += 1;
        }
    }
    assert_eq!(held.iter().sum::<usize>(), 9, "{held:?}");
    for replica in &three.replicas {
        assert!(replica.limits.take(&place).await.is_err());
    }
    // One is given back, and somebody else gets it.
    let holder = held.iter().position(|held| *held > 0).unwrap();
    let other = (holder + 1) % 3;
    three.replicas[holder].limits.release(&place);
    let begun = Instant::now();
    while three.replicas[other].limits.take(&place).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "a place that was given back is nobody's");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(three.replicas[other].limits.take(&place).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_never_waits_long_for_a_redis_that_does_not_answer() {
    let server = Server::redis();
    let replica = Replica::start(server.port).await;
    replica.line.cut();
    let mut longest = Duration::ZERO;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(1) {
        let asked = Instant::now();
        let _ = replica.limits.take(&ask()).await;
        longest = longest.max(asked.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // 50 ms as configured, and what a busy machine adds.
    assert!(longest < Duration::from_millis(200), "{longest:?}");
    assert!(RedisLimits::start(RedisOptions::new("http://x", "p", 1)).is_err());
}

/// Tokens: a reservation is too much or too little, and put right afterwards. Whoever asks next, anywhere, waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_reserved_is_put_right_for_every_replica() {
    let three = Three::start().await;
    let tokens = |amount, per_minute| {
        let allowance = Allowance::Rate { per_minute, burst: 1_000.0 };
        [Ask { bucket: "route/tokens/user/ann".into(), allowance, amount }]
    };
    // One token a second: what is there soon was given back, not filled again.
    let (fast, slow) = (60_000.0, 60.0);
    let [a, b, c] = [0, 1, 2].map(|at| three.replicas[at].limits.clone());
    let begun = Instant::now();
    let patience = |what: &str| {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(5))
    };
    while a.take(&tokens(1_000.0, fast)).await.is_err() {
        patience("the bucket never filled").await;
    }
    assert!(b.take(&tokens(600.0, slow)).await.is_err());
    a.charge(&tokens(-700.0, slow));
    while b.take(&tokens(600.0, slow)).await.is_err() {
        patience("nothing was given back").await;
    }
    // 5,600 more than there is.
    b.charge(&tokens(5_700.0, slow));
    loop {
        let wait = c.take(&tokens(1_000.0, slow)).await.unwrap_err().retry_after_ms;
        if wait > 6_000_000 {
            assert!(wait < 6_700_000, "{wait}");
            break;
        }
        patience("nothing is owed").await;
    }
}

/// With a wait of 5 ms and answers that take 20, a replica stays with the shared counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_slow_is_waited_for_and_not_left() {
    let server = Server::redis();
    let line = Line::to(server.port).await;
    let options =
        RedisOptions { wait: Duration::from_millis(5), quiet: Duration::from_millis(500), ..options(&line) };
    let limits = RedisLimits::start(options).unwrap();
    limits.connected().await;
    line.slow();
    // The first few find out.
    let begun = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 10 {
        assert!(begun.elapsed() < Duration::from_secs(40), "never stays with the shared counts");
        let answered = match limits.take(&ask()).await {
            Ok(granted) => granted.standing,
            Err(denied) => denied.standing,
        };
        in_a_row = if answered == Standing::Shared { in_a_row + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut shared, mut others) = (0, 0);
    for _ in 0..100 {
        match limits.take(&ask()).await {
            Ok(granted) if granted.standing == Standing::Shared => shared += 1,
            Err(denied) if denied.standing == Standing::Shared => shared += 1,
            _ => others += 1,
        }
    }
    println!("answers that take 20 ms at a wait of 5 ms: {shared} of 100 from the shared counts");
    assert!(others <= 10, "{others} of 100 went elsewhere");
}
