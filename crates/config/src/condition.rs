//! `when`: conditions on the machine and the environment variables, of includes and of definitions.
//!
//! Spack has Python evaluate them. Here is what people write: comparisons, `in`, `and`, `or`, `not`, text and lists, the names
//! that Spack gives them (`platform`, `os`, `target`, `arch`, `architecture`, `arch_str`, `hostname`, `env`, `re`), and some
//! functions of those. Anything else is an error that says so, not a guess.

mod functions;
mod lexer;

use crate::value::Value;
use crate::{ConfigError, Surroundings};
use lexer::{Token, tokens};

/// How deep parentheses and `not` may be nested.
const DEEPEST: usize = 64;

/// Evaluates conditions on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Conditions<'s> {
    surroundings: &'s Surroundings,
}

impl<'s> Conditions<'s> {
    /// Of that machine and process.
    pub fn new(surroundings: &'s Surroundings) -> Self {
        Self { surroundings }
    }

    /// Whether the condition that a value says holds.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] at the value, with the expression, if it is no text or cannot be evaluated.
    pub fn hold(&self, when: &Value) -> Result<bool, ConfigError> {
        if let Some(flag) = when.flag() {
            return Ok(flag);
        }
        let text = when.text().ok_or_else(|| when.invalid("a condition must be text: put it in quotes"))?;
        self.hold_text(text)
            .map_err(|message| when.invalid(format!("cannot evaluate the condition `{text}`: {message}")))
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// What of it is not understood, as the end of a sentence.
    pub fn hold_text(&self, text: &str) -> Result<bool, String> {
        let tokens = tokens(text)?;
        let mut evaluation = Evaluation {
            surroundings: self.surroundings,
            tokens: &tokens,
            at: 0,
            depth: 0,
            is_decided: false,
        };
        let value = evaluation.either()?;
        match evaluation.peek() {
            None => Ok(value.is_true()),
            Some(token) => Err(format!("{token} is not expected there")),
        }
    }
}

/// What a part of a condition is.
#[derive(Clone, Debug, PartialEq)]
enum Term {
    None,
    Flag(bool),
    Integer(i64),
    Text(String),
    List(Vec<Term>),
    /// `env`
    Variables,
    /// `arch`
    Architecture,
    /// `re`
    Expressions,
    /// Options of regular expressions, as they are written in them.
    Options(String),
    /// What `re.search` finds.
    Match,
    /// A function: of what, and its name.
    Function(Box<Term>, String),
}

impl Term {
    /// As Python has it.
    fn is_true(&self) -> bool {
        match self {
            Self::None => false,
            Self::Flag(flag) => *flag,
            Self::Integer(number) => *number != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            _ => true,
        }
    }
}

struct Evaluation<'e> {
    surroundings: &'e Surroundings,
    tokens: &'e [Token],
    at: usize,
    depth: usize,
    /// Whether what is looked at does not matter any more.
    is_decided: bool,
}

impl Evaluation<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Name(text) | Token::Sign(text)) if text == wanted);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.takes(wanted) {
            return Ok(());
        }
        let found = self.peek().map_or("its end".to_owned(), Token::to_string);
        Err(format!("`{wanted}` is missing before {found}"))
    }

    // Both sides of `or` and `and` are looked at, so that what is not understood is said on every machine. But a variable
    // that is not set does not matter where the other side has decided.

    fn either(&mut self) -> Result<Term, String> {
        let mut value = self.both()?;
        while self.takes("or") {
            let decided = value.is_true();
            let other = self.deciding(decided, Self::both)?;
            value = if decided { value } else { other };
        }
        Ok(value)
    }

    fn both(&mut self) -> Result<Term, String> {
        let mut value = self.negated()?;
        while self.takes("and") {
            let decided = !value.is_true();
            let other = self.deciding(decided, Self::negated)?;
            value = if decided { value } else { other };
        }
        Ok(value)
    }

    fn deciding(
        &mut self,
        decided: bool,
        side: impl FnOnce(&mut Self) -> Result<Term, String>,
    ) -> Result<Term, String> {
        let before = self.is_decided;
        self.is_decided |= decided;
        let value = side(self);
        self.is_decided = before;
        value
    }

    fn negated(&mut self) -> Result<Term, String> {
        if !self.takes("not") {
            return self.compared();
        }
        self.deeper()?;
        let value = self.negated()?;
        self.depth -= 1;
        Ok(Term::Flag(!value.is_true()))
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEEPEST { Err("it is nested too deep".to_owned()) } else { Ok(()) }
    }

    fn compared(&mut self) -> Result<Term, String> {
        let mut left = self.term()?;
        let mut result = None;
        loop {
            let operator = match self.peek() {
                Some(Token::Sign(sign)) if ["==", "!=", "<", "<=", ">", ">="].contains(&sign.as_str()) => {
                    sign.clone()
                }
                Some(Token::Name(name)) if ["in", "is", "not"].contains(&name.as_str()) => name.clone(),
                _ => return Ok(result.map_or(left, Term::Flag)),
            };
            self.at += 1;
            let operator = match operator.as_str() {
                "not" => self.expect("in").map(|()| "not in")?,
                "is" if self.takes("not") => "!=",
                "is" => "==",
                other => other,
            }
            .to_owned();
            let right = self.term()?;
            let holds = compare(&left, &operator, &right, self.surroundings)?;
            result = Some(result.unwrap_or(true) && holds);
            left = right;
        }
    }

    /// A value with what is called on it.
    fn term(&mut self) -> Result<Term, String> {
        let mut value = self.atom()?;
        loop {
            if self.takes(".") {
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return Err("a name is missing after `.`".to_owned());
                };
                self.at += 1;
                value = functions::attribute(value, &name, self.surroundings)?;
            } else if self.takes("(") {
                let arguments = self.items(")")?;
                value = functions::call(&value, &arguments, self.surroundings)?;
            } else if self.takes("[") {
                let index = self.items("]")?;
                value = match functions::item(&value, &index, self.surroundings) {
                    Err(_) if self.is_decided && value == Term::Variables => Term::Text(String::new()),
                    found => found?,
                };
            } else {
                return Ok(value);
            }
        }
    }

    fn atom(&mut self) -> Result<Term, String> {
        let token = self.peek().cloned().ok_or("it ends too soon")?;
        self.at += 1;
        match token {
            Token::Text(text) => {
                let mut text = text;
                // As in Python, texts one after the other are one.
                while let Some(Token::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                Ok(Term::Text(text))
            }
            Token::Integer(number) => Ok(Term::Integer(number)),
            Token::Name(name) => functions::named(&name, self.surroundings),
            Token::Sign(sign) if sign == "[" => self.items("]").map(Term::List),
            Token::Sign(sign) if sign == "(" => {
                self.deeper()?;
                let first = self.either()?;
                if self.takes(")") {
                    self.depth -= 1;
                    return Ok(first);
                }
                self.expect(",")?;
                let mut items = vec![first];
                items.extend(self.items(")")?);
                self.depth -= 1;
                Ok(Term::List(items))
            }
            token => Err(format!("{token} is not expected there")),
        }
    }

    /// What is between brackets, with commas between.
    fn items(&mut self, end: &str) -> Result<Vec<Term>, String> {
        self.deeper()?;
        let mut items = Vec::new();
        while !self.takes(end) {
            items.push(self.either()?);
            if !self.takes(",") {
                self.expect(end)?;
                break;
            }
        }
        self.depth -= 1;
        Ok(items)
    }
}

fn compare(left: &Term, operator: &str, right: &Term, surroundings: &Surroundings) -> Result<bool, String> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let contained = || match (left, right) {
        (Term::Text(part), Term::Text(whole)) => Ok(whole.contains(part.as_str())),
        (item, Term::List(items)) => Ok(items.contains(item)),
        (Term::Text(name), Term::Variables) => Ok(surroundings.variables.contains_key(name)),
        _ => Err("`in` is about text, a list or `env`".to_owned()),
    };
    let order = || match (left, right) {
        (Term::Text(a), Term::Text(b)) => Ok(a.cmp(b)),
        (Term::Integer(a), Term::Integer(b)) => Ok(a.cmp(b)),
        _ => Err(format!("`{operator}` is about two texts or two numbers")),
    };
    if [left, right].contains(&&Term::Architecture) {
        return Err("`arch` cannot be compared: use `arch.satisfies(…)`".to_owned());
    }
    Ok(match operator {
        "==" => left == right,
        "!=" => left != right,
        "in" => contained()?,
        "not in" => !contained()?,
        "<" => order()? == Less,
        ">" => order()? == Greater,
        "<=" => matches!(order()?, Less | Equal),
        _ => matches!(order()?, Greater | Equal),
    })
}

#[cfg(test)]
mod tests;
