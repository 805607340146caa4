//! A log that grows at a steady pace, line by line as a program writes it.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use birl_benches::lines;

/// How much was written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Written {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

/// Appends so many bytes a second, one `write` a line, for as long as `goes_on` says.
pub(crate) fn append(
    path: &Path,
    bytes_per_second: u64,
    mut goes_on: impl FnMut(Duration) -> bool,
) -> std::io::Result<Written> {
    let mut some = Vec::new();
    for number in 0..4096 {
        let mut line = Vec::new();
        lines::text(number, &mut line)?;
        some.push(line);
    }
    let mut file = File::options().append(true).create(true).open(path)?;
    let mut next = some.iter().cycle();
    let (begun, mut written) = (Instant::now(), Written::default());
    while goes_on(begun.elapsed()) {
        let due = (begun.elapsed().as_secs_f64() * bytes_per_second as f64) as u64;
        while written.bytes < due {
            let Some(line) = next.next() else { break };
            file.write_all(line)?;
            written.lines += 1;
            written.bytes += line.len() as u64;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(written)
}
