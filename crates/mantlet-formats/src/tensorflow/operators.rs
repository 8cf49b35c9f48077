//! The operators of TensorFlow: which exist, and which reach out of the model.

use std::collections::HashMap;
use std::sync::OnceLock;

/// What an operator does beside computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Reads files.
    Reads,
    /// Writes files.
    Writes,
    /// Talks to the network.
    Network,
    /// Runs Python of the loading program.
    Python,
    /// Hands tensors to other machines of its cluster.
    Cluster,
    /// Runs code that is no part of the graph.
    Foreign,
    /// Changes how the loading program reaches files.
    Settings,
    /// Ends or holds up the program that runs it.
    Stops,
}

impl Reach {
    /// The reach as the verb phrase after "can".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Reads => "read local files",
            Self::Writes => "write files",
            Self::Network => "talk to the network",
            Self::Python => "run Python functions of the program that loads it",
            Self::Cluster => "hand tensors to other machines of its cluster",
            Self::Foreign => "run code that is no part of the graph",
            Self::Settings => "change how the program that loads it reaches files",
            Self::Stops => "end or hold up the program that runs it",
        }
    }
}

/// How an operator is judged, as the list of operators says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// It computes, and nothing else.
    Computes,
    /// It reaches out wherever it stands.
    Always(Reach),
    /// It reaches out when it is given a place outside of the model; ordinary graphs hand it a place when they run.
    ByPlace(Reach),
    /// It reaches out when an attribute of its own says so.
    ByAttribute(Reach),
    /// What it computes is a program in another form, which is not followed.
    Opaque,
}

fn class_of(word: &str) -> Option<Class> {
    let (reach, how) = word.split_once('-').unwrap_or((word, ""));
    let reach = match reach {
        "computes" => return Some(Class::Computes),
        "opaque" => return Some(Class::Opaque),
        "reads" => Reach::Reads,
        "writes" => Reach::Writes,
        "network" => Reach::Network,
        "python" => Reach::Python,
        "cluster" => Reach::Cluster,
        "foreign" => Reach::Foreign,
        "settings" => Reach::Settings,
        "stops" => Reach::Stops,
        _ => return None,
    };
    match how {
        "" => Some(Class::Always(reach)),
        "place" => Some(Class::ByPlace(reach)),
        "attribute" => Some(Class::ByAttribute(reach)),
        _ => None,
    }
}

/// What the list of operators says of one.
pub(super) fn class(operator: &str) -> Option<Class> {
    static CLASSES: OnceLock<HashMap<&'static str, Class>> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let lines = include_str!("operators.txt").lines();
        lines
            .filter_map(|line| line.split_once(' '))
            .filter_map(|(name, word)| Some((name, class_of(word)?)))
            .collect()
    });
    classes.get(operator).copied()
}

/// What an operator reaches, if it does. Savers and restorers of checkpoints and readers of vocabulary files
/// are part of ordinary models and not among them.
#[must_use]
pub fn reach(operator: &str) -> Option<Reach> {
    match class(operator) {
        Some(Class::Always(reach)) => Some(reach),
        _ => None,
    }
}

/// Attributes that name what an operator reaches.
pub(super) fn telling(operator: &str) -> Option<&'static str> {
    Some(match operator {
        "PrintV2" => "output_stream",
        "DecodeProtoV2" | "EncodeProto" => "descriptor_source",
        "ImmutableConst" => "memory_region_name",
        "FixedUnigramCandidateSampler" => "vocab_file",
        "RecordInput" => "file_pattern",
        "CalibrationStatisticsSaver" => "output_file_path",
        "DumpTensor" => "log_dir",
        "Copy" | "CopyHost" => "debug_ops_spec",
        "DebugIdentity" | "DebugIdentityV2" | "DebugIdentityV3" | "DebugNanCount" | "DebugNumericSummary" => {
            "debug_urls"
        }
        "XlaCustomCall" | "XlaCustomCallV2" => "call_target_name",
        _ => return None,
    })
}

/// Whether a constant leads to other users' or the system's files, or to another machine. `served`: the graph is one
/// that is served, which has no training data of its own.
#[must_use]
pub(super) fn leads_away(text: &str, operator: &str, reach: Reach, served: bool) -> bool {
    // Secrets and the system itself.
    const GRAVE: [&str; 7] = ["/etc/", "/root/", "/proc/", "/dev/", "/sys/", "/boot/", "/run/"];
    const PLACES: [&str; 10] =
        ["/home/", "/var/", "/Users/", "~/", "/usr/", "/opt/", "/srv/", "/lib", "/bin/", "/sbin/"];
    let starts = |places: &[&str]| places.iter().any(|place| text.starts_with(place));
    let device = text.starts_with("/job:");
    if device {
        return !text.starts_with("/job:localhost");
    }
    let remote = text.contains("://") && !text.starts_with("ram://") || text.starts_with("\\\\");
    let climbs = text.split(['/', '\\']).any(|part| part == "..");
    if remote || climbs || starts(&GRAVE) {
        return true;
    }
    // The place where a vocabulary lay when the model was made.
    let table = operator.starts_with("InitializeTable") && text.ends_with("vocab.txt");
    let drive = text.get(1..3).is_some_and(|rest| rest == ":\\" || rest == ":/")
        && text.starts_with(|c: char| c.is_ascii_alphabetic());
    let absolute = text.starts_with('/') && (served || reach != Reach::Reads);
    !table && (starts(&PLACES) || drive || absolute)
}

/// Whether TensorFlow or TensorFlow Text has the operator.
#[must_use]
pub fn is_known(operator: &str) -> bool {
    // Names below these belong to companions of TensorFlow.
    const FAMILIES: [&str; 6] = ["Text>", "TFText>", "Addons>", "TFRecommenders>", "TFDF>", "SimpleML"];
    class(operator).is_some()
        || FAMILIES.iter().any(|family| operator.starts_with(family))
        || TEXT.contains(&operator)
}

/// Operators of TensorFlow Text, which preprocessing models ship.
const TEXT: [&str; 18] = [
    "CaseFoldUTF8",
    "ConstrainedSequence",
    "NormalizeUTF8",
    "NormalizeUTF8WithOffsetsMap",
    "RegexSplitWithOffsets",
    "SentenceFragments",
    "SentencepieceOp",
    "SentencepieceTokenizeOp",
    "SentencepieceTokenizeWithOffsetsOp",
    "SentencepieceDetokenizeOp",
    "SentencepieceVocabSizeOp",
    "TokenizerFromLogits",
    "UnicodeScriptTokenizeWithOffsets",
    "WhitespaceTokenizeWithOffsets",
    "WhitespaceTokenizeWithOffsetsV2",
    "WordpieceTokenizeWithOffsets",
    "FastWordpieceTokenizeWithOffsets",
    "RougeL",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_the_list_has_a_class() {
        for line in include_str!("operators.txt").lines() {
            let (name, word) = line.split_once(' ').unwrap_or((line, ""));
            assert!(class_of(word).is_some(), "`{name}` says `{word}`");
            assert_eq!(class(name), class_of(word), "`{name}` is listed twice");
        }
    }

    #[test]
    fn every_operator_is_judged_as_its_class_says() {
        use mantlet_vocab::MemorySource;

        use super::super::{File, analyse};
        use crate::Bounds;

        let reach_in = |nodes: &str| {
            let turned = crate::protoform::from_text(nodes).unwrap();
            let facts = analyse(&MemorySource::new(&turned.bytes), File::Graph, &Bounds::default());
            (facts.operators.first().map(|one| one.reach), facts.limits)
        };
        let constant = |text: &str| {
            format!(
                "node {{ name: 'c' op: 'Const' attr {{ key: 'value' value {{ tensor {{ dtype: DT_STRING \
                 string_val: '{text}' }} }} }} }}\n"
            )
        };
        for line in include_str!("operators.txt").lines() {
            let (name, word) = line.split_once(' ').unwrap();
            let node = format!("node {{ name: 'n' op: '{name}' input: 'c' }}");
            let telling = telling(name).unwrap_or("none");
            let told = format!(
                "node {{ name: 'n' op: '{name}' attr {{ key: '{telling}' value {{ s: 'file:///x' }} }} }}"
            );
            let plain = format!("{}{node}", constant("model"));
            let away = format!("{}{node}", constant("/srv/models/x"));
            let (bare, limits) = reach_in(&plain);
            match class_of(word).unwrap() {
                Class::Computes => assert_eq!((bare, reach_in(&away).0), (None, None), "{name}"),
                Class::Always(reach) => assert_eq!(bare, Some(Some(reach)), "{name}"),
                Class::ByPlace(_) if name == "DatasetFromGraph" => assert_eq!(bare, None),
                Class::ByPlace(reach) => {
                    assert_eq!((bare, reach_in(&away).0), (None, Some(Some(reach))), "{name}");
                }
                Class::ByAttribute(reach) => {
                    assert_eq!((bare, reach_in(&told).0), (None, Some(Some(reach))), "{name}");
                }
                Class::Opaque => assert!(bare.is_none() && limits.len() == 1, "{name}"),
            }
        }
    }

    #[test]
    fn a_graph_within_a_constant_is_a_graph() {
        use mantlet_vocab::MemorySource;

        use super::super::{File, analyse};

        // Long before it: more than is shown of a text.
        let inner = format!(
            "{}node {{ name: 'r' op: 'ReadFile' }}",
            "node { name: 'filler' op: 'Relu' }\n".repeat(80)
        );
        let inner = crate::protoform::from_text(&inner).unwrap().bytes;
        let escaped: String = inner.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let outer = format!(
            "node {{ name: 'c' op: 'Const' attr {{ key: 'value' value {{ tensor {{ dtype: DT_STRING string_val: \
             '{escaped}' }} }} }} }} node {{ name: 'd' op: 'DatasetFromGraph' input: 'c' }}"
        );
        let turned = crate::protoform::from_text(&outer).unwrap();
        let facts = analyse(&MemorySource::new(&turned.bytes), File::Graph, &crate::Bounds::default());
        assert_eq!(facts.operators.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["ReadFile"]);
    }

    #[test]
    fn what_sounds_like_reaching_out_and_only_computes_was_looked_at() {
        // Each of these works on tensors, readers, writers or machines that something else opened.
        const LOOKED_AT: &str = "\
            AudioSummary AudioSummaryV2 BoostedTreesExampleDebugOutputs BoostedTreesMakeStatsSummary \
            CloseSummaryWriter CustomAggregator DecodeCSV GraphDefVersion RequiresOlderGraphVersion TensorArrayWrite \
            TensorArrayWriteV2 TensorArrayWriteV3 \
            DatasetToGraph DatasetToGraphV2 DebugGradientIdentity DebugGradientRefIdentity DebugNumericSummaryV2 \
            DecodeProtoV2 DeleteRpcFutureResource ExperimentalSetStatsAggregatorDataset \
            ExperimentalStatsAggregatorSummary FlushSummaryWriter HistogramSummary IdentityReader IdentityReaderV2 \
            ImageSummary ImportEvent LoadAllTPUEmbeddingParameters MergeSummary ReaderNumRecordsProduced \
            ReaderNumRecordsProducedV2 ReaderNumWorkUnitsCompleted ReaderNumWorkUnitsCompletedV2 ReaderRead \
            ReaderReadUpTo ReaderReadUpToV2 ReaderReadV2 ReaderReset ReaderResetV2 ReaderRestoreState \
            ReaderRestoreStateV2 ReaderSerializeState ReaderSerializeStateV2 RpcCheckStatus RpcGetValue \
            ScalarSummary ShardedFilename ShardedFilespec Snapshot StatsAggregatorSetSummaryWriter \
            StatsAggregatorSummary SummaryWriter TensorSummary TensorSummaryV2 WriteAudioSummary \
            WriteGraphSummary WriteHistogramSummary WriteImageSummary WriteScalarSummary WriteSummary";
        let sounds = [
            "File", "Reader", "Write", "Save", "Restore", "Load", "Rpc", "Debug", "Summary", "Snapshot",
            "Url", "Python", "PyFunc", "Graph", "Shell", "Exec", "Custom", "Http", "Sql", "CSV", "LMDB",
            "Record",
        ];
        let quiet = include_str!("operators.txt").lines().filter_map(|line| line.strip_suffix(" computes"));
        let unseen: Vec<&str> = quiet
            .filter(|name| {
                sounds.iter().any(|word| name.contains(word))
                    && !name.contains("TPU")
                    && !name.contains("CustomCombiner")
            })
            .filter(|name| !LOOKED_AT.split_whitespace().any(|seen| seen == *name))
            .collect();
        assert_eq!(unseen, [""; 0]);
    }

    #[test]
    fn places_outside_of_the_model_are_told_from_those_of_its_making() {
        let away = |text: &str, operator: &str, reach: Reach| leads_away(text, operator, reach, true);
        for text in [
            "/etc/passwd",
            "/usr/lib/python3/dist-packages/x",
            "/opt/app/secrets",
            "/tmp/x",
            "/mnt/x",
            "/data/x",
            "C:\\Users\\x",
            "\\\\host\\share",
            "a/../../b",
            "https://h/x",
            "/lib64/x",
            "/job:worker/task:0",
        ] {
            assert!(away(text, "SaveV2", Reach::Writes), "{text}");
            assert!(away(text, "TextLineDataset", Reach::Reads), "{text}");
        }
        for text in
            ["model", "variables/variables", "ram://x", "/job:localhost/device:CPU:0", "a:b", "vocab.txt"]
        {
            assert!(!away(text, "SaveV2", Reach::Writes), "{text}");
        }
        // Training graphs keep where their data lay.
        assert!(!leads_away("/data/train.tfrecord", "TFRecordDataset", Reach::Reads, false));
        assert!(leads_away("/data/train.tfrecord", "SaveV2", Reach::Writes, false));
        assert!(!away("/home/me/vocab.txt", "InitializeTableFromTextFileV2", Reach::Reads));
        assert!(away("/home/me/vocab.txt", "TextLineDataset", Reach::Reads));
        assert!(away("/etc/vocab.txt", "InitializeTableFromTextFileV2", Reach::Reads));
    }
}
