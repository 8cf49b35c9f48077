//! Which call of a language-model endpoint a method and path are.

/// A call whose body is text for, or from, a language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Surface {
    /// `POST /v1/chat/completions`
    OpenAiChat,
    /// `POST /v1/completions`
    OpenAiCompletions,
    /// `POST /v1/responses`
    OpenAiResponses,
    /// `POST /v1/embeddings`
    OpenAiEmbeddings,
    /// `POST /v1/moderations`
    OpenAiModerations,
    /// `/v1/files` and below: multipart bodies, see [`crate::form::read_form`].
    OpenAiFiles,
    /// `GET /v1/models` and `GET /v1/models/{id}`: no body.
    Models,
    /// `POST /v1/messages`
    AnthropicMessages,
    /// `POST /v1/messages/count_tokens`
    AnthropicCountTokens,
    /// JSON-RPC of the Model Context Protocol: `/mcp`, and `/sse` with `/messages/` of its older transport.
    Mcp,
}

impl Surface {
    /// Every surface.
    pub const ALL: [Self; 10] = [
        Self::OpenAiChat,
        Self::OpenAiCompletions,
        Self::OpenAiResponses,
        Self::OpenAiEmbeddings,
        Self::OpenAiModerations,
        Self::OpenAiFiles,
        Self::Models,
        Self::AnthropicMessages,
        Self::AnthropicCountTokens,
        Self::Mcp,
    ];

    /// The surface's stable name, used in configuration, records and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiCompletions => "openai-completions",
            Self::OpenAiResponses => "openai-responses",
            Self::OpenAiEmbeddings => "openai-embeddings",
            Self::OpenAiModerations => "openai-moderations",
            Self::OpenAiFiles => "openai-files",
            Self::Models => "models",
            Self::AnthropicMessages => "anthropic-messages",
            Self::AnthropicCountTokens => "anthropic-count-tokens",
            Self::Mcp => "mcp",
        }
    }

    /// Whether answers of this surface can be streams of events.
    #[must_use]
    pub const fn streams(self) -> bool {
        matches!(
            self,
            Self::OpenAiChat
                | Self::OpenAiCompletions
                | Self::OpenAiResponses
                | Self::AnthropicMessages
                | Self::Mcp
        )
    }

    /// Whether errors have Anthropic's shape.
    pub(crate) const fn anthropic(self) -> bool {
        matches!(self, Self::AnthropicMessages | Self::AnthropicCountTokens)
    }
}

/// The text call that a method and a path (without query) make; `None` when it is none.
///
/// Paths are compared as they are: percent-encoding, empty and dot segments make it `None`, so that no two servers
/// can read one path differently. [`Surface::Mcp`] is at `/mcp`, `/sse` and
/// `/messages/`. Calls that fetch or change what a server keeps (`GET /v1/responses/{id}`, batches, assistants) are none:
/// their texts would not be seen.
#[must_use]
pub fn surface(method: &str, path: &str) -> Option<Surface> {
    let rest = path.strip_prefix("/v1/");
    let post = method == "POST";
    let get = matches!(method, "GET" | "HEAD");
    Some(match rest {
        Some("chat/completions") if post => Surface::OpenAiChat,
        Some("completions") if post => Surface::OpenAiCompletions,
        Some("responses") if post => Surface::OpenAiResponses,
        Some("embeddings") if post => Surface::OpenAiEmbeddings,
        Some("moderations") if post => Surface::OpenAiModerations,
        Some("messages") if post => Surface::AnthropicMessages,
        Some("messages/count_tokens") if post => Surface::AnthropicCountTokens,
        Some("models") if get => Surface::Models,
        Some(rest) if get && rest.strip_prefix("models/").is_some_and(segments) => Surface::Models,
        Some("files") if post || get => Surface::OpenAiFiles,
        Some(rest) if (get || method == "DELETE") && rest.strip_prefix("files/").is_some_and(segments) => {
            Surface::OpenAiFiles
        }
        _ if path == "/mcp" && (post || get || method == "DELETE") => Surface::Mcp,
        // The older transport: one stream of answers, and a path for messages that the stream names.
        _ if path == "/sse" && get => Surface::Mcp,
        _ if matches!(path, "/messages" | "/messages/") && post => Surface::Mcp,
        _ => return None,
    })
}

/// Whether a path holds plain segments only.
fn segments(path: &str) -> bool {
    path.len() <= 256
        && path.split('/').all(|segment| {
            !segment.is_empty()
                && segment != "."
                && segment != ".."
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':'))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_one_way_only() {
        for (method, path, expected) in [
            ("POST", "/v1/chat/completions", Some(Surface::OpenAiChat)),
            ("GET", "/v1/chat/completions", None),
            ("POST", "/v1/chat/completions/", None),
            ("POST", "/v1//chat/completions", None),
            ("POST", "/v1/chat%2fcompletions", None),
            ("POST", "/v1/messages", Some(Surface::AnthropicMessages)),
            ("POST", "/v1/messages/count_tokens", Some(Surface::AnthropicCountTokens)),
            ("POST", "/v1/messages/batches", None),
            ("POST", "/v1/responses", Some(Surface::OpenAiResponses)),
            ("GET", "/v1/responses/resp_1", None),
            ("GET", "/v1/models", Some(Surface::Models)),
            ("GET", "/v1/models/org/name:tag", Some(Surface::Models)),
            ("GET", "/v1/models/../files", None),
            ("POST", "/v1/files", Some(Surface::OpenAiFiles)),
            ("GET", "/v1/files/file-1/content", Some(Surface::OpenAiFiles)),
            ("POST", "/mcp", Some(Surface::Mcp)),
            ("PUT", "/mcp", None),
            ("GET", "/sse", Some(Surface::Mcp)),
            ("POST", "/messages/", Some(Surface::Mcp)),
            ("GET", "/messages/", None),
            ("POST", "/sse", None),
            ("POST", "/v2/models/m/infer", None),
        ] {
            assert_eq!(surface(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn names_differ() {
        let names: std::collections::BTreeSet<_> = Surface::ALL.into_iter().map(Surface::name).collect();
        assert_eq!(names.len(), Surface::ALL.len());
    }
}
