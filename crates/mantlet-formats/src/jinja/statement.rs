//! Statements: loops over constants run, every branch is taken, macros are entered.
//!
//! Long because the statements share one position and one scope.

use super::expression::HUGE;
use super::lex::Kind;
use super::value::{MAX_TEXT, Value, transform};
use super::{MAX_DEPTH, Machine, Macro, names};

/// What a run of statements prints, when it is known.
type Output = Option<String>;

fn append(output: &mut Output, text: Option<&str>) {
    *output = match (output.take(), text) {
        (Some(mut out), Some(text)) if out.len() + text.len() <= MAX_TEXT => {
            out.push_str(text);
            Some(out)
        }
        _ => None,
    };
}

impl<'t> Machine<'t> {
    pub(super) fn kind(&self) -> Option<&Kind<'t>> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    pub(super) fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |token| token.at)
    }

    pub(super) fn step(&mut self) {
        self.steps = self.steps.saturating_sub(1);
        self.at = if self.steps == 0 { self.tokens.len() } else { self.at + 1 };
    }

    fn jump(&mut self, to: usize) {
        self.at = if self.steps == 0 { self.tokens.len() } else { to };
    }

    pub(super) fn name(&mut self) -> Option<&'t str> {
        let &Kind::Name(name) = self.kind()? else { return None };
        self.step();
        Some(name)
    }

    pub(super) fn eat(&mut self, op: &str) -> bool {
        let found = matches!(self.kind(), Some(Kind::Op(found)) if *found == op);
        if found {
            self.step();
        }
        found
    }

    pub(super) fn word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        if found {
            self.step();
        }
        found
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        matches!(self.kind(), Some(Kind::Name(found)) if *found == word)
    }

    pub(super) fn template(&mut self) {
        while self.at < self.tokens.len() {
            self.block(&[]);
            // An end tag without its beginning.
            if self.at < self.tokens.len() {
                self.tag_end();
            }
        }
    }

    /// Up to and over the end of the current tag; what stands before it made no sense.
    fn tag_end(&mut self) {
        let from = self.offset();
        let mut skipped = self.broke;
        loop {
            match self.kind() {
                Some(Kind::Close | Kind::CloseVar) => {
                    self.step();
                    break;
                }
                Some(Kind::Data(_) | Kind::Open | Kind::OpenVar) | None => {
                    skipped = true;
                    break;
                }
                Some(_) => {
                    self.step();
                    skipped = true;
                }
            }
        }
        self.broke = false;
        if skipped && self.steps > 0 {
            self.not_jinja(from);
        }
    }

    fn not_jinja(&mut self, from: usize) {
        let text = self.text;
        let end = self.offset().max(from).min(from + 2_000);
        let part = text.get(from..).map_or("", |rest| {
            let mut len = (end - from).min(rest.len());
            while !rest.is_char_boundary(len) {
                len -= 1;
            }
            &rest[..len]
        });
        if let Some(name) = names::named_in(part) {
            self.touch("an expression that is not Jinja", name, from);
        }
        let what = part.chars().take(60).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self::spot(&mut self.facts.broken, what, from);
    }

    /// Statements up to one of the tags in `until`, whose name is the next token then; `Open` is consumed.
    pub(super) fn block(&mut self, until: &[&str]) -> Output {
        let mut output = Some(String::new());
        let mut before = "";
        while let Some(kind) = self.kind().cloned() {
            match kind {
                Kind::Data(text) => {
                    append(&mut output, Some(text));
                    before = text;
                    self.step();
                }
                Kind::OpenVar => {
                    self.facts.tags += 1;
                    self.step();
                    let offset = self.offset();
                    let value = self.tuple();
                    self.leak(before, &value, offset);
                    append(&mut output, value.text().as_deref());
                    self.tag_end();
                }
                Kind::Open => {
                    self.facts.tags += 1;
                    self.step();
                    let Some(&Kind::Name(name)) = self.kind() else {
                        self.tag_end();
                        continue;
                    };
                    if until.contains(&name) {
                        return output;
                    }
                    if until.is_empty() && self.depth == 0 && name.starts_with("end") {
                        return output;
                    }
                    self.step();
                    if self.depth >= MAX_DEPTH {
                        self.broke = true;
                        let why = "blocks of the template are nested too deep";
                        if !self.facts.limits.iter().any(|limit| limit == why) {
                            self.facts.limits.push(why.into());
                        }
                        self.tag_end();
                        continue;
                    }
                    self.depth += 1;
                    let printed = self.statement(name);
                    self.depth -= 1;
                    append(&mut output, printed.as_deref());
                }
                _ => self.tag_end(),
            }
        }
        output
    }

    /// Prints what was said into an address that has begun in the text before, or in the value itself.
    fn leak(&mut self, before: &str, value: &Value, offset: usize) {
        let begun = before.rfind("://").is_some_and(|at| {
            let rest = &before[at + 3..];
            rest.contains(['/', '?']) && !rest.contains([' ', ')', '"', '\'', '>', ']', '\n'])
        });
        let told = |path: &str| path.contains("content") || path.contains("messages");
        for one in value.clone().alternatives() {
            let Value::Sym { path, .. } = &one else { continue };
            if told(path) && (begun || path.contains("http://") || path.contains("https://")) {
                let start = before.rfind("http").filter(|_| begun).map_or("", |at| &before[at..]);
                let what = format!("{}{}", start.chars().take(80).collect::<String>(), one.shown());
                Self::spot(&mut self.facts.leaks, what, offset);
            }
        }
    }

    /// Over the end tag that [`Self::block`] stopped at.
    fn end(&mut self) {
        self.step();
        self.name();
        self.tag_end();
    }

    fn body(&mut self, end: &str) -> Output {
        self.tag_end();
        let output = self.block(&[end]);
        self.end();
        output
    }

    fn statement(&mut self, name: &'t str) -> Output {
        match name {
            "for" => self.for_loop(),
            "if" => {
                self.condition();
                None
            }
            "set" => {
                self.assignment();
                Some(String::new())
            }
            "macro" => {
                self.define();
                Some(String::new())
            }
            "call" => {
                if self.eat("(") {
                    self.parameters();
                }
                self.expression();
                self.body("endcall");
                None
            }
            "filter" => {
                let filter = self.name().unwrap_or("");
                let (arguments, _) = if self.eat("(") { self.arguments() } else { Default::default() };
                let printed = self.body("endfilter")?;
                transform(filter, &Value::Str(printed), &arguments)?.text()
            }
            "with" => {
                while let Some(target) = self.name() {
                    if self.eat("=") {
                        let value = self.expression();
                        self.bind(target.to_owned(), value);
                    }
                    if !self.eat(",") {
                        break;
                    }
                }
                self.body("endwith")
            }
            "block" => {
                self.name();
                self.word("scoped");
                self.word("required");
                self.body("endblock")
            }
            "autoescape" => {
                self.expression();
                self.body("endautoescape")
            }
            "generation" => self.body("endgeneration"),
            "trans" => {
                while !matches!(self.kind(), Some(Kind::Close) | None) {
                    self.step();
                }
                self.body("endtrans")
            }
            "include" | "import" | "extends" | "from" => {
                self.load(name);
                None
            }
            "do" => {
                self.tuple();
                self.tag_end();
                Some(String::new())
            }
            "break" | "continue" | "debug" => {
                self.tag_end();
                None
            }
            _ => {
                self.broke = true;
                self.tag_end();
                None
            }
        }
    }

    fn load(&mut self, name: &str) {
        let offset = self.offset();
        let target = self.expression();
        let what = format!("{name} {}", target.shown());
        Self::spot(&mut self.facts.loads, what, offset);
        // `import x`, `as y`, `ignore missing`, `with context`.
        while matches!(self.kind(), Some(Kind::Name(_) | Kind::Op(","))) {
            self.step();
        }
        self.tag_end();
    }

    fn targets(&mut self) -> Vec<&'t str> {
        let mut targets = Vec::new();
        loop {
            self.eat("(");
            let Some(name) = self.name() else { break };
            targets.push(name);
            self.eat(")");
            if !self.eat(",") {
                break;
            }
        }
        targets
    }

    fn for_loop(&mut self) -> Output {
        let targets = self.targets();
        if !self.word("in") {
            self.broke = true;
        }
        self.ranged = None;
        let over = self.unconditional_tuple();
        let ranged = self.ranged.take();
        let turns = match &over {
            Value::List(items) => items.len() as i64,
            Value::Sym { path, .. } if path.starts_with("range(") => ranged.unwrap_or(1),
            _ => 1,
        };
        let outer = self.turns;
        self.turns = outer.saturating_mul(turns.clamp(1, i64::MAX));
        // A single loop of that many turns is said where its numbers are made.
        if self.turns >= HUGE && outer < HUGE && turns < HUGE {
            let what = format!("loops of {} turns in all", self.turns);
            let offset = self.offset();
            Self::spot(&mut self.facts.exhausts, what, offset);
        }
        let filtered = self.word("if");
        if filtered {
            self.branch += 1;
            self.expression();
            self.branch -= 1;
        }
        self.word("recursive");
        self.tag_end();
        let body = self.at;
        let items = over.items().filter(|items| items.len() <= 64 && !filtered);
        let mut output = Some(String::new());
        if let Some(items) = items.filter(|items| !items.is_empty()) {
            for item in items {
                self.jump(body);
                self.bind_all(&targets, item);
                let printed = self.block(&["endfor", "else"]);
                append(&mut output, printed.as_deref());
            }
        } else {
            output = None;
            // A second time round: what the first one assigned is known then.
            for _ in 0..2 {
                self.jump(body);
                let item = match &over {
                    Value::Sym { path, built } => Value::Sym { path: format!("{path}[i]"), built: *built },
                    Value::Any(all) => all
                        .iter()
                        .filter_map(Value::items)
                        .flatten()
                        .take(16)
                        .reduce(Value::or)
                        .unwrap_or(Value::sym("item")),
                    other => Value::sym(format!("{}[i]", other.shown())),
                };
                self.branch += 1;
                self.bind_all(&targets, item);
                self.block(&["endfor", "else"]);
                self.branch -= 1;
            }
        }
        if self.at_word("else") {
            self.end();
            self.branch += 1;
            self.block(&["endfor"]);
            self.branch -= 1;
            output = None;
        }
        self.turns = outer;
        self.end();
        output
    }

    fn bind_all(&mut self, targets: &[&str], item: Value) {
        if let [one] = targets {
            self.names.insert((*one).to_owned(), item);
            return;
        }
        for (index, target) in targets.iter().enumerate() {
            let part = match &item {
                Value::List(parts) => parts.get(index).cloned().unwrap_or(Value::None),
                other => Value::Sym { path: format!("{}.{target}", other.shown()), built: other.is_built() },
            };
            self.names.insert((*target).to_owned(), part);
        }
    }

    fn condition(&mut self) {
        self.branch += 1;
        let known = self.facts.triggers.len() + self.facts.dates.len();
        self.expression();
        self.tag_end();
        let body = self.at;
        loop {
            self.block(&["elif", "else", "endif"]);
            if self.facts.triggers.len() + self.facts.dates.len() > known {
                self.injection(body);
            }
            let next = self.name();
            match next {
                Some("elif") => {
                    self.expression();
                    self.tag_end();
                }
                Some("else") => self.tag_end(),
                _ => {
                    self.tag_end();
                    break;
                }
            }
        }
        self.branch -= 1;
    }

    /// A branch taken for a word in a message that writes sentences of its own into the prompt.
    fn injection(&mut self, body: usize) {
        for token in self.tokens.get(body..self.at).unwrap_or(&[]) {
            let text = match &token.kind {
                Kind::Data(text) => *text,
                Kind::Str(text) => text.as_str(),
                _ => continue,
            };
            let words = text.split_whitespace().filter(|word| word.chars().all(char::is_alphabetic)).count();
            let leads = text.contains("://") || text.contains("<script");
            if words >= 6 || words >= 2 && leads {
                let what =
                    text.trim().chars().take(120).map(|c| if c.is_control() { ' ' } else { c }).collect();
                Self::spot(&mut self.facts.injections, what, token.at);
            }
        }
    }

    /// Assigns, or adds an alternative inside a branch.
    fn bind(&mut self, name: String, value: Value) {
        if self.names.len() > 4_096 {
            self.limit("the template gives more names than are followed");
            return;
        }
        let value = match self.names.remove(&name) {
            Some(old) if self.branch > 0 => old.or(value),
            _ => value,
        };
        self.names.insert(name, value);
    }

    fn assignment(&mut self) {
        let mut targets = Vec::new();
        loop {
            self.eat("(");
            let Some(mut target) = self.name().map(str::to_owned) else { break };
            while self.eat(".") {
                let part = self.name().unwrap_or("");
                target = format!("{target}.{part}");
            }
            targets.push(target);
            self.eat(")");
            if !self.eat(",") {
                break;
            }
        }
        if self.eat("=") {
            self.space = None;
            let mut value = self.tuple();
            if let (Some(fields), [one]) = (self.space.take(), targets.as_slice()) {
                for (field, value) in fields {
                    self.bind(format!("{one}.{field}"), value);
                }
                value = Value::sym(one.as_str());
            }
            self.tag_end();
            if let [one] = targets.as_slice() {
                self.bind(one.clone(), value);
                return;
            }
            for (index, target) in targets.into_iter().enumerate() {
                let part = match &value {
                    Value::List(parts) => parts.get(index).cloned().unwrap_or(Value::None),
                    other => Value::sym(format!("{}[{index}]", other.shown())),
                };
                self.bind(target, part);
            }
            return;
        }
        let mut filters = Vec::new();
        while self.eat("|") {
            let filter = self.name().unwrap_or("");
            let (arguments, _) = if self.eat("(") { self.arguments() } else { Default::default() };
            filters.push((filter, arguments));
        }
        let printed = self.body("endset");
        let mut value = printed.map_or_else(|| Value::sym("a block of text"), Value::string);
        for (filter, arguments) in filters {
            value = transform(filter, &value, &arguments).unwrap_or_else(|| Value::sym("a block of text"));
        }
        if let Some(target) = targets.into_iter().next() {
            self.bind(target, value);
        }
    }

    fn parameters(&mut self) -> Vec<(&'t str, Option<Value>)> {
        let mut parameters = Vec::new();
        while let Some(name) = self.name() {
            let default = self.eat("=").then(|| self.expression());
            if parameters.len() < 64 {
                parameters.push((name, default));
            }
            if !self.eat(",") {
                break;
            }
        }
        self.eat(")");
        parameters
    }

    fn define(&mut self) {
        let Some(name) = self.name() else {
            self.broke = true;
            self.tag_end();
            return;
        };
        let parameters = if self.eat("(") { self.parameters() } else { Vec::new() };
        self.tag_end();
        let body = self.at;
        self.branch += 1;
        for (parameter, default) in &parameters {
            let value = default.clone().unwrap_or_else(|| Value::sym(*parameter));
            self.names.insert((*parameter).to_owned(), value.or(Value::sym(*parameter)));
        }
        self.block(&["endmacro"]);
        self.branch -= 1;
        self.end();
        self.macros.insert(name, Macro { parameters, body });
    }

    /// What a macro prints with these arguments.
    pub(super) fn enter(
        &mut self,
        name: &str,
        arguments: &[Value],
        named: &[(String, Value)],
    ) -> Option<Value> {
        let entry = self.macros.get(name)?;
        let (parameters, body) = (entry.parameters.clone(), entry.body);
        if self.entered >= 4 || self.depth >= MAX_DEPTH {
            return Some(Value::sym(format!("{name}()")));
        }
        // Copying the names is work too.
        self.steps = self.steps.saturating_sub(self.names.len() as u32);
        let (back, outer) = (self.at, self.names.clone());
        for (index, (parameter, default)) in parameters.iter().enumerate() {
            let value = arguments
                .get(index)
                .cloned()
                .or_else(|| named.iter().find(|(key, _)| key == parameter).map(|(_, value)| value.clone()))
                .or_else(|| default.clone())
                .unwrap_or(Value::None);
            self.names.insert((*parameter).to_owned(), value);
        }
        self.entered += 1;
        self.depth += 1;
        self.jump(body);
        let printed = self.block(&["endmacro"]);
        self.depth -= 1;
        self.entered -= 1;
        self.names = outer;
        self.jump(back);
        Some(printed.map_or_else(|| Value::sym(format!("{name}()")), Value::string))
    }
}
