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
