//! Bytes of another encoding into UTF-8, a line at a time.

use encoding_rs::Encoding;

use super::encoding::is_stateful;

/// Decodes the lines of a stream.
pub(super) struct Decoder {
    encoding: &'static Encoding,
    /// In the middle of a line that comes in pieces.
    unfinished: Option<encoding_rs::Decoder>,
    text: Vec<u8>,
}

impl Decoder {
    pub(super) fn new(encoding: &'static Encoding) -> Self {
        Self { encoding, unfinished: None, text: Vec::new() }
    }

    /// Forgets the character that was begun: another stream is read.
    pub(super) fn begin(&mut self) {
        self.unfinished = None;
    }

    pub(super) fn is_of(&self, encoding: &'static Encoding) -> bool {
        self.encoding == encoding
    }

    /// The text of a line, or of a piece of one, and whether it was valid.
    pub(super) fn decode<'a>(&'a mut self, line: &'a [u8], is_last: bool) -> (&'a [u8], bool) {
        if self.unfinished.is_none() && self.is_itself(line) {
            return (line, true);
        }
        let encoding = self.encoding;
        let mut decoder = match self.unfinished.take() {
            Some(decoder) => decoder,
            None => encoding.new_decoder_without_bom_handling(),
        };
        let room = decoder.max_utf8_buffer_length(line.len()).unwrap_or(0);
        if self.text.len() < room {
            self.text.resize(room, 0);
        }
        let (_, _, written, had_errors) = decoder.decode_to_utf8(line, &mut self.text, is_last);
        if !is_last {
            self.unfinished = Some(decoder);
        }
        (self.text.get(..written).unwrap_or_default(), !had_errors)
    }

    /// Whether each byte of a whole line stands for the same one in UTF-8.
    fn is_itself(&self, line: &[u8]) -> bool {
        if is_stateful(self.encoding) {
            // The bytes that shift are no text, and not all of them are allowed.
            return Encoding::iso_2022_jp_ascii_valid_up_to(line) == line.len();
        }
        self.encoding.is_ascii_compatible() && line.is_ascii()
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("encoding", &self.encoding.name()).finish_non_exhaustive()
    }
}
