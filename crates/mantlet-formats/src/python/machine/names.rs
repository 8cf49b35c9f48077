//! The names of a source and what they stand for, whatever scope they are in.

use std::collections::{HashMap, HashSet};

use super::super::calls::Power;
use super::library;
use super::tree::{Expr, Name, Node, Stmt};
use super::walk::{MAX_DEPTH, literal};

/// The names of a source, whatever scope they stand in.
#[derive(Default)]
pub(super) struct Known {
    imported: HashMap<Name, String>,
    stars: Vec<String>,
    bound: HashSet<Name>,
}

impl Known {
    fn block(&mut self, block: &[Stmt], class: bool, depth: u32) {
        for statement in block {
            self.statement(statement, class, depth);
        }
    }

    fn target(&mut self, target: &Expr, depth: u32) {
        match &target.node {
            Node::Name(name) => {
                self.bound.insert(name.clone());
            }
            Node::Tuple(all) | Node::List(all) if depth < MAX_DEPTH => {
                all.iter().for_each(|one| self.target(one, depth + 1));
            }
            Node::Star(inner) | Node::Unary("()", inner) if depth < MAX_DEPTH => {
                self.target(inner, depth + 1);
            }
            _ => {}
        }
    }

    pub(super) fn statement(&mut self, statement: &Stmt, class: bool, depth: u32) {
        if depth >= MAX_DEPTH {
            return;
        }
        let depth = depth + 1;
        match statement {
            Stmt::Import(all) => {
                for (path, alias) in all {
                    let root = path.split('.').next().unwrap_or(path);
                    match alias {
                        Some(alias) => self.imported.insert(alias.clone(), library::module(path)),
                        None => self.imported.insert(root.into(), library::module(root)),
                    };
                }
            }
            Stmt::From(module, names, star) => {
                if *star && self.stars.len() < 64 {
                    self.stars.push(module.clone());
                }
                for (name, alias) in names {
                    self.imported.insert(alias.clone(), format!("{module}.{name}"));
                }
            }
            Stmt::Assign(targets, _) if !class => {
                targets.iter().for_each(|target| self.target(target, depth));
            }
            Stmt::Annotated(target, ..) if !class => self.target(target, depth),
            Stmt::If(_, one, two) | Stmt::While(_, one, two) => {
                self.block(one, class, depth);
                self.block(two, class, depth);
            }
            Stmt::For(target, _, one, two) => {
                self.target(target, depth);
                self.block(one, class, depth);
                self.block(two, class, depth);
            }
            Stmt::Try(body, handlers, other, last) => {
                self.block(body, class, depth);
                handlers.iter().for_each(|(_, _, body)| self.block(body, class, depth));
                self.block(other, class, depth);
                self.block(last, class, depth);
            }
            Stmt::With(_, body) => self.block(body, class, depth),
            Stmt::Match(_, cases) => {
                cases.iter().for_each(|(_, _, body)| self.block(body, class, depth));
            }
            Stmt::Def(def) => {
                if !class {
                    self.bound.insert(def.name.clone());
                }
                self.bound.extend(def.parameters.iter().map(|parameter| parameter.name.clone()));
                self.block(&def.body, false, depth);
            }
            Stmt::Class(class) => {
                self.bound.insert(class.name.clone());
                self.block(&class.body, true, depth);
            }
            _ => {}
        }
    }

    /// The full name of an expression that is a name of another module or of the interpreter.
    fn path(&self, expr: &Expr, depth: u32) -> Option<String> {
        match &expr.node {
            Node::Name(name) => {
                if let Some(path) = self.imported.get(name) {
                    return Some(path.clone());
                }
                if self.bound.contains(name) {
                    return None;
                }
                if matches!(name.as_ref(), "exec" | "eval" | "execfile" | "__import__" | "compile") {
                    return Some(name.to_string());
                }
                self.stars
                    .iter()
                    .map(|module| format!("{module}.{name}"))
                    .find(|path| library::is_grave(&library::canonical(path)))
            }
            Node::Attribute(base, name) if depth < 12 => {
                let base = self.path(base, depth + 1)?;
                Some(format!("{base}.{name}"))
            }
            Node::Unary("()", inner) if depth < 12 => self.path(inner, depth + 1),
            Node::Call(callee, given) if depth < 12 => {
                let callee = self.path(callee, depth + 1)?;
                let text = given.first().and_then(|one| literal(&one.value))?;
                matches!(callee.as_str(), "__import__" | "importlib.import_module")
                    .then(|| library::module(&text))
            }
            _ => None,
        }
    }

    /// A function of power by its name.
    pub(super) fn power(&self, expr: &Expr) -> Option<(String, Power)> {
        let path = library::canonical(&self.path(expr, 0)?);
        let power = library::power(&path);
        matches!(power, Power::Runs | Power::Evaluates | Power::Network).then_some((path, power))
    }
}
