//! The state table, from every reachable word by every event.

use std::collections::HashSet;

use birl_router::{AlertState, Effect, Event, State, Word};

const EVENTS: [Event; 9] = [
    Event::Fire,
    Event::Duplicate,
    Event::WindowOver,
    Event::Repeat,
    Event::Silence,
    Event::Unsilence,
    Event::Suppress,
    Event::Unsuppress,
    Event::Resolve,
];

const REASONS: [State; 5] =
    [State::Resolved, State::Silenced, State::Suppressed, State::Deduped, State::Firing];

/// A word without its generation: the set of reasons that hold.
fn flags(word: Word) -> Vec<State> {
    REASONS.into_iter().filter(|reason| word.holds(*reason)).collect()
}

/// Every word that can be reached from the start, by breadth.
fn reachable() -> Vec<Word> {
    let (mut seen, mut words, mut next) = (HashSet::new(), Vec::new(), vec![Word::ACTIVE]);
    while let Some(word) = next.pop() {
        if seen.insert(flags(word)) {
            words.push(word);
            next.extend(EVENTS.map(|event| word.next(event).0));
        }
    }
    words
}

/// All transitions, as (before, event, after, effect).
fn transitions() -> Vec<(Word, Event, Word, Effect)> {
    let words = reachable().into_iter();
    let all = words.flat_map(|word| {
        EVENTS.map(|event| {
            let (after, effect) = word.next(event);
            (word, event, after, effect)
        })
    });
    all.collect()
}

#[test]
fn every_word_is_reachable_that_should_be() {
    // Two mutes in any combination, times: active, told, deduped, deduped and told, resolved.
    assert_eq!(reachable().len(), 4 * 5);
}

#[test]
fn the_shown_state_is_the_first_reason_that_holds() {
    for word in reachable() {
        let first = flags(word).into_iter().next().unwrap_or(State::Active);
        assert_eq!(word.state(), first);
    }
    assert!(State::Resolved < State::Silenced && State::Silenced < State::Suppressed);
    assert!(State::Suppressed < State::Deduped && State::Deduped < State::Firing);
    assert!(State::Firing < State::Active);
}

#[test]
fn only_entering_firing_tells_firing() {
    for (before, event, after, effect) in transitions() {
        if effect == Effect::TellFiring {
            assert_eq!(after.state(), State::Firing, "{before:?} {event:?}");
            let again = event == Event::Repeat;
            assert!(again || before.state() != State::Firing, "{before:?} {event:?}");
        }
        let entered = after.is_told() && !before.is_told();
        assert!(!entered || effect == Effect::TellFiring, "{before:?} {event:?} went untold");
    }
}

#[test]
fn lifting_one_reason_never_tells_while_another_holds() {
    for (before, event, after, effect) in transitions() {
        let lifts = matches!(event, Event::Unsilence | Event::Unsuppress | Event::WindowOver);
        let quiet = [State::Resolved, State::Silenced, State::Suppressed, State::Deduped];
        if lifts && quiet.iter().any(|reason| after.holds(*reason)) {
            assert_eq!(effect, Effect::None, "{before:?} {event:?} {after:?}");
        }
        // And lifting what does not hold is no event at all.
        let idle = (event == Event::Unsilence && !before.holds(State::Silenced))
            || (event == Event::Unsuppress && !before.holds(State::Suppressed));
        assert!(!idle || (after == before && effect == Effect::None), "{before:?} {event:?}");
    }
}

#[test]
fn whoever_was_told_firing_is_told_resolved_through_any_mute() {
    for (before, event, after, effect) in transitions() {
        let ends = event == Event::Resolve && before.is_told();
        assert_eq!(effect == Effect::TellResolved, ends, "{before:?} {event:?} {after:?}");
        if event == Event::Resolve {
            assert_eq!(after.state(), State::Resolved);
        }
    }
}

#[test]
fn while_silenced_the_shown_state_stays_silenced() {
    for (before, event, after, _) in transitions() {
        let stays = !matches!(event, Event::Unsilence | Event::Resolve);
        if before.state() == State::Silenced && stays {
            assert_eq!(after.state(), State::Silenced, "{before:?} {event:?}");
        }
    }
}

#[test]
fn what_is_over_stays_over_until_it_fires() {
    for (before, event, after, effect) in transitions() {
        if before.state() == State::Resolved && event != Event::Fire {
            assert_eq!((after.state(), effect), (State::Resolved, Effect::None), "{event:?}");
        }
    }
}

#[test]
fn mutes_are_independent_of_everything_else() {
    for (before, event, after, _) in transitions() {
        let silenced = match event {
            Event::Silence => true,
            Event::Unsilence => false,
            _ => before.holds(State::Silenced),
        };
        let suppressed = match event {
            Event::Suppress => true,
            Event::Unsuppress => false,
            _ => before.holds(State::Suppressed),
        };
        assert_eq!(after.holds(State::Silenced), silenced, "{before:?} {event:?}");
        assert_eq!(after.holds(State::Suppressed), suppressed, "{before:?} {event:?}");
    }
}

#[test]
fn the_generation_counts_changes_and_only_changes() {
    for (before, event, after, effect) in transitions() {
        let changed = flags(before) != flags(after) || effect != Effect::None;
        let steps = after.generation() - before.generation();
        assert_eq!(steps, u64::from(changed), "{before:?} {event:?}");
        assert_eq!(Word::from_bits(after.to_bits()), after);
    }
}

/// The stories that users of other routers suffer, told on the word alone.
#[test]
fn a_resolve_while_silenced_is_told_once_and_a_refire_after_the_silence_is_told() {
    let state = AlertState::default();
    assert_eq!(state.apply(Event::Fire).1, Effect::TellFiring);
    assert_eq!(state.apply(Event::Silence).1, Effect::None);
    assert_eq!(state.apply(Event::Resolve).1, Effect::TellResolved);
    assert_eq!(state.apply(Event::Resolve).1, Effect::None);
    assert_eq!(state.apply(Event::Fire).1, Effect::None); // still silenced
    assert_eq!(state.apply(Event::Unsilence).1, Effect::TellFiring);
}
