//! Prints a log as JSON, one entry a line: `embed-logsource LOG OFFSETS [COUNT]`.
//!
//! LOG is a path or pattern, and may rotate. It goes on until COUNT; a run with the same OFFSETS
//! goes on after the last line that was printed.

use birl_logsource::{Edge, FileSource, LogSourceExt, Position};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let log = arguments.next().ok_or("name a log, such as /var/log/syslog")?;
    let offsets = arguments.next().ok_or("name a file to keep the place in")?;
    let count = arguments.next().map_or(Ok(usize::MAX), |count| count.parse())?;
    let source = FileSource::builder(log).offset_file(offsets).build()?;
    let mut entries = source.entries(Position::Resume { otherwise: Edge::Start }).take(count);
    while let Some(delivery) = entries.next().await {
        match delivery {
            Ok(delivery) => {
                println!("{}", serde_json::to_string(&delivery.entry)?);
                delivery.ack.done(); // from here on it does not come again
            }
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
