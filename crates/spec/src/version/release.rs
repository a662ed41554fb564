//! The parts of a version that decide its place in the order: numbers, words, and whether it is a prerelease.

use std::cmp::Ordering;

/// Names that are newer than every number, the newest last.
const INFINITE: [&str; 7] = ["stable", "nightly", "trunk", "head", "master", "main", "develop"];

/// One number or word of a version. Words are older than numbers, numbers older than the infinite names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Component {
    Word(Box<str>),
    Number(u64),
    /// A number past `u64`: how many digits, and the digits.
    Large(usize, Box<str>),
    Infinite(usize),
}

impl Component {
    fn number(digits: &str) -> Self {
        let significant = digits.trim_start_matches('0');
        match significant.parse() {
            Ok(number) => Self::Number(number),
            Err(_) if significant.is_empty() => Self::Number(0),
            Err(_) => Self::Large(significant.len(), significant.into()),
        }
    }

    fn word(word: &str) -> Self {
        match INFINITE.iter().position(|name| *name == word) {
            Some(rank) => Self::Infinite(rank),
            None => Self::Word(word.into()),
        }
    }

    /// The least one that is greater in the sense of ranges: `:1.2` ends before 1.3, `:b` before c.
    fn next(&self) -> Self {
        match self {
            Self::Number(u64::MAX) => Self::number("18446744073709551616"),
            Self::Number(number) => Self::Number(number + 1),
            Self::Large(_, digits) => Self::number(&incremented(digits)),
            Self::Infinite(rank) => Self::Infinite(rank + 1),
            Self::Word(word) => {
                let mut next = next_word(word);
                while INFINITE.contains(&next.as_str()) {
                    next = next_word(&next);
                }
                Self::Word(next.into())
            }
        }
    }
}

fn incremented(digits: &str) -> String {
    let mut digits = digits.as_bytes().to_vec();
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return String::from_utf8_lossy(&digits).into_owned();
        }
        *digit = b'0';
    }
    format!("1{}", String::from_utf8_lossy(&digits))
}

/// The next word of letters in the order of their codes; after `z` comes a longer word.
fn next_word(word: &str) -> String {
    let mut next = word.to_owned();
    match next.pop() {
        None => next.push('A'),
        Some('z') => next.push_str("zA"),
        Some('Z') => next.push('a'),
        Some(last) => next.push(char::from_u32(last as u32 + 1).unwrap_or('z')),
    }
    next
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Stage {
    Alpha,
    Beta,
    Candidate,
    Final,
}

impl Stage {
    fn of(word: &str) -> Option<Self> {
        match word {
            "alpha" => Some(Self::Alpha),
            "beta" => Some(Self::Beta),
            "rc" => Some(Self::Candidate),
            "final" => Some(Self::Final),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Candidate => "rc",
            Self::Final => "",
        }
    }
}

/// What versions are ordered by; separators play no part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    components: Vec<Component>,
    stage: Stage,
    /// The number of a prerelease, the 2 of `rc2`.
    number: Option<Component>,
}

impl Place {
    /// Where a range that ends with this version and all that begins with it is over.
    pub(super) fn next(&self) -> Self {
        let mut next = self.clone();
        if self.stage != Stage::Final {
            next.number = Some(self.number.as_ref().map_or(Component::Number(0), Component::next));
        } else if let Some(last) = next.components.last_mut() {
            *last = last.next();
        } else {
            next.components.push(Component::Word("A".into()));
        }
        next
    }
}

/// A version that is not of a git reference: its text and its place.
#[derive(Clone, Debug)]
pub(super) struct Release {
    pub(super) text: Box<str>,
    pub(super) place: Place,
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Release {}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

/// One run of digits or of letters, and the separators that follow it.
struct Segment<'t> {
    text: &'t str,
    numeric: bool,
    separator: &'t str,
}

fn segments(text: &str) -> Vec<Segment<'_>> {
    let bytes = text.as_bytes();
    let run =
        |from: usize, accept: fn(&u8) -> bool| from + bytes[from..].iter().take_while(|b| accept(b)).count();
    let is_separator = |byte: &u8| !byte.is_ascii_alphanumeric();
    let mut at = run(0, is_separator);
    let mut segments = Vec::new();
    while at < bytes.len() {
        let numeric = bytes[at].is_ascii_digit();
        let end = run(at, if numeric { u8::is_ascii_digit } else { u8::is_ascii_alphabetic });
        let next = run(end, is_separator);
        segments.push(Segment { text: &text[at..end], numeric, separator: &text[end..next] });
        at = next;
    }
    segments
}

/// How many of the segments are the release, and the stage and number that the others make.
fn prerelease<'t>(segments: &[Segment<'t>]) -> (usize, Stage, Option<&'t str>) {
    let word = |segment: &Segment<'_>| if segment.numeric { None } else { Stage::of(segment.text) };
    match segments {
        [_, .., stage, number] if segments.len() >= 3 && number.numeric && word(stage).is_some() => {
            (segments.len() - 2, word(stage).unwrap_or(Stage::Final), Some(number.text))
        }
        [_, .., stage] if word(stage).is_some() => {
            (segments.len() - 1, word(stage).unwrap_or(Stage::Final), None)
        }
        _ => (segments.len(), Stage::Final, None),
    }
}

impl Release {
    /// Reads a version; none if it has characters that versions do not have.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_valid = |c: char| c.is_ascii_alphanumeric() || "_.-=".contains(c);
        if text.starts_with('=') || !text.chars().all(is_valid) {
            return None;
        }
        let segments = segments(text);
        let (length, stage, number) = prerelease(&segments);
        let component =
            |s: &Segment<'_>| if s.numeric { Component::number(s.text) } else { Component::word(s.text) };
        let components = segments[..length].iter().map(component).collect();
        Some(Self {
            text: text.into(),
            place: Place { components, stage, number: number.map(Component::number) },
        })
    }

    /// The same version, written as Spack writes the end of a range that it has computed: from its parts, without zeros in
    /// front of numbers and without what follows the number of a prerelease.
    pub(super) fn rewritten(&self) -> Self {
        let is_computed = Self::parse(&self.text).is_none_or(|again| again.place != self.place);
        if is_computed {
            return self.clone();
        }
        let segments = segments(&self.text);
        let (length, stage, number) = prerelease(&segments);
        let plain = |text: &str| match text.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        };
        let mut text = String::with_capacity(self.text.len());
        for segment in &segments[..length] {
            text.push_str(&if segment.numeric { plain(segment.text) } else { segment.text.to_owned() });
            text.push_str(segment.separator);
        }
        text.push_str(stage.name());
        if let Some(number) = number {
            text.push_str(segments[length].separator);
            text.push_str(&plain(number));
        }
        Self { text: text.into(), place: self.place.clone() }
    }
}
