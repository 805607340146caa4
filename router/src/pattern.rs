//! Regular expressions as Alertmanager's users write them.
//!
//! Alertmanager reads Go's RE2 dialect ([`dialect`]). Most patterns are not regular expressions in earnest: `api|web`,
//! `web-.*`, `.+`. Those become plain comparisons ([`shape`]), which are faster, take a hundredth of the memory, and
//! tell the index where to look. The rest is compiled; both engines, Go's and ours, run in linear time.

mod dialect;
mod shape;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;

pub(crate) use self::shape::Glob;

/// No pattern's program may be larger than this, so that a configuration cannot eat the memory.
const SIZE_LIMIT: usize = 1 << 20;

/// A pattern, compiled. It matches a text as a whole.
#[derive(Debug)]
pub(crate) struct Pattern {
    test: Test,
}

#[derive(Debug)]
enum Test {
    /// Some texts, and some texts with gaps, are all that it matches.
    Plain {
        exact: Box<[Box<str>]>,
        globs: Box<[Glob]>,
    },
    Regex {
        regex: Regex,
        heads: shape::Ends,
        tails: shape::Ends,
    },
}

/// What every text that a pattern matches has, as far as it is known: it is one of `exact`, or begins with one of
/// `heads`, or ends in one of `tails`. Nothing is known when all are empty, unless `nothing` matches at all.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Needs<'p> {
    pub(crate) exact: Vec<&'p str>,
    pub(crate) heads: Vec<&'p [u8]>,
    pub(crate) tails: Vec<&'p [u8]>,
    pub(crate) nothing: bool,
}

impl Pattern {
    /// Compiles `pattern`, anchored at both ends.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(crate) fn compile(pattern: &str) -> Result<Self, String> {
        let rust = dialect::translate(pattern)?;
        // Bytes, because Go's `\B` may stand between the bytes of one character. Nothing here can match a part of one.
        let hir = ParserBuilder::new().utf8(false).build().parse(&rust);
        let hir = hir.map_err(|e| explain(pattern, &e))?;
        let test = match shape::plain(&hir) {
            Some((exact, globs)) => Test::Plain { exact, globs },
            None => {
                let regex = RegexBuilder::new(&format!("^(?:{rust})$"))
                    .size_limit(SIZE_LIMIT)
                    .build()
                    .map_err(|e| match e {
                        regex::Error::CompiledTooBig(_) => {
                            "the pattern is too large: repeat less".to_owned()
                        }
                        other => other.to_string(),
                    })?;
                let (heads, tails) = shape::ends(&hir);
                Test::Regex { regex, heads, tails }
            }
        };
        Ok(Self { test })
    }

    /// Does it match the whole of `text`?
    pub(crate) fn is_match(&self, text: &str) -> bool {
        match &self.test {
            Test::Plain { exact, globs } => {
                globs.iter().any(|glob| glob.is_match(text))
                    || exact.binary_search_by(|known| (**known).cmp(text)).is_ok()
            }
            Test::Regex { regex, .. } => regex.is_match(text.as_bytes()),
        }
    }

    /// The texts that are all it matches, sorted.
    pub(crate) fn exact(&self) -> Option<&[Box<str>]> {
        match &self.test {
            Test::Plain { exact, globs } if globs.is_empty() => Some(exact),
            _ => None,
        }
    }

    /// What a text must have to be matched.
    pub(crate) fn needs(&self) -> Needs<'_> {
        let mut needs = Needs::default();
        match &self.test {
            Test::Plain { exact, globs } => {
                needs.nothing = exact.is_empty() && globs.is_empty();
                needs.exact.extend(exact.iter().map(|text| &**text));
                for glob in globs {
                    match (glob.head().as_bytes(), glob.tail().as_bytes()) {
                        ([], []) => return Needs::default(),
                        ([], tail) => needs.tails.push(tail),
                        (head, _) => needs.heads.push(head),
                    }
                }
            }
            Test::Regex { heads, tails, .. } => {
                // Either is enough; a longer text says more.
                let shortest =
                    |ends: &[Box<[u8]>]| ends.iter().map(|end| end.len()).min().unwrap_or(0);
                if shortest(heads) >= shortest(tails) {
                    needs.heads.extend(heads.iter().map(|end| &**end));
                } else {
                    needs.tails.extend(tails.iter().map(|end| &**end));
                }
            }
        }
        needs
    }
}

/// The parser's complaint without its drawing, which shows the translated pattern and not the one that was written.
fn explain(pattern: &str, error: &regex_syntax::Error) -> String {
    let what = match error {
        regex_syntax::Error::Parse(e) => e.kind().to_string(),
        regex_syntax::Error::Translate(e) => e.kind().to_string(),
        other => other.to_string(),
    };
    format!("the pattern `{pattern}` cannot be read: {what}")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn means_what_it_means_in_go() {
        for (pattern, text, expected) in [
            ("web-\\d+", "web-12", true),
            ("web-\\d+", "web-١٢", false), // Go's \d is ASCII
            ("\\w+", "straße", false),
            ("[\\d.]+", "10.0.0.1", true),
            ("[^\\s]+", "a b", false),
            ("a|b", "ab", false), // anchored around the whole alternation
            ("a|b", "b", true),
            ("^a$", "a", true),
            ("\\Aa\\z", "a", true),
            ("\\Qa.b\\E+", "a.bbb", true),
            ("\\Qa.b", "axb", false),
            ("[[a]", "[", true),
            ("[a&&b]", "&", true),
            ("[a~~b]", "~", true),
            ("[+--]", ",", true),
            ("[a-]", "-", true),
            ("[\\d-z]", "-", true),
            ("[\\d-z]", "y", false),
            ("[]a]+", "a]", true),
            ("[^]a]", "b", true),
            ("[[:alpha:]]+", "abc", true),
            ("[[:^alpha:]]+", "123", true),
            ("[[:alpha:]-]+", "a-b", true),
            (".*", "", true),
            (".*", "a\nb", false), // a point is no line feed
            ("(?s).*", "a\nb", true),
            ("(?s:a.b).*", "a\nb\n", false),
            ("web-.*", "web-\n", false),
            ("(?i)PROD", "prod", true),
            ("(?i:p)rod", "PROD", false),
            ("(?i)\\w", "\u{17f}", true), // Go folds the class, too
            ("(?i)straße", "STRAẞE", true),
            ("(?m)a$\\nb", "a\nb", true),
            ("(?P<n>a)(?<m>b)", "ab", true),
            ("(?P<1>a)", "a", true),
            ("(?U)a+", "aaa", true),
            ("prod\\b.*", "prod-1", true),
            ("é\\b.*", "éa", true), // \b is ASCII: before the a is a boundary
            ("é\\B.*", "é-", true),
            ("\\pN+", "١2", true),
            ("\\p{Greek}+", "αβ", true),
            ("\\p{^Greek}+", "αβ", false),
            ("\\P{^Greek}+", "αβ", true),
            ("\\<a\\>", "<a>", true), // no word boundaries, in Go
            ("a{,2}", "a{,2}", true),
            ("a{1", "a{1", true),
            ("a{01}", "a{01}", true),
            ("a{2,3}", "aaa", true),
            ("a{2,}", "a", false),
            ("]}", "]}", true),
            ("\\x41\\x{1f642}\\101\\0", "A🙂A\0", true),
            ("\\_\\-\\/\\#", "_-/#", true),
            ("a b#c", "a b#c", true),
            ("(|a)b", "b", true),
            ("(?)api", "api", true),
            ("(?ii)API", "api", true),
            ("(?i-i)API", "api", false),
            ("(?i)(?-is:A.)I", "A\ni", false),
            ("(?i)(?-s:A.)I", "abi", true),
        ] {
            let compiled = Pattern::compile(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert_eq!(compiled.is_match(text), expected, "{pattern} on {text:?}");
        }
    }

    proptest::proptest! {
        /// Whatever shape it takes, it means what the regular expression means, and its needs are met by what it
        /// matches.
        #[test]
        fn a_shape_is_the_regular_expression(
            pattern in "(\\^|\\(\\?i\\))?([abB]|ab|\\.\\*|\\.\\+|\\||\\(a\\|b\\)|\\(\\.\\*\\|a\\)|\\(\\?s:\\.\\*\\)|[ab]\\?|\\[ab\\]|\\[\\^a\\]|\\\\n|\\\\b){0,5}\\$?",
            texts in proptest::collection::vec("[abB\\n]{0,5}", 1..20),
        ) {
            let ours = Pattern::compile(&pattern).unwrap();
            let theirs = Regex::new(&format!("^(?:{pattern})$")).unwrap();
            for text in texts {
                let expected = theirs.is_match(text.as_bytes());
                proptest::prop_assert_eq!(ours.is_match(&text), expected, "{} on {:?}", pattern, text);
                let needs = ours.needs();
                let known = !(needs.exact.is_empty() && needs.heads.is_empty() && needs.tails.is_empty());
                if expected && known {
                    let met = needs.exact.contains(&&*text)
                        || needs.heads.iter().any(|head| text.as_bytes().starts_with(head))
                        || needs.tails.iter().any(|tail| text.as_bytes().ends_with(tail));
                    proptest::prop_assert!(met, "{} needs {:?}, on {:?}", pattern, needs, text);
                }
                proptest::prop_assert!(!(expected && needs.nothing));
            }
        }
    }

    #[test]
    fn refuses_what_it_cannot_keep() {
        for (pattern, expected) in [
            ("a)|(b", "the pattern `a)|(b` cannot be read: unopened group"),
            ("(", "the pattern `(` cannot be read: unclosed group"),
            ("\\", "the pattern ends in a lone backslash: write `\\\\`"),
            ("\\C", "`\\C`, a single byte, is not supported: write `.`"),
            ("(a)\\1", "`\\1`, a back reference, is not supported"),
            ("\\u0041", "there is no escape `\\u`"),
            ("\\Z", "there is no escape `\\Z`"),
            ("(?:a{1000}){1000}", "the pattern is too large: repeat less"),
            ("a{1001}", "`{1001}` repeats more than 1000 times"),
            ("a{99999999999}", "`{99999999999}` repeats more than 1000 times"),
            ("a{3,2}", "`{3,2}` is the wrong way round"),
            ("(?x)a b", "there is no flag `x`; there are i, m, s and U"),
            ("(?i--s)a", "a group has two `-` in its flags"),
            ("(?i-)a", "the pattern `(?i-)a` cannot be read: dangling flag negation operator"),
            ("(?=a)", "looking ahead or behind is not supported"),
            ("(?<=a)", "looking ahead or behind is not supported"),
            ("[a", "the closing `]` is missing"),
            ("[z-a]", "the range `z-a` is the wrong way round"),
            ("[a-\\d]", "a range cannot end in a class: `a-`…"),
            ("[[:foo:]]", "there is no class `[:foo:]`"),
            (
                "\\p{Klingon}",
                "the pattern `\\p{Klingon}` cannot be read: Unicode property not found",
            ),
            ("\\x{110000}", "`\\x` needs the number of a character: `\\x7f`, `\\x{1f642}`"),
        ] {
            assert_eq!(Pattern::compile(pattern).expect_err(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn knows_what_a_text_needs() {
        let needs = |pattern: &str| {
            let pattern = Pattern::compile(pattern).unwrap();
            let needs = pattern.needs();
            let bytes = |ends: &[&[u8]]| {
                ends.iter().map(|end| String::from_utf8_lossy(end).into_owned()).collect::<Vec<_>>()
            };
            let exact: Vec<_> = needs.exact.iter().map(|text| (*text).to_owned()).collect();
            (exact, bytes(&needs.heads), bytes(&needs.tails))
        };
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
        for (pattern, exact, heads, tails) in [
            ("api|web", &["api", "web"][..], &[][..], &[][..]),
            ("api|web-.*", &["api"], &["web-"], &[]),
            (".*-db|x.*", &[], &["x"], &["-db"]),
            (
                "web-[0-9]+",
                &[],
                &[
                    "web-0", "web-1", "web-2", "web-3", "web-4", "web-5", "web-6", "web-7",
                    "web-8", "web-9",
                ],
                &[],
            ),
            (".*[ab]\\.example\\.com", &[], &[], &["a.example.com", "b.example.com"]),
            (".+", &[], &[], &[]),
            (".*a.*", &[], &[], &[]),
        ] {
            assert_eq!(needs(pattern), (texts(exact), texts(heads), texts(tails)), "{pattern}");
        }
        assert!(Pattern::compile("[^\\s\\S]").unwrap().needs().nothing);
    }
}
