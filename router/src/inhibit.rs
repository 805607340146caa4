//! Inhibition: while this fires, nobody wants to hear of that.

mod circle;
mod config;
mod meeting;
mod rule;
mod rules;
mod tracked;

use std::time::SystemTime;

use self::circle::{Alerts, Circles};
pub use self::config::{InhibitOptions, InhibitRuleConfig};
use self::meeting::{Meeting, Meetings, Members, Sort};
use self::rule::Side;
use self::rules::{Rules, Sides};
use self::tracked::{Place, Tracked};
use crate::Labels;
use crate::error::Error;

/// Which firing alerts are inhibited, by which others.
///
/// It is told what fires ([`fires`](Self::fires)) and what is over ([`over`](Self::over)), by slots that the host
/// chooses; each call adds the *other* alerts whose answer may have changed to a list. An alert that is inhibited
/// inhibits others all the same: what counts is that it fires, as in Alertmanager.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use birl_router::{Inhibition, InhibitOptions, Labels};
///
/// let rules = serde_json::from_str::<Vec<_>>(r#"[{
///     "source_matchers": ["severity=\"critical\""],
///     "target_matchers": ["severity=\"warning\""],
///     "equal": ["service"]
/// }]"#)?;
/// let mut inhibition = Inhibition::new(&rules, InhibitOptions::default())?;
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
/// let mut changed = Vec::new();
///
/// let warning = Labels::from([("service", "db"), ("severity", "warning")]);
/// inhibition.fires(0, &warning, now, &mut changed);
/// assert_eq!(inhibition.inhibited(0), None);
///
/// let critical = Labels::from([("service", "db"), ("severity", "critical")]);
/// inhibition.fires(1, &critical, now, &mut changed);
/// assert_eq!(changed, [0]);
/// assert_eq!(inhibition.inhibited(0).map(|by| by.source), Some(1));
///
/// inhibition.over(1, &mut changed);
/// assert_eq!(inhibition.inhibited(0), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Circles
///
/// Two rules can make two alerts inhibit each other, and more rules larger circles. Nobody would be told then, so of
/// each strongly connected component (an edge leads from a source to each of its targets) the alert that began first,
/// of several the one with the first labels, is not inhibited by members of its own component. Everybody else is.
/// [`InhibitOptions::break_cycles`] turns that off.
#[derive(Debug)]
pub struct Inhibition {
    rules: Rules,
    options: InhibitOptions,
    alerts: Alerts,
    meetings: Meetings,
    circles: Circles,
    /// Sides of rules that alerts stand on.
    places: usize,
    scratch: Sides,
    untracked: u64,
}

/// Why an alert is inhibited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InhibitedBy {
    /// The first rule that says so: its place in the list.
    pub rule: u32,
    /// A firing alert on its source side.
    pub source: u32,
}

/// Memory for [`Inhibition::inhibited_labels`], used again by each call.
#[derive(Debug, Default)]
pub struct InhibitScratch(Sides);

impl Inhibition {
    /// Compiles the rules. Nothing fires yet.
    ///
    /// # Errors
    /// [`ErrorKind`](crate::ErrorKind)`::InvalidConfig` for a rule without source matchers, unless the options allow it,
    /// or with nameless labels in `equal`; `InvalidMatcher` for a pattern that cannot be compiled. The place is
    /// `inhibit_rules[2]`.
    pub fn new(rules: &[InhibitRuleConfig], options: InhibitOptions) -> Result<Self, Error> {
        Ok(Self {
            rules: Rules::compile(rules, &options)?,
            options,
            alerts: Alerts::default(),
            meetings: Meetings::default(),
            circles: Circles::default(),
            places: 0,
            scratch: Sides::default(),
            untracked: 0,
        })
    }

    /// The alert in `slot` fires, since `since`. The other alerts that may be inhibited from now on, or not any more, are
    /// added to `changed`, each once. The same report again changes nothing; other labels or another beginning replace
    /// what was known of the slot.
    ///
    /// `false` when a bound is reached: then it neither inhibits nor is inhibited, and is counted. It is told too much,
    /// not too little.
    pub fn fires(
        &mut self,
        slot: u32,
        labels: &Labels,
        since: SystemTime,
        changed: &mut Vec<u32>,
    ) -> bool {
        let begun = changed.len();
        if let Some(known) = self.alerts.get(&slot) {
            if known.since == since && known.labels.same(labels) {
                return true;
            }
            self.take_out(slot, changed);
        }
        let tracked = self.put_in(slot, labels, since, changed);
        finish(slot, begun, changed);
        tracked
    }

    /// The alert in `slot` does not fire any more; called when it ends, not when it is forgotten. The other alerts that
    /// may be inhibited from now on, or not any more, are added to `changed`, each once.
    pub fn over(&mut self, slot: u32, changed: &mut Vec<u32>) {
        let begun = changed.len();
        self.take_out(slot, changed);
        finish(slot, begun, changed);
    }

    /// Is the firing alert in `slot` inhibited, and by what? The answer for a slot that is not known to fire is no.
    ///
    /// Of several rules it is the first, of several sources one that does not match the target side, if there is one.
    /// Which source is shown may change without the alert being reported as changed, as long as it stays inhibited: ask
    /// when it is shown.
    pub fn inhibited(&self, slot: u32) -> Option<InhibitedBy> {
        let alert = self.alerts.get(&slot)?;
        let own_circle = alert.circle.filter(|circle| self.circles.is_first(*circle, slot));
        alert.targets.iter().find_map(|place| {
            let sources = &self.meetings.get(place.meeting)?.sources;
            // At most as many as its circle has are passed over.
            let source = sources.inhibiting(place.sort).find(|source| {
                own_circle.is_none()
                    || self.alerts.get(source).is_some_and(|s| s.circle != own_circle)
            })?;
            Some(InhibitedBy { rule: place.rule, source })
        })
    }

    /// Would an alert with these labels be inhibited if it began to fire now? One that is the last to begin is never let
    /// out of a circle.
    pub fn inhibited_labels(
        &self,
        labels: &Labels,
        scratch: &mut InhibitScratch,
    ) -> Option<InhibitedBy> {
        let sides = &mut scratch.0;
        self.rules.look_up_targets(labels, sides);
        let mut first: Option<InhibitedBy> = None;
        for (number, pairs) in self.rules.target_pairs(sides) {
            // There are few meetings at a point, however many rules there are.
            let better = self
                .meetings
                .at(number, pairs, Side::Target, labels)
                .take_while(|(rule, _)| first.is_none_or(|first| *rule < first.rule))
                .filter(|(rule, meeting)| {
                    !meeting.sources.is_empty() && self.rules.is_target(*rule, sides)
                })
                .find_map(|(rule, Meeting { sources, .. })| {
                    // What matters only when all sources are two-sided need not be known otherwise.
                    let two_sided =
                        !sources.has_one_sided() && self.rules.is_source(rule, labels, sides);
                    let source = sources.inhibiting(Sort::new(two_sided, false)).next()?;
                    Some(InhibitedBy { rule, source })
                });
            first = better.or(first);
        }
        first
    }

    /// The name of a rule: its own, or its place (`inhibit_rules[2]`).
    pub fn rule_name(&self, rule: u32) -> Option<&str> {
        self.rules.name(rule)
    }

    /// How many firing alerts are known: those that a rule is about.
    pub fn len(&self) -> usize {
        self.alerts.len()
    }

    /// Is none known to fire that a rule is about?
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty()
    }

    /// How many alerts could not be taken up, because a bound was reached.
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    /// How often it was not searched whether an alert closes a circle, because it is part of too large a web.
    pub fn unsearched_cycles(&self) -> u64 {
        self.circles.unsearched
    }

    fn put_in(
        &mut self,
        slot: u32,
        labels: &Labels,
        since: SystemTime,
        changed: &mut Vec<u32>,
    ) -> bool {
        self.rules.look_up(labels, &mut self.scratch);
        let (rules, Sides { sources, targets, .. }) = (&self.rules, &self.scratch);
        let meets = |side, rule: &&u32| rules.can_meet(**rule, side, labels);
        let as_source = sources.iter().filter(|rule| meets(Side::Source, rule)).count();
        let as_target = targets.iter().filter(|rule| meets(Side::Target, rule)).count();
        if as_source + as_target == 0 {
            return true; // no rule is about it: nothing has to be known of it
        }
        if self.alerts.len() >= self.options.max_alerts
            || self.places + as_source + as_target > self.options.max_places
        {
            self.untracked += 1;
            return false;
        }
        self.places += as_source + as_target;
        let through = as_source > 0 && as_target > 0;
        let mut enter = |side: Side, these: &[u32], others: &[u32]| -> Box<[Place]> {
            let place = |rule: &u32| {
                let (number, pairs) = rules.pairs(*rule)?;
                let meeting = self.meetings.enter(*rule, number, pairs, side, labels);
                let sort = Sort::new(others.binary_search(rule).is_ok(), through);
                Some(Place { rule: *rule, meeting, sort })
            };
            these.iter().filter(|rule| meets(side, rule)).filter_map(place).collect()
        };
        let alert = Tracked {
            sources: enter(Side::Source, sources, targets),
            targets: enter(Side::Target, targets, sources),
            labels: labels.clone(),
            since,
            circle: None,
        };
        for place in &alert.sources {
            self.concern(*place, changed);
            self.members(*place, Side::Source, |members| members.insert(place.sort, slot));
        }
        for place in &alert.targets {
            self.members(*place, Side::Target, |members| members.insert(place.sort, slot));
        }
        self.alerts.insert(slot, alert);
        if through && self.options.break_cycles {
            let most = self.options.max_cycle;
            self.circles.close(slot, &mut self.alerts, &self.meetings, most, changed);
        }
        true
    }

    fn take_out(&mut self, slot: u32, changed: &mut Vec<u32>) {
        let Some(alert) = self.alerts.remove(&slot) else { return };
        self.places -= alert.sources.len() + alert.targets.len();
        for place in &alert.targets {
            self.members(*place, Side::Target, |members| members.remove(place.sort, slot));
            self.meetings.leave(place.meeting);
        }
        for place in &alert.sources {
            self.members(*place, Side::Source, |members| members.remove(place.sort, slot));
            self.concern(*place, changed);
            self.meetings.leave(place.meeting);
        }
        let through = !alert.sources.is_empty() && !alert.targets.is_empty();
        if through && self.options.break_cycles {
            let most = self.options.max_cycle;
            if let Some(circle) = alert.circle {
                self.circles.open(circle, slot, &mut self.alerts, &self.meetings, changed);
            }
            self.circles.retry(slot, &mut self.alerts, &self.meetings, most, changed);
        }
    }

    /// The targets whose answer may depend on a source in `place`, in a meeting that does not hold it (yet, or any more).
    fn concern(&self, place: Place, changed: &mut Vec<u32>) {
        let Some(meeting) = self.meetings.get(place.meeting) else { return };
        for sort in Sort::ALL.into_iter().filter(|sort| place.sort.can_inhibit(*sort)) {
            let other_sources = if sort.is_two_sided() {
                meeting.sources.has_one_sided()
            } else {
                !meeting.sources.is_empty()
            };
            if !other_sources {
                changed.extend(meeting.targets.of(sort));
            } else if sort.is_through() && !self.circles.is_empty() {
                // The first of a circle does not count the sources of its own circle; this may be another one.
                changed.extend(meeting.targets.of(sort).filter(|slot| {
                    let circle = self.alerts.get(slot).and_then(|alert| alert.circle);
                    circle.is_some_and(|circle| self.circles.is_first(circle, *slot))
                }));
            }
        }
    }

    fn members(&mut self, place: Place, side: Side, change: impl FnOnce(&mut Members)) {
        if let Some(meeting) = self.meetings.get_mut(place.meeting) {
            change(match side {
                Side::Source => &mut meeting.sources,
                Side::Target => &mut meeting.targets,
            });
        }
    }
}

/// Of what was added since `begun`, each of the others once.
fn finish(slot: u32, begun: usize, changed: &mut Vec<u32>) {
    let mut new = changed.split_off(begun);
    new.retain(|other| *other != slot);
    new.sort_unstable();
    new.dedup();
    changed.append(&mut new);
}
