//! Who is told what, and when: as the real Alertmanager tells it.
//!
//! Stories by chance ([`story`](crate::story)) are played to a real Alertmanager in real time, and to a router with
//! `compat: alertmanager` on a clock of its own. For each webhook and group the messages must be the same, in the same
//! order, and at the same time within [`BOUND`]. A machine that stumbles makes Alertmanager late, so a difference counts
//! when the same story makes it again.
//!
//! What is different on purpose, and what the stories keep away from:
//!
//! | name | Alertmanager | birl |
//! | --- | --- | --- |
//! | `repeat on a beat` | `repeat_interval` = n × `group_interval` slips by one interval: the log has the time after sending, and is compared with the time before | told on the beat |
//! | `emptied group` | lives until it is cleaned up, every 30 s: an alert that comes to it waits for the next interval | goes at its next beat: then a new group waits `group_wait` |
//! | `log without a group` | what a message said is kept for 5 days or twice `repeat_interval`: an alert that was told, was over while muted and fires in a new group is not told | goes with the group |
//! | `end named before` | of two ends that reports name the later one holds, unless a report without an end came between | the later one holds |
//! | `resolve sent again` | what is over and told is told once more when another message of the group came between | a repeat, of which nobody hears |
//! | `late copy` | a firing with the start of an episode that is over makes it fire again | is known for what it is, for `dedup_window` |
//! | `refused` | a 429, as any 4xx, is not tried again | a 429 is, and `Retry-After` is kept |

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use birl_router::{Alert, Config, DeliveryReport, Notification, Router};
use serde_json::{Value, json};

use crate::alertmanager::Alertmanager;
use crate::hooks::{Delivery, Hooks};
use crate::soak;
use crate::story::{BOUNDARY, Deed, PLAY, RESOLVE_TIMEOUT, Story, What, time};

/// How far apart the two may be.
const BOUND: Duration = Duration::from_millis(400);
/// A report that was sent later than this, or took longer, was not as planned.
const LATE: Duration = Duration::from_millis(80);
/// Stories of one play.
const TOGETHER: u64 = 90;

/// By webhook and group, the messages in order.
type Told = BTreeMap<(String, String), Vec<Delivery>>;

/// What came of one play.
struct Played {
    theirs: Told,
    ours: Told,
    /// Stories that were not told as planned.
    late: Vec<u64>,
}

/// The configuration of all; `minute` is the one at which the time intervals change.
fn config(stories: &[Story], hooks: &Hooks, minute: u64) -> Value {
    let minute = format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
    let interval = |name: &str, from: &str, to: &str| {
        let times = json!([{ "start_time": from, "end_time": to }]);
        json!({ "name": name, "time_intervals": [{ "times": times }] })
    };
    let mut receivers = vec![json!({ "name": "nobody" })];
    for receiver in stories.iter().flat_map(|story| &story.receivers) {
        let mut receiver = receiver.clone();
        for hook in receiver["webhook_configs"].as_array_mut().expect("a list") {
            let path = hook["url"].as_str().expect("a path");
            hook["url"] = json!(format!("http://{}{path}", hooks.address));
        }
        receivers.push(receiver);
    }
    let rules: Vec<&Value> = stories.iter().flat_map(|story| &story.inhibit_rules).collect();
    let routes: Vec<&Value> = stories.iter().flat_map(|story| &story.routes).collect();
    json!({
        "global": { "resolve_timeout": format!("{RESOLVE_TIMEOUT}ms") },
        "route": { "receiver": "nobody", "routes": routes },
        "receivers": receivers,
        "inhibit_rules": rules,
        "time_intervals": [
            interval("before", "00:00", &minute),
            interval("after", &minute, "24:00"),
            { "name": "never", "time_intervals": [{ "years": ["1999"] }] }
        ]
    })
}

/// Plays all stories at once to both.
fn play(stories: &[Story], hooks: &Hooks) -> Played {
    let (began, minute) = beginning();
    let config = config(stories, hooks, minute);
    let alertmanager = Alertmanager::start(&config, "http://birl.example");
    hooks.take();
    let mut deeds: Vec<_> = stories.iter().flat_map(|story| &story.deeds).collect();
    deeds.sort_by_key(|deed| deed.at);
    let (mut ids, mut late) = (BTreeMap::new(), Vec::new());
    for deed in &deeds {
        let due = time(began, deed.at);
        if let Ok(wait) = due.duration_since(SystemTime::now()) {
            std::thread::sleep(wait);
        }
        match &deed.what {
            What::Report(report) => alertmanager.post(&report.alert(began)),
            What::Silence(number, silence) => {
                let id = alertmanager.silence(&silence.json(began));
                ids.insert((deed.story, *number), id);
            }
            What::Expire(number) => alertmanager.expire(&ids[&(deed.story, *number)]),
        }
        if SystemTime::now().duration_since(due).is_ok_and(|took| took > LATE) {
            late.push(deed.story);
        }
    }
    let end = began + Duration::from_millis(PLAY);
    if let Ok(wait) = end.duration_since(SystemTime::now()) {
        std::thread::sleep(wait);
    }
    let theirs = hooks.take();
    let ours = Ours::new(config).play(&deeds, began, end);
    Played { theirs: by_group(theirs), ours: by_group(ours), late }
}

/// When the next play begins, so that a full minute comes in its midst; and the number of that minute.
fn beginning() -> (SystemTime, u64) {
    let before = Duration::from_millis(BOUNDARY);
    let soon = SystemTime::now() + before + Duration::from_secs(1);
    let since = soon.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    let minute = since.as_secs() / 60 + 1;
    // Not at midnight, where a day ends and another one begins.
    let minute = if minute.is_multiple_of(24 * 60) { minute + 1 } else { minute };
    let began = SystemTime::UNIX_EPOCH + Duration::from_secs(minute * 60) - before;
    // An Alertmanager that has just started forgets groups half a minute later.
    if let Ok(wait) = (began - Duration::from_secs(1)).duration_since(SystemTime::now()) {
        std::thread::sleep(wait);
    }
    (began, minute)
}

/// The router, and what it has told so far.
struct Ours {
    router: Router,
    paths: BTreeMap<String, String>,
    told: Vec<Delivery>,
}

impl Ours {
    fn new(mut config: Value) -> Self {
        config["compat"] = json!("alertmanager");
        config["external_url"] = json!("http://birl.example");
        let mut paths = BTreeMap::new();
        for receiver in config["receivers"].as_array().expect("a list") {
            let name = receiver["name"].as_str().expect("a name");
            let hooks = receiver["webhook_configs"].as_array().into_iter().flatten();
            for (i, hook) in hooks.enumerate() {
                let url = hook["url"].as_str().expect("a URL");
                let path = url.splitn(4, '/').nth(3).unwrap_or_default();
                paths.insert(format!("{name}/webhook_configs/{i}"), format!("/{path}"));
            }
        }
        let config: Config = serde_json::from_value(config).expect("a configuration");
        Self { router: Router::new(config).expect("a configuration"), paths, told: Vec::new() }
    }

    fn play(mut self, deeds: &[&Deed], began: SystemTime, end: SystemTime) -> Vec<Delivery> {
        let mut ids = BTreeMap::new();
        for deed in deeds {
            let at = time(began, deed.at);
            self.until(at);
            match &deed.what {
                What::Report(report) => {
                    let routed = self.router.route(report.alert(began), at);
                    self.take(routed.notifications, at);
                }
                What::Silence(number, silence) => {
                    let silence = serde_json::from_value(silence.json(began)).expect("a silence");
                    let set = self.router.set_silence(silence, at).expect("a silence");
                    let made = self.router.silences().get(set.slot).expect("it was made");
                    ids.insert((deed.story, *number), made.id.clone());
                }
                What::Expire(number) => {
                    let id = &ids[&(deed.story, *number)];
                    assert!(self.router.expire_silence(id, at).expect("there is one"));
                }
            }
        }
        self.until(end);
        self.told
    }

    fn until(&mut self, end: SystemTime) {
        let mut last = SystemTime::UNIX_EPOCH;
        while let Some(due) = self.router.next_deadline() {
            let due = due.max(last);
            if due > end {
                break;
            }
            let told = self.router.tick(due);
            self.take(told, due);
            last = due + Duration::from_millis(1);
        }
    }

    fn take(&mut self, notifications: Vec<Notification>, at: SystemTime) {
        for notification in notifications {
            let path = self.paths[notification.endpoint.as_str()].clone();
            let message = serde_json::to_value(notification.to_webhook_v4()).expect("JSON");
            self.told.push(Delivery { at, path, message });
            let took = Duration::from_millis(1);
            let report = DeliveryReport::delivered(&notification, took, at);
            assert!(self.router.report(&report, at).resend.is_empty());
        }
    }
}

fn by_group(deliveries: Vec<Delivery>) -> Told {
    let mut told = Told::new();
    for mut delivery in deliveries {
        let group = delivery.message["groupKey"].as_str().expect("a key").to_owned();
        let alerts = delivery.message["alerts"].as_array_mut().expect("a list");
        alerts.sort_by_key(|alert| alert["fingerprint"].to_string());
        told.entry((delivery.path.clone(), group)).or_default().push(delivery);
    }
    told
}

/// The same message at the same time? Times that are counted from when a report came differ by how long it took.
fn same(a: &Delivery, b: &Delivery) -> bool {
    let near = |a: SystemTime, b: SystemTime| {
        a.duration_since(b).or_else(|_| b.duration_since(a)).is_ok_and(|apart| apart <= BOUND)
    };
    let split = |delivery: &Delivery| {
        let mut message = delivery.message.clone();
        let alerts = message["alerts"].as_array_mut().expect("a list");
        let times = alerts.iter_mut().map(|alert| {
            let times: Alert = serde_json::from_value(alert.clone()).expect("an alert");
            alert.as_object_mut().expect("a map").retain(|key, _| !key.ends_with("sAt"));
            (times.starts_at, times.ends_at.expect("every message has one"))
        });
        let times: Vec<_> = times.collect();
        (message, times)
    };
    let ((a_message, a_times), (b_message, b_times)) = (split(a), split(b));
    near(a.at, b.at)
        && a_message == b_message
        && a_times.iter().zip(&b_times).all(|(a, b)| near(a.0, b.0) && near(a.1, b.1))
}

/// The webhooks and groups of the story of which the two have not told the same.
fn differences(story: &Story, played: &Played) -> Vec<String> {
    let mine = |(path, _): &&(String, String)| path.starts_with(&format!("/{}-", story.number));
    let mut keys: Vec<_> = played.theirs.keys().chain(played.ours.keys()).filter(mine).collect();
    keys.sort_unstable();
    keys.dedup();
    let differ = keys.into_iter().filter_map(|key| {
        let none = Vec::new();
        let theirs = played.theirs.get(key).unwrap_or(&none);
        let ours = played.ours.get(key).unwrap_or(&none);
        let equal = theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(a, b)| same(a, b));
        (!equal)
            .then(|| format!("{key:?}\n  alertmanager:\n{}  birl:\n{}", shown(theirs), shown(ours)))
    });
    differ.collect()
}

fn shown(told: &[Delivery]) -> String {
    let lines = told.iter().map(|delivery| {
        let since = delivery.at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let message = &delivery.message;
        let alerts = message["alerts"].as_array().expect("a list").iter().map(|alert| {
            let labels = &alert["labels"];
            format!(
                "{}/{} {} note {} starts {} ends {}",
                labels["alertname"].as_str().unwrap_or_default(),
                labels["host"].as_str().unwrap_or_default(),
                alert["status"].as_str().unwrap_or_default(),
                alert["annotations"]["note"].as_str().unwrap_or_default(),
                alert["startsAt"].as_str().unwrap_or_default(),
                alert["endsAt"].as_str().unwrap_or_default(),
            )
        });
        let alerts: Vec<String> = alerts.collect();
        format!(
            "    {} {}: {}\n",
            since.as_millis() % 1_000_000,
            message["status"],
            alerts.join("; ")
        )
    });
    lines.collect()
}

#[test]
fn stories_end_as_alertmanager_tells_them() {
    let (stories, seed) = soak::stories(TOGETHER);
    let hooks = Hooks::start();
    let (mut judged, mut messages, mut again, mut late) = (0, 0, 0, 0);
    for first in (0..stories).step_by(TOGETHER as usize) {
        let numbers = first..stories.min(first + TOGETHER);
        let mut doubtful: Vec<Story> = numbers.map(|number| Story::draw(seed, number)).collect();
        for attempt in 0..3 {
            let played = play(&doubtful, &hooks);
            let mut failed = Vec::new();
            let mut texts = Vec::new();
            for story in doubtful {
                let found = differences(&story, &played);
                if found.is_empty() {
                    judged += 1;
                    let mine = format!("/{}-", story.number);
                    let told = played.theirs.iter().filter(|(key, _)| key.0.starts_with(&mine));
                    messages += told.map(|(_, told)| told.len()).sum::<usize>();
                    continue;
                }
                if !played.late.contains(&story.number) {
                    let deeds = story.deeds.iter().map(|deed| format!("    {deed}\n"));
                    let deeds: String = deeds.collect();
                    texts.push(format!(
                        "REAL_SEED={seed}, story {}\n  {}\n{deeds}{}\n",
                        story.number,
                        json!([story.routes, story.inhibit_rules]),
                        found.join("\n")
                    ));
                }
                failed.push(story);
            }
            again += failed.len();
            doubtful = failed;
            if doubtful.is_empty() {
                break;
            }
            if attempt > 0 {
                assert!(texts.is_empty(), "{}", texts.join("\n"));
                late += doubtful.len();
            }
        }
    }
    assert!(
        judged as u64 * 10 >= stories * 9,
        "{judged} of {stories}: the machine is too slow for this test"
    );
    assert!(messages > judged * 3, "{messages} messages in {judged} stories");
    soak::keep(&format!(
        "stories: {judged}, seed {seed}, {messages} messages of Alertmanager: 0 differences in content, order and time (within \
         {} ms); {again} played again, {late} given up, because the machine was slow",
        BOUND.as_millis()
    ));
}
