//! From Go's dialect of regular expressions to that of the `regex` crate.
//!
//! They differ in little, and silently, which is worse: `\d` would match Arabic digits, `[a&&b]` would be an
//! intersection, `\<` the beginning of a word, `a{,3}` a repetition. So nothing is copied that has not been understood:
//! what means the same is written so that it does, the rest is refused by name.
//!
//! Source: Go's `regexp/syntax`, with the flags that `regexp.Compile` sets.

use std::fmt::Write as _;

/// Go's bound of a counted repetition.
const MAX_REPEAT: u32 = 1000;

/// The names that `[:name:]` may have; all are ASCII, there and here.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// The same pattern, for the `regex` crate.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut reader = Reader { rest: pattern, out: String::with_capacity(pattern.len() + 8) };
    while let Some(c) = reader.next() {
        match c {
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group()?,
            '{' => reader.repeat()?,
            '.' | '|' | ')' | '*' | '+' | '?' | '^' | '$' => reader.out.push(c),
            literal => reader.literal(literal),
        }
    }
    Ok(reader.out)
}

struct Reader<'a> {
    rest: &'a str,
    out: String,
}

/// One character of a class, or a set of them.
enum Item {
    Char(char),
    Set(String),
}

impl Reader<'_> {
    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next();
        self.rest = chars.as_str();
        c
    }

    fn takes(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Written so that no dialect can read anything into it.
    fn literal(&mut self, c: char) {
        if c.is_ascii_alphanumeric() || !c.is_ascii() {
            self.out.push(c);
        } else {
            let _ = write!(self.out, "\\x{:02x}", u32::from(c));
        }
    }

    /// After a backslash, outside a class.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.chars().next() {
            Some(c @ ('A' | 'z')) => {
                self.next();
                self.out.extend(['\\', c]);
            }
            Some(c @ ('b' | 'B')) => {
                self.next();
                let _ = write!(self.out, "(?-u:\\{c})");
            }
            Some('C') => return Err("`\\C`, a single byte, is not supported: write `.`".into()),
            Some('Q') => {
                self.next();
                let (literal, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
                self.rest = rest;
                literal.chars().for_each(|c| self.literal(c));
            }
            _ => match self.escaped()? {
                Item::Char(c) => self.literal(c),
                Item::Set(set) => self.out.push_str(&set),
            },
        }
        Ok(())
    }

    /// What an escape stands for, inside a class and outside; the backslash is behind us.
    fn escaped(&mut self) -> Result<Item, String> {
        let Some(c) = self.next() else {
            return Err("the pattern ends in a lone backslash: write `\\\\`".into());
        };
        let set = |set: &str| Ok(Item::Set(set.to_owned()));
        match c {
            // Go's Perl classes are ASCII.
            'd' => set("[0-9]"),
            'D' => set("[^0-9]"),
            's' => set("[\\t\\n\\f\\r ]"),
            'S' => set("[^\\t\\n\\f\\r ]"),
            'w' => set("[0-9A-Za-z_]"),
            'W' => set("[^0-9A-Za-z_]"),
            'p' | 'P' => self.unicode_class(c),
            'a' => Ok(Item::Char('\x07')),
            'f' => Ok(Item::Char('\x0c')),
            'n' => Ok(Item::Char('\n')),
            'r' => Ok(Item::Char('\r')),
            't' => Ok(Item::Char('\t')),
            'v' => Ok(Item::Char('\x0b')),
            'x' => self.hexadecimal(),
            '0'..='7' => self.octal(c),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(Item::Char(c)),
            other => Err(format!("there is no escape `\\{other}`")),
        }
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`, and the same with a `P`.
    fn unicode_class(&mut self, p: char) -> Result<Item, String> {
        let missing = || format!("`\\{p}` needs a class behind it, as in `\\{p}{{Greek}}`");
        let (mut negated, name) = (
            p == 'P',
            if self.takes("{") {
                let (name, rest) = self.rest.split_once('}').ok_or_else(missing)?;
                self.rest = rest;
                name
            } else {
                let (name, rest) =
                    self.rest.split_at(self.rest.chars().next().map_or(0, char::len_utf8));
                self.rest = rest;
                name
            },
        );
        let bare = name.strip_prefix('^').inspect(|_| negated = !negated).unwrap_or(name);
        if bare.is_empty() || !bare.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(missing());
        }
        Ok(Item::Set(format!("\\{}{{{bare}}}", if negated { 'P' } else { 'p' })))
    }

    /// `\x7f` or `\x{10ffff}`.
    fn hexadecimal(&mut self) -> Result<Item, String> {
        let digits = if self.takes("{") {
            let (digits, rest) = self.rest.split_once('}').unwrap_or_default();
            self.rest = rest;
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).unwrap_or_default();
            self.rest = rest;
            digits
        };
        let all_digits = digits.bytes().all(|b| b.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| all_digits);
        number
            .and_then(char::from_u32)
            .map(Item::Char)
            .ok_or_else(|| "`\\x` needs the number of a character: `\\x7f`, `\\x{1f642}`".into())
    }

    /// `\0`, `\012`, `\123`; a lone `\1` would be a back reference.
    fn octal(&mut self, first: char) -> Result<Item, String> {
        let mut number = first.to_digit(8).unwrap_or(0);
        let mut digits = 1;
        while let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) {
            if digits == 3 {
                break;
            }
            self.next();
            (number, digits) = (number * 8 + digit, digits + 1);
        }
        if first != '0' && digits == 1 {
            return Err(format!("`\\{first}`, a back reference, is not supported"));
        }
        char::from_u32(number).map(Item::Char).ok_or_else(|| "not a character".into())
    }

    /// After a `[`.
    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.takes("^") {
            self.out.push('^');
        }
        let mut first = true; // a `]` that stands first is itself
        while first || !self.rest.starts_with(']') {
            first = false;
            match self.class_item()? {
                Item::Set(set) => self.out.push_str(&set),
                Item::Char(low) => {
                    self.literal(low);
                    let mut ahead = self.rest.chars();
                    if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
                        self.next();
                        let Item::Char(high) = self.class_item()? else {
                            return Err(format!("a range cannot end in a class: `{low}-`…"));
                        };
                        if high < low {
                            return Err(format!("the range `{low}-{high}` is the wrong way round"));
                        }
                        self.out.push('-');
                        self.literal(high);
                    }
                }
            }
        }
        self.next();
        self.out.push(']');
        Ok(())
    }

    fn class_item(&mut self) -> Result<Item, String> {
        if let Some((name, rest)) =
            self.rest.strip_prefix("[:").and_then(|named| named.split_once(":]"))
        {
            let bare = name.strip_prefix('^').unwrap_or(name);
            if !POSIX.contains(&bare) {
                return Err(format!("there is no class `[:{name}:]`"));
            }
            self.rest = rest;
            return Ok(Item::Set(format!("[:{name}:]")));
        }
        match self.next() {
            None => Err("the closing `]` is missing".into()),
            Some('\\') => self.escaped(),
            Some(c) => Ok(Item::Char(c)),
        }
    }

    /// After a `(`: plain, `(?:`, `(?P<name>`, `(?flags)` or `(?flags:`.
    fn group(&mut self) -> Result<(), String> {
        if !self.takes("?") {
            // Nobody asks for the captures.
            self.out.push_str("(?:");
            return Ok(());
        }
        let looks_behind = self.rest.starts_with("<=") || self.rest.starts_with("<!");
        if self.takes("P<") || (!looks_behind && self.takes("<")) {
            let (name, rest) =
                self.rest.split_once('>').ok_or("the `>` behind a group's name is missing")?;
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(format!("`{name}` cannot be a group's name"));
            }
            self.rest = rest;
            self.out.push_str("(?:");
            return Ok(());
        }
        let end = self.rest.find([')', ':']).ok_or("a group is not closed")?;
        let (flags, rest) = self.rest.split_at(end);
        if let Some(unknown) = flags.chars().find(|c| !"imsU-".contains(*c)) {
            return Err(match unknown {
                '=' | '!' | '<' => "looking ahead or behind is not supported".to_owned(),
                other => format!("there is no flag `{other}`; there are i, m, s and U"),
            });
        }
        self.rest = rest;
        let end = self.next();
        // Here a flag may stand once, there any number of times: the last one holds.
        let (mut on, mut off) = (String::new(), None);
        for flag in flags.chars() {
            match (flag, &mut off) {
                ('-', None) => off = Some(String::new()),
                ('-', Some(_)) => return Err("a group has two `-` in its flags".into()),
                (flag, off) => {
                    on.retain(|other| other != flag);
                    let list = off.as_mut().unwrap_or(&mut on);
                    list.retain(|other| other != flag);
                    list.push(flag);
                }
            }
        }
        let none = flags.is_empty() && end == Some(')');
        let _ = match off {
            _ if none => write!(self.out, "(?:"),
            Some(off) => write!(self.out, "(?{on}-{off}"),
            None => write!(self.out, "(?{on}"),
        };
        self.out.extend(end);
        Ok(())
    }

    /// After a `{`: a repetition if it is written exactly like one, else a brace.
    fn repeat(&mut self) -> Result<(), String> {
        let number = |text: &str| {
            let plain = text.bytes().all(|b| b.is_ascii_digit())
                && (text.len() == 1 || (!text.is_empty() && !text.starts_with('0')));
            // More digits than a number has are too many repetitions, too.
            plain.then(|| text.parse().unwrap_or(u32::MAX))
        };
        let parsed = self.rest.split_once('}').and_then(|(inner, rest)| {
            let (low, high) = inner.split_once(',').map_or((inner, None), |(l, h)| (l, Some(h)));
            let low = number(low)?;
            let high = match high {
                None => Some(low),
                Some("") => None,
                Some(high) => Some(number(high)?),
            };
            Some((inner, low, high, rest))
        });
        let Some((inner, low, high, rest)) = parsed else {
            self.literal('{');
            return Ok(());
        };
        if low > MAX_REPEAT || high.is_some_and(|high| high > MAX_REPEAT) {
            return Err(format!("`{{{inner}}}` repeats more than {MAX_REPEAT} times"));
        }
        if high.is_some_and(|high| high < low) {
            return Err(format!("`{{{inner}}}` is the wrong way round"));
        }
        self.rest = rest;
        let _ = write!(self.out, "{{{inner}}}");
        Ok(())
    }
}
