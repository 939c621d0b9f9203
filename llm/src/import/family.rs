//! The families of models that import knows, and what their blocks have beyond Llama's.

use accllm_hw::sizes::Linear;

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
    SmolLm3,
    Phi3,
}

/// How the two kinds of files call a family.
struct Named {
    family: Family,
    /// In `architectures` of a `config.json`.
    architecture: &'static str,
    /// Its `model_type`.
    kind: &'static str,
    /// `general.architecture` of a GGUF file; a Mistral model is called a Llama there.
    gguf: Option<&'static str>,
}

const FAMILIES: [Named; 6] = [
    Named { family: Family::Llama, architecture: "LlamaForCausalLM", kind: "llama", gguf: Some("llama") },
    Named { family: Family::Mistral, architecture: "MistralForCausalLM", kind: "mistral", gguf: None },
    Named { family: Family::Qwen2, architecture: "Qwen2ForCausalLM", kind: "qwen2", gguf: Some("qwen2") },
    Named { family: Family::Qwen3, architecture: "Qwen3ForCausalLM", kind: "qwen3", gguf: Some("qwen3") },
    Named {
        family: Family::SmolLm3,
        architecture: "SmolLM3ForCausalLM",
        kind: "smollm3",
        gguf: Some("smollm3"),
    },
    Named { family: Family::Phi3, architecture: "Phi3ForCausalLM", kind: "phi3", gguf: Some("phi3") },
];

impl Family {
    /// By a name in `architectures`.
    pub fn of_architecture(name: &str) -> Option<Self> {
        FAMILIES.iter().find(|f| f.architecture == name).map(|f| f.family)
    }

    /// By `model_type`.
    pub fn of_kind(name: &str) -> Option<Self> {
        FAMILIES.iter().find(|f| f.kind == name).map(|f| f.family)
    }

    /// By `general.architecture`.
    pub fn of_gguf(name: &str) -> Option<Self> {
        FAMILIES.iter().find(|f| f.gguf == Some(name)).map(|f| f.family)
    }

    /// Those of Hugging Face folders, for messages.
    pub fn folders() -> String {
        let each = FAMILIES.iter().map(|f| format!("{} ({:?})", f.architecture, f.kind));
        each.collect::<Vec<_>>().join(", ")
    }

    /// Those of GGUF files, for messages.
    pub fn files() -> String {
        FAMILIES.iter().filter_map(|f| f.gguf).map(|f| format!("{f:?}")).collect::<Vec<_>>().join(", ")
    }

    /// Linears that always add a bias.
    pub fn biases(self) -> &'static [Linear] {
        match self {
            Self::Qwen2 => &[Linear::Q, Linear::K, Linear::V],
            _ => &[],
        }
    }

    /// Whether query and key heads have norms of their own.
    pub fn head_norms(self) -> bool {
        self == Self::Qwen3
    }

    /// Whether q, k and v are one tensor, and gate and up another.
    pub fn fused(self) -> bool {
        self == Self::Phi3
    }

    /// Whether the pairs that RoPE turns are neighbours in a GGUF file.
    pub fn neighbours(self) -> bool {
        matches!(self, Self::Llama | Self::Mistral | Self::SmolLm3)
    }
}
