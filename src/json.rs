//! Lenient reading of JSON values.

use std::mem;

use miniserde::json::{self, Array, Number, Object, Value};

use crate::limits::MAX_JSON_COST;

/// Parses a text. `None` if it is not JSON, or would need too much memory.
pub(crate) fn parse(text: &str) -> Option<Value> {
    // A short text, such as a session, cannot cost that much.
    let is_short = text.len() <= MAX_JSON_COST / 4;
    if is_short || cost(text) <= MAX_JSON_COST { json::from_str(text).ok() } else { None }
}

/// Estimates the memory that the values of a text need. The unit is about 80 bytes.
fn cost(text: &str) -> usize {
    let (mut cost, mut in_string, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'"' => in_string = !in_string,
            b'\\' => is_escaped = true,
            _ if in_string => {}
            b'{' => cost += 8,
            b'[' => cost += 2,
            // Each further member or item.
            b',' => cost += 1,
            _ => {}
        }
    }
    cost
}

/// Takes a member. `None` if it is missing, `null` or of another type.
pub(crate) fn take<T: FromValue>(object: &mut Object, name: &str) -> Option<T> {
    // Cheaper than removing it, which moves other members.
    T::from_value(mem::replace(object.get_mut(name)?, Value::Null))
}

/// Takes a text. `None` if it is missing, empty or not a string.
pub(crate) fn take_nonempty(object: &mut Object, name: &str) -> Option<String> {
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
    fn a_text_that_needs_too_much_memory_is_rejected() {
        let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        let items = |item: &str, n: usize| format!("[{item}{}]", format!(",{item}").repeat(n - 1));
        let objects = |n| format!("{}0{}", r#"{"":"#.repeat(n), "}".repeat(n));
        for (text, is_accepted) in [
            (nested(2048), true),
            (nested(2049), false),
            (objects(512), true),
            (objects(513), false),
            (items("0", 4095), true),
            (items("0", 4096), false),
            (items("{}", 455), true),
            (items("{}", 456), false),
            // What is inside strings costs nothing.
            (items(r#""[{,\"[{,""#, 4095), true),
            (items(r#""\\""#, 4096), false),
        ] {
            assert_eq!(parse(&text).is_some(), is_accepted, "{} bytes: {text:.40}", text.len());
        }
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
