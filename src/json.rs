//! Lenient reading of JSON: miniserde's [`Value`], and what of it is of the type that is wanted.

use miniserde::json::{self, Array, Number, Object, Value};

use crate::limits::MAX_JSON_BRACKETS;

/// Reads a text, unless it has more opening brackets than any real one.
pub(crate) fn parse(text: &str) -> Option<Value> {
    // One bit tells them apart, and nothing else becomes one of them by it.
    let brackets = text.bytes().filter(|byte| byte | 0x20 == b'{').count();
    if brackets > MAX_JSON_BRACKETS { None } else { json::from_str(text).ok() }
}

/// A type that a value can be read as.
pub(crate) trait FromValue: Sized {
    fn from_value(value: Value) -> Option<Self>;
}

impl FromValue for String {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::String(text) = value { Some(text) } else { None }
    }
}

impl FromValue for bool {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Bool(yes) = value { Some(yes) } else { None }
    }
}

impl FromValue for i64 {
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Number(Number::I64(n)) => Some(n),
            Value::Number(Number::U64(n)) => i64::try_from(n).ok(),
            _ => None,
        }
    }
}

impl FromValue for Object {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Object(object) = value { Some(object) } else { None }
    }
}

impl FromValue for Array {
    fn from_value(value: Value) -> Option<Self> {
        if let Value::Array(array) = value { Some(array) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_more_brackets_than_any_real_one_is_refused() {
        let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(&nested(256)).is_some());
        assert!(parse(&nested(257)).is_none());
        let objects = |n| format!("[{}1]", "{},".repeat(n));
        assert!(parse(&objects(255)).is_some());
        assert!(parse(&objects(256)).is_none());
    }

    #[test]
    fn a_value_is_read_if_it_is_of_the_right_type() {
        fn read<T: FromValue>(text: &str) -> Option<T> {
            T::from_value(parse(text).unwrap())
        }
        for (text, types) in [
            (r#""s""#, [true, false, false, false, false]),
            ("true", [false, true, false, false, false]),
            ("-7", [false, false, true, false, false]),
            ("{}", [false, false, false, true, false]),
            ("[1]", [false, false, false, false, true]),
            ("18446744073709551615", [false; 5]),
            ("1.5", [false; 5]),
            ("null", [false; 5]),
        ] {
            let read = [
                read::<String>(text).is_some(),
                read::<bool>(text).is_some(),
                read::<i64>(text).is_some(),
                read::<Object>(text).is_some(),
                read::<Array>(text).is_some(),
            ];
            assert_eq!(read, types, "{text}");
        }
        assert_eq!(read(r#""x""#), Some("x".to_owned()));
        assert_eq!(read("true"), Some(true));
        assert_eq!(read("-7"), Some(-7_i64));
        assert_eq!(read("9223372036854775807"), Some(i64::MAX));
    }
}
