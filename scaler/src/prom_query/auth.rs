//! Who asks: a token or a password, from a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::HeaderValue;

/// A secret is not longer.
const MAX_SECRET: u64 = 64 * 1024;

/// What the header `Authorization` is made of. The file is read for each query: tokens are renewed.
pub(super) enum Auth {
    Bearer { file: PathBuf },
    Basic { user: String, file: PathBuf },
}

impl Auth {
    /// The header, or a sentence that does not tell the secret.
    pub(super) async fn header(self: Arc<Self>) -> Result<HeaderValue, String> {
        // A file may lie on a disk that hangs.
        let read = tokio::task::spawn_blocking(move || self.header_now()).await;
        read.unwrap_or_else(|_| Err("reading the file for `Authorization` was given up".into()))
    }

    fn header_now(&self) -> Result<HeaderValue, String> {
        let (file, text) = match self {
            Self::Bearer { file } => (file, format!("Bearer {}", secret(file)?)),
            Self::Basic { user, file } => {
                let pair = format!("{user}:{}", secret(file)?);
                (file, format!("Basic {}", base64(pair.as_bytes())))
            }
        };
        let mut header = HeaderValue::try_from(text)
            .map_err(|_| format!("{}: this is more than one line of plain text", file.display()))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn secret(file: &Path) -> Result<String, String> {
    let read = || -> io::Result<String> {
        let mut text = String::new();
        File::open(file)?.take(MAX_SECRET).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|e| format!("{}: {e}", file.display()))?;
    match text.trim() {
        "" => Err(format!("{} is empty: write the secret into it", file.display())),
        secret => Ok(secret.to_owned()),
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: [char; 64] = digits();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let bits = chunk
            .iter()
            .enumerate()
            .fold(0u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            let digit = DIGITS.get((bits >> (18 - 6 * place) & 63) as usize);
            text.push(if place <= chunk.len() { *digit.unwrap_or(&'=') } else { '=' });
        }
    }
    text
}

const fn digits() -> [char; 64] {
    let text = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut digits, mut place) = (['='; 64], 0);
    while place < 64 {
        digits[place] = text[place] as char;
        place += 1;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("\u{ff}\u{3ff}?>", "w7/Pvz8+"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded, "{plain}");
        }
    }
}
