//! Text on its way to a person.

use std::fmt::{self, Write};

/// A longest text that is shown in a sentence, in characters.
const LONGEST: usize = 300;

/// A text of somebody else's, fit for a terminal: control characters and those that turn the
/// direction of writing are escaped, and a long text is cut.
pub(crate) struct Shown<'a>(pub &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, c) in self.0.chars().enumerate() {
            if i == LONGEST {
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

/// Separators, marks and overrides that a terminal obeys instead of showing.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Stands for a secret in `Debug`: whether it is there, and nothing of it.
pub(crate) fn hidden<T>(secret: Option<T>) -> Option<fmt::Arguments<'static>> {
    secret.map(|_| format_args!("…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_long_texts_cut() {
        let shown = |text: &str| Shown(text).to_string();
        assert_eq!(shown("café – ok"), "café – ok");
        assert_eq!(shown("a\x1b[31mb\r\n\0\u{9b}"), r"a\u{1b}[31mb\u{d}\u{a}\u{0}\u{9b}");
        assert_eq!(shown("ab\u{202e}cd\u{feff}"), r"ab\u{202e}cd\u{feff}");
        assert_eq!(shown(&"x".repeat(10_000)).chars().count(), LONGEST + 1);
    }
}
