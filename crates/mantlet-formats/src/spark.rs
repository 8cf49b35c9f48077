//! Stages of Spark ML: the metadata that a loader takes the name of a class from, and builds whatever has that name.

use mantlet_vocab::{Source, read_window};
use serde_json::Value;

use crate::java;
use crate::structure::{Power, Structure};

/// Bytes of one metadata file.
const MAX_TEXT: usize = 4 << 20;
/// Packages whose classes are learned stages.
const KNOWN: [&str; 10] = [
    "org.apache.spark.ml.",
    "org.apache.spark.mllib.",
    "pyspark.ml.",
    "com.microsoft.azure.synapse.ml.",
    "synapse.ml.",
    "com.johnsnowlabs.",
    "ml.dmlc.xgboost4j.scala.spark.",
    "xgboost.spark.",
    "ml.combust.mleap.",
    "ai.h2o.sparkling.ml.",
];

/// The facts of the metadata of a stage; `None` for other text.
#[must_use]
pub fn analyse(source: &dyn Source, head: &[u8]) -> Option<Structure> {
    let says = |word: &[u8]| memchr::memmem::find(head, word).is_some();
    if !head.trim_ascii_start().starts_with(b"{") || !says(b"\"class\"") || !says(b"\"sparkVersion\"") {
        return None;
    }
    let text = read_window(source, 0, MAX_TEXT).unwrap_or_default();
    // Only the first line counts.
    let line = text.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty())?;
    let metadata: Value = serde_json::from_slice(line).or_else(|_| serde_json::from_slice(&text)).ok()?;
    let class = metadata.get("class")?.as_str()?;
    let mut facts = Structure::of("Spark ML");
    let plain = class.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$'));
    if java::is_chain(class) || !plain || !KNOWN.iter().any(|package| class.starts_with(package)) {
        facts.names(Power::Class, "stage", class, 0);
    }
    // A stage of SQL may call any static method of the machine, or a program.
    let statement = metadata.pointer("/paramMap/statement").and_then(Value::as_str).unwrap_or("");
    let lower: String = statement.to_ascii_lowercase().split_whitespace().collect();
    let calls = ["reflect(", "java_method(", "transform("];
    if calls[..2].iter().any(|call| lower.contains(call))
        || lower.contains(calls[2]) && lower.contains("using'")
    {
        facts.names(Power::Class, "method in a statement", statement, 0);
    }
    Some(facts)
}

#[cfg(test)]
mod tests {
    use mantlet_vocab::MemorySource;

    use super::*;

    #[test]
    fn classes_of_known_packages_are_stages_and_others_are_code() {
        let named = |class: &str| {
            let text = format!(
                r#"{{"class":"{class}","timestamp":1,"sparkVersion":"3.5.0","uid":"a_1","paramMap":{{}}}}"#
            );
            analyse(&MemorySource::new(text.as_bytes()), text.as_bytes()).unwrap().code.len()
        };
        assert_eq!(named("org.apache.spark.ml.classification.LogisticRegressionModel"), 0);
        assert_eq!(named("com.johnsnowlabs.nlp.DocumentAssembler"), 0);
        for class in ["java.lang.ProcessBuilder", "os.system", "__main__.Mine", "bsh.Interpreter"] {
            assert_eq!(named(class), 1, "{class}");
        }
        let sql = |statement: &str| {
            let text = format!(
                r#"{{"class":"org.apache.spark.ml.feature.SQLTransformer","sparkVersion":"3","paramMap":{{"statement":"{statement}"}}}}"#
            );
            analyse(&MemorySource::new(text.as_bytes()), text.as_bytes()).unwrap().code.len()
        };
        assert_eq!(sql("SELECT *, Reflect ('java.lang.Runtime', 'getRuntime') FROM __THIS__"), 1);
        assert_eq!(sql("SELECT *, (a + b) AS c FROM __THIS__"), 0);
        assert_eq!(analyse(&MemorySource::new(b"{}"), b"{\"class\": 1}"), None);
    }
}
