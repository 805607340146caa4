//! What a pattern says, and one name against one component of it.
//!
//! Names are bytes. `?` and a class take one character where the name is UTF-8 and one byte where
//! it is not, so that every name can be matched.

/// A pattern with more alternatives than this is more likely a mistake than meant.
const MAX_ALTERNATIVES: usize = 1_000;

/// Braces within braces, at most.
const MAX_NESTING: usize = 8;

/// One component of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Component {
    /// Exactly this name.
    Plain(Box<[u8]>),
    /// Any name that fits.
    Glob(Glob),
    /// `**`: any number of directories, and none.
    AnyDepth,
}

/// A component with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Box<[Token]>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// Exactly these bytes.
    Plain(Box<[u8]>),
    /// `?`
    One,
    /// `*`
    Many,
    /// `[…]`
    Class { negated: bool, ranges: Box<[(u32, u32)]> },
}

/// What is wrong with a pattern, and at which byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The components of a plain path. Empty ones and `.` say nothing.
pub(super) fn plain(path: &[u8]) -> Vec<Component> {
    let names = path.split(|b| *b == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.map(|name| Component::Plain(name.into())).collect()
}

/// Reads a pattern. Each of its alternatives is a path of its own, as in a shell.
pub(super) fn parse(pattern: &[u8]) -> Result<Vec<Vec<Component>>, Fault> {
    let mut parser = Parser { pattern, at: 0 };
    let parts = parser.parts(0)?;
    let too_many = "the braces stand for more than 1000 paths; name a few, or use `*`";
    let alternatives = expand(&parts).ok_or(Fault { at: 0, what: too_many })?;
    Ok(alternatives.iter().map(|parts| components(parts)).collect())
}

/// Whether a path has anything in it that a pattern would take for more than itself.
pub(super) fn is_pattern(path: &[u8]) -> bool {
    path.iter().any(|b| b"*?[]{}\\".contains(b))
}

impl Glob {
    /// `*`: any name.
    pub(super) fn any() -> Self {
        Self(Box::new([Token::Many]))
    }

    /// Whether a name fits. Without `dots`, a leading dot is fitted by a dot alone, as in a shell.
    pub(super) fn fits(&self, name: &[u8], dots: bool) -> bool {
        let tokens = &*self.0;
        if !dots && name.first() == Some(&b'.') {
            match tokens.first() {
                Some(Token::Plain(bytes)) if bytes.first() == Some(&b'.') => {}
                _ => return false,
            }
        }
        // Most names end in a way that settles it.
        match tokens {
            [Token::Many] => return true,
            [Token::Many, Token::Plain(end)] => return name.ends_with(end),
            [.., Token::Plain(end)] if !name.ends_with(end) => return false,
            _ => {}
        }
        let (mut t, mut n) = (0, 0);
        // Where to go on if the rest does not fit: the last star takes one more character.
        let mut retry = None;
        loop {
            match tokens.get(t) {
                Some(Token::Many) => {
                    t += 1;
                    retry = Some((t, n));
                    continue;
                }
                Some(token) => {
                    if let Some(taken) = token.take(&name[n..]) {
                        (t, n) = (t + 1, n + taken);
                        continue;
                    }
                }
                None if n == name.len() => return true,
                None => {}
            }
            match retry {
                Some((star, from)) if from < name.len() => {
                    let from = from + character(&name[from..]).1;
                    retry = Some((star, from));
                    (t, n) = (star, from);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    /// How many bytes of a name it takes, unless it does not fit. A star takes as many as it must,
    /// which is not known here.
    fn take(&self, name: &[u8]) -> Option<usize> {
        match self {
            Self::Plain(bytes) => name.starts_with(bytes).then_some(bytes.len()),
            Self::Many => Some(0),
            Self::One | Self::Class { .. } if name.is_empty() => None,
            Self::One => Some(character(name).1),
            Self::Class { negated, ranges } => {
                let (character, len) = character(name);
                let within = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                (within != *negated).then_some(len)
            }
        }
    }
}

/// The first character and its length; a byte that is not of UTF-8 is a character beyond Unicode.
fn character(bytes: &[u8]) -> (u32, usize) {
    let first = bytes.first().copied().unwrap_or_default();
    let len = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let text = bytes.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok());
    match text.and_then(|text| text.chars().next()) {
        Some(character) => (u32::from(character), len),
        None => (0x0011_0000 + u32::from(first), 1),
    }
}

/// A pattern as it is written.
#[derive(Debug, Clone)]
enum Part {
    Byte(u8),
    Slash,
    Wild(Token),
    Choice(Vec<Vec<Self>>),
}

struct Parser<'a> {
    pattern: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    /// Reads up to the end, or within braces up to what ends the alternative.
    fn parts(&mut self, nesting: usize) -> Result<Vec<Part>, Fault> {
        let mut parts = Vec::new();
        while let Some(&byte) = self.pattern.get(self.at) {
            if nesting > 0 && matches!(byte, b',' | b'}') {
                break;
            }
            let at = self.at;
            self.at += 1;
            parts.push(match byte {
                b'/' => Part::Slash,
                b'?' => Part::Wild(Token::One),
                b'*' => Part::Wild(Token::Many),
                b'[' => Part::Wild(self.class(at)?),
                b'{' => Part::Choice(self.choice(at, nesting + 1)?),
                b'}' => {
                    let what = "the `}` closes nothing; write `\\}` for a plain one";
                    return Err(Fault { at, what });
                }
                b'\\' => Part::Byte(self.escaped(at)?),
                plain => Part::Byte(plain),
            });
        }
        Ok(parts)
    }

    fn escaped(&mut self, at: usize) -> Result<u8, Fault> {
        let what = "nothing follows the `\\`; write `\\\\` for a plain one";
        let byte = self.pattern.get(self.at).copied().ok_or(Fault { at, what })?;
        self.at += 1;
        Ok(byte)
    }

    fn choice(&mut self, at: usize, nesting: usize) -> Result<Vec<Vec<Part>>, Fault> {
        if nesting > MAX_NESTING {
            return Err(Fault { at, what: "the braces are nested more than 8 deep" });
        }
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.parts(nesting)?);
            let end = self.pattern.get(self.at);
            self.at += 1;
            match end {
                Some(b'}') => return Ok(alternatives),
                Some(_) => {}
                None => {
                    let what = "the `{` is never closed; write `\\{` for a plain one";
                    return Err(Fault { at, what });
                }
            }
        }
    }

    /// Reads a class after its `[`.
    fn class(&mut self, at: usize) -> Result<Token, Fault> {
        let negated = matches!(self.pattern.get(self.at), Some(b'!' | b'^'));
        self.at += usize::from(negated);
        let (mut ranges, mut is_first) = (Vec::new(), true);
        loop {
            match self.pattern.get(self.at..).unwrap_or_default() {
                [] | [b'/', ..] => {
                    let what = "the `[` is never closed; write `\\[` for a plain one";
                    return Err(Fault { at, what });
                }
                [b']', ..] if !is_first => {
                    self.at += 1;
                    return Ok(Token::Class { negated, ranges: ranges.into() });
                }
                [b'[', b':' | b'.' | b'=', ..] => {
                    let what = "a class is written out, as in `[0-9a-f]`; it cannot be named";
                    return Err(Fault { at: self.at, what });
                }
                _ => {}
            }
            is_first = false;
            let from = self.at;
            let low = self.class_end(at)?;
            let is_range = matches!(self.pattern.get(self.at..), Some([b'-', next, ..])
                if *next != b']');
            self.at += usize::from(is_range);
            let high = if is_range { self.class_end(at)? } else { low };
            if low > high {
                return Err(Fault { at: from, what: "the range ends before it begins" });
            }
            ranges.push((low, high));
        }
    }

    /// One end of a range.
    fn class_end(&mut self, at: usize) -> Result<u32, Fault> {
        if self.pattern.get(self.at) == Some(&b'\\') {
            self.at += 1;
        }
        let rest = self.pattern.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            let what = "the `[` is never closed; write `\\[` for a plain one";
            return Err(Fault { at, what });
        }
        let (character, len) = character(rest);
        self.at += len;
        Ok(character)
    }
}

/// Every way to choose; `None` if there are too many.
fn expand(parts: &[Part]) -> Option<Vec<Vec<Part>>> {
    let mut all = vec![Vec::new()];
    for part in parts {
        let Part::Choice(alternatives) = part else {
            all.iter_mut().for_each(|path| path.push(part.clone()));
            continue;
        };
        let mut chosen = Vec::new();
        for alternative in alternatives {
            chosen.extend(expand(alternative)?);
        }
        if all.len().saturating_mul(chosen.len()) > MAX_ALTERNATIVES {
            return None;
        }
        let joined = |path: &Vec<Part>, end: &Vec<Part>| path.iter().chain(end).cloned().collect();
        all = all.iter().flat_map(|path| chosen.iter().map(move |end| joined(path, end))).collect();
    }
    Some(all)
}

fn components(parts: &[Part]) -> Vec<Component> {
    let mut components = Vec::new();
    for parts in parts.split(|part| matches!(part, Part::Slash)) {
        let component = component(parts);
        let says_nothing = match &component {
            Component::Plain(name) => matches!(&**name, b"" | b"."),
            Component::AnyDepth => components.last() == Some(&component),
            Component::Glob(_) => false,
        };
        if !says_nothing {
            components.push(component);
        }
    }
    if components.last() == Some(&Component::AnyDepth) {
        components.push(Component::Glob(Glob::any()));
    }
    components
}

fn component(parts: &[Part]) -> Component {
    if let [Part::Wild(Token::Many), Part::Wild(Token::Many)] = parts {
        return Component::AnyDepth;
    }
    let (mut tokens, mut plain) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            Part::Byte(byte) => plain.push(*byte),
            Part::Wild(token) => {
                if !plain.is_empty() {
                    tokens.push(Token::Plain(std::mem::take(&mut plain).into()));
                }
                if *token != Token::Many || tokens.last() != Some(token) {
                    tokens.push(token.clone());
                }
            }
            Part::Slash | Part::Choice(_) => {}
        }
    }
    if tokens.is_empty() {
        return Component::Plain(plain.into());
    }
    if !plain.is_empty() {
        tokens.push(Token::Plain(plain.into()));
    }
    Component::Glob(Glob(tokens.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        parse(pattern).unwrap().iter().any(|components| match components.as_slice() {
            [Component::Plain(plain)] => **plain == *name,
            [Component::Glob(glob)] | [Component::AnyDepth, Component::Glob(glob)] => {
                glob.fits(name, false)
            }
            [] => false,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn names_fit_as_in_a_shell() {
        let yes: &[(&str, &str)] = &[
            ("*.log", "app.log"),
            ("app-?.log", "app-1.log"),
            ("app-?.log", "app-é.log"),
            ("app-[à-ü].log", "app-é.log"),
            ("a*b*c", "a-b-b-c"),
            ("[a-c]*.log", "b.log"),
            ("[!0-9].log", "x.log"),
            ("[^0-9].log", "x.log"),
            ("*", "x"),
            (".*", ".x"),
            ("[]]", "]"),
            ("[a-]", "-"),
            ("[a\\]]", "]"),
            ("x\\[1\\]", "x[1]"),
            ("{a,b*}.log", "b7.log"),
            ("a{,.1}", "a"),
            ("a{b{c,d},e}f", "abdf"),
        ];
        let no: &[(&str, &str)] = &[
            ("*.log", "app.log.1"),
            ("app-?.log", "app-10.log"),
            ("[a-c]*.log", "d.log"),
            ("[!0-9].log", "1.log"),
            ("*", ".hidden"),
            ("?hidden", ".hidden"),
            ("[.]hidden", ".hidden"),
            ("a*b", "a"),
            ("a?", "a"),
        ];
        for (pattern, name) in yes {
            assert!(fits(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in no {
            assert!(!fits(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        assert!(fits(b"?.log", b"\xff.log") && fits(b"\xff*", b"\xff.log"));
        assert!(fits(b"[\xf0-\xff].log", b"\xfe.log") && !fits(b"?.log", b"\xc3\xc3.log"));
    }

    #[test]
    fn braces_and_slashes_make_paths() {
        let count = |pattern: &[u8]| parse(pattern).map(|paths| paths.len());
        assert_eq!(count(b"/{a,b/{c,d}}/*.log"), Ok(3));
        assert_eq!(parse(b"/a/./b//**/**"), parse(b"a/b/**/*"));
        assert_eq!(count(b"{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}"), Ok(100));
        let digits = b"{0,1,2,3,4,5,6,7,8,9}".repeat(40);
        assert!(count(&digits).is_err_and(|fault| fault.what.contains("1000 paths")));
        assert!(count(&b"{".repeat(10_000)).is_err());
    }

    #[test]
    fn a_fault_has_a_place() {
        let faults: [(&str, usize, &str); 8] = [
            ("/var/[ab", 5, "`[` is never closed"),
            ("/var/[ab/c]", 5, "`[` is never closed"),
            ("a{b,c", 1, "`{` is never closed"),
            ("a}", 1, "closes nothing"),
            ("ab\\", 2, "nothing follows"),
            ("x[z-a]", 2, "ends before it begins"),
            ("x[[:digit:]]", 2, "cannot be named"),
            ("x[a\\", 1, "`[` is never closed"),
        ];
        for (pattern, at, what) in faults {
            let fault = parse(pattern.as_bytes()).unwrap_err();
            assert!(fault.at == at && fault.what.contains(what), "{pattern}: {fault:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_pattern_or_a_fault(pattern: Vec<u8>, name: Vec<u8>) {
            if let Ok(paths) = parse(&pattern) {
                for component in paths.iter().flatten() {
                    if let Component::Glob(glob) = component {
                        glob.fits(&name, true);
                    }
                }
            }
        }

        #[test]
        fn names_fit_as_in_globset(
            pattern in r"([ab.x]|\*|\?|\[[!^]?[ab.]{1,2}\]|\[a-b\]|\{[ab*]{1,2},[?x]{1,2}\}){1,6}",
            names in prop::collection::vec("[abx.]{1,6}", 8),
        ) {
            let glob = globset::Glob::new(&pattern).unwrap().compile_matcher();
            for name in names.iter().filter(|name| !name.starts_with('.')) {
                prop_assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), glob.is_match(name));
            }
        }
    }
}
