use std::time::{Duration, SystemTime};

use birl_router::{
    ErrorKind, Labels, Matchers, Silence, SilenceChange, SilenceEdit, SilenceLimits,
    SilenceScratch, SilenceSlot, SilenceState, Silences,
};
use proptest::prelude::*;
use serde_json::json;

use crate::at;

const HOUR: u64 = 3600;

fn matchers(text: &str) -> Matchers {
    Matchers::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// From now on, for an hour after `at(0)`.
fn silence(text: &str) -> Silence {
    Silence::new(matchers(text), Some(at(HOUR)))
}

fn silences() -> Silences {
    Silences::new(SilenceLimits::default(), 7)
}

fn labels(team: &str) -> Labels {
    Labels::from([("alertname", "A"), ("team", team)])
}

fn hit(silences: &Silences, team: &str, now: SystemTime) -> Vec<SilenceSlot> {
    silences.matching(&labels(team), now, &mut SilenceScratch::default()).to_vec()
}

fn advance(silences: &mut Silences, now: SystemTime) -> Vec<(SilenceSlot, SilenceState)> {
    let mut changes = Vec::new();
    silences.advance(now, &mut changes);
    changes.into_iter().map(|SilenceChange { slot, state }| (slot, state)).collect()
}

/// A value, a little different.
fn with<T>(mut value: T, change: impl FnOnce(&mut T)) -> T {
    change(&mut value);
    value
}

#[test]
fn a_silence_begins_and_ends_by_itself_and_its_end_is_outside() {
    let mut silences = silences();
    let slot = silences.set(silence("team=api").starting_at(at(60)), at(0)).unwrap().slot;
    for (second, state, hits) in [
        (0, SilenceState::Pending, false),
        (59, SilenceState::Pending, false),
        (60, SilenceState::Active, true),
        (HOUR - 1, SilenceState::Active, true),
        (HOUR, SilenceState::Expired, false),
    ] {
        assert_eq!(silences.state(slot, at(second)), Some(state), "at {second}");
        assert_eq!(!hit(&silences, "api", at(second)).is_empty(), hits, "at {second}");
        assert!(hit(&silences, "web", at(second)).is_empty());
    }
    // The core is told when to look again, and what has changed.
    assert_eq!(silences.next_boundary(), Some(at(60)));
    assert_eq!(advance(&mut silences, at(59)), []);
    assert_eq!(advance(&mut silences, at(60)), [(slot, SilenceState::Active)]);
    assert_eq!(silences.next_boundary(), Some(at(HOUR)));
    assert_eq!(advance(&mut silences, at(HOUR)), [(slot, SilenceState::Expired)]);
    // It can be looked at for five days, and is forgotten then.
    let forgotten = at(HOUR + 120 * HOUR);
    assert_eq!(silences.next_boundary(), Some(forgotten));
    advance(&mut silences, forgotten - Duration::from_secs(1));
    assert!(silences.get(slot).is_some());
    advance(&mut silences, forgotten);
    assert!(silences.get(slot).is_none() && silences.is_empty());
    assert_eq!(silences.next_boundary(), None);
}

#[test]
fn a_clock_that_is_set_back_takes_nothing_back() {
    let mut silences = silences();
    let slot = silences.set(silence("team=api").starting_at(at(60)), at(0)).unwrap().slot;
    advance(&mut silences, at(60));
    assert_eq!(silences.state(slot, at(0)), Some(SilenceState::Active), "it has begun");
    advance(&mut silences, at(HOUR));
    assert_eq!(silences.state(slot, at(60)), Some(SilenceState::Expired));
    assert!(hit(&silences, "api", at(60)).is_empty());
    assert_eq!(advance(&mut silences, at(60)), []);

    let second = silences.set(silence("team=api"), at(60)).unwrap().slot;
    let id = silences.get(second).unwrap().id.clone();
    assert_eq!(hit(&silences, "api", at(60)), [second], "a new one is not bound by the old clock");
    assert!(silences.expire(&id, at(100)).unwrap());
    assert!(hit(&silences, "api", at(90)).is_empty());
}

#[test]
fn one_of_several_sets_is_enough_and_hits_once() {
    let mut silences = silences();
    let both = silence("team=api").or(matchers("alertname=A"));
    let slot = silences.set(both, at(0)).unwrap().slot;
    assert_eq!(hit(&silences, "api", at(0)), [slot]);
    assert_eq!(hit(&silences, "web", at(0)), [slot]);
}

#[test]
fn an_edit_keeps_the_id_unless_the_past_would_change() {
    let mut silences = silences();
    let first = silences.set(silence("team=api"), at(0)).unwrap();
    assert_eq!(first.edit, SilenceEdit::Created);
    let mut edited = silences.get(first.slot).unwrap().clone();
    advance(&mut silences, at(0));

    // The end and the comment; a start that the form shows by the second, or not at all.
    edited.ends_at = Some(at(2 * HOUR));
    edited.comment = "takes longer".to_owned();
    for start in [edited.starts_at + Duration::from_millis(300), SystemTime::UNIX_EPOCH] {
        edited.starts_at = start;
        edited.revision = 0;
        let set = silences.set(edited.clone(), at(10)).unwrap();
        assert_eq!((set.edit, set.slot), (SilenceEdit::Updated, first.slot));
        assert_eq!(silences.get(first.slot).unwrap().starts_at, at(0));
    }
    assert_eq!(silences.next_boundary(), Some(at(2 * HOUR)));
    assert_eq!(silences.get(first.slot).unwrap().updated_at, at(10));

    // What it hits: a new id, and the old one is over.
    let other = with(edited.clone(), |it| it.matchers = vec![matchers("team=web")]);
    let set = silences.set(other, at(20)).unwrap();
    assert_eq!(set.edit, SilenceEdit::Replaced(first.slot));
    assert_ne!(silences.get(set.slot).unwrap().id, edited.id);
    assert_eq!(silences.get(first.slot).unwrap().ends_at, Some(at(20)));
    let expected = [(first.slot, SilenceState::Expired), (set.slot, SilenceState::Active)];
    assert_eq!(advance(&mut silences, at(20)), expected);
    assert_eq!(hit(&silences, "web", at(20)), [set.slot]);
    assert!(hit(&silences, "api", at(20)).is_empty());

    // A start that has passed.
    let moved = with(silences.get(set.slot).unwrap().clone(), |it| it.starts_at = at(900));
    let moved = silences.set(moved, at(30)).unwrap();
    assert_eq!(moved.edit, SilenceEdit::Replaced(set.slot));
    // While it is pending the start may move, into the past too, which is now.
    for (start, begins) in [(at(800), at(800)), (at(5), at(31))] {
        let pending = silences.get(moved.slot).unwrap().clone();
        let again = silences.set(with(pending, |it| it.starts_at = start), at(31)).unwrap();
        assert_eq!((again.edit, again.slot), (SilenceEdit::Updated, moved.slot));
        assert_eq!(silences.get(moved.slot).unwrap().starts_at, begins);
    }

    // What is over stays as it was.
    let again = silences.set(with(edited, |it| it.revision = 0), at(40)).unwrap();
    assert_eq!(again.edit, SilenceEdit::Replaced(first.slot));
    assert_eq!(silences.get(first.slot).unwrap().ends_at, Some(at(20)));
}

#[test]
fn whoever_was_slower_is_told_so() {
    let mut silences = silences();
    let slot = silences.set(silence("team=api"), at(0)).unwrap().slot;
    let seen = silences.get(slot).unwrap().clone();
    silences.set(with(seen.clone(), |it| it.comment = "mine".into()), at(1)).unwrap();
    // The clock of the second author is an hour behind; that does not matter.
    let error = silences.set(with(seen, |it| it.comment = "mine!".into()), at(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("has revision 2, not 1; read it again"), "{error}");
    assert_eq!(silences.get(slot).unwrap().comment, "mine");
}

#[test]
fn what_cannot_be_kept_is_refused_with_the_remedy_and_changes_nothing() {
    let limits = with(SilenceLimits::default(), |it| {
        it.max_silence_bytes = 100;
        it.max_matchers = 3;
        it.max_silences = 2;
    });
    let mut silences = Silences::new(limits, 7);
    let second = with(silence("alertname=HighLatency"), |it| it.comment = "x".repeat(81));
    let many = silence("a=1").or(matchers("a=2")).or(matchers("a=3")).or(matchers("a=4"));
    for (bad, kind, message) in [
        (
            with(silence("a=b"), |it| it.matchers = Vec::new()),
            ErrorKind::InvalidSilence,
            "silence.matchers: are missing: say what it hits",
        ),
        (
            Silence::new(Matchers::default(), None),
            ErrorKind::InvalidSilence,
            "holds for an alert without any label",
        ),
        (silence("team!=api"), ErrorKind::InvalidSilence, "add a matcher that needs a label"),
        (silence("team=~\".*\""), ErrorKind::InvalidSilence, "silence.matchers: "),
        (
            silence("team=api").or(matchers("team=\"\"")),
            ErrorKind::InvalidSilence,
            "silence.matcherSets[1]: ",
        ),
        (second, ErrorKind::LimitReached, "has 101 bytes"),
        (many, ErrorKind::LimitReached, "has 4 matchers, and 3 are the most: split it"),
        (
            with(silence("a=b"), |it| it.ends_at = Some(at(99))),
            ErrorKind::InvalidSilence,
            "has passed: give a later end",
        ),
        (
            silence("a=b").starting_at(at(HOUR)),
            ErrorKind::InvalidSilence,
            "silence.endsAt: (2027-01-15T09:00:00Z) must be after startsAt",
        ),
        (
            with(silence("a=b"), |it| it.id = "nobody".into()),
            ErrorKind::NotFound,
            "silence nobody: is not known, or was forgotten: to make a new silence, leave the id out",
        ),
    ] {
        let error = silences.set(bad, at(100)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(silences.is_empty() && silences.next_boundary().is_none());
}

#[test]
fn expired_ones_make_room_and_others_do_not() {
    let limits = with(SilenceLimits::default(), |it| it.max_silences = 2);
    let mut silences = Silences::new(limits, 7);
    let first = silences.set(silence("team=api"), at(0)).unwrap().slot;
    silences.set(silence("team=web"), at(0)).unwrap();
    let error = silences.set(silence("team=db"), at(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitReached);
    let id = silences.get(first).unwrap().id.clone();
    assert!(silences.expire(&id, at(1)).unwrap());
    assert!(!silences.expire(&id, at(2)).unwrap(), "once is enough");
    advance(&mut silences, at(2));
    silences.set(silence("team=db"), at(2)).unwrap();
    assert_eq!((silences.len(), silences.forgotten_early()), (2, 1));
    assert_eq!(
        silences.get(first).unwrap().matchers,
        [matchers("team=db")],
        "its slot is used again"
    );
    assert_eq!(silences.expire(&id, at(2)).unwrap_err().kind(), ErrorKind::NotFound);
}

/// The one that makes room is the one that is to be replaced: the new one does not claim to replace itself.
#[test]
fn an_expired_one_makes_room_for_its_own_successor() {
    let mut limits = SilenceLimits::default();
    limits.max_silences = 1;
    let mut silences = Silences::new(limits, 7);
    let first = silences.set(silence("team=api"), at(0)).unwrap().slot;
    let old = silences.get(first).unwrap().clone();
    silences.expire(&old.id, at(1)).unwrap();
    advance(&mut silences, at(1));
    let again = silences.set(with(old.clone(), |it| it.revision = 0), at(2)).unwrap();
    assert_eq!(again.edit, SilenceEdit::Created);
    assert_ne!(silences.get(again.slot).unwrap().id, old.id);
    assert_eq!(hit(&silences, "api", at(2)), [again.slot]);
}

#[test]
fn until_resolved_ends_with_the_last_firing_alert() {
    let mut silences = silences();
    let slot = silences.set(Silence::new(matchers("team=api"), None), at(0)).unwrap().slot;
    assert_eq!(advance(&mut silences, at(0)), [(slot, SilenceState::Active)]);
    silences.hit(slot);
    silences.hit(slot);
    assert_eq!(silences.next_boundary(), None, "as long as it takes");
    assert!(!silences.unhit(slot, at(10 * HOUR)));
    assert_eq!(hit(&silences, "api", at(10 * HOUR)), [slot]);
    assert!(silences.unhit(slot, at(11 * HOUR)));
    assert!(hit(&silences, "api", at(11 * HOUR)).is_empty());
    assert_eq!(silences.next_boundary(), Some(at(11 * HOUR)));
    assert_eq!(advance(&mut silences, at(11 * HOUR)), [(slot, SilenceState::Expired)]);
    assert_eq!(silences.get(slot).unwrap().ends_at, Some(at(11 * HOUR)));

    // One that nothing fires for waits a day.
    let idle = silences.set(Silence::new(matchers("team=web"), None), at(12 * HOUR)).unwrap().slot;
    advance(&mut silences, at(12 * HOUR));
    assert_eq!(silences.next_boundary(), Some(at(36 * HOUR)));
    assert_eq!(advance(&mut silences, at(36 * HOUR)), [(idle, SilenceState::Expired)]);

    // One with an end keeps it, however many resolve.
    let timed = with(silence("team=db"), |it| it.ends_at = Some(at(99 * HOUR)));
    let timed = silences.set(timed, at(36 * HOUR)).unwrap().slot;
    silences.hit(timed);
    assert!(!silences.unhit(timed, at(37 * HOUR)));
    assert_eq!(hit(&silences, "db", at(37 * HOUR)), [timed]);
}

#[test]
fn the_json_is_that_of_alertmanagers_api() {
    let posted = json!({
        "matchers": [
            { "name": "env", "value": "prod", "isRegex": false },
            { "name": "team", "value": "a|b", "isRegex": true, "isEqual": false },
            "host=~\"web-.*\""
        ],
        "startsAt": "2027-01-15T09:30:00+01:00",
        "endsAt": "2027-01-15T10:00:00.000Z",
        "createdBy": "ann",
        "comment": "update",
        "id": null
    });
    let mut silences = silences();
    let slot = silences.set(serde_json::from_value(posted).unwrap(), at(0)).unwrap().slot;
    let id = silences.get(slot).unwrap().id.clone();
    let view = serde_json::to_value(silences.view(slot, at(0)).unwrap()).unwrap();
    let expected = json!({
        "id": id,
        "matchers": [
            { "name": "env", "value": "prod", "isRegex": false, "isEqual": true },
            { "name": "team", "value": "a|b", "isRegex": true, "isEqual": false },
            { "name": "host", "value": "web-.*", "isRegex": true, "isEqual": true }
        ],
        "startsAt": "2027-01-15T08:30:00Z",
        "endsAt": "2027-01-15T10:00:00Z",
        "createdBy": "ann",
        "comment": "update",
        "annotations": {},
        "updatedAt": "2027-01-15T08:00:00Z",
        "revision": 1,
        "status": { "state": "pending" }
    });
    assert_eq!(view, expected);
    let again: Silence = serde_json::from_value(view).unwrap();
    assert_eq!(&again, silences.get(slot).unwrap(), "what was got can be posted");
    assert_eq!(id.len(), 36);
    assert_eq!(&id[14..15], "8");

    // Several sets, and no end.
    let open = Silence::new(matchers("a=1"), None).or(matchers("b=2"));
    let value = serde_json::to_value(&open).unwrap();
    assert_eq!(value["endsAt"], "9999-12-30T00:00:00Z");
    assert_eq!(
        (&value["untilResolved"], &value["matchers"][0]["name"]),
        (&json!(true), &json!("a"))
    );
    assert_eq!(serde_json::from_value::<Silence>(value).unwrap(), open);

    for (bad, message) in [
        (json!({ "matchers": ["a=1"], "endAt": "2027-01-15T10:00:00Z" }), "unknown field `endAt`"),
        (json!({ "matchers": [{ "name": "a", "value": "(", "isRegex": true }] }), "unclosed group"),
        (json!({ "matchers": [{ "name": "a" }] }), "missing field `value`"),
        (json!({ "matchers": [7] }), "a matcher: {"),
        (
            json!({ "matchers": ["a=1"], "matcherSets": [["a=2"]] }),
            "is not the first of `matcherSets`",
        ),
    ] {
        let error = serde_json::from_value::<Silence>(bad).unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn what_was_kept_is_restored_and_ids_go_on() {
    let mut before = silences();
    let slots: Vec<_> = ["api", "web"]
        .map(|team| before.set(silence(&format!("team={team}")), at(0)).unwrap().slot)
        .to_vec();
    let ids: Vec<String> = slots.iter().map(|slot| before.get(*slot).unwrap().id.clone()).collect();
    before.expire(&ids[1], at(5)).unwrap();
    let kept: Vec<Silence> = before.iter().map(|(_, silence)| silence.clone()).collect();

    let mut after = silences();
    for silence in &kept {
        assert!(after.restore(silence.clone(), at(60)).unwrap());
        assert!(!after.restore(silence.clone(), at(60)).unwrap(), "twice is once");
    }
    let active = after.find(&ids[0]).unwrap();
    assert_eq!(advance(&mut after, at(60)), [(active, SilenceState::Active)]);
    assert_eq!(hit(&after, "api", at(60)), [active]);
    assert!(hit(&after, "web", at(60)).is_empty());
    assert_eq!(after.revision(), before.revision());
    let new = after.set(silence("team=db"), at(60)).unwrap().slot;
    assert!(!ids.contains(&after.get(new).unwrap().id));

    // A later revision wins, whatever its clock said; an earlier one does not come back.
    let newer = with(kept[0].clone(), |it| {
        it.revision = 50;
        it.ends_at = Some(at(30 * 60));
    });
    assert!(after.restore(newer, at(61)).unwrap());
    assert!(!after.restore(kept[0].clone(), at(62)).unwrap());
    assert_eq!(after.get(active).unwrap().ends_at, Some(at(30 * 60)));
    let old = with(silence("a=b"), |it| {
        it.id = "old".into();
        it.ends_at = Some(at(0));
    });
    assert!(!after.restore(old, at(121 * HOUR)).unwrap(), "its retention is over");
}

#[test]
fn a_preview_says_what_would_be_hit() {
    let alerts = [(1, labels("api")), (2, labels("web")), (3, labels("api"))];
    let all = alerts.iter().map(|(n, labels)| (*n, labels));
    assert_eq!(silence("team=api").preview(all).collect::<Vec<_>>(), [1, 3]);
}

/// A silence by its definition: a list, looked through from end to end.
struct Plain {
    silence: Silence,
    slot: SilenceSlot,
    reached: SilenceState,
}

impl Plain {
    fn state(&self, now: SystemTime) -> SilenceState {
        let end = self.silence.ends_at.unwrap();
        let by_time = match now {
            now if now >= end => SilenceState::Expired,
            now if now >= self.silence.starts_at => SilenceState::Active,
            _ => SilenceState::Pending,
        };
        self.reached.max(by_time)
    }
}

#[derive(Debug, Clone)]
enum Step {
    Set { set: Vec<usize>, from: u64, long: u64 },
    Edit { which: usize, set: Option<usize>, long: u64 },
    Expire { which: usize },
    Wait { seconds: u64 },
    Back { seconds: u64 },
}

const SETS: [&str; 8] = [
    "team=t1",
    "team=t2",
    "team=~\"t1|t3\"",
    "team=~\"t.*\"",
    "team!=t1,host=h1",
    "host=~\"h[12]\"",
    "host=h2",
    "team=~\".+\",host!~\"h2|h3\"",
];

fn a_step() -> impl Strategy<Value = Step> {
    let set = prop::collection::vec(0..SETS.len(), 1..3);
    prop_oneof![
        (set, 0_u64..40, 1_u64..60).prop_map(|(set, from, long)| Step::Set { set, from, long }),
        (0_usize..20, prop::option::weighted(0.2, 0..SETS.len()), 1_u64..60)
            .prop_map(|(which, set, long)| Step::Edit { which, set, long }),
        (0_usize..20).prop_map(|which| Step::Expire { which }),
        (0_u64..30).prop_map(|seconds| Step::Wait { seconds }),
        (0_u64..30).prop_map(|seconds| Step::Back { seconds }),
    ]
}

fn set(n: usize) -> Matchers {
    SETS[n].split(',').flat_map(|text| matchers(text).iter().cloned().collect::<Vec<_>>()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96 * ProptestConfig::default().cases / 256, ..ProptestConfig::default() })]
    /// After every step of any story, clocks set back included: the same silences hit the same alerts as by definition,
    /// and whatever has changed since the last time was told.
    #[test]
    fn agrees_with_its_naive_twin(steps in prop::collection::vec(a_step(), 1..60)) {
        let limits = with(SilenceLimits::default(), |it| it.retention = Duration::from_secs(50));
        let (mut ours, mut plain) = (Silences::new(limits, 7), Vec::<Plain>::new());
        let mut now = at(1000);
        let mut scratch = SilenceScratch::default();
        let alerts: Vec<Labels> = ["t1", "t2", "t3", ""]
            .into_iter()
            .flat_map(|team| ["h1", "h2", ""].map(|host| Labels::from([("team", team), ("host", host)])))
            .collect();
        let mut answers: Vec<Vec<SilenceSlot>> = vec![Vec::new(); alerts.len()];
        for step in steps {
            match step {
                Step::Set { set: sets, from, long } => {
                    let mut silence = Silence::new(set(sets[0]), Some(now + Duration::from_secs(from + long)))
                        .starting_at(now + Duration::from_secs(from));
                    silence.matchers.extend(sets[1..].iter().map(|n| set(*n)));
                    let slot = ours.set(silence, now).unwrap().slot;
                    let silence = ours.get(slot).unwrap().clone();
                    plain.push(Plain { silence, slot, reached: SilenceState::Pending });
                }
                Step::Edit { which, set: sets, long } if !plain.is_empty() => {
                    let which = which % plain.len();
                    let mut silence = plain[which].silence.clone();
                    silence.ends_at = Some(now.max(silence.starts_at) + Duration::from_secs(long));
                    silence.revision = 0;
                    silence.matchers = sets.map_or(silence.matchers, |n| vec![set(n)]);
                    let same = silence.matchers == plain[which].silence.matchers;
                    let over = plain[which].state(now) == SilenceState::Expired;
                    let edit = ours.set(silence, now).unwrap();
                    let silence = ours.get(edit.slot).unwrap().clone();
                    if same && !over {
                        prop_assert_eq!(edit.edit, SilenceEdit::Updated);
                        plain[which].silence = silence;
                    } else {
                        prop_assert_eq!(edit.edit, SilenceEdit::Replaced(plain[which].slot));
                        plain[which].reached = SilenceState::Expired;
                        plain.push(Plain { silence, slot: edit.slot, reached: SilenceState::Pending });
                    }
                }
                Step::Expire { which } if !plain.is_empty() => {
                    let which = which % plain.len();
                    let over = plain[which].state(now) == SilenceState::Expired;
                    prop_assert_eq!(ours.expire(&plain[which].silence.id, now).unwrap(), !over);
                    if !over {
                        plain[which].reached = SilenceState::Expired;
                    }
                }
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
                Step::Back { seconds } => now -= Duration::from_secs(seconds),
                Step::Edit { .. } | Step::Expire { .. } => {}
            }
            let told = advance(&mut ours, now);
            plain.iter_mut().for_each(|one| one.reached = one.state(now));
            plain.retain(|one| ours.get(one.slot).is_some_and(|kept| kept.id == one.silence.id));
            for (labels, before) in alerts.iter().zip(&mut answers) {
                let active = plain.iter().filter(|one| one.state(now) == SilenceState::Active);
                let mut expected: Vec<_> =
                    active.filter(|one| one.silence.matches(labels)).map(|one| one.slot).collect();
                expected.sort_unstable();
                prop_assert_eq!(ours.matching(labels, now, &mut scratch), expected.as_slice());
                let changed = |slot: &&SilenceSlot| before.contains(slot) != expected.contains(slot);
                for slot in before.iter().chain(&expected).filter(changed) {
                    prop_assert!(told.iter().any(|(s, _)| s == slot), "{slot:?} changed untold");
                }
                *before = expected;
            }
            prop_assert!(ours.next_boundary().is_none_or(|next| next > now), "all that was due is done");
        }
    }
}
