//! Rules over archives of torch.

mod foreign_operator;
mod script_operator;
mod server_code;
mod storage_mismatch;
mod weights_only;

use crate::Rule;

/// The rooms of this family.
pub(crate) fn all() -> Vec<&'static dyn Rule> {
    vec![
        &script_operator::TorchScriptOperator,
        &foreign_operator::TorchForeignOperator,
        &storage_mismatch::TorchStorageMismatch,
        &weights_only::TorchWeightsOnly,
        &server_code::TorchServerCode,
    ]
}
