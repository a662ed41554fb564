//! The names that a condition may use, and what can be asked of them.

use regex_lite::Regex;

use super::Term;
use crate::Surroundings;

/// What a name stands for.
pub(super) fn named(name: &str, surroundings: &Surroundings) -> Result<Term, String> {
    let text = |text: &str| Ok(Term::Text(text.to_owned()));
    // Where the operating system has no name, it is one that nobody compares with.
    let os = || surroundings.os().unwrap_or_default();
    match name {
        "True" => Ok(Term::Flag(true)),
        "False" => Ok(Term::Flag(false)),
        "None" => Ok(Term::None),
        "platform" => text(&surroundings.platform),
        "os" => text(os()),
        "target" => text(surroundings.target()),
        "hostname" => text(&surroundings.host_name),
        "arch_str" => Ok(Term::Text(format!(
            "platform={} os={} target={}",
            surroundings.platform,
            os(),
            surroundings.target()
        ))),
        "arch" | "architecture" => Ok(Term::Architecture),
        "env" => Ok(Term::Variables),
        "re" => Ok(Term::Expressions),
        "str" | "len" | "bool" | "any" | "all" => Ok(Term::Function(Box::new(Term::None), name.to_owned())),
        name => Err(format!(
            "`{name}` is not known; there are platform, os, target, arch, arch_str, hostname, env and re"
        )),
    }
}

/// `value.name`
pub(super) fn attribute(value: Term, name: &str, surroundings: &Surroundings) -> Result<Term, String> {
    match (&value, name) {
        (Term::Architecture, "platform" | "os" | "target") => return named(name, surroundings),
        (Term::Expressions, "I" | "IGNORECASE") => return Ok(Term::Options("i".to_owned())),
        _ => {}
    }
    let known: &[&str] = match value {
        Term::Text(_) => &["startswith", "endswith", "lower", "upper", "strip", "split"],
        Term::Variables => &["get"],
        Term::Architecture => &["satisfies"],
        Term::Expressions => &["search", "match", "fullmatch"],
        _ => &[],
    };
    if known.contains(&name) {
        return Ok(Term::Function(Box::new(value), name.to_owned()));
    }
    Err(format!("`.{name}` is not known there"))
}

/// `value(arguments)`
pub(super) fn call(function: &Term, arguments: &[Term], surroundings: &Surroundings) -> Result<Term, String> {
    let Term::Function(of, name) = function else {
        return Err("only functions can be called".to_owned());
    };
    let text = |text: String| Ok(Term::Text(text));
    match (&**of, name.as_str(), arguments) {
        (Term::Text(of), "startswith", [what]) => affix(what, |what| of.starts_with(what)),
        (Term::Text(of), "endswith", [what]) => affix(what, |what| of.ends_with(what)),
        (Term::Text(of), "lower", []) => text(of.to_lowercase()),
        (Term::Text(of), "upper", []) => text(of.to_uppercase()),
        (Term::Text(of), "strip", []) => text(of.trim().to_owned()),
        (Term::Text(of), "split", []) => {
            Ok(Term::List(of.split_whitespace().map(|part| Term::Text(part.to_owned())).collect()))
        }
        (Term::Text(of), "split", [Term::Text(by)]) if !by.is_empty() => {
            Ok(Term::List(of.split(by.as_str()).map(|part| Term::Text(part.to_owned())).collect()))
        }
        (Term::Variables, "get", [Term::Text(name)]) => {
            Ok(variable(name, surroundings).unwrap_or(Term::None))
        }
        (Term::Variables, "get", [Term::Text(name), or]) => {
            Ok(variable(name, surroundings).unwrap_or_else(|| or.clone()))
        }
        (Term::Architecture, "satisfies", [Term::Text(constraint)]) => {
            satisfies(constraint, surroundings).map(Term::Flag)
        }
        (Term::Expressions, kind, [Term::Text(expression), Term::Text(text)]) => {
            find(kind, "", expression, text)
        }
        (Term::Expressions, kind, [Term::Text(expression), Term::Text(text), Term::Options(options)]) => {
            find(kind, options, expression, text)
        }
        (Term::None, "str", [value @ Term::Text(_)]) => Ok(value.clone()),
        (Term::None, "str", [Term::Architecture]) => {
            let os = surroundings.os().unwrap_or_default();
            text(format!("{}-{os}-{}", surroundings.platform, surroundings.target()))
        }
        (Term::None, "bool", [value]) => Ok(Term::Flag(value.is_true())),
        (Term::None, "any", [Term::List(items)]) => Ok(Term::Flag(items.iter().any(Term::is_true))),
        (Term::None, "all", [Term::List(items)]) => Ok(Term::Flag(items.iter().all(Term::is_true))),
        (Term::None, "len", [Term::Text(text)]) => {
            Ok(Term::Integer(i64::try_from(text.chars().count()).unwrap_or(i64::MAX)))
        }
        _ => Err(format!("`{name}` cannot be called with that")),
    }
}

/// `value[index]`
pub(super) fn item(value: &Term, index: &[Term], surroundings: &Surroundings) -> Result<Term, String> {
    match (value, index) {
        (Term::Variables, [Term::Text(name)]) => variable(name, surroundings).ok_or_else(|| {
            format!("the environment variable {name} is not set; use `env.get(\"{name}\")` if it need not be")
        }),
        (Term::List(items), [Term::Integer(at)]) => {
            let found = usize::try_from(*at).ok().and_then(|at| items.get(at));
            found.cloned().ok_or_else(|| format!("there is no item {at}"))
        }
        _ => Err("`[…]` is for `env` and for lists".to_owned()),
    }
}

fn variable(name: &str, surroundings: &Surroundings) -> Option<Term> {
    surroundings.variables.get(name).cloned().map(Term::Text)
}

fn affix(what: &Term, is: impl Fn(&str) -> bool) -> Result<Term, String> {
    let text = |term: &Term| match term {
        Term::Text(text) => Ok(is(text)),
        _ => Err("`startswith` and `endswith` take a text".to_owned()),
    };
    match what {
        Term::List(items) => {
            let found: Result<Vec<bool>, String> = items.iter().map(text).collect();
            Ok(Term::Flag(found?.contains(&true)))
        }
        what => text(what).map(Term::Flag),
    }
}

fn find(kind: &str, options: &str, expression: &str, text: &str) -> Result<Term, String> {
    let options = if options.is_empty() { String::new() } else { format!("(?{options})") };
    let whole = match kind {
        "match" => format!("{options}^(?:{expression})"),
        "fullmatch" => format!("{options}^(?:{expression})$"),
        _ => format!("{options}{expression}"),
    };
    let regex = Regex::new(&whole)
        .map_err(|error| format!("the regular expression `{expression}` is not understood: {error}"))?;
    Ok(if regex.is_match(text) { Term::Match } else { Term::None })
}

/// Whether this machine is what a spec says of an architecture: `target=x86_64_v3:`, `platform=linux os=debian12`,
/// `arch=linux-debian12-x86_64`.
fn satisfies(constraint: &str, surroundings: &Surroundings) -> Result<bool, String> {
    let target = |asked: &str| match surroundings.target_matches {
        Some(matches) => matches(surroundings.target(), asked),
        None => surroundings.target() == asked,
    };
    let platform = |asked: &str| asked == surroundings.platform;
    let os = |asked: &str| Some(asked) == surroundings.os();
    let mut holds = true;
    for word in constraint.split_whitespace() {
        let value = |value: &str| value.trim_matches(['"', '\'']).to_owned();
        holds &= match word.split_once('=') {
            Some(("target", asked)) => target(&value(asked)),
            Some(("platform", asked)) => platform(&value(asked)),
            Some(("os" | "operating_system", asked)) => os(&value(asked)),
            Some(("arch" | "architecture", asked)) => {
                let asked = value(asked);
                let parts: Vec<&str> = asked.splitn(3, '-').collect();
                match parts.as_slice() {
                    [first, second, third] => {
                        [(platform(first), first), (os(second), second), (target(third), third)]
                            .iter()
                            .all(|(is, asked)| *is || ["*", "None"].contains(*asked))
                    }
                    _ => return Err(format!("`{word}` is not an architecture")),
                }
            }
            _ => return Err(format!("`{word}` says nothing of an architecture")),
        };
    }
    Ok(holds)
}
