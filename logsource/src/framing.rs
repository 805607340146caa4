//! Lines in a stream of bytes.

#[cfg(any(feature = "file", feature = "stdout"))]
pub(crate) use framer::Framer;

/// The line without `\n` or `\r\n`.
pub(crate) fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Nothing but white space.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.first().is_none_or(u8::is_ascii_whitespace) && line.iter().all(u8::is_ascii_whitespace)
}

#[cfg(any(feature = "file", feature = "stdout"))]
mod framer {
    use std::sync::Arc;

    use super::{is_blank, trim_end};
    use crate::slab::{Blank, Pool, Span, Table};

    /// How much is read at a time while the end of an over-long line is looked for. Few bytes in
    /// tests, so that short texts come through here too.
    const SKIP_BYTES: usize = if cfg!(any(test, fuzzing)) { 16 } else { 64 * 1024 };

    /// Turns bytes, in whatever pieces they come, into lines of a slab.
    ///
    /// The owner reads into [`Framer::room`], says how much with [`Framer::fed`], and takes the
    /// finished lines with [`Framer::take`]. Pure: it knows no file and no clock.
    #[derive(Debug)]
    pub(crate) struct Framer {
        pool: Arc<Pool>,
        blank: Blank,
        max_line: usize,
        /// Bytes read into the slab.
        filled: usize,
        /// Bytes of the slab that finished lines came from.
        framed: usize,
        /// There is no line end between `framed` and here.
        scanned: usize,
        /// Bytes of the slab's last line that were thrown away, since it is too long. Offsets
        /// after it are no longer those of the stream, so the slab ends with it.
        cut: u64,
        /// They were nothing but white space.
        cut_blank: bool,
        sealed: bool,
        too_long: u64,
    }

    /// Finished lines.
    #[derive(Debug)]
    pub(crate) struct Framed {
        pub(crate) table: Table,
        /// How many bytes of the stream they came from, blank lines and cut ones included.
        pub(crate) consumed: u64,
        /// How many lines were cut.
        pub(crate) too_long: u64,
    }

    impl Framer {
        pub(crate) fn new(pool: Arc<Pool>, max_line: usize) -> Self {
            let blank = pool.get();
            Self {
                pool,
                blank,
                max_line,
                filled: 0,
                framed: 0,
                scanned: 0,
                cut: 0,
                cut_blank: true,
                sealed: false,
                too_long: 0,
            }
        }

        /// Where to read to; empty if the finished lines must be taken first.
        pub(crate) fn room(&mut self) -> &mut [u8] {
            let slab = &mut self.blank.slab;
            if self.sealed || (self.filled == slab.len() && self.framed > 0) {
                return &mut [];
            }
            if self.filled == slab.len() {
                if self.filled < self.max_line + SKIP_BYTES {
                    let doubled = (slab.len() * 2).min(self.max_line + SKIP_BYTES);
                    slab.resize(doubled, 0);
                } else {
                    let tail = &slab[self.max_line..self.filled];
                    self.cut_blank &= tail.iter().all(u8::is_ascii_whitespace);
                    self.cut += tail.len() as u64;
                    self.filled = self.max_line;
                    self.scanned = self.max_line;
                }
            }
            slab.get_mut(self.filled..).unwrap_or_default()
        }

        /// Says how many bytes were read into the room.
        pub(crate) fn fed(&mut self, bytes: usize) {
            self.filled = (self.filled + bytes).min(self.blank.slab.len());
            self.scan();
        }

        /// How many bytes of an unfinished line are held.
        #[cfg(any(feature = "file", test))]
        pub(crate) fn pending(&self) -> u64 {
            (self.filled - self.framed) as u64 + if self.sealed { 0 } else { self.cut }
        }

        /// Whether a line that is not blank is finished.
        #[cfg(feature = "file")]
        pub(crate) fn has_lines(&self) -> bool {
            !self.blank.lines.is_empty()
        }

        /// The finished lines, if any were read (blank ones count as read).
        pub(crate) fn take(&mut self) -> Option<Framed> {
            if self.framed == 0 {
                return None;
            }
            let mut next = self.pool.get();
            let rest = self.filled - self.framed;
            if next.slab.len() < rest {
                next.slab.resize(rest, 0);
            }
            next.slab[..rest].copy_from_slice(&self.blank.slab[self.framed..self.filled]);
            let Blank { slab, lines, records, fields } = std::mem::replace(&mut self.blank, next);
            let consumed = self.framed as u64 + if self.sealed { self.cut } else { 0 };
            let table = Table {
                slab: slab.freeze(),
                filled: self.framed,
                lines,
                records,
                fields,
                pool: Some(Arc::clone(&self.pool)),
            };
            let too_long = std::mem::take(&mut self.too_long);
            (self.filled, self.framed, self.scanned) = (rest, 0, 0);
            if std::mem::take(&mut self.sealed) {
                (self.cut, self.cut_blank) = (0, true);
            }
            self.scan();
            Some(Framed { table, consumed, too_long })
        }

        /// Ends the last line, though it has no line end: nothing more will come.
        pub(crate) fn finish(&mut self) {
            if self.filled > self.framed && !self.sealed {
                self.line(self.filled);
                self.framed = self.filled;
                self.scanned = self.filled;
                self.sealed = self.cut > 0;
            }
        }

        /// Forgets everything held: the stream begins anew.
        #[cfg(feature = "file")]
        pub(crate) fn clear(&mut self) {
            self.blank.lines.clear();
            (self.filled, self.framed, self.scanned, self.cut) = (0, 0, 0, 0);
            (self.cut_blank, self.sealed, self.too_long) = (true, false, 0);
        }

        fn scan(&mut self) {
            if self.sealed {
                return;
            }
            let unseen = &self.blank.slab[self.scanned..self.filled];
            if self.cut > 0 {
                // The rare case, by itself: the first line end finishes the cut line.
                if let Some(found) = memchr::memchr(b'\n', unseen) {
                    let end = self.scanned + found;
                    self.line(end);
                    self.framed = end + 1;
                    self.sealed = true;
                }
                self.scanned = self.filled;
                return;
            }
            let (base, mut start) = (self.scanned, self.framed);
            let slab = &self.blank.slab[..self.filled];
            for end in memchr::memchr_iter(b'\n', unseen).map(|found| base + found) {
                let line = trim_end(&slab[start..end]);
                if !is_blank(line) {
                    let len = line.len().min(self.max_line);
                    self.too_long += u64::from(line.len() > self.max_line);
                    self.blank.lines.push(Span::new(start, start + len));
                }
                start = end + 1;
            }
            self.framed = start;
            self.scanned = self.filled;
        }

        /// One line that may have been cut.
        fn line(&mut self, end: usize) {
            let mut line = &self.blank.slab[self.framed..end];
            if self.cut == 0 {
                line = trim_end(line);
            }
            if !(self.cut_blank && is_blank(line)) {
                let len = line.len().min(self.max_line);
                self.too_long += u64::from(self.cut > 0 || line.len() > self.max_line);
                self.blank.lines.push(Span::new(self.framed, self.framed + len));
            }
        }
    }
}

#[cfg(all(any(test, fuzzing), any(feature = "file", feature = "stdout")))]
pub(crate) mod pieces {
    use super::Framer;
    use crate::slab::Pool;

    /// Feeds a text in pieces of these sizes; gives the lines, and the offsets after each batch.
    pub(crate) fn framed(
        text: &[u8],
        pieces: &[usize],
        slab_bytes: usize,
        max_line: usize,
    ) -> (Vec<Vec<u8>>, Vec<u64>) {
        let mut framer = Framer::new(Pool::new(slab_bytes), max_line);
        let (mut lines, mut ends, mut at, mut end) = (Vec::new(), Vec::new(), 0, 0);
        let mut pieces = pieces.iter().cycle();
        let mut finished = false;
        loop {
            let Some(&piece) = pieces.next() else { return (lines, ends) };
            let room = framer.room();
            let len = piece.min(room.len()).min(text.len() - at);
            room[..len].copy_from_slice(&text[at..at + len]);
            framer.fed(len);
            at += len;
            if at == text.len() && !finished && !framer.room().is_empty() {
                framer.finish();
                finished = true;
            }
            // Taking is up to the owner: here, whenever the piece was an odd one.
            if piece % 2 == 1 || framer.room().is_empty() || finished {
                while let Some(framed) = framer.take() {
                    let slab = &framed.table.slab;
                    lines.extend(framed.table.lines.iter().map(|line| line.of(slab).to_vec()));
                    end += framed.consumed;
                    ends.push(end);
                    if finished {
                        framer.finish();
                    }
                }
            }
            if finished && framer.pending() == 0 {
                return (lines, ends);
            }
        }
    }
}

#[cfg(all(test, any(feature = "file", feature = "stdout")))]
mod tests {
    use proptest::prelude::*;

    use super::pieces::framed;
    use super::*;
    use crate::slab::Pool;

    /// Lines as anyone would split them, each cut to the limit.
    fn naive(text: &[u8], max_line: usize) -> Vec<Vec<u8>> {
        let lines = text.split(|byte| *byte == b'\n').map(trim_end);
        lines
            .filter(|line| !is_blank(line))
            .map(|line| line[..line.len().min(max_line)].to_vec())
            .collect()
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => Just(b'x'), 3 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(b' '), 1 => any::<u8>()
        ];
        proptest::collection::vec(byte, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn any_chunking_is_a_plain_split(
            text in text(),
            pieces in proptest::collection::vec(1_usize..60, 1..8),
            slab_bytes in 1_usize..128,
            max_line in 1_usize..64,
        ) {
            let (lines, ends) = framed(&text, &pieces, slab_bytes, max_line);
            prop_assert_eq!(lines, naive(&text, max_line));
            for end in &ends {
                let end = usize::try_from(*end).unwrap();
                prop_assert!(end == text.len() || text[end - 1] == b'\n', "{} in {:?}", end, text);
            }
        }
    }

    #[test]
    fn an_endless_line_takes_bounded_memory_and_comes_once() {
        let mut framer = Framer::new(Pool::new(64), 1000);
        let mut fed = 0_u64;
        for _ in 0..100 {
            let room = framer.room();
            assert!(!room.is_empty() && room.len() <= 1000 + (64 << 10));
            room.fill(b'y');
            let len = room.len();
            framer.fed(len);
            fed += len as u64;
            assert!(framer.take().is_none());
        }
        let room = framer.room();
        room[..6].copy_from_slice(b"\nnext\n");
        framer.fed(6);
        let first = framer.take().unwrap();
        assert_eq!((first.table.lines.len(), first.consumed), (1, fed + 1));
        assert_eq!(first.too_long, 1);
        assert_eq!(first.table.lines[0].of(&first.table.slab).len(), 1000);
        let second = framer.take().unwrap();
        assert_eq!(second.table.lines[0].of(&second.table.slab), b"next");
        assert_eq!(second.consumed, 5);
    }
}
