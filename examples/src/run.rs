//! `birl run`: the loop that a configuration describes.

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

use crate::cli::Run;
use crate::compose::{Built, build, serve};
use crate::config::{Mode, load};
use crate::failure::Failure;

pub(crate) fn run(args: &Run) -> Result<(), Failure> {
    let mut config = load(&args.config)?;
    if args.dry_run {
        config.mode = Mode::Observe;
    }
    config.stateless = args.dry_run || args.check;
    crate::log::init(args.log_format, "info");
    let (mode, listen) = (config.mode, config.listen.clone());
    let runtime = crate::runtime()?;
    let (sources, receivers, scalers) =
        (config.sources.len(), config.receivers.len(), config.scalers.len());
    let Built { live, served, watcher, lock } = {
        let _inside = runtime.enter();
        build(config)?
    };
    if args.check {
        let rules = live.core.rules();
        info!(sources, rules, receivers, scalers, "the configuration is good");
        return Ok(());
    }
    let done = runtime.block_on(async {
        if let Some(listen) = listen {
            serve(&listen, served).await?;
        }
        match mode {
            Mode::Act => info!("acting: notifications are sent and targets are scaled"),
            Mode::Observe => info!(
                "observing: everything is decided and nothing is done; `mode: act` changes that"
            ),
        }
        live.run(stop_signal()?).await
    });
    drop((watcher, lock));
    done
}

/// Resolves at SIGINT or SIGTERM.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::own)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::own)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
