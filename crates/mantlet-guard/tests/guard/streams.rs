//! Attack streams are flagged before they succeed, honest ones are left alone, pinned rules stop variants.

use mantlet_guard::Caller;
use mantlet_vocab::{Millis, Mode};

use crate::world::{Honest, World};

#[test]
fn explore() {
    for seed in 100..103 {
        let world = World::new(seed);
        let acc = world.model.labels(&world.rest.x).iter().zip(&world.rest.y).filter(|(a, b)| a == b).count() as f64 / world.rest.y.len() as f64;
        println!("seed {seed} accuracy {acc:.3} honest {:?} threshold {}", world.profile.honest, world.profile.typical.threshold);
        let guard = world.guard(Mode::Enforce);
        for (count, pool) in [(1, true), (1, false), (5, true), (5, false), (20, true), (20, false)] {
            for s in 0..4 {
                let trace = world.evasion(seed * 10 + s, count, pool, 600);
                let r = guard.replay(&trace);
                println!("  evasion {count} pool {pool}: rows {} success {:?} flagged {:?} stopped {:?} {:?}", r.rows, r.succeeded_at, r.flagged_at, r.stopped_at, r.signals);
            }
        }
        for (seeds, strategy) in [(10, "mixed"), (20, "mixed"), (50, "mixed"), (20, "noise"), (20, "natural")] {
            let trace = world.extraction(seed, seeds, strategy, 300);
            let r = guard.replay(&trace);
            println!("  extraction {seeds} {strategy}: flagged {:?} stopped {:?} {:?}", r.flagged_at, r.stopped_at, r.signals);
        }
        let (mut refused, mut flagged, mut total) = (0, 0, 0);
        let kinds = [Honest::Mixed, Honest::Mixed, Honest::Noisy, Honest::OneDigit(1), Honest::OneDigit(8), Honest::OneDigit(4)];
        for (client, kind) in kinds.into_iter().enumerate() {
            let key = format!("client-{client}");
            let mut f = 0;
            for request in world.honest(seed * 10 + client as u64, kind, 300) {
                let inspection = guard.inspect(Caller { key: &key }, &request, Millis(0));
                total += 1;
                f += usize::from(!inspection.decision.signals.is_empty());
                refused += usize::from(!inspection.decision.action.passes());
                if !inspection.decision.signals.is_empty() && f < 3 { println!("    {kind:?} {:?}", inspection.decision.signals.iter().map(|s| (&s.name, s.score)).collect::<Vec<_>>()); }
            }
            println!("  honest {kind:?}: flagged {f} of 300");
            flagged += f;
        }
        println!("  honest total {total} refused {refused} flagged {flagged}");
    }
}
