//! Text in messages.

use std::fmt::{self, Write};

use crate::limits::MAX_SHOWN_CHARS;

/// An untrusted text for a terminal: control and invisible characters are escaped, and a long text
/// is truncated.
pub(crate) struct Sanitized<'a>(pub &'a str);

impl fmt::Display for Sanitized<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, c) in self.0.chars().enumerate() {
            if i == MAX_SHOWN_CHARS {
                return f.write_char('…');
            }
            if c.is_control() || is_invisible(c) {
                write!(f, "{}", c.escape_unicode())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Whether a text has a letter, a digit or a symbol that a reader can see.
pub(crate) fn has_visible_text(text: &str) -> bool {
    let is_blank = |c: char| c.is_whitespace() || c.is_ascii_punctuation() || c.is_control();
    text.chars().any(|c| !is_blank(c) && !is_invisible(c))
}

/// Unicode 17's `Default_Ignorable_Code_Point`, the line and paragraph separators, and the marks
/// of interlinear annotation.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Shows in `Debug` whether a secret is present, but not the secret.
pub(crate) fn redacted<T>(secret: Option<T>) -> Option<fmt::Arguments<'static>> {
    secret.map(|_| format_args!("…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_texts_truncated() {
        let shown = |text: &str| Sanitized(text).to_string();
        assert_eq!(shown("café – ok"), "café – ok");
        assert_eq!(shown("a\x1b[31mb\r\n\0\u{9b}"), r"a\u{1b}[31mb\u{d}\u{a}\u{0}\u{9b}");
        assert_eq!(shown("ab\u{202e}cd\u{feff}"), r"ab\u{202e}cd\u{feff}");
        assert_eq!(shown(&"x".repeat(300)), "x".repeat(300));
        assert_eq!(shown(&"x".repeat(301)), format!("{}…", "x".repeat(300)));
    }

    #[test]
    fn text_is_visible_if_it_has_a_letter_or_a_digit() {
        for (text, readable) in [
            ("a", true),
            (" 7.", true),
            ("é", true),
            ("", false),
            (" ... ", false),
            ("\u{3164}", false),
        ] {
            assert_eq!(has_visible_text(text), readable, "{text:?}");
        }
    }

    #[test]
    fn invisible_characters_are_those_of_unicode() {
        let pattern = r"\p{Default_Ignorable_Code_Point}|[\u{2028}\u{2029}\u{fff9}-\u{fffb}]";
        let invisible = regex::Regex::new(pattern).unwrap();
        for c in '\0'..=char::MAX {
            assert_eq!(is_invisible(c), invisible.is_match(c.encode_utf8(&mut [0; 4])), "{c:?}");
        }
    }
}
