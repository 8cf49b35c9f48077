//! What the members of a dialect's messages mean, as data.

use mantlet_vocab::Kind;

/// Whose words a text is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Voice {
    /// Always of this kind.
    Is(Kind),
    /// Of the kind that the `role` of the message around it says, wherever in the message that member stands.
    Role,
    /// Of the kind that the `type` of the event around it says.
    Event,
}

/// What stands at a place of a message. Arrays are looked through: their items mean what the array means.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Node {
    /// Anything; each string in it is a text, its keys are too.
    Free(Voice),
    /// A text; in a stream its parts come on the channel of this name, wherever they stand.
    Say(Voice, &'static str),
    /// An object of this shape.
    Object(&'static Shape),
    /// One of these words; another string is a text.
    Word(&'static [&'static str]),
    /// A text that events repeat: only a change is told.
    Echo,
    /// Who speaks in the message around it.
    Role,
    /// The `type` of the event around it.
    Type,
    /// The place of the surrounding object among its like: level 0 is a choice or block, 1 a tool call or part.
    Index(u8),
    /// The model's name.
    Model,
    /// Whether a stream is asked for.
    Stream,
    /// Whether the stream shall count tokens.
    IncludeUsage,
    /// The most tokens to answer with.
    MaxTokens,
    /// How many answers.
    Choices,
    /// Whether, or how many, probabilities are asked for.
    AskLogprobs,
    /// A tool's name where it is defined.
    Tool,
    /// Why a choice ended.
    Finish,
    /// Tokens counted in the request.
    InputTokens,
    /// Tokens counted in the answer.
    OutputTokens,
    /// Text that may also come as numbers of tokens, which cannot be read.
    Prompt(Voice),
    /// Numbers, or a string that holds them in base64.
    Numbers,
    /// A URL, data URL or base64 of an image, sound or file.
    Media,
    /// A string that holds JSON.
    Json(Voice, &'static str),
    /// Probabilities of tokens, which repeat the answer in small parts.
    Logprobs,
    /// The id of a JSON-RPC call.
    RpcId,
    /// The method of a JSON-RPC call.
    Method,
    /// The name of a tool that is called.
    Called,
    /// What an error says; without one, `null` or nothing.
    Failure,
}

/// An object of a dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// What its members mean.
    pub(crate) members: &'static [(&'static str, Node)],
    /// A string that stands in the object's place.
    pub(crate) text: Node,
    /// Members not named.
    pub(crate) rest: Voice,
    /// What ends with the object.
    pub(crate) scope: Scope,
}

/// What belongs to one object and ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing.
    None,
    /// A `role`, which when missing is this one.
    Message(Kind),
    /// A place among its like at this level.
    Indexed(u8),
    /// A whole event: a type and places at both levels.
    Event,
}

pub(crate) const UNKNOWN: Node = Node::Free(Voice::Is(Kind::Unknown));

impl Shape {
    /// A shape whose unknown members, and a string in its place, are of kind `Unknown`.
    pub(crate) const fn of(members: &'static [(&'static str, Node)]) -> Self {
        Self { members, text: UNKNOWN, rest: Voice::Is(Kind::Unknown), scope: Scope::None }
    }

    pub(crate) const fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(crate) const fn text(self, text: Node) -> Self {
        Self { text, ..self }
    }

    pub(crate) const fn rest(self, rest: Voice) -> Self {
        Self { rest, ..self }
    }

    /// What the member of this name means, when the shape names it.
    pub(crate) fn member(&self, key: &str) -> Option<Node> {
        self.members.iter().find(|(name, _)| *name == key).map(|(_, node)| *node)
    }
}

/// The kind that a `role` says.
pub(crate) fn role(word: &str) -> Option<Kind> {
    Some(match word {
        "system" | "developer" => Kind::System,
        "user" => Kind::User,
        "assistant" | "model" => Kind::Assistant,
        "tool" | "function" => Kind::ToolResult,
        _ => return None,
    })
}
