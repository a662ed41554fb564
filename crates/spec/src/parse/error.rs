//! A text that is not a spec: where it stops being one, and what was expected there.

use std::ops::Range;

/// The text is not a spec.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read spec\n{}", self.report())]
pub struct SpecSyntaxError {
    /// All of what was given.
    pub text: String,
    /// Byte offsets into `text` of what cannot be read; empty at the end of the text.
    pub span: Range<usize>,
    /// What is wrong there, and what was expected.
    pub reason: String,
    /// What to write instead, if that can be guessed.
    pub hint: Option<String>,
}

/// How much of a long text is shown on either side of the place.
const CONTEXT: usize = 60;

impl SpecSyntaxError {
    /// The text, and below it a mark under the characters that cannot be read, with what is wrong:
    ///
    /// ```text
    ///   zlib@1.2:1.3:
    ///               ^ expected a variant, a dependency or the end, not `:`
    /// ```
    pub fn report(&self) -> String {
        let boundary = |mut at: usize| {
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        let start = boundary(self.span.start.min(self.text.len()));
        let end = boundary(self.span.end.clamp(start, self.text.len()));
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        let before: Vec<char> = self.text[..start].chars().rev().take(CONTEXT + 1).map(printable).collect();
        let cut = before.len() > CONTEXT;
        let before: String = before[..before.len().min(CONTEXT)].iter().rev().collect();
        // In step with the text: what is put in for a character can be shorter than it.
        let mut rest = self.text[start..].chars().map(printable);
        let shown = self.text[start..end].chars().take(CONTEXT).count();
        let found: String = rest.by_ref().take(shown).collect();
        let after: String = rest.by_ref().take(CONTEXT).collect();
        let (left, right) = (if cut { "…" } else { "" }, if rest.next().is_some() { "…" } else { "" });
        let indent = " ".repeat(before.chars().count() + usize::from(cut));
        let marks = "^".repeat(found.chars().count().max(1));
        format!("  {left}{before}{found}{after}{right}\n  {indent}{marks} {}", self.reason)
    }
}

#[cfg(test)]
mod tests {
    use crate::AbstractSpec;

    #[test]
    fn control_characters_of_several_bytes_are_shown_as_blanks() {
        let error = "zli\u{96}\u{9a7}\u{61c}c1b".parse::<AbstractSpec>().unwrap_err();
        assert!(error.to_string().contains("  zli \u{9a7}\u{61c}c1b\n"), "{error}");
    }
}
