//! How long a registry wants to be left alone: in headers (RFC 9110 section 10.2.3), or in the words of its error.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};

/// The headers in which registries say when their counters begin anew.
const RESETS: [&str; 2] = ["ratelimit-reset", "x-ratelimit-reset"];

/// Numbers from here on are seconds since 1970, and not from now.
const EPOCH: u64 = 1_000_000_000;

/// How long the sender of an answer wants to be left alone, if it says so.
pub(super) fn asked(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(delay) = text(RETRY_AFTER.as_str()).and_then(|value| seconds_or_date(value, now)) {
        return Some(delay);
    }
    // An answer that does not refuse for the rate tells of the counters, too.
    let reset = || RESETS.iter().find_map(|name| seconds_or_date(text(name)?, now));
    in_words(&String::from_utf8_lossy(body))
        .or_else(|| if status == StatusCode::TOO_MANY_REQUESTS { reset() } else { None })
}

/// Seconds, or the date until which to wait; a date in the past is no time at all.
fn seconds_or_date(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(u64::from(u32::MAX)));
        return Some(match seconds {
            EPOCH.. => until.duration_since(now).unwrap_or_default(),
            _ => Duration::from_secs(seconds),
        });
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// The delay in words such as GHCR's `retry-after: 441.8ms, allowed: 2000/minute`.
fn in_words(text: &str) -> Option<Duration> {
    const NAME: &str = "retry-after";
    let lower = text.to_ascii_lowercase();
    let after = &lower[lower.find(NAME)? + NAME.len()..];
    go_duration(after.trim_start_matches([':', '=', '"', ' ']))
}

/// A duration at the beginning of `text` as Go writes it: numbers with units, such as `1m30.5s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = None;
    let mut rest = text;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let Ok(number) = number.parse::<f64>() else { return total };
        let units = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(units);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            // A number without a unit is what the header of the same name would say.
            "s" | "" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return total,
        };
        let part = Duration::try_from_secs_f64(number * seconds).ok()?;
        total = Some(total.unwrap_or(Duration::ZERO).checked_add(part)?);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// 2024-01-01.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_067_200)
    }

    fn by(status: u16, name: &str, value: &str, body: &str) -> Option<Duration> {
        let name: HeaderName = name.parse().unwrap();
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        asked(StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes(), now())
    }

    #[test]
    fn headers_give_seconds_or_a_date() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (status, name, value, expected) in [
            (503, "Retry-After", "7", seconds(7)),
            (429, "Retry-After", " 0 ", seconds(0)),
            (429, "Retry-After", "Mon, 01 Jan 2024 00:00:30 GMT", seconds(30)),
            (429, "Retry-After", "Mon, 01 Jan 2018 00:00:30 GMT", seconds(0)),
            (429, "Retry-After", "1704067260", seconds(60)),
            (429, "X-RateLimit-Reset", "1704067260", seconds(60)),
            (429, "RateLimit-Reset", "20", seconds(20)),
            (503, "RateLimit-Reset", "20", None),
            (429, "Retry-After", "soon", None),
            (429, "Retry-After", "-1", None),
        ] {
            assert_eq!(by(status, name, value, ""), expected, "{name}: {value}");
        }
    }

    #[test]
    fn a_message_gives_the_delay_with_its_unit() {
        for (body, expected) in [
            (r#"{"errors":[{"message":"retry-after: 441.8ms, allowed: 2000/minute"}]}"#, Some(441_800)),
            ("Retry-After: 1m30s", Some(90_000_000)),
            ("retry-after: 12µs", Some(12)),
            ("retry-after=3", Some(3_000_000)),
            ("retry-after: 2.5s.", Some(2_500_000)),
            ("retry-after: later", None),
            ("retry-after: 99999999999999999999h", None),
            ("try later", None),
        ] {
            assert_eq!(by(429, "x", "y", body), expected.map(Duration::from_micros), "{body}");
        }
        assert_eq!(by(429, "Retry-After", "1", "retry-after: 5s"), Some(Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn no_answer_panics(value in "[ -~]{0,30}", body in "(retry-after)?[0-9a-zµ.: ]{0,40}") {
            let _ = by(429, "Retry-After", &value, &body);
        }
    }
}
