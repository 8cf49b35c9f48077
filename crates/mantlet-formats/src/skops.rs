//! skops files: a zip whose `schema.json` names the classes and functions that loading builds.

use std::io::BufReader;

use mantlet_vocab::Source;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::Bounds;
use crate::inflate::SourceReader;
use crate::pickle::{Effect, Effects, clean, effect_of};
use crate::zip::Zip;

/// A class or function that the schema names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The loader that builds it: `ObjectNode`, `FunctionNode`, `MethodNode` and so on.
    pub loader: String,
    /// `module.name`.
    pub name: String,
    /// What loading makes it do.
    pub effect: Effect,
    /// Why the effect is not that of the name alone, in words.
    pub why: Option<&'static str>,
}

/// The facts of a skops schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skops {
    /// Distinct names that are not known to be harmless.
    pub named: Vec<Named>,
    /// How many nodes there are.
    pub nodes: u64,
    /// What is wrong with the schema.
    pub defect: Option<String>,
    /// What was not followed.
    pub limits: Vec<String>,
}

/// Whether the members are those of a skops file.
#[must_use]
pub fn is_skops(zip: &Zip) -> bool {
    zip.entries.iter().any(|entry| entry.name == "schema.json")
}

/// Schemas longer than this are not read.
const MAX_SCHEMA: u64 = 64 << 20;

/// The facts of a `schema.json`. Never fails: what is broken is a defect.
#[must_use]
pub fn analyse(source: &dyn Source, bounds: &Bounds) -> Skops {
    let mut facts = Skops::default();
    if source.len() > MAX_SCHEMA {
        facts.limits.push(format!("the schema is {} bytes long; only {MAX_SCHEMA} are read", source.len()));
        return facts;
    }
    let reader = BufReader::with_capacity(64 << 10, SourceReader::new(source, 0));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let result = Node { facts: &mut facts, max: bounds.max_facts, effects: bounds.effects }
        .deserialize(&mut json)
        .and_then(|_| json.end());
    if let Err(error) = result {
        if error.to_string().contains("recursion") {
            facts.limits.push("the schema is nested deeper than is followed".into());
        } else {
            facts.defect = Some(error.to_string());
        }
    }
    facts
}

/// What a value says to the node around it.
#[derive(Default)]
struct Said {
    text: Option<String>,
    name: Option<(String, String)>,
    function: Option<String>,
    object: Option<(String, String)>,
}

struct Node<'a> {
    facts: &'a mut Skops,
    max: usize,
    effects: Effects,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Said;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Said, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Said;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Said, E> {
        Ok(Said::default())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Said, E> {
        Ok(Said::default())
    }
    fn visit_u64<E>(self, _: u64) -> Result<Said, E> {
        Ok(Said::default())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Said, E> {
        Ok(Said::default())
    }
    fn visit_unit<E>(self) -> Result<Said, E> {
        Ok(Said::default())
    }
    fn visit_str<E>(self, text: &str) -> Result<Said, E> {
        Ok(Said { text: Some(text.chars().take(300).collect()), ..Said::default() })
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Said, A::Error> {
        // The first of several is the name of the method that `methodcaller` calls.
        let mut first = None;
        while let Some(said) = items.next_element_seed(Node { facts: &mut *self.facts, ..self })? {
            first.get_or_insert(said.text);
        }
        Ok(Said { text: first.flatten(), ..Said::default() })
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
        let mut said = Said::default();
        let (mut class, mut module, mut loader) = (None, None, None);
        let mut content = Said::default();
        let mut attributes = None;
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Node { facts: &mut *self.facts, ..self })?;
            match key.as_str() {
                "__class__" => class = value.text,
                "__module__" => module = value.text,
                "__loader__" => loader = value.text,
                "content" => content = value,
                "func" => said.function = value.text,
                "attrs" => attributes = value.text,
                "obj" => said.object = value.name,
                _ => {}
            }
        }
        if let (Some(class), Some(module), Some(loader)) = (class, module, loader) {
            self.facts.nodes += 1;
            said.text = content.text.as_deref().map(|text| text.trim_matches('"').to_owned());
            if loader == "OperatorFuncNode" {
                content.function = attributes;
            }
            let own = effect_of(self.effects, &module, &class);
            judge(self.facts, (self.max, self.effects), &loader, (&module, &class, own), &content);
            said.name = Some((module, class));
        }
        Ok(said)
    }
}

/// Methods of tables and arrays that write where they are told or run what they are given.
fn writes(method: &str) -> bool {
    const METHODS: [&str; 24] = [
        "to_csv",
        "to_json",
        "to_html",
        "to_excel",
        "to_pickle",
        "to_parquet",
        "to_feather",
        "to_hdf",
        "to_sql",
        "to_stata",
        "to_xml",
        "to_latex",
        "to_markdown",
        "to_orc",
        "to_string",
        "tofile",
        "dump",
        "write_text",
        "write_bytes",
        "unlink",
        "rename",
        "eval",
        "query",
        "system",
    ];
    METHODS.contains(&method) || method.starts_with("__")
}

/// What a node of this loader does with the name it is given.
fn judge(
    facts: &mut Skops,
    (max, effects): (usize, Effects),
    loader: &str,
    (module, class, own): (&str, &str, Effect),
    content: &Said,
) {
    let mut name = format!("{module}.{class}");
    let mut why = None;
    let effect = match loader {
        "OperatorFuncNode" => {
            let known = matches!(class, "attrgetter" | "itemgetter" | "methodcaller");
            let method = content.function.as_deref().unwrap_or("");
            if module == "operator" && class == "methodcaller" && writes(method) {
                name = format!("operator.methodcaller({method})");
                why =
                    Some("the method writes a file or runs an expression, on whatever the pipeline is given");
                Effect::Writes
            } else if module == "operator" && known {
                Effect::Reference
            } else {
                name = format!("operator.{class}");
                why = Some("the node names another module than the one it loads from (CVE-2025-54412)");
                Effect::Executes
            }
        }
        "MethodNode" => {
            let method = content.function.as_deref().unwrap_or_default();
            name = format!("{module}.{class}.{method}");
            // A node that claims no class is judged by that of its object.
            let claims = !matches!(class, "function" | "method");
            let object = content.object.as_ref().filter(|(m, _)| !claims && m == module);
            let known = object.map(|(m, c)| effect_of(effects, m, c));
            if let Some(effect) = known.filter(|_| !method.starts_with("__") && !method.contains('.')) {
                name = object.map_or(name, |(m, c)| format!("{m}.{c}.{method}"));
                effect
            } else if content.object.as_ref().is_some_and(|(m, c)| m != module || c != class) {
                why = Some("the node claims another class than that of its object (CVE-2025-54413)");
                Effect::Executes
            } else if method.starts_with("__") || method.contains('.') {
                why = Some("the method leads into the interpreter");
                Effect::Executes
            } else {
                own
            }
        }
        // The name is only handed on; nothing calls it while loading.
        "FunctionNode" | "TypeNode" | "JsonNode" => own,
        _ => match own {
            Effect::Reference => Effect::Unknown,
            other => other,
        },
    };
    let harmless = matches!(
        effect,
        Effect::Data | Effect::Object | Effect::Instance | Effect::Reference | Effect::HigherOrder
    );
    let name = clean(&name);
    if harmless || facts.named.iter().any(|known| known.name == name && known.effect == effect) {
        return;
    }
    if facts.named.len() < max {
        facts.named.push(Named { loader: clean(loader), name, effect, why });
    } else if facts.limits.is_empty() {
        facts.limits.push("more names than are kept as facts; the first ones are reported".into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mantlet_vocab::MemorySource;

    fn named(json: &str) -> Vec<(String, Effect)> {
        let facts = analyse(&MemorySource::new(json.as_bytes()), &Bounds::default());
        assert_eq!((facts.defect, facts.limits.len()), (None, 0));
        facts.named.into_iter().map(|named| (named.name, named.effect)).collect()
    }

    #[test]
    fn names_are_judged_by_their_loader() {
        let node = |loader: &str, module: &str, class: &str, content: &str| {
            format!(
                r#"{{"__class__":"{class}","__module__":"{module}","__loader__":"{loader}","content":{content}}}"#
            )
        };
        let tree = node("ObjectNode", "sklearn.svm._classes", "SVC", "{}");
        assert_eq!(named(&tree), []);
        assert_eq!(named(&node("FunctionNode", "numpy", "log1p", "{}")), []);
        assert_eq!(
            named(&node("FunctionNode", "os", "system", "{}")),
            [("os.system".into(), Effect::Executes)]
        );
        assert_eq!(named(&node("ObjectNode", "mine", "Net", &tree)), [("mine.Net".into(), Effect::Unknown)]);
        assert_eq!(
            named(&node("OperatorFuncNode", "builtins", "call", "{}")),
            [("operator.call".into(), Effect::Executes)]
        );
        let caller = |method: &str| {
            let text = node("JsonNode", "builtins", "str", &format!(r#""\"{method}\"""#));
            let tuple = node("TupleNode", "builtins", "tuple", &format!("[{text}]"));
            let plain = node("OperatorFuncNode", "operator", "methodcaller", "{}");
            plain.replace(r#""content":{}"#, &format!(r#""attrs":{tuple}"#))
        };
        assert_eq!(named(&caller("to_csv")), [("operator.methodcaller(to_csv)".into(), Effect::Writes)]);
        assert_eq!(named(&caller("lower")), []);
        let method = format!(r#"{{"func":"predict","obj":{tree}}}"#);
        assert_eq!(named(&node("MethodNode", "sklearn.svm._classes", "SVC", &method)), []);
        assert_eq!(named(&node("MethodNode", "builtins", "int", &method)).len(), 1);
        assert_eq!(named(&node("MethodNode", "sklearn.svm._classes", "function", &method)), []);
        let popen = node("ObjectNode", "subprocess", "Popen", "{}");
        let method = format!(r#"{{"func":"communicate","obj":{popen}}}"#);
        assert_eq!(named(&node("MethodNode", "subprocess", "function", &method)).len(), 2);
    }
}
