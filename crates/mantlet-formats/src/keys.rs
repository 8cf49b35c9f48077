//! Models in JSON and XML, told by the keys at the top of a document or by its root, wherever these stand.

use mantlet_vocab::Source;

use crate::boosted::{catboost, xgboost};
use crate::markup::{self, Tags};
use crate::runtime::{coreml, mxnet, openvino, paddle, pmml};
use crate::structure::Structure;
use crate::tree::{self, Event};
use crate::window::Window;

/// Text that may come before the root of a document.
const MAX_PROLOG: usize = 16 << 20;

/// The facts of a model in JSON or XML; `None` for other text.
pub(crate) fn text(source: &dyn Source, name: &str) -> Option<Structure> {
    let mut window = Window::new(source, 0);
    let mut first = window.byte()?;
    if first == 0xef && window.array() == Some([0xbb, 0xbf]) {
        first = window.byte()?;
    }
    while first.is_ascii_whitespace() {
        first = window.byte()?;
    }
    let name = name.to_ascii_lowercase();
    match first {
        b'{' => json(source),
        b'<' | 0xfe | 0xff => xml(source),
        _ if name.ends_with(".xml") || name.ends_with(".pmml") => xml(source),
        _ => None,
    }
}

/// The keys at the top of a document that tell its format.
const KEYS: [&str; 10] = [
    "base_code",
    "nodes",
    "arg_nodes",
    "learner",
    "features_info",
    "oblivious_trees",
    "trees",
    "model_info",
    "ctr_data",
    "itemInfoEntries",
];

type Reader = fn(&dyn Source) -> Option<Structure>;

fn json(source: &dyn Source) -> Option<Structure> {
    let mut seen = [false; KEYS.len()];
    let (mut depth, mut top, mut inner) = (0_u64, None, String::new());
    let (mut pir, mut booster) = (false, false);
    tree::first(source, &mut |event, _| match event {
        Event::Open { .. } => depth += 1,
        Event::Close => depth = depth.saturating_sub(1),
        Event::Key(key) if depth == 1 => {
            top = KEYS.iter().position(|known| *known == key);
            if let Some(seen) = top.and_then(|top| seen.get_mut(top)) {
                *seen = true;
            }
        }
        Event::Key(key) if depth == 2 => {
            inner.clear();
            inner.extend(key.chars().take(80));
            booster |= top == Some(3) && matches!(key, "gradient_booster" | "learner_model_param");
        }
        Event::Scalar { text, string: true, .. } if depth == 2 => {
            pir |= top == Some(0) && inner == "magic" && text == "pir";
        }
        _ => {}
    });
    let [_, nodes, arguments, _, features, oblivious, trees, info, counters, items] = seen;
    let readers: [(bool, &str, Reader); 5] = [
        (pir, "Paddle", |source| Some(paddle::json(source))),
        (nodes && arguments, "MXNet", mxnet::symbol),
        (booster, "XGBoost", |source| Some(xgboost::json(source))),
        (features && (oblivious || trees || info || counters), "CatBoost", |source| {
            Some(catboost::json(source))
        }),
        (items, "Core ML package", coreml::manifest),
    ];
    let mut matching = readers.iter().filter(|(matches, ..)| *matches);
    let (_, format, read) = matching.next()?;
    let mut facts = read(source).unwrap_or_else(|| {
        let mut facts = Structure::of(format);
        facts.limit("it has the keys of this format and cannot be read as such");
        facts
    });
    for (_, other, _) in matching {
        facts.limit(format!("it has the keys of {other} too, as which it is not examined"));
    }
    Some(facts)
}

fn xml(source: &dyn Source) -> Option<Structure> {
    let mut unread = Structure::of("XML");
    for max in [64 << 10, MAX_PROLOG] {
        let text = markup::read(source, max, &mut unread);
        // What the cut has shortened may read otherwise when it is whole.
        if let Some(root) = Tags::new(&text).next()
            && (source.len() <= max as u64
                || text.get(root.at as usize..).is_some_and(|rest| rest.contains('>')))
        {
            let net = root.name.eq_ignore_ascii_case("net") && root.attribute("version").is_some();
            let scored = root.name.rsplit(':').next() == Some("PMML");
            return if net {
                Some(openvino::analyse(source))
            } else if scored {
                Some(pmml::analyse(source))
            } else {
                None
            };
        }
        if source.len() <= max as u64 {
            return None;
        }
    }
    unread.limits.clear();
    unread.limit(format!("its root does not come within the first {MAX_PROLOG} bytes"));
    Some(unread)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn read(text: &str) -> Option<Structure> {
        super::text(&MemorySource::new(text.as_bytes()), "model.json")
    }

    #[test]
    fn what_stands_before_the_keys_does_not_matter() {
        let pad = "x".repeat(6_000);
        let program = "\"base_code\": {\"magic\": \"pir\"}, \"program\": {\"#\": \"1.py_func\"}}";
        for text in [format!("{{\"pad\": \"{pad}\", {program}"), format!("{}{{{program}", " ".repeat(9_000))]
        {
            assert_eq!(read(&text).map(|facts| facts.code.len()), Some(1));
        }
        let graph = format!("{{\"{pad}\": 1, \"nodes\": [{{\"op\": \"Custom\"}}], \"arg_nodes\": []}}");
        assert_eq!(read(&graph).map(|facts| facts.code.len()), Some(1));
        let booster =
            format!("{{\"version\": [2], \"{pad}\": 1, \"learner\": {{\"gradient_booster\": {{}}}}}}");
        assert_eq!(read(&booster).map(|facts| facts.format), Some("XGBoost JSON"));
        let prolog = format!("<?xml version='1.0'?><!-- {} -->", pad.repeat(20));
        let net = format!("{prolog}<net version='11'><layers><layer type='PythonOp'/></layers></net>");
        assert_eq!(read(&net).map(|facts| facts.code.len()), Some(1));
        let scored = format!("{prolog}<p:PMML><Apply function='com.evil.F'/></p:PMML>");
        assert_eq!(read(&scored).map(|facts| facts.code.len()), Some(1));
    }

    #[test]
    fn other_documents_are_none_and_two_formats_at_once_are_said() {
        for text in
            ["{\"nodes\": []}", "{\"learner\": 1}", "{\"a\": {\"base_code\": 1}}", "<svg/>", "<net/>", ""]
        {
            assert_eq!(read(text), None, "{text}");
        }
        let both = "{\"nodes\": [], \"arg_nodes\": [], \"learner\": {\"gradient_booster\": {}}}";
        assert_eq!(read(both).map(|facts| (facts.format, facts.limits.len())), Some(("MXNet", 1)));
        assert_eq!(read("{\"nodes\": 1, \"arg_nodes\": []}").map(|facts| facts.limits.len()), Some(1));
    }
}
