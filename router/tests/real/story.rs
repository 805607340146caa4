//! Stories by chance: when which alert is reported, and who has asked not to hear of it, so that the outcome does not
//! hang on a few milliseconds.
//!
//! All times are milliseconds after the beginning of the play.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use birl_router::Alert;
use serde_json::{Value, json};

use crate::dice::Dice;

/// An alert without an end ends so long after its last report.
pub(crate) const RESOLVE_TIMEOUT: u64 = 4_000;
/// How far whatever happens stays away from the moments at which a group is told.
const EDGE: u64 = 170;
/// The time intervals `before` and `after` meet here, on a full minute.
pub(crate) const BOUNDARY: u64 = 9_000;
/// When the last story begins, and how long a story may be: a real timer is late a little more at each beat.
const LAST_BEGIN: u64 = 5_000;
const LENGTH: u64 = 11_000;
/// An end that a report names is no later than this after it.
const LONGEST: u64 = 6_000;
/// Everything is over by then, and told. Alertmanager forgets groups 30 s after its start, which has to be later.
pub(crate) const PLAY: u64 = LAST_BEGIN + LENGTH + LONGEST + 2_700;

/// One story: a part of the configuration of its own, and the reports.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) number: u64,
    pub(crate) routes: Vec<Value>,
    pub(crate) receivers: Vec<Value>,
    pub(crate) inhibit_rules: Vec<Value>,
    pub(crate) deeds: Vec<Deed>,
}

/// What somebody does at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) at: u64,
    pub(crate) story: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone)]
pub(crate) enum What {
    Report(Report),
    /// The silence by its number in the story.
    Silence(usize, Silence),
    Expire(usize),
}

/// A silence, between two moments.
#[derive(Debug, Clone)]
pub(crate) struct Silence {
    matchers: Value,
    starts: u64,
    ends: u64,
}

/// One report of an alert.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    at: u64,
    alert: String,
    host: String,
    starts: u64,
    ends: Option<u64>,
    note: usize,
    story: u64,
}

impl Report {
    pub(crate) fn alert(&self, began: SystemTime) -> Alert {
        let labels = [
            ("alertname", self.alert.clone()),
            ("host", self.host.clone()),
            ("story", self.story.to_string()),
        ];
        let alert = Alert::firing(labels, time(began, self.starts))
            .annotation("note", self.note.to_string())
            .annotation("host", self.host.clone());
        match self.ends {
            Some(end) => alert.resolved(time(began, end)),
            None => alert,
        }
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, alert, host, starts, ends, note, .. } = self;
        write!(f, "{:>6}  {alert}/{host} note {note}, starts {}", after(*at), after(*starts))?;
        match ends {
            Some(end) if end <= at => write!(f, ", over since {}", after(*end)),
            Some(end) => write!(f, ", ends {}", after(*end)),
            None => Ok(()),
        }
    }
}

impl Silence {
    /// As Alertmanager's API takes it.
    pub(crate) fn json(&self, began: SystemTime) -> Value {
        // Only an alert writes its times.
        let alert = Alert::firing([("a", "b")], time(began, self.starts));
        let times = serde_json::to_value(alert.resolved(time(began, self.ends))).expect("JSON");
        json!({
            "matchers": self.matchers,
            "startsAt": times["startsAt"],
            "endsAt": times["endsAt"],
            "createdBy": "chance",
            "comment": "a story",
        })
    }
}

impl std::fmt::Display for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.what {
            What::Report(report) => report.fmt(f),
            What::Silence(number, Silence { matchers, starts, ends }) => write!(
                f,
                "{:>6}  silence {number} from {} to {}: {matchers}",
                after(self.at),
                after(*starts),
                after(*ends)
            ),
            What::Expire(number) => write!(f, "{:>6}  silence {number} ends", after(self.at)),
        }
    }
}

/// A moment of the play.
pub(crate) fn time(began: SystemTime, ms: u64) -> SystemTime {
    began + Duration::from_millis(ms) - LONG_BEFORE
}

fn after(ms: u64) -> i64 {
    ms as i64 - LONG_BEFORE.as_millis() as i64
}

/// Alerts may have begun before the play; so its beginning is not 0.
pub(crate) const LONG_BEFORE: Duration = Duration::from_secs(100);

/// What Alertmanager believes of an alert.
#[derive(Debug, Clone, Copy)]
struct Believed {
    starts: u64,
    ends: u64,
    /// The last report had no end.
    timeout: bool,
    /// Somebody has named the end all the same.
    named: bool,
}

/// When one of Alertmanager's groups is told.
#[derive(Debug, Clone)]
struct Group {
    wait: u64,
    interval: u64,
    first: u64,
    /// By alert, when it ends.
    members: BTreeMap<usize, u64>,
}

/// By route and labels.
type Groups = BTreeMap<(usize, String), Group>;

/// One route of a story.
#[derive(Debug)]
struct Route {
    wait: u64,
    interval: u64,
    by: &'static [&'static str],
}

impl Group {
    fn near_a_beat(&self, at: u64) -> bool {
        if at < self.first {
            return self.first - at < EDGE;
        }
        let phase = (at - self.first) % self.interval;
        phase < EDGE || self.interval - phase < EDGE
    }

    /// The first beat after `at`.
    fn next_beat(&self, at: u64) -> u64 {
        if at < self.first {
            return self.first;
        }
        self.first + ((at - self.first) / self.interval + 1) * self.interval
    }

    /// All that were in it were over at a beat before `at`. What becomes of such a group is another question.
    fn is_empty(&self, at: u64) -> bool {
        self.members.values().max().is_some_and(|last| self.next_beat(*last) <= at)
    }
}

impl Story {
    pub(crate) fn draw(seed: u64, number: u64) -> Self {
        let dice = &mut Dice::new(seed, number);
        let mut story = Self {
            number,
            routes: Vec::new(),
            receivers: Vec::new(),
            inhibit_rules: Vec::new(),
            deeds: Vec::new(),
        };
        let mut routes = Vec::new();
        let several = dice.percent(30);
        for part in 0..=u64::from(several) {
            routes.push(story.route(part, several && part == 0, dice));
        }
        let (silences, inhibits) = (dice.percent(35), dice.percent(35));
        if inhibits {
            story.inhibit(dice);
        }
        story.tell(&routes, silences, inhibits, dice);
        story
    }

    fn route(&mut self, part: u64, continues: bool, dice: &mut Dice) -> Route {
        let ways: [&[&str]; 4] =
            [&[], &["host"], &["alertname", "story"], &["alertname", "host", "story"]];
        let by = *dice.one_of(&ways);
        let interval = *dice.one_of(&[1_000, 1_300, 2_000]);
        let wait = *dice.one_of(&[0, 200, 500, 900]);
        // Half an interval off: at a whole number of them Alertmanager is late by one, or not, as it happens.
        let repeat = match dice.between(0, 3) {
            0 => 4 * 3_600_000,
            beats => interval * beats + interval / 2,
        };
        let intervals = match dice.between(0, 11) {
            0 => json!({ "mute_time_intervals": ["before"] }),
            1 => json!({ "mute_time_intervals": ["after", "never"] }),
            2 => json!({ "active_time_intervals": ["before"] }),
            3 => json!({ "active_time_intervals": ["never", "after"] }),
            _ => json!({}),
        };
        let all = by.len() == 3 && dice.percent(50);
        let name = format!("{}-{part}", self.number);
        let mut route = json!({
            "receiver": name,
            "matchers": [format!("story=\"{}\"", self.number)],
            "continue": continues,
            "group_by": if all { vec!["..."] } else { by.to_vec() },
            "group_wait": format!("{wait}ms"),
            "group_interval": format!("{interval}ms"),
            "repeat_interval": format!("{repeat}ms"),
        });
        for (key, names) in intervals.as_object().into_iter().flatten() {
            route[key] = names.clone();
        }
        self.routes.push(route);
        let mut hooks = vec![json!({ "url": format!("/{name}/all"), "send_resolved": true })];
        if dice.percent(40) {
            hooks.push(json!({ "url": format!("/{name}/firing"), "send_resolved": false }));
        }
        self.receivers.push(json!({ "name": name, "webhook_configs": hooks }));
        Route { wait, interval, by }
    }

    fn inhibit(&mut self, dice: &mut Dice) {
        let story = format!("story=\"{}\"", self.number);
        let [a, b] = ["alertname=\"A\"", "alertname=\"B\""];
        let (source, target) = if dice.percent(70) { (a, b) } else { (b, "alertname!=\"B\"") };
        self.inhibit_rules.push(json!({
            "source_matchers": [story, source],
            "target_matchers": [story, target],
            "equal": if dice.percent(70) { vec!["host"] } else { vec![] },
        }));
    }

    /// A new silence, or the end of an old one. The moments at which it begins and ends are added.
    fn silence(&mut self, at: u64, made: &mut Vec<(u64, u64)>, dice: &mut Dice) -> Option<Deed> {
        let story = self.number;
        let open = made.iter().position(|(starts, ends)| *starts <= at && at + 2 * EDGE < *ends);
        if let Some(number) = open.filter(|_| dice.percent(50)) {
            made[number].1 = at;
            return Some(Deed { at, story, what: What::Expire(number) });
        }
        if made.len() >= 4 {
            return None;
        }
        let starts = if dice.percent(70) { at } else { at + dice.between(300, 1_500) };
        let ends = starts + dice.between(1_500, 6_000);
        let matcher = |name: &str, value: &str, is_regex: bool, is_equal: bool| json!({ "name": name, "value": value, "isRegex": is_regex, "isEqual": is_equal });
        let mut matchers = vec![matcher("story", &story.to_string(), false, true)];
        match dice.between(0, 3) {
            0 => {}
            1 => matchers.push(matcher("alertname", "A", false, true)),
            2 => matchers.push(matcher("host", "x|z", true, true)),
            _ => matchers.push(matcher("alertname", "A", false, false)),
        }
        made.push((starts, ends));
        let silence = Silence { matchers: json!(matchers), starts, ends };
        Some(Deed { at, story, what: What::Silence(made.len() - 1, silence) })
    }

    fn tell(&mut self, routes: &[Route], silences: bool, inhibits: bool, dice: &mut Dice) {
        let alerts: [(&str, &str); 4] = [("A", "x"), ("A", "y"), ("B", "x"), ("C", "z")];
        let alerts = &alerts[..dice.between(1, 4) as usize];
        // One of them may go on to the end, so that its group does.
        let steady = if dice.percent(60) { Some(0) } else { None };
        let mut believed: BTreeMap<usize, Believed> = BTreeMap::new();
        let mut groups: Groups = BTreeMap::new();
        let mut made: Vec<(u64, u64)> = Vec::new();
        let mut notes = 0;
        let begin = LONG_BEFORE.as_millis() as u64 + dice.between(0, LAST_BEGIN);
        let pace = dice.between(150, 700);
        let mut at = begin;
        while at < begin + LENGTH {
            if silences && dice.percent(20) {
                let mut with = made.clone();
                let deed = self.silence(at, &mut with, dice);
                let clear = |at: u64| !groups.values().any(|group| group.near_a_beat(at));
                let moments = with.iter().flat_map(|(starts, ends)| [*starts, *ends]);
                let clear = clear(at) && moments.filter(|moment| *moment > at).all(clear);
                if let Some(deed) = deed.filter(|_| clear) {
                    made = with;
                    self.deeds.push(deed);
                }
                at += dice.between(40, 2 * pace);
                continue;
            }
            let which = match notes {
                0 => 0,
                _ => dice.between(0, alerts.len() as u64 - 1) as usize,
            };
            let (alert, host) = alerts[which];
            let before = believed.get(&which).copied();
            let fires = before.is_some_and(|b| b.ends > at);
            let over = fires && steady != Some(which) && dice.percent(50);
            let story = self.number;
            let mut report = Report {
                at,
                alert: alert.into(),
                host: host.into(),
                starts: at,
                ends: None,
                note: notes,
                story,
            };
            match before {
                Some(before) if fires => {
                    if dice.percent(80) {
                        report.starts = before.starts;
                    }
                }
                Some(before) => report.starts = (at - dice.between(0, 300)).max(before.ends + 1),
                None if dice.percent(25) => report.starts = at - dice.between(1_500, 60_000),
                None => report.starts = at - dice.between(0, 90),
            }
            if over {
                report.ends = Some(at);
            } else if dice.percent(25) {
                report.ends = Some(at + dice.between(900, LONGEST));
            }
            let now = believe(before, &report);
            if before.is_some_and(|b| b.timeout && b.named && now.ends > at && now.ends < b.ends) {
                // Alertmanager has forgotten that somebody named the end.
                at += 1;
                continue;
            }
            let unclear = before.is_some_and(|b| b.ends != now.ends && b.ends.abs_diff(at) < EDGE);
            let changed = put(&groups, routes, (alert, host), which, at, now);
            let boundary = LONG_BEFORE.as_millis() as u64 + BOUNDARY;
            let mut moments: Vec<u64> = made.iter().flat_map(|(from, to)| [*from, *to]).collect();
            moments.push(boundary);
            if inhibits {
                // Whether it fires is of interest to all groups.
                moments.extend(believed.values().map(|believed| believed.ends));
                moments.push(now.ends);
            }
            // Is it over, or is it not? Alertmanager itself could not say.
            let fair =
                !unclear && (!inhibits || !groups.values().any(|group| group.near_a_beat(at)));
            if let Some(changed) =
                changed.filter(|changed| fair && clear_later(changed, &moments, at))
            {
                groups = changed;
                believed.insert(which, now);
                notes += 1;
                self.deeds.push(Deed { at, story, what: What::Report(report) });
            }
            at += dice.between(40, 2 * pace);
        }
    }
}

/// What Alertmanager makes of a report: where the two overlap, the earlier start, and the later of two ends, if somebody
/// said it.
fn believe(before: Option<Believed>, report: &Report) -> Believed {
    let ends = report.ends.unwrap_or(report.at + RESOLVE_TIMEOUT);
    let new = Believed {
        starts: report.starts,
        ends,
        timeout: report.ends.is_none(),
        named: report.ends.is_some(),
    };
    let Some(old) = before else { return new };
    let overlaps = (new.ends > old.starts && new.ends < old.ends)
        || (new.starts > old.starts && new.starts < old.ends);
    if !overlaps {
        return new;
    }
    let mut merged = Believed { starts: new.starts.min(old.starts), ..new };
    let is_over = new.ends <= report.at;
    if !is_over && old.ends > new.ends && !old.timeout {
        (merged.ends, merged.named) = (old.ends, true);
    }
    merged
}

/// The groups after the report; `None` if it comes, or the alert ends, too near to when a group is told.
fn put(
    groups: &Groups,
    routes: &[Route],
    (alert, host): (&str, &str),
    which: usize,
    at: u64,
    now: Believed,
) -> Option<Groups> {
    let mut changed = groups.clone();
    for (number, route) in routes.iter().enumerate() {
        let labels = route.by.iter().map(|name| match *name {
            "alertname" => alert,
            "host" => host,
            _ => "",
        });
        let key = (number, labels.collect::<Vec<_>>().join("/"));
        let known = groups.get(&key);
        if known.is_some_and(|group| group.near_a_beat(at) || group.is_empty(at)) {
            return None;
        }
        let group = changed.entry(key).or_insert_with(|| Group {
            wait: route.wait,
            interval: route.interval,
            first: at + route.wait,
            members: BTreeMap::new(),
        });
        // What has fired for longer than it would wait does not wait.
        if at < group.first && now.starts + group.wait < at {
            group.first = at;
        }
        group.members.insert(which, now.ends);
        let ends = group.members.values();
        if ends.into_iter().any(|end| *end > at && group.near_a_beat(*end)) {
            return None;
        }
    }
    Some(changed)
}

/// No group is told near to one of the moments after `at`.
fn clear_later(groups: &Groups, moments: &[u64], at: u64) -> bool {
    let mut later = moments.iter().filter(|moment| **moment > at);
    !later.any(|moment| groups.values().any(|group| group.near_a_beat(*moment)))
}
