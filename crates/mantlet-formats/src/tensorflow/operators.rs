//! The operators of TensorFlow: which exist, and which reach out of the model.

use std::collections::HashSet;
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
        }
    }
}

/// What an operator reaches, if it does. Savers and restorers of checkpoints and readers of vocabulary files
/// are part of ordinary models and not among them.
#[must_use]
pub fn reach(operator: &str) -> Option<Reach> {
    Some(match operator {
        "ReadFile"
        | "MatchingFiles"
        | "WholeFileReader"
        | "WholeFileReaderV2"
        | "TextLineReader"
        | "TextLineReaderV2"
        | "FixedLengthRecordReader"
        | "FixedLengthRecordReaderV2"
        | "TFRecordReader"
        | "TFRecordReaderV2"
        | "LMDBReader"
        | "ImmutableConst"
        | "LoadDataset"
        | "SqlDataset"
        | "ExperimentalSqlDataset"
        | "LoadAndRemapMatrix"
        | "LMDBDataset"
        | "ExperimentalLMDBDataset"
        | "MatchingFilesDataset"
        | "ExperimentalMatchingFilesDataset" => Reach::Reads,
        "WriteFile"
        | "SaveDataset"
        | "SaveDatasetV2"
        | "DatasetToTFRecord"
        | "ExperimentalDatasetToTFRecord"
        | "WriteRawProtoSummary"
        | "DistributedSave"
        | "SnapshotDataset"
        | "SnapshotDatasetV2"
        | "CacheDataset"
        | "CacheDatasetV2" => Reach::Writes,
        "DataServiceDataset"
        | "DataServiceDatasetV2"
        | "DataServiceDatasetV3"
        | "DataServiceDatasetV4"
        | "RegisterDataset"
        | "RegisterDatasetV2"
        | "RpcCall"
        | "RpcClient"
        | "RpcServer"
        | "RpcServerRegister"
        | "RpcServerStart"
        | "DebugIdentity"
        | "DebugIdentityV2"
        | "DebugIdentityV3"
        | "BigQueryReader"
        | "GcsConfigureCredentials"
        | "Rpc"
        | "TryRpc"
        | "IO>KafkaDataset" => Reach::Network,
        "PyFunc" | "PyFuncStateless" | "EagerPyFunc" | "GeneratorDataset" => Reach::Python,
        _ => return None,
    })
}

/// What an operator reaches when it is given a place outside of the model; ordinary graphs hand it a place when they run.
#[must_use]
pub(super) fn reach_by_place(operator: &str) -> Option<Reach> {
    Some(match operator {
        "TextLineDataset"
        | "TFRecordDataset"
        | "TFRecordDatasetV2"
        | "FixedLengthRecordDataset"
        | "FixedLengthRecordDatasetV2"
        | "RestoreV2"
        | "Restore"
        | "RestoreSlice"
        | "InitializeTableFromTextFile"
        | "InitializeTableFromTextFileV2"
        | "DatasetFromGraph" => Reach::Reads,
        "SaveV2" | "Save" | "SaveSlices" | "MergeV2Checkpoints" | "CreateSummaryFileWriter" => Reach::Writes,
        "RemoteCall" | "CreateSummaryDbWriter" => Reach::Network,
        _ => return None,
    })
}

/// Whether a constant leads to other users' or the system's files, or to another machine.
#[must_use]
pub(super) fn leads_away(text: &str) -> bool {
    const PLACES: [&str; 9] =
        ["/etc/", "/root/", "/home/", "/proc/", "/var/", "/dev/", "/sys/", "/Users/", "~/"];
    let device = text.starts_with("/job:") && !text.starts_with("/job:localhost");
    let remote = text.contains("://") && !text.starts_with("ram://");
    device
        || remote
        || PLACES.iter().any(|place| text.starts_with(place)) && !text.ends_with("vocab.txt")
        || text.split(['/', '\\']).any(|part| part == "..")
}

/// An operator that reaches out of the model in a graph that is itself a constant.
#[must_use]
pub(super) fn carried(graph: &str) -> Option<(&'static str, Reach)> {
    // Field 2 of a node: its operator, after its length.
    const OPERATORS: [&str; 10] = [
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "ReadFile",
        "WriteFile",
        "MatchingFiles",
        "GeneratorDataset",
        "DebugIdentityV3",
        "WholeFileReaderV2",
        "DataServiceDatasetV4",
    ];
    OPERATORS.iter().find_map(|operator| {
        let length = char::from(u8::try_from(operator.len()).unwrap_or(0));
        let field = format!("\u{12}{length}{operator}");
        graph.contains(&field).then(|| Some((*operator, reach(operator)?))).flatten()
    })
}

/// Whether TensorFlow or TensorFlow Text has the operator.
#[must_use]
pub fn is_known(operator: &str) -> bool {
    static KNOWN: OnceLock<HashSet<&'static str>> = OnceLock::new();
    let known = KNOWN.get_or_init(|| include_str!("operators.txt").lines().collect());
    // Names below these belong to companions of TensorFlow.
    const FAMILIES: [&str; 6] = ["Text>", "TFText>", "Addons>", "TFRecommenders>", "TFDF>", "SimpleML"];
    known.contains(operator)
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
