//! Prints a log source as JSON, one entry a line: `embed-logsource WHAT [COUNT]`.
//!
//! WHAT is a path or pattern, `-`, `stdout:COMMAND`, `journald:unit=…`; it goes on until COUNT.

use birl_logsource::{LogSourceExt, Position, Registry};
use futures_util::StreamExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().ok_or("name a log source, such as /var/log/syslog")?;
    let count = arguments.next().map_or(Ok(usize::MAX), |count| count.parse())?;
    let source = Registry::default().detect(&what)?;
    let mut entries = source.entries(Position::Start).take(count);
    while let Some(delivery) = entries.next().await {
        match delivery {
            Ok(delivery) => {
                println!("{}", serde_json::to_string(&delivery.entry)?);
                delivery.ack.done();
            }
            Err(error) => eprintln!("{error}"),
        }
    }
    Ok(())
}
