//! What one stream of a container, or a whole file, has not finished yet.

use std::time::Instant;

use super::container::Stream;
use super::grouping::{State, Verdict};
use super::join::Multiline;
use super::settings::LongLines;
use super::tally::Tally;
use super::{clip, is_blank};

/// A message that is put together from parts, and the lines before it that it may belong to.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) stream: Stream,
    /// The lines of the open group, then the parts of the message.
    text: Vec<u8>,
    /// Where the message begins in it.
    message_at: usize,
    /// How much of `text` the group is, up to its last line that is not blank.
    group_len: usize,
    group: Option<Group>,
    message: Option<Message>,
    /// When something last came.
    pub(super) touched: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    state: State,
    lines: usize,
    from: From,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    from: From,
    /// Bytes of it that were thrown away.
    cut: u64,
    /// It is the rest of one of which a piece was taken.
    is_piece: bool,
}

/// Where and when something began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct From {
    /// Its first byte's place in the stream.
    pub(super) at: u64,
    /// Microseconds since 1970, or 0.
    pub(super) time: u64,
}

/// What the lanes of a stage share.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) max_line: usize,
    pub(super) long_lines: LongLines,
    /// Whether the lines are parts of messages, so that the length of those is looked at here.
    pub(super) are_messages: bool,
    pub(super) multiline: Option<Multiline>,
    pub(super) max_group: usize,
}

/// Where the records of a lane go: where it began, its text, whether its end is missing, and how
/// far the stream is done with when it is.
pub(super) type Give<'a> = &'a mut dyn FnMut(From, &[u8], bool, u64);

/// What came now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Came<'a> {
    pub(super) text: &'a [u8],
    pub(super) from: From,
    /// Where in the stream it ends.
    pub(super) end: u64,
    /// Whether the message ends with it.
    pub(super) is_last: bool,
    /// Whether it is a piece of a line that was too long.
    pub(super) is_piece: bool,
}

impl Lane {
    pub(super) fn new(stream: Stream) -> Self {
        let text = Vec::new();
        Self {
            stream,
            text,
            message_at: 0,
            group_len: 0,
            group: None,
            message: None,
            touched: None,
        }
    }

    /// Where the oldest thing that is held began.
    pub(super) fn first(&self) -> Option<u64> {
        let message = self.message.map(|message| message.from.at);
        self.group.map(|group| group.from.at).or(message)
    }

    /// Gives what is held another place, in the stream that is read next.
    #[cfg(any(feature = "file", test))]
    pub(super) fn move_to(&mut self, at: u64) {
        self.group.iter_mut().for_each(|group| group.from.at = at);
        self.message.iter_mut().for_each(|message| message.from.at = at);
    }

    pub(super) fn is_mid_message(&self) -> bool {
        self.message.is_some()
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.text.len()
    }

    /// Takes a line, or part of one.
    pub(super) fn add(&mut self, rules: &Rules, came: Came<'_>, tally: &mut Tally, give: Give<'_>) {
        let is_long = rules.are_messages && came.text.len() > rules.max_line;
        if self.first().is_none() && came.is_last && !is_long {
            // Nearly every line: it is not copied before it is known to wait.
            let verdict = match &rules.multiline {
                Some(multiline) if !came.is_piece => multiline.judge(None, came.text),
                _ => Some(Verdict { joins: false, state: None }),
            };
            match verdict.and_then(|verdict| verdict.state) {
                _ if is_blank(came.text) => {}
                None => give(came.from, came.text, false, came.end),
                Some(state) => {
                    self.text.extend_from_slice(came.text);
                    self.group_len = self.text.len();
                    self.message_at = self.group_len;
                    self.group = Some(Group { state, lines: 1, from: came.from });
                }
            }
            return;
        }
        if self.message.is_none() {
            if self.group.is_some() {
                self.text.push(b'\n');
            }
            self.message_at = self.text.len();
            self.message = Some(Message { from: came.from, cut: 0, is_piece: came.is_piece });
        }
        self.extend(rules, came, tally, give);
        if came.is_last {
            self.end_message(rules, came.end, false, tally, give);
        }
    }

    /// Adds to the message, up to the limit.
    fn extend(&mut self, rules: &Rules, came: Came<'_>, tally: &mut Tally, give: Give<'_>) {
        let Some(message) = &mut self.message else { return };
        if message.cut > 0 {
            message.cut += came.text.len() as u64;
            return;
        }
        self.text.extend_from_slice(came.text);
        if !rules.are_messages {
            return;
        }
        let len = self.text.len() - self.message_at;
        if rules.long_lines != LongLines::Split {
            if len > rules.max_line {
                let kept = match rules.long_lines {
                    LongLines::Drop => 0,
                    _ => clip(&self.text[self.message_at..], rules.max_line).len(),
                };
                message.cut = (len - kept) as u64;
                self.text.truncate(self.message_at + kept);
            }
            return;
        }
        let mut from = message.from;
        if len > rules.max_line {
            self.close(from.at, false, give);
        }
        let mut start = self.message_at;
        while self.text.len() - start > rules.max_line {
            let piece = clip(&self.text[start..], rules.max_line);
            if !is_blank(piece) {
                tally.split += 1;
                give(from, piece, false, came.from.at);
            }
            start += piece.len();
            from = came.from;
            self.message = Some(Message { from, cut: 0, is_piece: true });
        }
        self.text.drain(self.message_at..start);
    }

    /// The message is whole, or as whole as it will be.
    fn end_message(
        &mut self,
        rules: &Rules,
        end: u64,
        is_partial: bool,
        tally: &mut Tally,
        give: Give<'_>,
    ) {
        let Some(message) = self.message.take() else { return };
        if message.cut > 0 {
            tally.long_lines += 1;
            tally.long_bytes += message.cut;
        }
        let is_alone = message.cut > 0 || message.is_piece;
        let multiline = rules.multiline.as_ref().filter(|_| !is_alone);
        let line = &self.text[self.message_at..];
        let open = self.group.map(|group| group.state);
        let verdict = match multiline {
            Some(multiline) => multiline.judge(open, line),
            None => Some(Verdict { joins: false, state: None }),
        };
        let Some(verdict) = verdict else {
            // A blank line, which means nothing until another comes; but so many are an end.
            if self.group.is_none() || self.text.len() > rules.max_group {
                self.close(end, is_partial, give);
                self.text.clear();
            }
            return;
        };
        if let Some(group) = &mut self.group
            && verdict.joins
        {
            let max_lines = rules.multiline.as_ref().map_or(1, |multiline| multiline.max_lines);
            if group.lines < max_lines && self.text.len() <= rules.max_group {
                group.lines += 1;
                if !is_blank(line) {
                    self.group_len = self.text.len();
                }
                match verdict.state {
                    Some(state) => group.state = state,
                    None => {
                        self.close(end, is_partial, give);
                        self.text.clear();
                    }
                }
                return;
            }
            tally.split += 1;
        }
        self.close(message.from.at, false, give);
        if is_blank(&self.text) {
            self.text.clear();
        } else if let Some(state) = verdict.state {
            self.group_len = self.text.len();
            self.message_at = self.group_len;
            self.group = Some(Group { state, lines: 1, from: message.from });
        } else {
            give(message.from, &self.text, is_partial, end);
            self.text.clear();
        }
    }

    /// Ends the group. After it the stream is done with up to `rest`.
    fn close(&mut self, rest: u64, is_partial: bool, give: Give<'_>) {
        if let Some(group) = self.group.take() {
            give(group.from, &self.text[..self.group_len], is_partial, rest);
        }
        self.text.drain(..self.message_at.min(self.text.len()));
        self.message_at = 0;
    }

    /// Ends everything that is held, at `end` of the stream.
    pub(super) fn finish(&mut self, rules: &Rules, end: u64, tally: &mut Tally, give: Give<'_>) {
        let is_partial = self.message.is_some();
        tally.partial += u64::from(is_partial);
        self.end_message(rules, end, is_partial, tally, give);
        self.close(end, is_partial, give);
        self.text.clear();
        self.touched = None;
    }
}
