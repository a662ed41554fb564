//! Leaving secrets out of what a server says, should it quote what it was shown, in whatever form. Before anything is
//! cut off from it: half a password is still to be kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use url::form_urlencoded;
use zeroize::Zeroizing;

use super::authorization::basic_pair;
use crate::Secret;

/// What stands in the place of a secret.
const LEFT_OUT: &str = "…";

/// A text without a secret.
pub(super) fn of_secret(secret: &Secret, text: &[u8]) -> Vec<u8> {
    without(&forms(secret.expose()), text)
}

/// A text without a password, also as `Basic` writes it with the user's name.
pub(super) fn of_password(username: &str, password: &Secret, text: &[u8]) -> Vec<u8> {
    let mut all = vec![basic_pair(username, password)];
    all.extend(forms(password.expose()));
    without(&all, text)
}

/// A text without what an `Authorization` header holds: a token, or a password in either form.
pub(in crate::remote) fn of_authorization(value: &HeaderValue, text: &[u8]) -> Vec<u8> {
    let Some((scheme, shown)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return text.to_vec();
    };
    let mut all = forms(shown);
    if scheme == "Basic"
        && let Ok(pair) = STANDARD.decode(shown).map(Zeroizing::new)
        && let Some((_, password)) = std::str::from_utf8(&pair).ok().and_then(|pair| pair.split_once(':'))
    {
        all.extend(forms(password));
    }
    without(&all, text)
}

/// A secret as it is, as queries and forms escape it, and as JSON does.
fn forms(secret: &str) -> Vec<Zeroizing<String>> {
    let in_json = serde_json::to_string(secret).map(Zeroizing::new).unwrap_or_default();
    let in_json = in_json.get(1..in_json.len().saturating_sub(1)).unwrap_or_default().to_string();
    let in_query = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    [secret.to_string(), in_query, in_json].map(Zeroizing::new).into()
}

fn without(forms: &[Zeroizing<String>], text: &[u8]) -> Vec<u8> {
    let mut said = String::from_utf8_lossy(text).into_owned();
    for form in forms.iter().filter(|form| !form.is_empty()) {
        said = said.replace(form.as_str(), LEFT_OUT);
    }
    said.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::auth::authorization::{basic, bearer};

    const QUOTED: [&str; 4] = ["p\"w &é", "p\\\"w &é", "p%22w+%26%C3%A9", "dTpwIncgJsOp"];

    #[test]
    fn what_a_server_quotes_of_what_it_was_shown_is_left_out() {
        let password = Secret::new(QUOTED[0]);
        let header = basic("u", &password).unwrap();
        for form in QUOTED {
            let said = format!("you said {form}, twice: {form}");
            for kept in
                [of_password("u", &password, said.as_bytes()), of_authorization(&header, said.as_bytes())]
            {
                assert_eq!(String::from_utf8(kept).unwrap(), "you said …, twice: …");
            }
        }
        for form in &QUOTED[..3] {
            assert_eq!(of_secret(&password, form.as_bytes()), LEFT_OUT.as_bytes());
        }
        let header = bearer(&Secret::new("a.b+c")).unwrap();
        for form in ["a.b+c", "a.b%2Bc"] {
            assert_eq!(of_authorization(&header, form.as_bytes()), LEFT_OUT.as_bytes());
        }
    }

    #[test]
    fn what_holds_no_secret_stays() {
        assert_eq!(of_secret(&Secret::new(""), b"as it is"), b"as it is");
        assert_eq!(of_authorization(&HeaderValue::from_static("odd"), b"as it is"), b"as it is");
    }
}
