//! Whether `torch.load(weights_only=True)` would load a pickle, by the allow-list and opcodes of torch itself
//! (`torch/_weights_only_unpickler.py`, 2.15; user additions by `add_safe_globals` aside).

use super::Pickle;

/// Opcodes that torch's restricted unpickler knows.
const OPCODES: &[u8] = b"cRbaest(\x85\x86\x87N\x88\x89)]}\x8fJKMGXU\x8ahjqrQ\x80.\x81u";

const FUNCTIONS: [&str; 15] = [
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_qtensor",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_sparse_tensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_nested_tensor",
    "_rebuild_wrapper_subclass",
    "_rebuild_device_tensor_from_numpy",
    "_rebuild_device_tensor_from_cpu_tensor",
    "_rebuild_xla_tensor",
    "_rebuild_sparse_csr_tensor",
    "_rebuild_mlc_tensor",
];

fn allowed(module: &str, name: &str) -> bool {
    let dtype = || {
        let bits = name.trim_start_matches(|c: char| c.is_ascii_alphabetic() || c == '_');
        matches!(name, "bool" | "half" | "double" | "float" | "long" | "int" | "short")
            || name.starts_with(['f', 'b', 'i', 'u', 'c', 'q'])
                && bits.starts_with(|c: char| c.is_ascii_digit())
            || name.starts_with("per_tensor_")
            || name.starts_with("per_channel_")
    };
    match module {
        "collections" => matches!(name, "OrderedDict" | "Counter"),
        "builtins" => matches!(name, "set" | "bytearray" | "complex"),
        "codecs" | "_codecs" => name == "encode",
        "torch" => {
            matches!(name, "Size" | "Tensor" | "device")
                || name.ends_with("Storage")
                || name.ends_with("Tensor")
                || dtype()
        }
        "torch.cuda" | "torch.sparse" | "torch.cuda.sparse" => {
            name.ends_with("Storage") || name.ends_with("Tensor")
        }
        "torch.storage" => matches!(name, "UntypedStorage" | "TypedStorage"),
        "torch.nn.parameter" => matches!(name, "Parameter" | "UninitializedParameter"),
        "torch.serialization" => name == "_get_layout",
        "torch._tensor" => name == "_rebuild_from_type_v2",
        "torch._utils" => FUNCTIONS.contains(&name),
        _ => false,
    }
}

impl Pickle {
    /// What of this pickle `torch.load(weights_only=True)` refuses; empty when it would load it.
    #[must_use]
    pub fn refused_by_weights_only(&self) -> Vec<String> {
        let mut refused: Vec<String> = self
            .imports
            .iter()
            .filter(|import| !allowed(&import.module, &import.name))
            .map(|import| import.qualified())
            .collect();
        refused.extend(
            (0_u8..=255)
                .filter(|&code| self.used(code) && !OPCODES.contains(&code))
                .map(|code| format!("opcode 0x{code:02x}")),
        );
        refused
    }

    fn used(&self, code: u8) -> bool {
        self.opcodes_used[usize::from(code >> 6)] >> (code & 63) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn the_list_is_torchs_own() {
        for (module, name) in [
            ("torch", "FloatStorage"),
            ("torch", "float8_e4m3fn"),
            ("torch", "bfloat16"),
            ("torch", "uint3"),
            ("torch._utils", "_rebuild_tensor_v2"),
        ] {
            assert!(allowed(module, name), "{module}.{name}");
        }
        for (module, name) in
            [("torch", "load"), ("torch", "from_file"), ("builtins", "getattr"), ("numpy", "dtype")]
        {
            assert!(!allowed(module, name), "{module}.{name}");
        }
    }
}
