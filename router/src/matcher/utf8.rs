//! The UTF-8 syntax: any name, stricter quoting.
//!
//! ```text
//! list    = [ "{" ] [ matcher { "," matcher } [ "," ] ] [ "}" ]      both braces or none
//! matcher = text ( "=" | "!=" | "=~" | "!~" ) text
//! text    = a quoted one with Go's escapes, or characters that are not reserved
//! ```

use super::quote::unquote;
use super::read::Complaint;
use super::{MatchOp, Parts};

/// What a text without quotes cannot hold.
pub(super) fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}

pub(super) fn list(text: &str) -> Result<Vec<Parts>, Complaint> {
    let mut cursor = Cursor { whole: text, rest: text };
    let braces = cursor.takes('{');
    let mut parts = Vec::new();
    loop {
        let at_end = cursor.at_end() || cursor.rest.starts_with('}');
        if at_end {
            break;
        }
        parts.push(cursor.matcher()?);
        if !cursor.takes(',') {
            break;
        }
    }
    match (braces, cursor.takes('}')) {
        (true, false) if cursor.at_end() => Err(cursor.complain("the closing brace is missing")),
        (false, true) => Err(cursor.complain("there is a closing brace without an opening one")),
        _ if cursor.at_end() => Ok(parts),
        _ => Err(cursor.complain(format!(
            "expected a comma between matchers before `{}`: a value that holds one of {{}}!=~,\\\"'` or a space is \
             written in double quotes",
            cursor.rest
        ))),
    }
}

struct Cursor<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl Cursor<'_> {
    fn complain(&self, message: impl Into<String>) -> Complaint {
        Complaint::new(self.whole, message)
    }

    fn at_end(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    fn takes(&mut self, c: char) -> bool {
        let rest = self.rest.trim_start();
        self.rest = rest.strip_prefix(c).unwrap_or(rest);
        self.rest.len() < rest.len()
    }

    fn matcher(&mut self) -> Result<Parts, Complaint> {
        let name = self.text("a label's name")?;
        self.rest = self.rest.trim_start();
        let operators = [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal];
        let found =
            operators.into_iter().find_map(|op| Some((op, self.rest.strip_prefix(op.as_str())?)));
        let Some((op, rest)) = found else {
            return Err(self
                .complain("expected =, !=, =~ or !~ after the label's name, as in env=\"prod\""));
        };
        self.rest = rest;
        Ok(Parts { name, op, value: self.text("a value in double quotes")? })
    }

    fn text(&mut self, what: &str) -> Result<String, Complaint> {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('"') {
            let (text, rest) = unquote(self.rest).map_err(|message| self.complain(message))?;
            self.rest = rest;
            return Ok(text);
        }
        let (text, rest) =
            self.rest.split_at(self.rest.find(is_reserved).unwrap_or(self.rest.len()));
        if text.is_empty() {
            return Err(self.complain(match rest.chars().next() {
                Some(found) => format!("expected {what}, found `{found}`"),
                None => format!("expected {what} at the end"),
            }));
        }
        self.rest = rest;
        Ok(text.to_owned())
    }
}
