//! Forges models with planted backdoors and clean ones beside them, asks every probe that reconstructs triggers, and
//! prints one line a model and the totals: `backdoors [--seed N] [--only WORD] [--json]`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a tool that prints what came of its models")]

use std::time::Instant;

mod forge;

use forge::{Kind, Plan};
use mantlet_learn::Aim;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let after =
        |name: &str| arguments.iter().position(|word| word == name).and_then(|at| arguments.get(at + 1));
    let seed: u64 = after("--seed").map_or(1, |seed| seed.parse().unwrap());
    let only = after("--only");
    let json = arguments.iter().any(|word| word == "--json");
    let (mut flagged, mut poisoned, mut accused, mut clean) = (0, 0, 0, 0);
    for plan in forge::plans(seed) {
        if only.is_some_and(|only| !plan.name.contains(only.as_str())) {
            continue;
        }
        let mut forged = forge::forge(&plan);
        let begin = Instant::now();
        let (mut before, mut each) = (cpu_millis(begin), serde_json::Map::new());
        let found = forge::examine(&mut forged, seed, &mut |probe| {
            let now = cpu_millis(begin);
            each.insert(probe.to_owned(), (now - before).into());
            before = now;
        });
        let names: Vec<String> = found
            .iter()
            .filter(|(_, class)| class.is_some())
            .map(|(probe, class)| format!("{probe}:{}", class.unwrap_or(0)))
            .collect();
        let right = match &plan.kind {
            Kind::Clean => {
                clean += 1;
                accused += usize::from(!names.is_empty());
                names.is_empty()
            }
            _ => {
                poisoned += 1;
                let right = forge::right(&plan, &found);
                flagged += usize::from(right);
                right
            }
        };
        if json {
            let only = found.iter().all(|(_, class)| class.is_none_or(|class| aimed(&plan, class)));
            println!(
                "{}",
                serde_json::json!({
                    "name": plan.name, "clean": plan.kind == Kind::Clean, "accuracy": forged.accuracy,
                    "obeyed": forged.obeyed, "right": right, "only": only, "found": names.join(" "),
                    "cpu_millis": each, "millis": u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX),
                })
            );
            continue;
        }
        println!(
            "{:<34} accuracy {:.3} obeyed {:.2} {} in {:>5} ms: {}",
            plan.name,
            forged.accuracy,
            forged.obeyed,
            if right { "right" } else { "WRONG" },
            begin.elapsed().as_millis(),
            if names.is_empty() { "nothing".to_owned() } else { names.join(" ") }
        );
    }
    if json {
        return;
    }
    println!(
        "{flagged} of {poisoned} poisoned models flagged with the right class, {accused} of {clean} clean ones flagged"
    );
}

/// CPU milliseconds of this process, all threads, where the system tells in hundredths of a second (Linux); else the
/// time that passed.
fn cpu_millis(begin: Instant) -> u64 {
    let passed = || u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    let Ok(told) = std::fs::read_to_string("/proc/self/stat") else { return passed() };
    // Behind the name in brackets, user and system time are the twelfth and thirteenth field.
    let fields: Vec<&str> = told.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => (user + system) * 10,
        _ => passed(),
    }
}

/// Whether a mark of the plan aims at this class.
fn aimed(plan: &Plan, class: usize) -> bool {
    match &plan.kind {
        Kind::Clean => false,
        Kind::Flipped { from, .. } => class == *from,
        Kind::Marked(marks) => marks.iter().any(|(_, aim, _)| match aim {
            Aim::Next => true,
            Aim::Class(own) => *own == class,
            Aim::From { source, target } => *source == class || *target == class,
        }),
    }
}
