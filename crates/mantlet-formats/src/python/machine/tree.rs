//! Python source as a tree.

use std::rc::Rc;

/// An expression and its line.
#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) line: u32,
    pub(super) node: Node,
}

/// A name or a piece of text.
pub(super) type Name = Rc<str>;

#[derive(Debug, Clone)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float,
    Str(Name),
    Bytes(Name),
    /// A formatted string: constant pieces and expressions.
    Format(Vec<Expr>),
    Name(Name),
    Attribute(Box<Expr>, Name),
    Index(Box<Expr>, Box<Expr>),
    Slice(Option<Box<Expr>>, Option<Box<Expr>>, Option<Box<Expr>>),
    Call(Box<Expr>, Vec<Given>),
    Unary(&'static str, Box<Expr>),
    /// Operands with the same operator between them.
    Chain(&'static str, Vec<Expr>),
    /// `and` and `or`.
    Either(bool, Box<Expr>, Box<Expr>),
    Compare(&'static str, Box<Expr>, Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    Lambda(Rc<Def>),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Set(Vec<Expr>),
    /// Pairs; a pair without a key is `**value`.
    Dict(Vec<(Option<Expr>, Expr)>),
    Comprehension(Box<Comprehension>),
    Walrus(Name, Box<Expr>),
    Await(Box<Expr>),
    Yield(Option<Box<Expr>>),
    YieldFrom(Box<Expr>),
    Star(Box<Expr>),
    /// What is not read.
    Unknown,
}

#[derive(Debug, Clone)]
pub(super) struct Comprehension {
    pub(super) key: Option<Expr>,
    pub(super) element: Expr,
    pub(super) clauses: Vec<(Expr, Expr, Vec<Expr>)>,
    pub(super) set: bool,
}

/// How an argument is given.
#[derive(Debug, Clone)]
pub(super) enum How {
    Position,
    Keyword(Name),
    Star,
    Stars,
}

#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) how: How,
    pub(super) value: Expr,
}

#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: Name,
    pub(super) default: Option<Expr>,
    /// 0 for one value, 1 for `*args`, 2 for `**kwargs`.
    pub(super) stars: u8,
    /// It is given by its name alone.
    pub(super) keyword: bool,
}

/// A function or lambda.
#[derive(Debug)]
pub(super) struct Def {
    pub(super) name: Name,
    pub(super) parameters: Vec<Parameter>,
    /// Annotations that call something, of parameters and of what it returns.
    pub(super) annotations: Vec<Expr>,
    pub(super) decorators: Vec<Expr>,
    pub(super) body: Vec<Stmt>,
    pub(super) yields: bool,
    pub(super) line: u32,
}

#[derive(Debug)]
pub(super) struct ClassDef {
    pub(super) name: Name,
    pub(super) bases: Vec<Given>,
    pub(super) decorators: Vec<Expr>,
    pub(super) body: Vec<Stmt>,
    pub(super) line: u32,
}

/// The class that an `except` names, the name it binds, and what it does.
pub(super) type Handler = (Option<Expr>, Option<Name>, Vec<Stmt>);

/// The pattern of a `case`, its guard, and what it does.
pub(super) type MatchCase = (Expr, Option<Expr>, Vec<Stmt>);

#[derive(Debug, Clone)]
pub(super) enum Stmt {
    Expr(Expr),
    Assign(Vec<Expr>, Expr),
    Augment(Expr, &'static str, Expr),
    /// What is annotated, the annotation where it is evaluated and calls something, and the value.
    Annotated(Expr, Option<Expr>, Option<Expr>),
    Delete(Expr),
    Return(Option<Expr>),
    Raise(Option<Expr>),
    Import(Vec<(String, Option<Name>)>),
    From(String, Vec<(Name, Name)>, bool),
    Global(Vec<Name>),
    If(Expr, Rc<[Stmt]>, Rc<[Stmt]>),
    While(Expr, Rc<[Stmt]>, Rc<[Stmt]>),
    For(Expr, Expr, Rc<[Stmt]>, Rc<[Stmt]>),
    Try(Rc<[Stmt]>, Rc<[Handler]>, Rc<[Stmt]>, Rc<[Stmt]>),
    With(Vec<(Expr, Option<Expr>)>, Rc<[Stmt]>),
    Def(Rc<Def>),
    Class(Rc<ClassDef>),
    Match(Expr, Rc<[MatchCase]>),
    Break,
    Continue,
    Pass,
}
