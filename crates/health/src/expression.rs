//! CEL expressions as Flux compiles them (fluxcd/pkg `runtime/cel/expression.go`): the standard library, optionals,
//! strings, encoders and sets.
//!
//! Known differences from cel-go: texts of syntax errors in long expressions are this parser's own, and a `readyExpr` is
//! checked for its variables and for being a boolean, not for every type inside.

use std::sync::{Arc, LazyLock};

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use cel::common::types::{CelBool, LIST_TYPE};
use cel::common::value::{CowVal, Val};
use cel::parser::{Parser, PrattParser};
use cel::{Context, DeclarationError, Env, ExecutionError};
use serde_json::Value;

use crate::cel_json::to_cel;

/// The longest expression that is read, in bytes. cel-go stops at 100,000 code points.
const MAX_LENGTH: usize = 8_192;
/// How many opening brackets and question marks an expression may have, its texts included: the parser recurses on
/// some of them without a bound of its own.
const MAX_BRACKETS: usize = 500;
/// How many nodes an expression may have.
const MAX_NODES: usize = 2_000;
/// How deep nodes may be nested: evaluation recurses on them.
const MAX_DEPTH: usize = 48;
/// How deep comprehensions (`all`, `exists`, `map`, ...) may be nested. Each level multiplies the time an evaluation
/// can take, and nothing can interrupt it.
const MAX_COMPREHENSIONS: usize = 3;

/// What is wrong with an expression, or with evaluating it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It can't be read.
    #[error("failed to parse the CEL expression '{expression}': {cause}")]
    Parse {
        /// The expression.
        expression: String,
        /// Where and what.
        cause: String,
    },
    /// It does not say yes or no.
    #[error("CEL expression output type mismatch: expected bool, got {0}")]
    NoBoolean(&'static str),
    /// It can't be evaluated for this object, for instance because a field is missing.
    #[error("failed to evaluate the CEL expression '{expression}': {cause}")]
    Evaluate {
        /// The expression.
        expression: String,
        /// Why.
        cause: String,
    },
    /// It evaluates to something else than a boolean.
    #[error("failed to evaluate CEL expression as boolean: '{0}'")]
    Result(String),
}

/// The environment is the same for every expression and never changes once made.
static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    let added = env
        .add_extension(cel::extensions::strings)
        .and_then(|()| env.add_extension(cel::extensions::encoders))
        .and_then(|()| env.add_extension(sets));
    added.expect("the extensions declare disjoint functions");
    Arc::new(env)
});

/// Expressions up to these bounds are read again by the parser generated from the grammar where the other one fails:
/// its stack holds out that far.
const SHORT: (usize, usize) = (256, 4);

/// What cel-go says of a syntax error: its parser is generated from the same grammar.
fn words_of_cel_go(text: &str) -> Option<String> {
    let brackets = text.bytes().filter(|byte| b"([{?".contains(byte)).count();
    if text.len() > SHORT.0 || brackets > SHORT.1 {
        return None;
    }
    let read = Parser::new().enable_optional_syntax(true).parse(text);
    Some(read.err()?.to_string().replace("\n| ", "\n | "))
}

/// A parsed expression.
pub struct Expression {
    text: String,
    root: IdedExpr,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expression({:?})", self.text)
    }
}

impl Expression {
    /// Reads an expression, without looking at variables or types, as custom resources have any fields.
    ///
    /// # Errors
    /// [`ExpressionError::Parse`].
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        let error = |cause: String| ExpressionError::Parse {
            expression: text.chars().take(200).collect(),
            cause,
        };
        if text.len() > MAX_LENGTH {
            return Err(error(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        if text.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'{' | b'?')).count()
            > MAX_BRACKETS
        {
            return Err(error(format!(
                "it has more than {MAX_BRACKETS} opening brackets and question marks"
            )));
        }
        // The crate's other parser, generated from the grammar, overflows the stack at twenty brackets unoptimised.
        let parser =
            PrattParser::new().max_expression_node_count(MAX_NODES).enable_optional_syntax(true);
        let root = parser
            .parse(text)
            .map_err(|errors| error(words_of_cel_go(text).unwrap_or(errors.to_string())))?;
        let (depth, comprehensions) = depths(&root);
        if depth > MAX_DEPTH {
            return Err(error(format!("it is nested deeper than {MAX_DEPTH} levels")));
        }
        if comprehensions > MAX_COMPREHENSIONS {
            return Err(error(format!(
                "macros over lists are nested deeper than {MAX_COMPREHENSIONS}"
            )));
        }
        Ok(Self { text: text.to_owned(), root })
    }

    /// The expression as written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Evaluates with these variables.
    ///
    /// # Errors
    /// [`ExpressionError::Evaluate`], [`ExpressionError::Result`].
    pub fn evaluate<'a>(
        &self,
        variables: impl IntoIterator<Item = (&'a str, &'a Value)>,
    ) -> Result<bool, ExpressionError> {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        for (name, value) in variables {
            context.add_variable_from_value(name, to_cel(value));
        }
        match cel::Value::resolve(&self.root, &context) {
            Ok(cel::Value::Bool(answer)) => Ok(answer),
            Ok(_) => Err(ExpressionError::Result(self.text.clone())),
            Err(cause) => Err(ExpressionError::Evaluate {
                expression: self.text.clone(),
                cause: explain(&cause),
            }),
        }
    }

    /// Evaluates with the fields of an object as variables.
    ///
    /// # Errors
    /// As [`Self::evaluate`].
    pub fn evaluate_object(&self, object: &Value) -> Result<bool, ExpressionError> {
        let fields = object.as_object().into_iter().flatten();
        self.evaluate(fields.map(|(name, value)| (name.as_str(), value)))
    }
}

/// The cause in cel-go's words where Flux users know them; never with a value of the object in it.
fn explain(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
        ExecutionError::UndeclaredReference(name) => format!("no such attribute(s): {name}"),
        ExecutionError::NoSuchOverload(_) => "no such overload".to_owned(),
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "modulus by zero".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "index out of bounds".to_owned(),
        ExecutionError::FunctionError { function, .. } => {
            format!("function '{function}' refused its arguments")
        }
        ExecutionError::InvalidArgumentCount { .. } | ExecutionError::MissingArgumentOrTarget => {
            "wrong number of arguments".to_owned()
        }
        _ => "the types of the values do not fit the expression".to_owned(),
    }
}

/// An expression over `self` and `dep` that tells whether a dependency is ready.
#[derive(Debug)]
pub struct ReadyExpr(Expression);

impl ReadyExpr {
    /// Reads and checks an expression. An error is final: Flux stalls with `InvalidCELExpression`.
    ///
    /// # Errors
    /// [`ExpressionError::Parse`], also for variables other than `self` and `dep`; [`ExpressionError::NoBoolean`].
    pub fn compile(text: &str) -> Result<Self, ExpressionError> {
        let expression = Expression::parse(text)?;
        let root = &expression.root;
        let mut undeclared: Vec<String> = Vec::new();
        find_undeclared(root, &mut vec!["self", "dep"], &mut undeclared);
        if let Some(name) = undeclared.first() {
            return Err(ExpressionError::Parse {
                expression: text.to_owned(),
                cause: format!("undeclared reference to '{name}' (in container '')"),
            });
        }
        match static_type(&root.expr) {
            "bool" => Ok(Self(expression)),
            other => Err(ExpressionError::NoBoolean(other)),
        }
    }

    /// Whether `dep` is ready in the eyes of `this`.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; worth a retry, as the dependency may get the missing field.
    pub fn evaluate(&self, this: &Value, dep: &Value) -> Result<bool, ExpressionError> {
        self.0.evaluate([("self", this), ("dep", dep)])
    }
}

/// The expressions directly below one.
fn children(expr: &Expr) -> Vec<&IdedExpr> {
    use cel::common::ast::EntryExpr;
    fn entries(list: &[cel::common::ast::IdedEntryExpr]) -> Vec<&IdedExpr> {
        list.iter()
            .flat_map(|entry| match &entry.expr {
                EntryExpr::StructField(field) => vec![&field.value],
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
            })
            .collect()
    }
    match expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(c) => {
            vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => entries(&map.entries),
        Expr::Struct(object) => entries(&object.entries),
        Expr::Select(select) => vec![&select.operand],
    }
}

/// How deep nodes, and how deep comprehensions, are nested. Without recursion: this is what bounds it.
fn depths(root: &IdedExpr) -> (usize, usize) {
    let mut deepest = (0, 0);
    let mut todo = vec![(root, 1, 0)];
    while let Some((node, depth, comprehensions)) = todo.pop() {
        let comprehensions =
            comprehensions + usize::from(matches!(node.expr, Expr::Comprehension(_)));
        deepest = (deepest.0.max(depth), deepest.1.max(comprehensions));
        todo.extend(
            children(&node.expr).into_iter().map(|child| (child, depth + 1, comprehensions)),
        );
    }
    deepest
}

/// Names that stand for types in CEL, and are therefore known everywhere.
const TYPE_NAMES: [&str; 13] = [
    "bool",
    "bytes",
    "double",
    "duration",
    "dyn",
    "google",
    "int",
    "list",
    "map",
    "null_type",
    "string",
    "timestamp",
    "type",
];

fn find_undeclared<'e>(expr: &'e IdedExpr, known: &mut Vec<&'e str>, undeclared: &mut Vec<String>) {
    match &expr.expr {
        Expr::Ident(name) => {
            let is_known = known.contains(&name.as_str())
                || TYPE_NAMES.contains(&name.as_str())
                || name == "uint";
            if !is_known {
                undeclared.push(name.clone());
            }
        }
        Expr::Comprehension(c) => {
            find_undeclared(&c.iter_range, known, undeclared);
            find_undeclared(&c.accu_init, known, undeclared);
            let before = known.len();
            known.push(&c.accu_var);
            known.push(&c.iter_var);
            known.extend(c.iter_var2.as_deref());
            for part in [&c.loop_cond, &c.loop_step, &c.result] {
                find_undeclared(part, known, undeclared);
            }
            known.truncate(before);
        }
        Expr::Call(call) => {
            // `sets.contains(a, b)` reads as a call on a variable, but names a function.
            let namespace = call.target.as_deref().is_some_and(|target| {
                matches!(&target.expr, Expr::Ident(name)
                    if matches!(name.as_str(), "sets" | "strings" | "base64" | "optional" | "math" | "lists"))
            });
            let target = call.target.as_deref().filter(|_| !namespace);
            target
                .into_iter()
                .chain(&call.args)
                .for_each(|part| find_undeclared(part, known, undeclared));
        }
        other => {
            children(other).into_iter().for_each(|part| find_undeclared(part, known, undeclared))
        }
    }
}

/// The type an expression has whatever the variables hold; `dyn` where that depends on them.
fn static_type(expr: &Expr) -> &'static str {
    match expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => "bool",
            LiteralValue::Bytes(_) => "bytes",
            LiteralValue::Double(_) => "double",
            LiteralValue::Int(_) => "int",
            LiteralValue::Null => "null_type",
            LiteralValue::String(_) => "string",
            LiteralValue::UInt(_) => "uint",
        },
        Expr::List(_) => "list",
        Expr::Map(_) => "map",
        Expr::Select(select) if select.test => "bool",
        Expr::Comprehension(c) => match &c.result.expr {
            Expr::Ident(name) if *name == c.accu_var => static_type(&c.accu_init.expr),
            other => static_type(other),
        },
        Expr::Call(call) => match call.func_name.as_str() {
            operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::EQUALS
            | operators::NOT_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::IN
            | operators::NOT_STRICTLY_FALSE
            | "bool"
            | "startsWith"
            | "endsWith"
            | "matches"
            | "hasValue" => "bool",
            // `sets.contains`, `intersects` and `equivalent`, and the string's `contains`.
            "contains" | "intersects" | "equivalent" | "sets.contains" | "sets.intersects"
            | "sets.equivalent" => "bool",
            operators::CONDITIONAL => {
                let branches: Vec<&str> =
                    call.args.iter().skip(1).map(|arg| static_type(&arg.expr)).collect();
                match branches.as_slice() {
                    [a, b] if a == b => a,
                    _ => "dyn",
                }
            }
            "size" | "int" | "indexOf" | "lastIndexOf" => "int",
            "string" | "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "join"
            | "format" => "string",
            _ => "dyn",
        },
        _ => "dyn",
    }
}

/// cel-go's `ext.Sets`.
fn sets(env: &mut Env) -> Result<(), DeclarationError> {
    let lists = || vec![LIST_TYPE, LIST_TYPE];
    env.add_overload("sets.contains", "list_sets_contains_list", lists(), |args| {
        on_lists(&args, |a, b| b.iter().all(|item| has(a, *item)))
    })?;
    env.add_overload("sets.intersects", "list_sets_intersects_list", lists(), |args| {
        on_lists(&args, |a, b| b.iter().any(|item| has(a, *item)))
    })?;
    env.add_overload("sets.equivalent", "list_sets_equivalent_list", lists(), |args| {
        on_lists(&args, |a, b| {
            b.iter().all(|item| has(a, *item)) && a.iter().all(|item| has(b, *item))
        })
    })
}

fn has<'v>(list: &[&(dyn Val + 'v)], item: &(dyn Val + 'v)) -> bool {
    list.iter().any(|other| other.equals(item))
}

fn on_lists<'b, 'v>(
    args: &[CowVal<'_, 'v>],
    decide: impl FnOnce(&[&(dyn Val + 'v)], &[&(dyn Val + 'v)]) -> bool,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let mut lists: Vec<Vec<&(dyn Val + 'v)>> = Vec::with_capacity(2);
    for arg in args {
        let list = arg.as_iterable().ok_or(ExecutionError::MissingArgumentOrTarget)?;
        let mut items = Vec::new();
        let mut iterator = list.iter();
        while let Some(item) = iterator.next() {
            items.push(item);
        }
        lists.push(items);
    }
    match lists.as_slice() {
        [a, b] => Ok(CowVal::owned(CelBool::from(decide(a, b)))),
        _ => Err(ExecutionError::InvalidArgumentCount { expected: 2, actual: args.len() }),
    }
}
