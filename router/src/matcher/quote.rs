//! Quotes and escapes, in Go's way and in that of the OpenMetrics text format.

use std::fmt::{self, Write as _};
use std::sync::LazyLock;

use regex::Regex;

/// Prints a text in double quotes.
pub(super) struct Quoted<'a> {
    text: &'a str,
    go: bool,
}

impl<'a> Quoted<'a> {
    /// With `"`, `\` and line feeds escaped; whatever else the text holds stands as it is.
    pub(super) fn open_metrics(text: &'a str) -> Self {
        Self { text, go: false }
    }

    /// As Go's `strconv.Quote`: what does not print is escaped as well.
    pub(super) fn go(text: &'a str) -> Self {
        Self { text, go: true }
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.text.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c if !self.go || (c.is_ascii() && !c.is_ascii_control()) => f.write_char(c)?,
                '\x07' => f.write_str("\\a")?,
                '\x08' => f.write_str("\\b")?,
                '\x0c' => f.write_str("\\f")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\x0b' => f.write_str("\\v")?,
                c if c.is_ascii() => write!(f, "\\x{:02x}", u32::from(c))?,
                c if prints(c) => f.write_char(c)?,
                c if u32::from(c) <= 0xffff => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "\\U{:08x}", u32::from(c))?,
            }
        }
        f.write_char('"')
    }
}

/// Go's `unicode.IsPrint`: letters, marks, numbers, punctuation and symbols.
fn prints(c: char) -> bool {
    static PRINTS: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[\pL\pM\pN\pP\pS]$").ok());
    PRINTS.as_ref().is_some_and(|prints| prints.is_match(c.encode_utf8(&mut [0; 4])))
}

/// Reads a text in double quotes that `text` begins with, as Go's `strconv.Unquote`; gives what follows it, too.
pub(super) fn unquote(text: &str) -> Result<(String, &str), String> {
    let mut chars = text.chars();
    if chars.next() != Some('"') {
        return Err("expected a double quote".into());
    }
    // Bytes, since `\xf0\x9f\x99\x82` is one character.
    let mut out = Vec::new();
    loop {
        match chars.next() {
            None => return Err("the closing quote is missing".into()),
            Some('"') => break,
            Some('\n') => return Err("a line feed inside quotes is written \\n".into()),
            Some('\\') => escape(&mut chars, &mut out)?,
            Some(c) => push(&mut out, c),
        }
    }
    let text = String::from_utf8(out).map_err(|_| "the escapes in quotes are not UTF-8")?;
    Ok((text, chars.as_str()))
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn escape(chars: &mut std::str::Chars<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let escape = chars.next().ok_or("the closing quote is missing")?;
    let mut number = |digits: usize, radix: u32| {
        (0..digits).try_fold(0_u32, |number, _| {
            let digit = chars.next().and_then(|c| c.to_digit(radix));
            digit.map(|digit| number * radix + digit)
        })
    };
    let wrong =
        |number: &str| format!("`\\{escape}` needs {number} digits of a character behind it");
    match escape {
        'a' => out.push(7),
        'b' => out.push(8),
        'f' => out.push(12),
        'n' => out.push(b'\n'),
        'r' => out.push(b'\r'),
        't' => out.push(b'\t'),
        'v' => out.push(11),
        '\\' | '"' => push(out, escape),
        'x' => {
            out.push(number(2, 16).and_then(|n| u8::try_from(n).ok()).ok_or_else(|| wrong("2"))?)
        }
        'u' => push(out, number(4, 16).and_then(char::from_u32).ok_or_else(|| wrong("4"))?),
        'U' => push(out, number(8, 16).and_then(char::from_u32).ok_or_else(|| wrong("8"))?),
        '0'..='7' => {
            let first = escape.to_digit(8).unwrap_or(0) * 64;
            let byte = number(2, 8).and_then(|rest| u8::try_from(first + rest).ok());
            out.push(byte.ok_or("an octal escape has three digits, up to \\377")?);
        }
        other => {
            return Err(format!(
                "there is no escape `\\{other}`: in double quotes a backslash is written `\\\\`"
            ));
        }
    }
    Ok(())
}
