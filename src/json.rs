//! Lenient reading of JSON, on top of miniserde.
//!
//! miniserde answers with "no" and nothing else. Where an answer's members may have any type, or
//! the wrong type must be named, a member is read as a [`Leaf`], and nested parts are cut out of
//! the text with [`member`] and [`elements`] and read on their own.

use miniserde::de::{Deserialize, Map, Seq, Visitor};
use miniserde::{json, make_place};

/// How deep the JSON of an answer may be nested. Real ones stay below ten.
const DEEPEST: usize = 64;

/// Up to this size, in bytes, even a text of brackets alone costs the parser little memory.
const HARMLESS: usize = 4 * 1024;

/// Reads `text`, unless it is nested so deeply that the parser's stack would need a multiple of
/// the text's own size.
pub(crate) fn parse<T: Deserialize>(text: &str) -> Option<T> {
    if text.len() > HARMLESS && deepest(text) > DEEPEST {
        return None;
    }
    json::from_str(text).ok()
}

fn deepest(text: &str) -> usize {
    let (mut depth, mut deepest, mut i) = (0_usize, 0, 0);
    let bytes = text.as_bytes();
    while i < bytes.len() {
        match bytes[i] {
            b'"' => i = end_of_string(bytes, i) - 1,
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        i += 1;
    }
    deepest
}

/// A member's value of whatever type; what is in an array or an object is passed over.
pub(crate) enum Leaf {
    Str(String),
    Bool(bool),
    Int(i64),
    Other,
}

make_place!(Place);

impl Deserialize for Leaf {
    fn begin(out: &mut Option<Self>) -> &mut dyn Visitor {
        Place::new(out)
    }
}

impl Place<Leaf> {
    #[allow(clippy::unnecessary_wraps, reason = "it is what the visitor answers")]
    fn put(&mut self, leaf: Leaf) -> miniserde::Result<()> {
        self.out = Some(leaf);
        Ok(())
    }
}

impl Visitor for Place<Leaf> {
    fn null(&mut self) -> miniserde::Result<()> {
        self.put(Leaf::Other)
    }

    fn boolean(&mut self, b: bool) -> miniserde::Result<()> {
        self.put(Leaf::Bool(b))
    }

    fn string(&mut self, s: &str) -> miniserde::Result<()> {
        self.put(Leaf::Str(s.to_owned()))
    }

    fn negative(&mut self, n: i64) -> miniserde::Result<()> {
        self.put(Leaf::Int(n))
    }

    fn nonnegative(&mut self, n: u64) -> miniserde::Result<()> {
        self.put(i64::try_from(n).map_or(Leaf::Other, Leaf::Int))
    }

    fn float(&mut self, _: f64) -> miniserde::Result<()> {
        self.put(Leaf::Other)
    }

    fn seq(&mut self) -> miniserde::Result<Box<dyn Seq + '_>> {
        self.out = Some(Leaf::Other);
        <dyn Visitor>::ignore().seq()
    }

    fn map(&mut self) -> miniserde::Result<Box<dyn Map + '_>> {
        self.out = Some(Leaf::Other);
        <dyn Visitor>::ignore().map()
    }
}

/// The value is of another type.
pub(crate) struct Mismatch;

impl TryFrom<Leaf> for String {
    type Error = Mismatch;

    fn try_from(leaf: Leaf) -> Result<Self, Mismatch> {
        if let Leaf::Str(s) = leaf { Ok(s) } else { Err(Mismatch) }
    }
}

impl TryFrom<Leaf> for bool {
    type Error = Mismatch;

    fn try_from(leaf: Leaf) -> Result<Self, Mismatch> {
        if let Leaf::Bool(b) = leaf { Ok(b) } else { Err(Mismatch) }
    }
}

impl TryFrom<Leaf> for i64 {
    type Error = Mismatch;

    fn try_from(leaf: Leaf) -> Result<Self, Mismatch> {
        if let Leaf::Int(n) = leaf { Ok(n) } else { Err(Mismatch) }
    }
}

/// The text of the member `name` of the object in `text`, which is valid JSON.
pub(crate) fn member<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut values = Values::of(text, b'{')?;
    while let Some(key) = values.next() {
        let value = values.next()?;
        if key.strip_prefix('"')?.strip_suffix('"')? == name {
            return Some(value);
        }
    }
    None
}

/// The texts of the elements of the array in `text`, which is valid JSON.
pub(crate) fn elements(text: &str) -> impl Iterator<Item = &str> {
    Values::of(text, b'[').into_iter().flatten()
}

/// Steps over the values (in an object: keys and values in turn) of an array or object.
struct Values<'a> {
    text: &'a str,
    next: usize,
}

impl<'a> Values<'a> {
    fn of(text: &'a str, open: u8) -> Option<Self> {
        let text = text.trim_ascii();
        (text.as_bytes().first() == Some(&open)).then_some(Values { text, next: 1 })
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.text.as_bytes();
        while let b' ' | b'\t' | b'\r' | b'\n' | b',' | b':' = bytes.get(self.next)? {
            self.next += 1;
        }
        let start = self.next;
        self.next = end_of_value(bytes, start);
        let value = self.text.get(start..self.next)?.trim_ascii_end();
        (!value.is_empty()).then_some(value)
    }
}

fn end_of_value(bytes: &[u8], mut i: usize) -> usize {
    let mut depth = 0_usize;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => {
                i = end_of_string(bytes, i);
                if depth == 0 {
                    return i;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' if depth == 0 => return i,
            b'}' | b']' if depth == 1 => return i + 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        i += 1;
    }
    i
}

/// The index behind the string that starts at `i`.
fn end_of_string(bytes: &[u8], mut i: usize) -> usize {
    i += 1;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => return i + 1,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_cut_out_as_it_was_sent() {
        let text = r#" {"a":"{\"data\":1}","b":[1,{"data":2}], "data" : {"n":1e400,"s":"}]\\"} ,"z":null}"#;
        assert_eq!(member(text, "data"), Some(r#"{"n":1e400,"s":"}]\\"}"#));
        assert_eq!(member(text, "b"), Some(r#"[1,{"data":2}]"#));
        assert_eq!(member(text, "z"), Some("null"));
        assert_eq!(member(text, "n"), None);
        assert_eq!(member("[1]", "n"), None);
        assert_eq!(member("{}", "n"), None);
    }

    #[test]
    fn elements_are_cut_out_as_they_were_sent() {
        let of = |text| elements(text).collect::<Vec<_>>();
        assert_eq!(
            of(r#"[ "a,b" , {"c":[]},-1.5,[] ]"#),
            [r#""a,b""#, r#"{"c":[]}"#, "-1.5", "[]"]
        );
        assert_eq!(of("[]"), [""; 0]);
        assert_eq!(of("{}"), [""; 0]);
        assert_eq!(of("null"), [""; 0]);
    }

    #[test]
    fn deep_nesting_is_refused_before_it_is_parsed() {
        let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse::<Leaf>(&nested(HARMLESS)).is_none());
        assert!(parse::<Leaf>(&format!("[{}{}]", "1,".repeat(HARMLESS), nested(50))).is_some());
        // Brackets in a string are no nesting.
        assert!(parse::<Leaf>(&format!("\"{}\\\"\"", "[".repeat(HARMLESS))).is_some());
    }

    #[test]
    fn broken_json_never_panics() {
        for text in ["", "{", "{\"", "{\"a\\", "{\"a\":", "[", "[\"\\", "{]", "[}", "{,,}", "\"\\"]
        {
            assert!(parse::<Leaf>(text).is_none(), "{text}");
            let _ = (member(text, "a"), elements(text).count(), deepest(text));
        }
    }
}
