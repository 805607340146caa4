//! The state table, from every reachable word by every event.

use std::collections::HashSet;

use birl_router::{AlertState, Effect, Event, Quiet, State, Word};

const EVENTS: [Event; 14] = [
    Event::Fire,
    Event::Duplicate,
    Event::WindowOver,
    Event::Repeat,
    Event::Silence,
    Event::Unsilence,
    Event::Suppress,
    Event::Unsuppress,
    Event::Mute,
    Event::Unmute,
    Event::Limit,
    Event::Unlimit,
    Event::Reopen,
    Event::Resolve,
];

const REASONS: [State; 5] =
    [State::Resolved, State::Silenced, State::Suppressed, State::Deduped, State::Firing];

/// What mutes, the event that begins it, and the one that ends it.
const MUTES: [(Quiet, Event, Event); 4] = [
    (Quiet::Silenced, Event::Silence, Event::Unsilence),
    (Quiet::Inhibited, Event::Suppress, Event::Unsuppress),
    (Quiet::TimeMuted, Event::Mute, Event::Unmute),
    (Quiet::RateLimited, Event::Limit, Event::Unlimit),
];

/// A word without its generation: the set of reasons that hold.
fn flags(word: Word) -> (Vec<State>, Vec<Quiet>) {
    (REASONS.into_iter().filter(|reason| word.holds(*reason)).collect(), word.quiets().collect())
}

fn is(word: Word, quiet: Quiet) -> bool {
    word.quiets().any(|q| q == quiet)
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
    // Four mutes in any combination, times: active, told, deduped, deduped and told, resolved.
    assert_eq!(reachable().len(), 16 * 5);
}

#[test]
fn the_shown_state_is_the_first_reason_that_holds() {
    for word in reachable() {
        let first = flags(word).0.into_iter().next().unwrap_or(State::Active);
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
        let lifted = MUTES.iter().find(|(_, _, ends)| *ends == event);
        let lifts = lifted.is_some() || event == Event::WindowOver;
        let quiet = [State::Resolved, State::Silenced, State::Suppressed, State::Deduped];
        if lifts && quiet.iter().any(|reason| after.holds(*reason)) {
            assert_eq!(effect, Effect::None, "{before:?} {event:?} {after:?}");
        }
        // And lifting what does not hold is no event at all.
        let idle = lifted.is_some_and(|(quiet, ..)| !is(before, *quiet));
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
        // A new episode is silenced as the last one was, whether that was over or not.
        if before.state() == State::Silenced && stays {
            assert_eq!(after.state(), State::Silenced, "{before:?} {event:?}");
        }
    }
}

#[test]
fn what_is_over_stays_over_until_it_fires() {
    for (before, event, after, effect) in transitions() {
        if before.state() == State::Resolved && !matches!(event, Event::Fire | Event::Reopen) {
            assert_eq!((after.state(), effect), (State::Resolved, Effect::None), "{event:?}");
        }
    }
}

#[test]
fn mutes_are_independent_of_everything_else() {
    for (before, event, after, _) in transitions() {
        for (quiet, begins, ends) in MUTES {
            let holds = (is(before, quiet) || event == begins) && event != ends;
            assert_eq!(is(after, quiet), holds, "{quiet:?}: {before:?} {event:?}");
        }
    }
}

/// For whoever tells later: a reason moves alone, and nobody is told.
#[test]
fn a_reason_can_be_set_by_itself() {
    for word in reachable() {
        for (quiet, ..) in MUTES {
            for holds in [true, false] {
                let with = word.with(quiet, holds);
                assert_eq!(is(with, quiet), holds);
                assert_eq!(with.is_told(), word.is_told());
                let others = |w: Word| w.quiets().filter(|q| *q != quiet).collect::<Vec<_>>();
                assert_eq!(others(with), others(word));
                assert_eq!(with == word, is(word, quiet) == holds, "the generation counts changes");
            }
        }
    }
}

#[test]
fn a_new_episode_has_been_told_to_nobody() {
    for word in reachable() {
        let (after, effect) = word.next(Event::Reopen);
        assert_eq!((effect, after.is_told()), (Effect::None, false));
        assert!(!after.holds(State::Resolved) && !after.holds(State::Deduped));
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
