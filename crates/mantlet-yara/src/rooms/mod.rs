//! The room through which every YARA rule speaks.

mod yara_match;

use mantlet_vocab::About;

pub(crate) use yara_match::{Hit, finding, settle};

/// The rooms of this crate.
#[must_use]
pub fn abouts() -> Vec<&'static About> {
    vec![yara_match::about()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_house_is_in_order() {
        assert_eq!(About::faults(&abouts()), []);
    }
}
