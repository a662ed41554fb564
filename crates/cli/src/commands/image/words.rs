//! The words of `--entrypoint` and `--cmd`.
//!
//! What Docker and podman take for a string is split by one, wrapped into a shell by another and taken for one word by a third.
//! Here it is always clear what comes out: a JSON array, or one word for each time the option is given.

use crate::diagnosis::Diagnosis;

/// The words of an option; none if it was not given.
pub(super) fn words(option: &str, given: &[String]) -> Result<Option<Vec<String>>, Diagnosis> {
    match given {
        [] => Ok(None),
        [array] if array.trim_start().starts_with('[') => match serde_json::from_str(array) {
            Ok(words) => Ok(Some(words)),
            Err(error) => Err(Diagnosis::misuse(
                format!("--{option} {array}: not a JSON array of strings: {error}"),
                format!("write it as {}", quoted(r#"["python3","-V"]"#)),
            )),
        },
        // Nobody means a program of this name.
        [line] if line.contains(char::is_whitespace) => {
            let split: Vec<&str> = line.split_whitespace().collect();
            let array = serde_json::to_string(&split).unwrap_or_default();
            Err(Diagnosis::misuse(
                format!("--{option} `{line}` would be one word"),
                format!("write --{option} {}, or give the option once for each word", quoted(&array)),
            ))
        }
        words => Ok(Some(words.to_vec())),
    }
}

/// As a shell takes it for one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(given: &[&str]) -> Result<Option<Vec<String>>, String> {
        let given: Vec<String> = given.iter().map(|&word| word.to_owned()).collect();
        words("cmd", &given).map_err(|error| error.to_string())
    }

    #[test]
    fn no_word_is_split() {
        let some = |words: &[&str]| Ok(Some(words.iter().map(|&word| word.to_owned()).collect()));
        assert_eq!(words_of(&[]), Ok(None));
        assert_eq!(words_of(&["python3"]), some(&["python3"]));
        assert_eq!(words_of(&[r#"["a b","c"]"#]), some(&["a b", "c"]));
        assert_eq!(words_of(&["[]"]), some(&[]));
        assert_eq!(words_of(&["sh", "-c", "echo $0"]), some(&["sh", "-c", "echo $0"]));
        // `test` has another name.
        assert_eq!(words_of(&["[", "a", "]"]), some(&["[", "a", "]"]));
        let error = words_of(&["python3 -V"]).unwrap_err();
        assert!(error.contains(r#"--cmd '["python3","-V"]'"#), "{error}");
        for wrong in ["[", "[1]", "[\"a\"", "[\"a\"] b"] {
            assert!(words_of(&[wrong]).unwrap_err().contains("JSON array"), "{wrong}");
        }
    }
}
