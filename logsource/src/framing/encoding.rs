//! What the bytes of a line stand for.

#[cfg(feature = "encoding")]
pub use label::Encoding;

/// What the bytes of a stream are, as far as finding and decoding lines goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Charset {
    /// UTF-8, or whatever they are: they are handed on as they are.
    #[default]
    Bytes,
    #[cfg(feature = "encoding")]
    Encoded(&'static encoding_rs::Encoding),
}

impl Charset {
    /// Whether a character has two bytes, so that a delimiter begins at an even one.
    pub(super) fn is_wide(self) -> bool {
        match self {
            Self::Bytes => false,
            #[cfg(feature = "encoding")]
            Self::Encoded(encoding) => !encoding.is_ascii_compatible() && !is_stateful(encoding),
        }
    }

    /// Whether a delimiter means itself wherever its bytes are found.
    #[cfg_attr(
        not(feature = "encoding"),
        expect(unused_variables, reason = "there are no encodings to tear it from")
    )]
    pub(super) fn keeps(self, delimiter: &[u8]) -> bool {
        match self {
            Self::Bytes => true,
            // Its characters have any bytes from 0x21 on, and an escape switches between them.
            #[cfg(feature = "encoding")]
            Self::Encoded(encoding) if is_stateful(encoding) => {
                delimiter.iter().all(|it| *it < 0x20 && *it != 0x1b)
            }
            // No other encoding has a byte below 0x30 within a character.
            #[cfg(feature = "encoding")]
            Self::Encoded(encoding) => {
                let is_text = std::str::from_utf8(delimiter).is_ok();
                let is_narrow = encoding.is_single_byte() && delimiter.is_ascii();
                (self.is_wide() && is_text) || is_narrow || delimiter.iter().all(|it| *it < 0x30)
            }
        }
    }

    /// The bytes that text has in UTF-16, if that is what this is.
    pub(super) fn widen(self, text: &str) -> Vec<u8> {
        #[cfg(feature = "encoding")]
        if self == Self::Encoded(encoding_rs::UTF_16BE) {
            return text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        }
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }
}

#[cfg(feature = "encoding")]
pub(super) fn is_stateful(encoding: &'static encoding_rs::Encoding) -> bool {
    encoding == encoding_rs::ISO_2022_JP
}

/// What the first bytes of a stream say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Too few to tell.
    Unknown,
    None,
    /// So many bytes, and after them that.
    Found(usize, Charset),
}

/// Looks for a byte order mark.
pub(super) fn mark(head: &[u8]) -> Mark {
    let marks: &[(&[u8], Charset)] = &[
        (b"\xef\xbb\xbf", Charset::Bytes),
        #[cfg(feature = "encoding")]
        (b"\xff\xfe", Charset::Encoded(encoding_rs::UTF_16LE)),
        #[cfg(feature = "encoding")]
        (b"\xfe\xff", Charset::Encoded(encoding_rs::UTF_16BE)),
    ];
    for (bytes, charset) in marks {
        if head.starts_with(bytes) {
            return Mark::Found(bytes.len(), *charset);
        }
        if bytes.starts_with(head) {
            return Mark::Unknown;
        }
    }
    Mark::None
}

#[cfg(feature = "encoding")]
mod label {
    use std::fmt;
    use std::str::FromStr;

    use super::Charset;
    use crate::Error;

    /// How text is written in bytes: UTF-8, or one of the older ways.
    ///
    /// Lines come as UTF-8, whatever they were in. What is not valid in the encoding is replaced
    /// by U+FFFD; the line is kept, and counted ([`Count::Undecodable`](crate::Count)). Only what
    /// is said to be UTF-8 is left as it is, byte for byte.
    ///
    /// ```
    /// use birl_logsource::{Encoding, Framing};
    ///
    /// let framing = Framing::new().encoding("gb18030".parse::<Encoding>()?);
    /// assert!(Encoding::of_label("utf16").unwrap_err().to_string().contains("utf-16"));
    /// # Ok::<(), birl_logsource::Error>(())
    /// ```
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub struct Encoding(&'static encoding_rs::Encoding);

    impl Encoding {
        /// The encoding that a label names: those of the WHATWG's standard, as in HTML, in any
        /// case, such as `utf-8`, `utf-16le`, `utf-16be`, `gbk`, `gb18030`, `big5`, `shift_jis`,
        /// `euc-jp`, `euc-kr`, `latin1`, `windows-1252`, `koi8-r`.
        ///
        /// # Errors
        /// If there is none of that name; the error tells the nearest ones.
        pub fn of_label(label: &str) -> Result<Self, Error> {
            let found = encoding_rs::Encoding::for_label_no_replacement(label.as_bytes());
            found.map(Self).ok_or_else(|| {
                let near = nearest(label).join("`, `");
                Error::invalid(format!("there is no encoding `{label}`; did you mean `{near}`?"))
            })
        }

        /// The name, as in `UTF-16LE`.
        #[must_use]
        pub fn name(self) -> &'static str {
            self.0.name()
        }

        pub(in crate::framing) fn charset(self) -> Charset {
            if self.0 == encoding_rs::UTF_8 { Charset::Bytes } else { Charset::Encoded(self.0) }
        }
    }

    impl FromStr for Encoding {
        type Err = Error;

        fn from_str(label: &str) -> Result<Self, Error> {
            Self::of_label(label)
        }
    }

    impl fmt::Display for Encoding {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.name())
        }
    }

    impl fmt::Debug for Encoding {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "Encoding({self})")
        }
    }

    /// The labels that people mean.
    const LABELS: &[&str] = &[
        "utf-8",
        "utf-16",
        "utf-16le",
        "utf-16be",
        "gbk",
        "gb2312",
        "gb18030",
        "big5",
        "shift_jis",
        "sjis",
        "euc-jp",
        "iso-2022-jp",
        "euc-kr",
        "latin1",
        "iso-8859-1",
        "iso-8859-2",
        "iso-8859-3",
        "iso-8859-4",
        "iso-8859-5",
        "iso-8859-6",
        "iso-8859-7",
        "iso-8859-8",
        "iso-8859-9",
        "iso-8859-10",
        "iso-8859-13",
        "iso-8859-14",
        "iso-8859-15",
        "iso-8859-16",
        "koi8-r",
        "koi8-u",
        "macintosh",
        "ibm866",
        "ascii",
        "windows-874",
        "windows-1250",
        "windows-1251",
        "windows-1252",
        "windows-1253",
        "windows-1254",
        "windows-1255",
        "windows-1256",
        "windows-1257",
        "windows-1258",
    ];

    /// The three labels that differ least.
    fn nearest(label: &str) -> Vec<&'static str> {
        let label: String = label.trim().to_lowercase().chars().take(32).collect();
        let mut near = LABELS.to_vec();
        near.sort_by_key(|known| distance(&label, known));
        near.truncate(3);
        near
    }

    /// How many letters must be put in, taken out or changed.
    fn distance(a: &str, b: &str) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.bytes().enumerate() {
            let mut corner = std::mem::replace(&mut row[0], i + 1);
            for (j, y) in b.bytes().enumerate() {
                let changed = corner + usize::from(x != y);
                corner = row[j + 1];
                row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
            }
        }
        row[b.len()]
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_unknown_label_tells_the_nearest() {
            let error = Encoding::of_label("shift-jiss").unwrap_err().to_string();
            assert!(error.contains("`shift_jis`"), "{error}");
            let error = Encoding::of_label("win-1252").unwrap_err().to_string();
            assert!(error.contains("`windows-1252`"), "{error}");
            assert_eq!(distance("kitten", "sitting"), 3);
        }

        #[test]
        fn every_label_that_is_told_is_one() {
            assert!(LABELS.iter().all(|label| Encoding::of_label(label).is_ok()));
        }
    }
}
