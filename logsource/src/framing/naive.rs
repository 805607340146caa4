//! What anyone would say the lines are who has the whole text: the twin that framing is held
//! against by tests and fuzz targets.

use super::container::{Format, Stream};

use super::delimiter::Delimiter;
use super::encoding::{Charset, Mark, mark};
use super::grouping::State;
use super::settings::{Framing, LongLines};
use super::{clip, is_blank};

/// A line between two delimiters: where it begins, ends and where the next begins; zero bytes at
/// its beginning are counted, and left out.
struct Line {
    start: usize,
    end: usize,
    next: usize,
    hole: usize,
}

/// What becomes of a line.
#[derive(Clone, Copy)]
struct Limits {
    max_line: usize,
    long_lines: LongLines,
    holes: bool,
    wide: bool,
    keep_blank: bool,
}

impl Limits {
    fn of(framing: &Framing, charset: Charset) -> Self {
        let settings = framing.settings();
        let is_wide = charset.is_wide() || settings.charset.is_wide();
        let max_line = if is_wide { (settings.max_line & !1).max(2) } else { settings.max_line };
        let holes = Delimiter::new(settings.delimiter.as_deref(), charset).shows_holes();
        let (wide, long_lines) = (charset.is_wide(), settings.long_lines);
        Self { max_line, long_lines, holes, wide, keep_blank: false }
    }

    fn clip(self, line: &[u8]) -> usize {
        if self.wide { self.max_line.min(line.len()) } else { clip(line, self.max_line).len() }
    }
}

/// What the text is in, and how long the mark is that says so.
pub(super) fn charset(text: &[u8], framing: &Framing) -> (Charset, usize) {
    match mark(text) {
        Mark::Found(len, charset) => (charset, len),
        _ => (framing.settings().charset, 0),
    }
}

fn split(text: &[u8], framing: &Framing) -> Vec<Line> {
    let spelled = framing.settings().delimiter.as_deref();
    let (charset, mut at) = charset(text, framing);
    let is_wide = charset.is_wide();
    let of = |text: &[u8]| {
        if is_wide { charset.widen(&String::from_utf8_lossy(text)) } else { text.to_vec() }
    };
    let (delimiter, end) = (of(spelled.unwrap_or(b"\n")), of(b"\r"));
    let holes = Limits::of(framing, charset).holes;
    let step = if is_wide { 2 } else { 1 };
    let mut lines = Vec::new();
    while at < text.len() {
        let rest = &text[at..];
        let mut windows = rest.windows(delimiter.len()).step_by(step);
        let found = windows.position(|window| window == delimiter).map(|index| index * step);
        let mut line = &rest[..found.unwrap_or(rest.len())];
        if spelled.is_none() && line.len().is_multiple_of(step) {
            line = line.strip_suffix(&end[..]).unwrap_or(line);
        }
        let hole = if holes { line.iter().take_while(|byte| **byte == 0).count() } else { 0 };
        let next = at + found.map_or(rest.len(), |found| found + delimiter.len());
        lines.push(Line { start: at + hole, end: at + line.len(), next, hole });
        at = next;
    }
    lines
}

/// The lines as anyone would split them, what was lost on the way, and where lines begin.
pub(super) fn lines(text: &[u8], framing: &Framing) -> (Vec<Vec<u8>>, [u64; 4], Vec<u64>) {
    let (mut found, mut counts, mut places) = (Vec::new(), [0; 4], vec![0, 3, text.len() as u64]);
    let limits = Limits::of(framing, Charset::Bytes);
    for line in split(text, framing) {
        counts[2] += line.hole as u64;
        places.push(line.next as u64);
        cut(&text[line.start..line.end], limits, &mut found, &mut counts);
    }
    (found, counts, places)
}

/// A message by itself, which may be too long.
pub(super) fn limited(message: &[u8], framing: &Framing, found: &mut Vec<Vec<u8>>) {
    let limits = Limits { holes: false, ..Limits::of(framing, Charset::Bytes) };
    cut(message, limits, found, &mut [0; 4]);
}

fn cut(line: &[u8], limits: Limits, found: &mut Vec<Vec<u8>>, counts: &mut [u64; 4]) {
    found.extend(pieces(line, limits, counts).into_iter().map(<[u8]>::to_vec));
}

/// What is left of a line: in pieces, or the beginning of it.
fn pieces<'a>(mut line: &'a [u8], limits: Limits, counts: &mut [u64; 4]) -> Vec<&'a [u8]> {
    let is_wanted = |line: &[u8]| limits.keep_blank || !is_blank(line);
    let mut found = Vec::new();
    if line.len() <= limits.max_line {
        found.push(line);
    } else if limits.long_lines == LongLines::Split {
        while line.len() > limits.max_line {
            let piece = &line[..limits.clip(line)];
            found.push(piece);
            counts[3] += u64::from(!is_blank(piece));
            line = &line[piece.len()..];
            while limits.holes && line.first() == Some(&0) {
                line = &line[1..];
                counts[2] += 1;
            }
        }
        found.push(line);
    } else if is_wanted(line) {
        let kept = match limits.long_lines {
            LongLines::Drop => 0,
            _ => limits.clip(line),
        };
        let kept = if is_wanted(&line[..kept]) { kept } else { 0 };
        counts[0] += 1;
        counts[1] += (line.len() - kept) as u64;
        return if kept > 0 { vec![&line[..kept]] } else { Vec::new() };
    }
    found.retain(|line| is_wanted(line));
    found
}

/// Lines of another encoding, each decoded by itself.
pub(super) fn decoded(text: &[u8], framing: &Framing) -> Vec<Vec<u8>> {
    let (charset, _) = charset(text, framing);
    let limits = Limits { keep_blank: true, ..Limits::of(framing, charset) };
    let mut lines = Vec::new();
    for line in split(text, framing) {
        let pieces = pieces(&text[line.start..line.end], limits, &mut [0; 4]);
        // What is on both sides of a hole is no character.
        let runs = pieces.chunk_by(|a, b| a.as_ptr_range().end == b.as_ptr_range().start);
        lines.extend(runs.flat_map(|run| in_utf8(charset, run)));
    }
    lines.retain(|line| !is_blank(line));
    lines
}

fn in_utf8(charset: Charset, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    #[cfg(feature = "encoding")]
    if let Charset::Encoded(encoding) = charset {
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let last = pieces.len().saturating_sub(1);
        let decode = |(index, piece): (usize, &&[u8])| {
            let mut text = String::with_capacity(16 + 4 * piece.len());
            let _ = decoder.decode_to_string(piece, &mut text, index == last);
            text.into_bytes()
        };
        return pieces.iter().enumerate().map(decode).collect();
    }
    let Charset::Bytes = charset else { return Vec::new() };
    pieces.iter().map(|piece| piece.to_vec()).collect()
}

/// Messages of a container, in the order in which they begin; a piece of one begins with the part
/// that it comes from.
pub(super) fn messages(text: &[u8], framing: &Framing) -> Vec<Vec<u8>> {
    let limits = Limits::of(framing, Charset::Bytes);
    let (mut format, mut found) = (None, Vec::<(usize, Vec<u8>)>::new());
    let mut open: [Option<(usize, Vec<u8>)>; 3] = [None, None, None];
    for line in split(text, framing) {
        let part = Format::parse(&mut format, &text[line.start..line.end]);
        let lane = match part.stream {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
            Stream::Unknown => 2,
        };
        let (start, message) = open[lane].get_or_insert((line.start, Vec::new()));
        message.extend_from_slice(&part.message);
        while limits.long_lines == LongLines::Split && message.len() > limits.max_line {
            let piece = limits.clip(message);
            found.push((*start, message.drain(..piece).collect()));
            *start = line.start;
        }
        if part.is_last {
            found.extend(open[lane].take());
        }
    }
    found.extend(open.into_iter().flatten());
    found.sort_by_key(|(start, _)| *start);
    let mut lines = Vec::new();
    found.iter().for_each(|(_, message)| limited(message, framing, &mut lines));
    lines.retain(|line| !is_blank(line));
    lines
}

/// Groups of lines as anyone would join them.
pub(super) fn groups(text: &[u8], framing: &Framing) -> Vec<Vec<u8>> {
    let settings = framing.settings();
    let Some(multiline) = settings.join.as_ref().and_then(|join| join.multiline.as_ref()) else {
        return lines(text, framing).0;
    };
    let max_bytes = multiline.max_bytes.max(settings.max_line);
    let limits = Limits::of(framing, Charset::Bytes);
    let mut found = Vec::new();
    // Where it begins, ends, how many lines it has, and how it may go on.
    let mut open: Option<(usize, usize, usize, State)> = None;
    for Line { start, end, next, hole } in split(text, framing) {
        let line = &text[start..end];
        let close = |found: &mut Vec<Vec<u8>>, open: &mut Option<_>| {
            let group =
                open.take().map(|(from, to, ..): (usize, usize, _, _)| text[from..to].to_vec());
            found.extend(group);
        };
        if hole > 0 || line.len() > settings.max_line {
            close(&mut found, &mut open);
        }
        if line.len() > settings.max_line {
            cut(line, limits, &mut found, &mut [0; 4]);
            continue;
        }
        let verdict = multiline.judge(open.map(|open| open.3), line);
        match (&mut open, verdict) {
            (Some((from, ..)), None) if next - *from <= max_bytes => {}
            (_, None) => close(&mut found, &mut open),
            (Some((from, to, lines, state)), Some(verdict))
                if verdict.joins && *lines < multiline.max_lines && end - *from <= max_bytes =>
            {
                *lines += 1;
                *to = if is_blank(line) { *to } else { end };
                match verdict.state {
                    Some(next) => *state = next,
                    None => close(&mut found, &mut open),
                }
            }
            (_, Some(verdict)) => {
                close(&mut found, &mut open);
                if !is_blank(line) {
                    match verdict.state {
                        Some(state) => open = Some((start, end, 1, state)),
                        None => found.push(line.to_vec()),
                    }
                }
            }
        }
    }
    found.extend(open.map(|(from, to, ..)| text[from..to].to_vec()));
    found
}
