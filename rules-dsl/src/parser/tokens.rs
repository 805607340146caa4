//! Text to tokens, by the same grammar: for what writes an expression anew and keeps its spelling.

use std::collections::BTreeSet;
use std::ops::Range;

use pest::Parser as _;
use pest::iterators::Pair;

use super::{Grammar, Rule, range};
use crate::prescan::prescan;

/// Which of the two kinds of expression a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// `when`, `where`.
    Condition,
    /// `then`.
    Actions,
}

/// A piece of an expression that has no blanks in it, unless they are in quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    /// Bytes of the expression's own text.
    pub(crate) span: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name, a literal, an operator: a blank on either side.
    Word,
    /// A text in quotes; otherwise a word.
    Text,
    /// The name of what is called.
    Callee,
    /// `[*]`, close behind a name.
    Item,
    /// `!`, `-` or `+` in front of an operand.
    Sign,
    /// An operator that stands close between its operands.
    Range,
    Open,
    Close,
    Comma,
    Semicolon,
    /// A sign that changes nothing: the second of two parentheses, a comma before the end.
    Needless,
}

/// The blanks between two tokens of a line.
pub(crate) fn blank_between(before: TokenKind, after: TokenKind) -> &'static str {
    use TokenKind::{Callee, Close, Comma, Item, Open, Range, Semicolon, Sign};
    match (before, after) {
        (Open | Sign | Range, _) | (Callee, Open) => "",
        (_, Close | Comma | Semicolon | Range | Item) => "",
        _ => " ",
    }
}

/// The tokens of a text that parses; `None` if it does not, or holds what is not known here.
pub(crate) fn tokens(text: &str, language: Language) -> Option<Vec<Token>> {
    prescan(text).ok()?;
    let rule = match language {
        Language::Condition => Rule::condition,
        Language::Actions => Rule::actions,
    };
    let mut scan = Scan { text, tokens: Vec::new(), end: 0, needless: BTreeSet::new() };
    for pair in Grammar::parse(rule, text).ok()? {
        scan.visit(pair)?;
    }
    scan.signs(text.len())?;
    let mut tokens = scan.tokens;
    for at in 0..tokens.len() {
        let mut behind = tokens[at + 1..].iter().map(|token| token.kind);
        let behind = behind.find(|kind| *kind != TokenKind::Needless);
        if matches!(
            (tokens[at].kind, behind),
            (TokenKind::Comma, Some(TokenKind::Close)) | (TokenKind::Semicolon, None)
        ) {
            tokens[at].kind = TokenKind::Needless;
        }
    }
    Some(tokens)
}

/// The grammar names operands and operators; what stands between those is brackets and commas.
struct Scan<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    /// Where the last token ends.
    end: usize,
    /// Where needless parentheses stand.
    needless: BTreeSet<usize>,
}

impl Scan<'_> {
    /// Recurses once per bracket, which the prescan bounds.
    fn visit(&mut self, pair: Pair<'_, Rule>) -> Option<()> {
        let span = range(&pair);
        match pair.as_rule() {
            Rule::EOI => {}
            Rule::infix if &self.text[span.clone()] == ".." => self.push(TokenKind::Range, span)?,
            Rule::infix => {
                // `not in` is two words, and there may be more than one blank between them.
                let mut at = span.start;
                for word in self.text[span].split([' ', '\t', '\r', '\n']) {
                    if !word.is_empty() {
                        self.push(TokenKind::Word, at..at + word.len())?;
                    }
                    at += word.len() + 1;
                }
            }
            Rule::prefix if &self.text[span.clone()] == "not" => {
                self.push(TokenKind::Word, span)?
            }
            Rule::prefix => self.push(TokenKind::Sign, span)?,
            Rule::literal if self.text[span.clone()].starts_with(['\'', '"']) => {
                self.push(TokenKind::Text, span)?;
            }
            Rule::literal | Rule::path | Rule::word_by => {
                self.push(TokenKind::Word, span)?;
            }
            Rule::item => self.push(TokenKind::Item, span)?,
            Rule::name => self.push(TokenKind::Callee, span)?,
            rule => {
                if rule == Rule::group
                    && let Some(inner) = doubled(&pair)
                {
                    self.needless.extend([inner.start, inner.end - 1]);
                }
                for part in pair.into_inner() {
                    self.visit(part)?;
                }
            }
        }
        Some(())
    }

    fn push(&mut self, kind: TokenKind, span: Range<usize>) -> Option<()> {
        self.signs(span.start)?;
        self.end = span.end;
        self.tokens.push(Token { kind, span });
        Some(())
    }

    /// The signs between the last token and `to`.
    fn signs(&mut self, to: usize) -> Option<()> {
        let from = self.end;
        for (at, sign) in self.text.get(from..to)?.char_indices() {
            let at = from + at;
            let kind = match sign {
                ' ' | '\t' | '\r' | '\n' => continue,
                '(' | ')' if self.needless.contains(&at) => TokenKind::Needless,
                '(' | '[' => TokenKind::Open,
                ')' | ']' => TokenKind::Close,
                ',' => TokenKind::Comma,
                ';' => TokenKind::Semicolon,
                _ => return None,
            };
            self.tokens.push(Token { kind, span: at..at + 1 });
        }
        self.end = to;
        Some(())
    }
}

/// The group in a group that holds nothing else.
fn doubled(group: &Pair<'_, Rule>) -> Option<Range<usize>> {
    let mut parts = group.clone().into_inner().next()?.into_inner();
    match (parts.next(), parts.next()) {
        (Some(part), None) if part.as_rule() == Rule::group => Some(range(&part)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, language: Language, expected: &str) {
        let mut out = String::new();
        let mut last = TokenKind::Open;
        for token in tokens(text, language).unwrap() {
            if token.kind != TokenKind::Needless {
                out.push_str(blank_between(last, token.kind));
                out.push_str(&text[token.span]);
                last = token.kind;
            }
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn tokens_stand_apart_or_close() {
        let condition = |text, expected| check(text, Language::Condition, expected);
        condition("a>1&&b<=-2", "a > 1 && b <= -2");
        condition("! a || ! ( not  b )", "!a || !(not b)");
        condition("not(a)", "not (a)");
        condition("a  not \t in[1 ,2,]", "a not in [1, 2]");
        condition("len ( a )>- 1", "len(a) > -1");
        condition("count ( 10s )by  a,b>=3", "count(10s) by a, b >= 3");
        condition("count(10s) by(a ,b)>3", "count(10s) by (a, b) > 3");
        condition("( ( (a) ) )&&((b)||c)&&f((d),)", "(a) && ((b) || c) && f((d))");
        condition("a=='(' && `b  c`.d ??0>1", "a == '(' && `b  c`.d ?? 0 > 1");
        condition("a in [ ] || exists( b )", "a in [] || exists(b)");
        condition("1-1- -1*2/3%4+5>0", "1 - 1 - -1 * 2 / 3 % 4 + 5 > 0");
        condition("code in[ 500 .. 599 ,-1..- 2]", "code in [500..599, -1..-2]");
        condition("any( tags [*]iequals 'x' )", "any(tags[*] iequals 'x')");
        condition("a not\n iin ['x']", "a not iin ['x']");
        check(" a( 'x',+2 ) ;b();", Language::Actions, "a('x', +2); b()");
    }
}
