//! Parts of Markdown pages that are written by a command, between two comments that name it.

use super::Outcome;
use std::fs;
use std::path::Path;

/// Replaces what is between `<!-- begin: COMMAND -->` and `<!-- end -->` in the file.
pub(super) fn write(path: &Path, command: &str, text: &str) -> Outcome<()> {
    let page = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let replaced = replaced(&page, command, text)
        .ok_or_else(|| format!("{}: no <!-- begin: {command} --> … <!-- end -->", path.display()))?;
    fs::write(path, replaced).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn replaced(page: &str, command: &str, text: &str) -> Option<String> {
    let begin = format!("<!-- begin: {command} -->\n");
    let (before, rest) = page.split_once(&begin)?;
    let end = rest.find("<!-- end -->")?;
    Some(format!("{before}{begin}\n{}\n\n{}", text.trim(), &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::replaced;

    const PAGE: &str =
        "# Page\n<!-- begin: one -->\nold\n<!-- end -->\nbetween\n<!-- begin: two -->\nkept\n<!-- end -->\n";

    #[test]
    fn only_what_is_between_the_markers_of_that_command_changes() {
        let page = replaced(PAGE, "one", "| new |\n").unwrap();
        assert_eq!(page, PAGE.replace("\nold\n", "\n\n| new |\n\n"));
        assert_eq!(replaced(&page, "one", "| new |").as_deref(), Some(&*page), "the same once more");
        let second = replaced(PAGE, "two", "x").unwrap();
        assert!(second.contains("\nold\n") && !second.contains("kept"), "{second}");
    }

    #[test]
    fn a_page_without_the_markers_is_not_touched() {
        assert_eq!(replaced(PAGE, "three", "x"), None);
        assert_eq!(replaced("<!-- begin: one -->\nno end\n", "one", "x"), None);
    }
}
