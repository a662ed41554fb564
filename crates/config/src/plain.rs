//! What a plain YAML scalar is: YAML 1.2 as Spack's parser reads it, which allows `_` in numbers and takes dates for dates.

use crate::value::Data;

/// The value of a scalar without quotes and tag; none for a date, which means nothing in configuration.
pub(crate) fn value(text: &str) -> Option<Data> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Data::Null),
        "true" | "True" | "TRUE" => return Some(Data::Boolean(true)),
        "false" | "False" | "FALSE" => return Some(Data::Boolean(false)),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Some(Data::Text(text.to_owned()));
    }
    if is_date(text) {
        return None;
    }
    let number = integer(text).map(Data::Integer).or_else(|| float(text).map(Data::Float));
    Some(number.unwrap_or_else(|| Data::Text(text.to_owned())))
}

/// Whether it is text, and not something else that looks so.
pub(crate) fn is_text(text: &str) -> bool {
    matches!(value(text), Some(Data::Text(_))) && text != "=" && text != "<<"
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = signed(text);
    let digits = digits.replace('_', "");
    let number = if let Some(binary) = digits.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i64::from_str_radix(octal, 8).ok()?
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        i64::from_str_radix(hexadecimal, 16).ok()?
    } else if digits.bytes().all(|digit| digit.is_ascii_digit()) {
        digits.parse().ok()?
    } else {
        return None;
    };
    Some(sign * number)
}

fn float(text: &str) -> Option<f64> {
    let (sign, digits) = signed(text);
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(sign as f64 * f64::INFINITY);
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    let digits = digits.replace('_', "");
    let (mantissa, exponent) = digits.split_once(['e', 'E']).unwrap_or((&digits, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let is_number = mantissa.bytes().any(|c| c.is_ascii_digit())
        && mantissa.bytes().all(|c| c.is_ascii_digit() || c == b'.')
        && mantissa.bytes().filter(|c| *c == b'.').count() <= 1
        && !exponent.is_empty()
        && exponent.bytes().all(|c| c.is_ascii_digit());
    let number: f64 = is_number.then(|| digits.parse().ok()).flatten()?;
    Some(sign as f64 * number)
}

fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// `2024-01-31`, with or without a time.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (day, time) = rest.split_at(end);
    let has_date = year.len() == 4 && digits(year) && digits(month) && digits(day);
    let (short, long) = (month.len() <= 2 && day.len() <= 2, month.len() == 2 && day.len() == 2);
    has_date
        && ((time.is_empty() && long)
            || (short && time.starts_with(['T', 't', ' ', '\t']) && time.contains(':')))
}
