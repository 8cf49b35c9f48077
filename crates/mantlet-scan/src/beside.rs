//! What lies beside models: pictures, vocabularies, R objects, cards, and blobs named by their digest.

use mantlet_formats::metadata::Text;
use mantlet_formats::route::Format;
use mantlet_formats::{Facts, config, media, python, rdata};
use mantlet_vocab::{MemorySource, Place, Source};

use crate::companion;
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
                if depth == 0 {
                    self.neighbours = true;
                    if let Some(unseen) = companion::unseen(&self.name, source) {
                        let unseen: String = unseen.chars().filter(|c| !c.is_control()).take(80).collect();
                        let what = format!("it is not made of the source beside it, which has no `{unseen}`");
                        self.judge(&Facts::Damage(what), place);
                    }
                }
            }
            Format::Shortcut => {
                let text = media::shortcut(source);
                // A line of a script is cut where nobody reads on; here everything is one line.
                let chars: Vec<char> = text.chars().collect();
                let lines: Vec<String> = chars.chunks(1_500).map(|part| part.iter().collect()).collect();
                self.commands(&lines.join("\n"), place);
                let why = "what a shortcut of Windows starts lies outside of what is scanned";
                self.gap(place, why.into(), "keep it out of the scan if it is no model");
            }
            Format::Image => match media::image_end(source) {
                Some(end) if end < source.len() => self.unclaimed(source, end, source.len(), place, depth),
                Some(_) => self.image_texts(source, place),
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

    /// What a picture says about itself: programs in another form, and the workflow that made it.
    fn image_texts(&mut self, source: &dyn Source, place: &Place) {
        for (key, value) in media::image_texts(source) {
            let mut text = Text::new(&key, &value);
            text.template = None;
            if text.hides.is_some() {
                self.judge(&Facts::Metadata(vec![text]), place);
            }
            if value.starts_with('{') {
                let facts = config::json(&MemorySource::new(value.as_bytes()), self.bounds.effects);
                let shown: String = key.chars().filter(|c| !c.is_control()).take(80).collect();
                self.config(facts, false, &place.part(shown));
            }
        }
    }
}
