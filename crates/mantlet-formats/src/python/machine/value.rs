//! What is known of a value while source is followed.

use std::collections::HashMap;
use std::rc::Rc;

use super::super::Origin;
use super::tree::{Def, Name};

/// A value: what it is, and where it came from.
#[derive(Debug, Clone, Default)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) taint: Taint,
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taint {
    pub(super) origin: Origin,
    /// Text that was put together or decoded, or a function that was reached by such a text.
    pub(super) made: bool,
    /// Reached through what Python keeps for itself: `__globals__`, `__subclasses__`, frames.
    pub(super) inside: bool,
    /// A tree of code that the program builds.
    pub(super) built: bool,
}

impl Taint {
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            origin: self.origin.and(other.origin),
            made: self.made || other.made,
            inside: self.inside || other.inside,
            built: self.built || other.built,
        }
    }
}

/// Where a thing that can change is kept.
pub(super) type Id = u32;

#[derive(Debug, Clone, Default)]
pub(super) enum Kind {
    #[default]
    Unknown,
    None,
    Bool(bool),
    Int(i64),
    Str(Name),
    /// Bytes, each as the character of its number.
    Bytes(Name),
    /// What another module or the interpreter has under a full name; a call's result ends in `()`.
    Path(Name),
    /// Source that was compiled.
    Code(Name),
    At(Id),
}

/// How a row of values is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    List,
    Tuple,
    Set,
    /// Taken one by one.
    Iterator,
}

/// An argument of a call: its keyword and value.
pub(super) type Arg = (Option<Name>, Value);

/// Names of a scope, class or object.
pub(super) type Names = HashMap<Name, Value>;

/// What decides how a function in a class is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrap {
    Property,
    Static,
    Class,
}

/// What the interpreter calls a function of its own for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Maker {
    Attribute,
    Item,
    Method,
}

#[derive(Debug, Clone)]
pub(super) enum Thing {
    Row {
        items: Vec<Value>,
        shape: Shape,
        open: bool,
    },
    Map {
        pairs: Vec<(Value, Value)>,
        open: bool,
        factory: Option<Value>,
    },
    /// Names in `outer` are kept in another scope (`global`, `nonlocal`).
    Scope {
        names: Names,
        parent: Option<Id>,
        class: bool,
        outer: Vec<(Name, Id)>,
    },
    Function(Rc<Function>),
    Bound {
        function: Value,
        this: Value,
    },
    Partial {
        function: Value,
        given: Vec<Arg>,
    },
    Class(Class),
    Object {
        class: Value,
        names: Names,
    },
    Wrapped {
        how: Wrap,
        inner: Value,
    },
    /// `attrgetter`, `itemgetter` and `methodcaller` with what they were given.
    Maker {
        what: Maker,
        given: Vec<Arg>,
    },
    /// A generator that has not run.
    Generator {
        function: Value,
        given: Vec<Arg>,
    },
    /// One of these.
    Any(Vec<Value>),
    Super {
        class: Value,
        this: Value,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Function {
    pub(super) def: Rc<Def>,
    pub(super) scope: Id,
    pub(super) defaults: Vec<Option<Value>>,
    /// The class it stands in.
    pub(super) class: Option<Id>,
}

#[derive(Debug, Clone)]
pub(super) struct Class {
    pub(super) name: Name,
    pub(super) bases: Vec<Value>,
    pub(super) names: Names,
    pub(super) meta: Option<Value>,
}

impl Value {
    pub(super) fn of(kind: Kind) -> Self {
        Self { kind, taint: Taint::default() }
    }

    pub(super) fn unknown(taint: Taint) -> Self {
        Self { kind: Kind::Unknown, taint }
    }

    pub(super) fn path(path: &str) -> Self {
        Self::of(Kind::Path(path.into()))
    }

    pub(super) fn text(text: impl Into<Name>) -> Self {
        Self::of(Kind::Str(text.into()))
    }

    pub(super) fn with(mut self, taint: Taint) -> Self {
        self.taint = self.taint.and(taint);
        self
    }

    /// Constant text or bytes.
    pub(super) fn as_text(&self) -> Option<&Name> {
        match &self.kind {
            Kind::Str(text) | Kind::Bytes(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_path(&self) -> Option<&str> {
        match &self.kind {
            Kind::Path(path) => Some(path),
            _ => None,
        }
    }

    pub(super) fn as_int(&self) -> Option<i64> {
        match self.kind {
            Kind::Int(number) => Some(number),
            Kind::Bool(truth) => Some(i64::from(truth)),
            _ => None,
        }
    }

    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown)
    }

    /// The same value, as far as constants go.
    pub(super) fn same(&self, other: &Self) -> Option<bool> {
        match (&self.kind, &other.kind) {
            (Kind::Unknown | Kind::Path(_), _) | (_, Kind::Unknown | Kind::Path(_)) => {
                match (&self.kind, &other.kind) {
                    (Kind::Path(one), Kind::Path(two)) if one == two => Some(true),
                    _ => None,
                }
            }
            (Kind::None, Kind::None) => Some(true),
            (Kind::Bool(_) | Kind::Int(_), Kind::Bool(_) | Kind::Int(_)) => {
                Some(self.as_int() == other.as_int())
            }
            (Kind::Str(one), Kind::Str(two)) | (Kind::Bytes(one), Kind::Bytes(two)) => Some(one == two),
            (Kind::At(one), Kind::At(two)) if one == two => Some(true),
            (Kind::At(_), Kind::At(_)) => None,
            (Kind::Code(_), _) | (_, Kind::Code(_)) => None,
            _ => Some(false),
        }
    }
}
