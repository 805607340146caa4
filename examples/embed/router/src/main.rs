//! `embed-router alertmanager.yml < alerts.ndjson`: who is told of which alerts, and why, by the alerts' own times.
use std::{error::Error, io, time::Duration, time::SystemTime};

use birl_router::{Alert, AlertmanagerFile, Notification, Router};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: embed-router CONFIG < alerts.ndjson")?;
    let file = AlertmanagerFile::parse(&std::fs::read_to_string(path)?)?;
    file.notices.iter().for_each(|notice| eprintln!("{notice}"));
    let (mut router, mut now) = (Router::new(file.config)?, SystemTime::UNIX_EPOCH);
    for line in io::stdin().lines() {
        let alert: Alert = serde_json::from_str(&line?)?;
        now = now.max(alert.starts_at).max(alert.ends_at.unwrap_or(alert.starts_at));
        pass(&mut router, now);
        let (labels, routed) = (alert.labels.clone(), router.route(alert, now));
        println!("{labels}: {}, {}", routed.outcome, routed.reason);
        routed.notifications.iter().for_each(tell);
    }
    Ok(pass(&mut router, now + Duration::from_secs(600)))
}

fn pass(router: &mut Router, until: SystemTime) {
    while let Some(at) = router.next_deadline().filter(|at| *at <= until) {
        router.tick(at).iter().for_each(tell);
    }
}

fn tell(n: &Notification) {
    println!("-> {} hears of {} in {}: {}", n.receiver, n.alerts.len(), n.group_labels, n.reason);
}
