//! Which observations count, so that a few loud callers do not decide a rollout. Bounded.

use std::collections::HashMap;

use super::Arm;

/// Callers told apart in one step; what others send is then not counted, which can only hold a rollout.
const CALLERS_MOST: usize = 1 << 17;

/// Counts observations by caller and arm within a step.
#[derive(Debug, Clone, Default)]
pub struct Sampler {
    step: u64,
    seen: HashMap<(u64, Arm), u32>,
}

impl Sampler {
    /// Whether one more observation of this caller (a hash) counts in this step (any number that changes with the
    /// step), when at most `most` do.
    pub fn takes(&mut self, step: u64, caller: u64, arm: Arm, most: u32) -> bool {
        if self.step != step {
            self.step = step;
            self.seen.clear();
        }
        let full = self.seen.len() >= CALLERS_MOST;
        match self.seen.get_mut(&(caller, arm)) {
            Some(count) if *count >= most => false,
            Some(count) => {
                *count += 1;
                true
            }
            None if full || most == 0 => false,
            None => {
                self.seen.insert((caller, arm), 1);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loud_caller_counts_so_often_in_each_step_and_memory_is_bounded() {
        let mut sampler = Sampler::default();
        let mut count =
            |step, caller| (0..10).filter(|_| sampler.takes(step, caller, Arm::Candidate, 3)).count();
        assert_eq!([count(1, 7), count(1, 7), count(1, 8), count(2, 7)], [3, 0, 3, 3]);
        for caller in 0..(CALLERS_MOST as u64 + 100) {
            sampler.takes(3, caller, Arm::Baseline, 1);
        }
        assert_eq!(sampler.seen.len(), CALLERS_MOST);
    }
}
