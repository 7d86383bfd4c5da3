//! What can go wrong, in the words of Flux.

/// Why a substitution failed.
///
/// The first variants read as the original's errors do. A variable's value is never part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An expansion that is none.
    #[error("bad substitution")]
    BadSubstitution,
    /// `${name` is not followed by an operator or `}`. This is also the answer to `${name-default}`,
    /// which the original does not have; write `${name:-default}`.
    #[error("missing closing brace")]
    MissingClosingBrace,
    /// `${` without a name.
    #[error("unable to parse variable name")]
    VariableName,
    /// An operator without its argument, or an expansion that does not end.
    #[error("unable to parse substitution within function")]
    Argument,
    /// A default operator that is none.
    #[error("unable to parse default function")]
    DefaultOperator,
    /// A variable without value, in strict mode.
    #[error("variable not set (strict mode): \"{0}\"")]
    NotSet(String),
    /// A variable's name that cannot be one.
    #[error("'{0}' var name is invalid, must match '^[_[:alpha:]][_[:alpha:][:digit:]]*$'")]
    Name(String),
    /// `${name:position:length}` with a length that ends before the position. (The original panics.)
    #[error("negative length in the substring of variable \"{0}\"")]
    Length(String),
    /// Expansions are nested too deep.
    #[error("substitutions are nested more than {0} deep")]
    Depth(usize),
    /// The result, or the work for a pattern, is too large.
    #[error("substitution exceeds the limit of {0}")]
    Limit(&'static str),
    /// A substring cut a character in two.
    #[error("the result of the substitution is no UTF-8 text")]
    NotText,
    /// An object's substitution failed; the sentence that Flux reports.
    #[error("envsubst error: {}", prefixed(.0))]
    Object(Box<Error>),
    /// The object is no YAML any more once its variables are substituted.
    #[error("YAMLToJSON: {0}")]
    Yaml(borax_yaml::Error),
    /// The object is no object any more once its variables are substituted.
    #[error(
        "UnmarshalJSON: json: cannot unmarshal {0} into Go value of type map[string]interface {{}}"
    )]
    NoObject(&'static str),
}

/// Faults of the text itself have a prefix in Flux, those of names and YAML have none.
fn prefixed(error: &Error) -> String {
    match error {
        Error::Name(_) | Error::Yaml(_) => error.to_string(),
        _ => format!("variable substitution failed: {error}"),
    }
}
