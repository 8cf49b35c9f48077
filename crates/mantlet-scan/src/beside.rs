//! What lies beside models: pictures, vocabularies, R objects, cards, and blobs named by their digest.

use mantlet_formats::route::Format;
use mantlet_formats::{Facts, media, python, rdata};
use mantlet_vocab::{Place, Source};

use crate::engine::Engine;

impl Engine {
    /// Examines a format that lies beside models; false when it is none of them.
    pub(crate) fn beside(&mut self, format: Format, source: &dyn Source, place: &Place, depth: u8) -> bool {
        match format {
            Format::Vocabulary => {}
            Format::Bytecode => {
                // The name of a cached module says which Python it is for.
                let name = place.to_string().replace(".cpython-", ".py#");
                let role = python::role(name.split('#').next().unwrap_or(&name));
                let script = python::bytecode::analyse(source, role);
                self.limits(place, &script.limits);
                self.judge(&Facts::Script(Box::new(script)), place);
            }
            Format::Image => match media::image_end(source) {
                Some(end) if end < source.len() => self.unclaimed(source, end, source.len(), place, depth),
                Some(_) => {}
                None => {
                    let remedy = "keep it out of the scan if it is no model";
                    self.gap(place, "it begins like an image and does not go on like one".into(), remedy);
                }
            },
            Format::RData => {
                let facts = rdata::analyse(source, &self.bounds);
                self.limits(place, &facts.limits);
                if let Some((defect, at)) = &facts.defect {
                    self.judge(
                        &Facts::Damage(format!("the R objects are damaged at {at:#x}: {defect}")),
                        place,
                    );
                } else if facts.limits.is_empty() && facts.end < source.len() {
                    self.unclaimed(source, facts.end, source.len(), place, depth);
                }
                self.judge(&Facts::RData(facts), place);
            }
            _ => return false,
        }
        true
    }
}
