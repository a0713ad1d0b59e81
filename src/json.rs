//! Lenient reading of JSON values.

use miniserde::json::{self, Array, Number, Object, Value};

use crate::limits::MAX_JSON_COST;

/// Parses a text, unless it is large and has more values than any real one.
pub(crate) fn parse(text: &str) -> Option<Value> {
    // Each value but the first follows a bracket or a comma. Lists and objects cost the most.
    let cost = |byte| match byte {
        b'[' | b'{' => 4,
        b',' => 1,
        _ => 0,
    };
    // A short text is not worth counting.
    if text.len() > MAX_JSON_COST && text.bytes().map(cost).sum::<usize>() > MAX_JSON_COST {
        return None;
    }
    json::from_str(text).ok()
}

/// Reads a value. `None` if it is `null` or of another type.
pub(crate) fn read<T: FromValue>(value: Value) -> Option<T> {
    T::from_value(value)
}

/// Takes a member. `None` if it is missing, `null` or of another type.
pub(crate) fn take<T: FromValue>(object: &mut Object, name: &str) -> Option<T> {
    read(object.remove(name)?)
}

/// Takes a text. `None` if it is missing, empty or not a string.
pub(crate) fn take_text(object: &mut Object, name: &str) -> Option<String> {
    take(object, name).filter(|text: &String| !text.is_empty())
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
    fn a_text_with_more_values_than_any_real_one_is_rejected() {
        let parses = |text: String| {
            let padded = text.clone() + &" ".repeat(1024);
            (parse(&text).is_some(), parse(&padded).is_some())
        };
        let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let list = |n| format!("[0{}]", ",0".repeat(n));
        assert_eq!(parses(nested(256)), (true, true));
        assert_eq!(parses(nested(257)), (true, false));
        assert_eq!(parses(list(1020)), (true, true));
        assert_eq!(parses(list(1021)), (false, false));
        assert_eq!(parses(format!("[{}0]", "{},".repeat(300))), (true, false));
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
