//! The ranges of an upload, which are not those of HTTP: `FIRST-LAST` without a unit (distribution specification 1.1,
//! "Pushing a blob in chunks").

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE};

use crate::failure::{Code, Failure};

/// What has come, as registries say it. Nothing is `0-0`, as is a single byte: docker-registry answers so, and clients
/// know it.
pub(super) fn so_far(received: u64) -> String {
    format!("0-{}", received.saturating_sub(1))
}

/// Where the request says that its bytes begin; `None` if it does not say.
///
/// # Errors
/// If the header is malformed, or the request is of another length.
pub(super) fn first_byte(headers: &HeaderMap) -> Result<Option<u64>, Failure> {
    let Some(header) = headers.get(CONTENT_RANGE) else { return Ok(None) };
    let Some((first, last)) = header.to_str().ok().and_then(parse) else {
        let message = format!("Content-Range {header:?} is not FIRST-LAST");
        return Err(Failure::new(Code::BlobUploadInvalid, message));
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if last.checked_sub(first).and_then(|span| span.checked_add(1)) != Some(length) => {
            let message = format!("Content-Range {header:?} is not that of {length} bytes");
            Err(Failure::new(Code::SizeInvalid, message))
        }
        _ => Ok(Some(first)),
    }
}

/// Some clients write it as HTTP has it: `bytes 0-9/*`.
fn parse(text: &str) -> Option<(u64, u64)> {
    let text = text.trim().trim_start_matches("bytes").trim_start_matches([' ', '=']);
    let (first, last) = text.split('/').next()?.split_once('-')?;
    Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(range: &str, length: Option<&str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_RANGE, range.parse().unwrap());
        length.map(|length| headers.insert(CONTENT_LENGTH, length.parse().unwrap()));
        headers
    }

    #[test]
    fn both_spellings_are_understood() {
        assert_eq!(first_byte(&HeaderMap::new()).unwrap(), None);
        for range in ["10-19", "bytes 10-19/*", "bytes=10-19", " 10-19 "] {
            assert_eq!(first_byte(&headers(range, Some("10"))).unwrap(), Some(10), "{range}");
            assert_eq!(first_byte(&headers(range, None)).unwrap(), Some(10), "{range}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (range, length, code) in [
            ("10-19", Some("11"), Code::SizeInvalid),
            ("19-10", Some("10"), Code::SizeInvalid),
            ("0-18446744073709551615", Some("0"), Code::SizeInvalid),
            ("10-", Some("10"), Code::BlobUploadInvalid),
            ("-10", None, Code::BlobUploadInvalid),
            ("ten-twenty", None, Code::BlobUploadInvalid),
        ] {
            assert_eq!(first_byte(&headers(range, length)).unwrap_err().code(), code, "{range}");
        }
    }

    #[test]
    fn nothing_and_one_byte_look_the_same() {
        assert_eq!([0, 1, 2, 1000].map(so_far), ["0-0", "0-0", "0-1", "0-999"]);
    }
}
