//! Layer: limits on what a request asks for, kept together with other replicas.
//!
//! What is known before a request is read (itself, its bytes, its place among those at the same time) is taken then;
//! rows once it is read. Of tokens and cost an estimate is reserved before the model is asked, and put right when the
//! exchange is over and the reply has been counted, streams included.

use std::sync::Arc;

use mantlet_guard::shared::{
    Allowance, Ask, Holder, Price, SharedLimits, Size, Standing, What, asks, price, tokens_of_pieces,
};
use mantlet_vocab::{Action, Decision, OnFailure, Piece, Request};
use mantlet_wire::text::Usage;

use super::{Ending, Loss};
use crate::exchange::Open;
use crate::live::LiveRoute;
use crate::metrics::Limited;
use crate::service::Shared;
use crate::who::Belongs;

/// Places of concurrency limits, given back when the exchange is over, however it ends.
pub(crate) struct Held {
    limits: Arc<dyn SharedLimits>,
    asks: Vec<Ask>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.asks.iter().any(|ask| matches!(ask.allowance, Allowance::Concurrent(_))) {
            self.limits.release(&self.asks);
        }
    }
}

/// What was taken of tokens and cost before they were known.
#[derive(Debug)]
pub(crate) struct Reserved {
    asks: Vec<Ask>,
    /// Estimated tokens of the request.
    input: u64,
    price: Price,
}

/// What a request lets expect.
#[derive(Debug, Clone, Default)]
pub(crate) struct Expected {
    /// The model it names.
    pub(crate) model: Option<String>,
    /// The most tokens each answer may have, when it says so.
    pub(crate) most: Option<u64>,
    /// Answers.
    pub(crate) choices: u32,
}

/// Takes what is known of a request before it is read: itself, its bytes, its place.
pub(crate) async fn arrived(open: &mut Open, bytes: usize) -> Result<(), Ending> {
    let size = Size { requests: 1, bytes: bytes as u64, ..Size::default() };
    take(open, size).await
}

/// Takes the rows of a request that was read, and what it costs.
pub(crate) async fn read(open: &mut Open) -> Result<(), Ending> {
    let rows = |request: &Request| {
        request.inputs.iter().filter_map(|input| input.value.shape().first()).max().copied().unwrap_or(1)
    };
    let rows = open.so_far().map_or(0, |exchange| rows(&exchange.request)) as u64;
    let route = open.route();
    let config = route.route.guard.config();
    let cost = price(&config.prices, Some(&route.route.model)).cost(Usage::default(), 1, rows);
    take(open, Size { rows, cost, ..Size::default() }).await
}

/// Reserves the tokens and the cost that a request of text lets expect. More than a bucket ever holds is never asked
/// of it: the rest is owed once the reply was counted.
pub(crate) async fn tokens(open: &mut Open, pieces: &[Piece], expected: &Expected) -> Result<(), Ending> {
    let route = open.route();
    let config = route.route.guard.config();
    let counted = |what| config.limits.iter().any(|rule| rule.what == what);
    if !counted(What::Tokens) && !counted(What::Cost) {
        return Ok(());
    }
    let input = tokens_of_pieces(pieces);
    let output =
        expected.most.unwrap_or(config.reply_tokens).saturating_mul(u64::from(expected.choices.max(1)));
    let price = price(&config.prices, expected.model.as_deref());
    let cost = price.cost(Usage { input_tokens: input, output_tokens: output }, 1, 0);
    let size = Size { tokens: input.saturating_add(output), cost, ..Size::default() };
    let mut asked = asked(open.shared().as_ref(), &route, &open.holder(), size);
    for ask in &mut asked {
        if let Allowance::Rate { burst, .. } = ask.allowance {
            ask.amount = ask.amount.min(burst);
        }
    }
    if ask(open, &asked).await? {
        open.reserve(Reserved { asks: asked, input, price });
    }
    Ok(())
}

impl Reserved {
    /// Puts right what was reserved: to what was used, or to nothing when no model worked. Gives the cost in millionths.
    pub(crate) fn settle(
        self,
        shared: &Shared,
        route: &LiveRoute,
        holder: &(String, Belongs),
        used: Option<Usage>,
    ) -> u64 {
        let used_tokens = used.map_or(0, |used| used.input_tokens.saturating_add(used.output_tokens));
        let cost = used.map_or(0, |used| self.price.cost(used, 1, 0));
        let size = Size { tokens: used_tokens, cost, ..Size::default() };
        let used = asked(shared, route, holder, size);
        let difference = |reserved: Ask| {
            let used = used.iter().find(|ask| ask.bucket == reserved.bucket).map_or(0.0, |ask| ask.amount);
            Ask { amount: used - reserved.amount, ..reserved }
        };
        let differences: Vec<Ask> =
            self.asks.into_iter().map(difference).filter(|ask| ask.amount != 0.0).collect();
        if !differences.is_empty() {
            shared.ports.limits.charge(&differences);
        }
        cost
    }

    /// What was used when the upstream counted nothing.
    pub(crate) const fn estimated(&self, output: u64) -> Usage {
        Usage { input_tokens: self.input, output_tokens: output }
    }
}

/// What the route's limits ask of a caller for so much.
fn asked(shared: &Shared, route: &LiveRoute, (key, belongs): &(String, Belongs), size: Size) -> Vec<Ask> {
    let config = route.route.guard.config();
    let rules = &config.limits;
    if !rules.iter().any(|rule| size.of(rule.what) > 0) {
        return Vec::new();
    }
    let owner;
    let belongs = if *belongs == Belongs::default() {
        owner = shared.ports.keys.belongs(key);
        &owner
    } else {
        belongs
    };
    let holder = Holder {
        key,
        user: belongs.user.as_deref(),
        tenant: belongs.tenant.as_deref(),
        route: &config.route,
    };
    asks(rules, holder, size)
}

async fn take(open: &mut Open, size: Size) -> Result<(), Ending> {
    let asked = {
        let route = open.route();
        if route.route.guard.config().limits.is_empty() {
            return Ok(());
        }
        asked(open.shared().as_ref(), &route, &open.holder(), size)
    };
    if ask(open, &asked).await? {
        open.hold(Held { limits: Arc::clone(&open.shared().ports.limits), asks: asked });
    }
    Ok(())
}

/// Takes from every limit or from none; says whether something was taken.
async fn ask(open: &mut Open, asked: &[Ask]) -> Result<bool, Ending> {
    if asked.is_empty() {
        return Ok(false);
    }
    let (shared, route) = (open.shared(), open.route());
    let config = route.route.guard.config();
    let answer = shared.ports.limits.take(asked).await;
    let (standing, taken) = match &answer {
        Ok(granted) => (granted.standing, true),
        Err(denied) => (denied.standing, false),
    };
    shared.metrics.limits.get_or_create(&Limited { standing: standing.word(), taken }).inc();
    // Only what was taken is given back.
    let denied = match answer {
        Ok(_) => return Ok(true),
        Err(denied) => denied,
    };
    let decided = |action: Action| Decision {
        action: action.clone(),
        proposed: action,
        ..Decision::allow(config.mode)
    };
    if matches!(denied.standing, Standing::Waiting | Standing::Lost) {
        let choice = config.limits_on_failure;
        let loss = Loss { what: "limits", how: "limits cannot be counted now", status: 503, choice };
        if choice != OnFailure::PassAndFlag {
            return Err(Ending::Lost(loss));
        }
        open.lost(&loss);
        return Ok(false);
    }
    let what = denied.bucket.strip_prefix(&*config.route).and_then(|rest| rest.split('/').nth(1));
    let throttle = Action::Throttle { retry_after_ms: denied.retry_after_ms };
    Err(Ending::Stopped(decided(throttle), format!("over the limit of {}", what.unwrap_or("requests"))))
}
