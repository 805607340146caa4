//! Tells a webhook of the errors in a log, each kind once: `embed-router-webhook http://127.0.0.1:9000/hook < error.log`
use std::{error::Error, io, sync::Arc, time::Duration, time::SystemTime};

use birl_router::*;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: embed-router-webhook WEBHOOK_URL < LOG")?;
    let route = RouteConfig::to("ops").immediate();
    let config = Config::new(route, [ReceiverConfig::new("ops").webhook(url)]);
    let notifiers = notifiers_for(&config, Arc::new(WriterNotifier::new(io::stdout())))?;
    let dispatcher = Dispatcher::builder(DispatchConfig::default());
    let (dispatcher, mut reports) = dispatcher.endpoints(notifiers).start()?;
    let mut router = Router::new(config)?;
    for line in io::stdin().lines() {
        let (line, now) = (line?, SystemTime::now());
        let Some((_, text)) = line.split_once("[error] ") else { continue };
        let kind = text.replace(|c: char| c.is_ascii_digit(), "");
        let alert = Alert::firing([("alertname", "LogError"), ("kind", &kind)], now);
        for notification in router.route(alert.annotation("line", &line), now).notifications {
            dispatcher.send(notification)?;
        }
    }
    dispatcher.shutdown(Duration::from_secs(30)).await;
    while let Some(report) = reports.next().await {
        println!("{}: {:?}", report.notification_id, report.result);
    }
    Ok(println!("{:#?}", router.metrics()))
}
