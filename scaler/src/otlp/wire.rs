//! Protobuf, as much of it as spans need: the fields of a message one after the other, nothing copied.

use std::fmt;

/// Why bytes are not a request of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(&'static str);

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order in which they were written. After an error there are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(Malformed("a field's number is out of range"))?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).map_err(|_| SHORT)?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            // Groups went out of use before OTLP was made.
            _ => return Err(Malformed("a field is of a kind that nobody writes")),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            if at == 9 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(if self.0.len() < 10 { SHORT } else { Malformed("a number has more than 64 bits") })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }
}

const SHORT: Malformed = Malformed("it ends in the middle of a field");
const KIND: Malformed = Malformed("a field is of another kind than OTLP says");

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Value<'a> {
    pub(super) fn varint(self) -> Result<u64, Malformed> {
        if let Self::Varint(value) = self { Ok(value) } else { Err(KIND) }
    }

    pub(super) fn fixed64(self) -> Result<u64, Malformed> {
        if let Self::Fixed64(value) = self { Ok(value) } else { Err(KIND) }
    }

    pub(super) fn bytes(self) -> Result<&'a [u8], Malformed> {
        if let Self::Bytes(value) = self { Ok(value) } else { Err(KIND) }
    }

    /// A text; one that is no UTF-8 says nothing.
    pub(super) fn text(self) -> Result<&'a str, Malformed> {
        self.bytes().map(|bytes| std::str::from_utf8(bytes).unwrap_or_default())
    }
}

/// Writes a field that holds a number; zero is what a reader takes for granted.
pub(super) fn put_number(to: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        put_varint(to, u64::from(field) << 3);
        put_varint(to, value);
    }
}

/// Writes a field that holds a text or a message.
pub(super) fn put_bytes(to: &mut Vec<u8>, field: u32, value: &[u8]) {
    put_varint(to, u64::from(field) << 3 | 2);
    put_varint(to, value.len() as u64);
    to.extend_from_slice(value);
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this is no ExportTraceServiceRequest: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = Vec::new();
        put_number(&mut bytes, 1, 300);
        put_number(&mut bytes, 2, u64::MAX);
        put_number(&mut bytes, 3, 0);
        put_bytes(&mut bytes, 4, b"text");
        let fields =
            [(1, Value::Varint(300)), (2, Value::Varint(u64::MAX)), (4, Value::Bytes(b"text"))];
        assert_eq!(read(&bytes).unwrap(), fields);
        assert_eq!(read(&[0x0d, 1, 0, 0, 0]).unwrap(), [(1, Value::Fixed32(1))]);
        assert_eq!(read(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0]).unwrap(), [(1, Value::Fixed64(1))]);
    }

    #[test]
    fn broken_bytes_are_an_error_and_the_end() {
        let endless = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        for bytes in [
            &[0x08][..],
            &[0x0a, 5, 1],
            &[0x09, 1, 2],
            &[0x0b],
            &[0x0f, 0],
            &[0x00, 0],
            &[0x80],
            &endless,
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0],
        ] {
            let mut fields = Fields::of(bytes);
            assert!(fields.next().unwrap().is_err(), "{bytes:?}");
            assert!(fields.next().is_none());
        }
    }
}
