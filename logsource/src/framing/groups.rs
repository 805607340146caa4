//! Lines that belong together, where they are: a group is one span of the slab.

use super::grouping::State;
use super::join::Multiline;
use super::tally::Tally;
use crate::slab::Span;

/// Groups of the lines of a slab.
#[derive(Debug)]
pub(super) struct Groups {
    multiline: Multiline,
    /// No group is larger.
    pub(super) max_bytes: usize,
    pub(super) open: Option<Open>,
}

/// The group that may go on. It begins where the finished lines end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    state: State,
    /// How long it is, up to its last line that is not blank.
    len: usize,
    lines: usize,
}

impl Groups {
    pub(super) fn new(multiline: Multiline, max_line: usize) -> Self {
        let max_bytes = multiline.max_bytes.max(max_line);
        Self { multiline, max_bytes, open: None }
    }

    pub(super) fn time_out(&self) -> std::time::Duration {
        self.multiline.time_out
    }

    /// A line from `start` to `end`, after what is open from `framed` on. The next line begins at
    /// `next`. Gives how far lines are finished now.
    pub(super) fn line(
        &mut self,
        slab: &[u8],
        (framed, start, end): (usize, usize, usize),
        next: usize,
        lines: &mut Vec<Span>,
        tally: &mut Tally,
    ) -> usize {
        let line = &slab[start..end];
        let Some(verdict) = self.multiline.judge(self.open.map(|open| open.state), line) else {
            // A blank line. If so many came that the limit is reached, they end the group.
            if self.open.is_some() && next - framed <= self.max_bytes {
                return framed;
            }
            self.close(framed, lines);
            return next;
        };
        if let Some(open) = &mut self.open
            && verdict.joins
        {
            if open.lines < self.multiline.max_lines && end - framed <= self.max_bytes {
                open.lines += 1;
                // A blank line may end a group, and is none of it.
                open.len = if super::is_blank(line) { open.len } else { end - framed };
                match verdict.state {
                    Some(state) => open.state = state,
                    None => self.close(framed, lines),
                }
                return if self.open.is_some() { framed } else { next };
            }
            tally.split += 1;
        }
        self.close(framed, lines);
        if super::is_blank(line) {
            return next;
        }
        if let Some(state) = verdict.state {
            self.open = Some(Open { state, len: end - start, lines: 1 });
            start
        } else {
            lines.push(Span::new(start, end));
            next
        }
    }

    /// Ends the open group, which begins at `framed`.
    pub(super) fn close(&mut self, framed: usize, lines: &mut Vec<Span>) {
        if let Some(open) = self.open.take() {
            lines.push(Span::new(framed, framed + open.len));
        }
    }
}
