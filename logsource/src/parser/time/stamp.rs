//! Reads time stamps, in the ways that logs write them.

/// A time as it is written. Without an offset it is local to somewhere, without a year it is the
/// last of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(super) year: Option<i16>,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
    pub(super) second: i8,
    pub(super) nanos: i32,
    /// Seconds east of Greenwich.
    pub(super) offset: Option<i32>,
}

const MONTHS: [&[u8; 3]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];
const DAYS: [&[u8; 3]; 7] = [b"mon", b"tue", b"wed", b"thu", b"fri", b"sat", b"sun"];

/// The stamp that a text begins with, and how long it is.
pub(crate) fn scan(text: &[u8]) -> Option<(Stamp, usize)> {
    let mut scan = Scan { text, at: 0 };
    let stamp = match text.first()? {
        b'0'..=b'9' => scan.number_first()?,
        b'A'..=b'Z' | b'a'..=b'z' => scan.word_first()?,
        _ => return None,
    };
    Some((stamp, scan.at))
}

/// The stamp that a whole text is.
pub(crate) fn scan_all(text: &[u8]) -> Option<Stamp> {
    let text = text.trim_ascii();
    let (stamp, length) = scan(text)?;
    (length == text.len()).then_some(stamp)
}

/// Whether a text begins as syslog's time stamps do: `Nov 23 08:00`.
pub(crate) fn is_syslog(text: &[u8]) -> bool {
    let mut scan = Scan { text, at: 0 };
    scan.month().is_some() && scan.blanks() && scan.digits(1, 2).is_some() && scan.blanks()
}

struct Scan<'t> {
    text: &'t [u8],
    at: usize,
}

impl Scan<'_> {
    /// `2026-11-23T08:00:00Z`, `2026/11/23 08:00:00`, `23/Nov/2026:08:00:00 +0000`,
    /// `23 Nov 2026 08:00:00 +0000`.
    fn number_first(&mut self) -> Option<Stamp> {
        let digits = self.text.iter().take(5).take_while(|byte| byte.is_ascii_digit()).count();
        if digits != 4 {
            return self.day_first();
        }
        let year = self.digits(4, 4)?;
        let separator = self.next().filter(|byte| matches!(byte, b'-' | b'/'))?;
        let month = self.digits(2, 2)?;
        self.expect(separator)?;
        let day = self.digits(2, 2)?;
        self.next().filter(|byte| matches!(byte, b'T' | b't' | b' ' | b'_'))?;
        let mut stamp = Stamp::new(Some(year), month, day);
        self.clock(&mut stamp)?;
        stamp.offset = self.zone();
        Some(stamp)
    }

    fn day_first(&mut self) -> Option<Stamp> {
        let day = self.digits(1, 2)?;
        let separator = self.next().filter(|byte| matches!(byte, b'/' | b' ' | b'-'))?;
        let month = self.month()?;
        self.expect(separator)?;
        let year = self.digits(4, 4)?;
        self.next().filter(|byte| matches!(byte, b':' | b' '))?;
        let mut stamp = Stamp::new(Some(year), month, day);
        self.clock(&mut stamp)?;
        stamp.offset = self.zone();
        Some(stamp)
    }

    /// `Nov 23 08:00:00`, `Nov 23 2026 08:00:00`, `Mon Nov 23 08:00:00 2026`,
    /// `Mon, 23 Nov 2026 08:00:00 +0000`.
    fn word_first(&mut self) -> Option<Stamp> {
        let has_weekday = DAYS.iter().any(|day| self.is_word(day));
        if has_weekday {
            self.at += 3;
            if self.take(b',') {
                self.blanks().then_some(())?;
                return self.day_first();
            }
            self.blanks().then_some(())?;
        }
        let month = self.month()?;
        self.blanks().then_some(())?;
        let day = self.digits(1, 2)?;
        self.blanks().then_some(())?;
        let start = self.at;
        let mut year = self.digits(4, 4);
        if year.is_none() || !self.take(b' ') {
            (self.at, year) = (start, None);
        }
        let mut stamp = Stamp::new(year, month, day);
        self.clock(&mut stamp)?;
        let end = self.at;
        if year.is_none() {
            // The year may come last, behind a zone.
            stamp.offset = self.zone();
            let zone = self.at;
            let year = self.take(b' ').then(|| self.digits(4, 4)).flatten();
            // In syslog a host comes next, which may be `2001:db8::1`, `2026-web` or `8080`.
            let ends = match self.peek() {
                None => true,
                Some(byte) => {
                    let is_end = matches!(byte, b' ' | b']' | b',');
                    has_weekday && (is_end || self.text[self.at..].starts_with(b": "))
                }
            };
            match year.filter(|_| ends) {
                Some(year) => stamp.year = Some(year),
                None => self.at = if stamp.offset.is_some() { zone } else { end },
            }
        } else {
            stamp.offset = self.zone();
        }
        Some(stamp)
    }

    /// `08:00`, `08:00:00`, `08:00:00.123`, `08:00:00,123`.
    fn clock(&mut self, stamp: &mut Stamp) -> Option<()> {
        stamp.hour = self.digits(2, 2)? as i8;
        self.expect(b':')?;
        stamp.minute = self.digits(2, 2)? as i8;
        if self.take(b':') {
            // A leap second is told as the one before it.
            stamp.second = match self.digits(2, 2)? {
                60 => 59,
                second => second as i8,
            };
            let fraction = self.at;
            if self.take(b'.') || self.take(b',') {
                let digits = self.count_digits();
                if digits == 0 {
                    self.at = fraction;
                } else {
                    stamp.nanos = self.fraction(digits);
                }
            }
        }
        Some(())
    }

    /// `Z`, `+01:00`, `+0100`, `+01`, ` +0100`, ` UTC`; nothing is taken if it is none.
    fn zone(&mut self) -> Option<i32> {
        let start = self.at;
        self.take(b' ');
        let found = match self.peek() {
            Some(b'Z' | b'z') => {
                self.at += 1;
                Some(0)
            }
            Some(b'U' | b'G') if self.is_word(b"utc") || self.is_word(b"gmt") => {
                self.at += 3;
                Some(0)
            }
            Some(sign @ (b'+' | b'-')) => {
                self.at += 1;
                self.offset().map(|offset| if sign == b'-' { -offset } else { offset })
            }
            _ => None,
        };
        // What goes on is another word: `Zebra`, or a number after a dash.
        let ends = !self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let found = found.filter(|_| ends);
        if found.is_none() {
            self.at = start;
        }
        found
    }

    fn offset(&mut self) -> Option<i32> {
        let hours = i32::from(self.digits(2, 2)?);
        let start = self.at;
        self.take(b':');
        let minutes = match self.digits(2, 2) {
            Some(minutes) => i32::from(minutes),
            None => {
                self.at = start;
                0
            }
        };
        (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)
    }

    /// All digits here are the fraction; what is finer than a nanosecond is cut.
    fn fraction(&mut self, digits: usize) -> i32 {
        let mut nanos = 0;
        for place in 0..9 {
            let digit = self.text.get(self.at + place).filter(|_| place < digits);
            nanos = nanos * 10 + digit.map_or(0, |digit| i32::from(digit - b'0'));
        }
        self.at += digits;
        nanos
    }

    fn month(&mut self) -> Option<i16> {
        let month = (1..).zip(MONTHS).find(|(_, name)| self.is_word(name))?.0;
        self.at += 3;
        Some(month)
    }

    /// Whether these three letters come next.
    fn is_word(&self, word: &[u8; 3]) -> bool {
        self.text.get(self.at..self.at + 3).is_some_and(|next| next.eq_ignore_ascii_case(word))
    }

    /// At least one blank.
    fn blanks(&mut self) -> bool {
        let start = self.at;
        while self.take(b' ') {}
        self.at > start
    }

    fn count_digits(&self) -> usize {
        self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn digits(&mut self, min: usize, max: usize) -> Option<i16> {
        let mut number = 0;
        let mut digits = 0;
        while digits < max
            && let Some(digit) = self.peek().filter(u8::is_ascii_digit)
        {
            number = number * 10 + i16::from(digit - b'0');
            digits += 1;
            self.at += 1;
        }
        (digits >= min).then_some(number)
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }
}

impl Stamp {
    fn new(year: Option<i16>, month: i16, day: i16) -> Self {
        let (month, day) = (month as i8, day as i8);
        Self { year, month, day, hour: 0, minute: 0, second: 0, nanos: 0, offset: None }
    }
}
