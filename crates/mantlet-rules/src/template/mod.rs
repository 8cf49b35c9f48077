//! Rules over Jinja templates.

mod computed_name;
mod exhausts;
mod leaks;
mod listens;
mod reaches_code;
mod rewrites;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &reaches_code::TemplateReachesCode,
        &computed_name::TemplateComputedName,
        &listens::TemplateListens,
        &exhausts::TemplateExhausts,
        &leaks::TemplateLeaks,
        &rewrites::TemplateRewrites,
    ]
}
