//! Many files, much to read, and runs that end at a bad moment.

use std::fs;

use birl_logsource::{Batch, Budget, Count, LogSource};
use futures_util::{FutureExt, StreamExt};

use super::*;
use crate::far_end::{FarEnd, Home, SAY};

#[test]
fn pain_15_idle_files_are_not_looked_at() {
    const FILES: u64 = 2000;
    // It says how it is so often in about three seconds; that is the clock.
    const LOOKS: u64 = 60;
    let home = Home::new();
    fs::create_dir(home.at("logs")).unwrap();
    let log = |n: u64| home.at(&format!("logs/app-{n:04}.log"));
    for n in 0..FILES {
        fs::write(log(n), format!("{SAY}idle {n}\n")).unwrap();
    }
    // Each is held open.
    let enough = ["sh", "-c", "ulimit -n $(ulimit -H -n) && exec \"$@\"", "sh"];
    let mut far_end = FarEnd::following(&home, &home.at("logs/*.log"), &enough);
    for _ in 0..FILES {
        far_end.answer("idle");
    }
    let quiet = |far_end: &mut FarEnd, looks: u64| {
        for _ in 0..looks {
            far_end.answer("health");
        }
    };
    let thread = far_end.thread("birl-file");
    let mut begun = thread.work();
    assert!(begun.reads > FILES, "{begun:?}");
    // Each is looked at once more after its last line.
    for _ in 0..10 {
        quiet(&mut far_end, LOOKS / 3);
        let then = std::mem::replace(&mut begun, thread.work());
        if begun.since(then).reads < FILES / 10 {
            break;
        }
    }
    quiet(&mut far_end, LOOKS);
    let idle = thread.work().since(begun);
    assert!(idle.reads < FILES / 10, "{idle:?}");
    // Nor does it wake as often as it is asked how it is.
    assert!(idle.waits < LOOKS, "{idle:?}");
    // One that is written to is no reason to look at the others.
    append(&log(0), format!("{SAY}busy\n"));
    far_end.answer("busy");
    quiet(&mut far_end, LOOKS / 3);
    let busy = thread.work().since(begun);
    assert!(busy.reads < FILES / 10, "{busy:?}");
}

#[tokio::test]
async fn pain_16_many_old_files_are_not_read_again() {
    const FILES: usize = 1000;
    let log = Log::new();
    for n in 0..FILES {
        fs::write(log.at(&format!("app.log.old-{n}")), format!("old {n:06}\n")).unwrap();
    }
    let mut run = Run::of(log.glob());
    let found = run.lines(FILES).await;
    assert_eq!(sorted(found), numbered("old", 0..FILES));
    drop(run);
    // The first line that comes is the new one.
    log.write(&numbered("new", 0..1));
    let mut run = Run::of(log.glob());
    assert_eq!(run.lines(1).await, numbered("new", 0..1));
    assert_eq!(run.count(Count::Resumed) as usize, FILES);
    assert_eq!(run.count(Count::Lines), 1);
}

#[test]
fn pain_16_a_start_over_four_times_as_many_files_takes_four_times_as_long() {
    const FILES: u32 = 500;
    // By their names, each may be what another one was rotated to.
    let started = |files: u32| {
        let home = Home::new();
        fs::create_dir(home.at("logs")).unwrap();
        let log = |n: u32| home.at(&format!("logs/app-{n:06}.log"));
        for n in 0..files {
            fs::write(log(n), format!("{SAY}old {n}\n")).unwrap();
        }
        let start = || FarEnd::following(&home, &home.at("logs/*.log"), &[]);
        let mut far_end = start();
        for _ in 0..files {
            far_end.answer("old");
        }
        let first = far_end.cpu();
        // Until all places are written down.
        for _ in 0..10 {
            far_end.answer("health");
        }
        drop(far_end);
        append(&log(0), format!("{SAY}new\n"));
        let mut far_end = start();
        far_end.answer("new");
        [first, far_end.cpu()]
    };
    let (few, many) = (started(FILES), started(4 * FILES));
    for (few, many) in few.into_iter().zip(many) {
        // Were each compared with all others, it would be sixteen times.
        assert!(many < few * 8, "{FILES} files: {few:?}, four times as many: {many:?}");
    }
}

#[test]
fn pain_17_finished_files_do_not_slow_the_live_one() {
    const FILES: u64 = 3000;
    let home = Home::new();
    fs::create_dir(home.at("logs")).unwrap();
    for n in 0..FILES {
        fs::write(home.at(&format!("logs/done-{n:04}.log")), format!("{SAY}done {n}\n")).unwrap();
    }
    // Far fewer may be open than there are.
    let few = ["sh", "-c", "ulimit -n 256 && exec \"$@\"", "sh"];
    let mut far_end = FarEnd::following(&home, &home.at("logs/*.log"), &few);
    for _ in 0..FILES {
        far_end.answer("done");
    }
    let live = home.at("logs/live.log");
    append(&live, format!("{SAY}alive\n"));
    far_end.answer("alive");
    assert!(far_end.open_files() <= 256, "{}", far_end.open_files());
    // Each look at the live one is at that one alone.
    let thread = far_end.thread("birl-file");
    let begun = thread.work();
    for _ in 0..20 {
        append(&live, format!("{SAY}alive\n"));
        far_end.answer("alive");
    }
    let done = thread.work().since(begun);
    assert!(done.reads < FILES, "{done:?}");
    append(&home.at("logs/done-0007.log"), format!("{SAY}again\n"));
    far_end.answer("again");
}

#[tokio::test]
async fn pain_23_the_checkpoint_is_cut_at_any_byte() {
    let log = Log::new();
    log.write(&numbered("a", 0..20));
    let mut run = log.run();
    run.lines(20).await;
    drop(run);
    let whole = fs::read(&log.place.offsets).unwrap();
    // The store's own tests cut it at every byte: here a whole run follows.
    for length in (0..whole.len()).step_by(9) {
        for side in fs::read_dir(log.place.dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
            if side != log.path() {
                fs::remove_file(side).unwrap();
            }
        }
        fs::write(&log.place.offsets, &whole[..length]).unwrap();
        let source = log.builder().build().unwrap();
        let mut stream = source.tail(RESUME);
        append(log.path(), format!("{END}\n"));
        let mut found = Vec::new();
        while found.last().is_none_or(|line| line != END) {
            // It may say that places were lost; it goes on all the same.
            match next(&mut stream).await {
                Ok(batch) => found.extend(batch.entries().map(|entry| entry.text().into_owned())),
                Err(error) => assert!(error.is_retryable(), "{length}: {error}"),
            }
        }
        found.pop();
        assert!(found.is_empty() || found == numbered("a", 0..20), "{length}: {found:?}");
        drop((stream, source));
        let kept = joined(&numbered("a", 0..20)).len() as u64;
        fs::OpenOptions::new().write(true).open(log.path()).unwrap().set_len(kept).unwrap();
    }
}

#[test]
fn pain_24_killed_at_any_moment() {
    const LINES: usize = 100;
    let home = Home::new();
    let (mut random, mut written, mut seen) = (20_261_123_u64, 0, 0);
    // Everything up to here was acknowledged, and that was written down.
    let mut kept = 0;
    for round in 0..20 {
        let lines: Vec<_> = (written..written + LINES).map(|n| format!("{SAY}#{n}.")).collect();
        written += LINES;
        append(&home.log(), joined(&lines));
        let mut far_end = FarEnd::start(&home, &["env"]);
        let number = |said: &str| said.trim_end_matches('.').parse::<usize>().unwrap();
        let mut next = || number(&far_end.answer("#"));
        let first = next();
        assert!((kept..=seen).contains(&first), "{round}: {first} of {kept} to {seen}");
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let is_whole = round % 2 == 1;
        let last = if is_whole { written - 1 } else { first + (random >> 33) as usize % 100 };
        for expected in first + 1..=last {
            assert_eq!(next(), expected, "{round}");
        }
        if is_whole {
            let end = format!("\"offset\":{},", fs::metadata(home.log()).unwrap().len());
            far_end.wait_for("what was acknowledged is written down", || {
                fs::read_to_string(home.at("offsets")).is_ok_and(|text| text.contains(&end))
            });
            kept = written;
        }
        // What it read meanwhile, it may have acknowledged.
        let more = far_end.killed("#");
        assert!(more.iter().map(|said| number(said)).eq(last + 1..=last + more.len()));
        seen = seen.max(last + more.len() + 1);
    }
    assert_eq!(seen, written);
}

#[tokio::test]
async fn pain_24_a_run_begins_where_the_acknowledgements_of_the_last_one_end() {
    // It ends with batches in all states.
    let log = Log::new();
    log.write(&numbered("a", 0..5000));
    let mut acked = 0;
    for _ in 0..10 {
        let mut run = Run::of(log.builder().batch_bytes(512));
        let mut held: Vec<Batch> = Vec::new();
        for _ in 0..4 {
            held.push(next(&mut run.stream).await.unwrap());
        }
        let first = held[0].get(0).unwrap().text().into_owned();
        assert_eq!(first, numbered("a", acked..acked + 1)[0]);
        acked += held[0].len() + held[1].len();
        // One of them is in the consumer's hands when the run ends, and what is acknowledged
        // behind it does not count.
        held.swap_remove(3).ack();
        held.swap_remove(1).ack();
        held.swap_remove(0).ack();
        drop((held, run));
    }
    log.end();
    let mut run = log.run();
    assert_eq!(run.rest().await, numbered("a", acked..5000));
}

#[tokio::test]
async fn pain_18_a_backlog_takes_no_memory() {
    const LIMIT: usize = 1 << 20;
    let log = Log::new();
    let chunk = joined(&numbered("a line of the backlog that is long enough", 0..20_000));
    for _ in 0..32 {
        append(log.path(), &chunk);
    }
    let budget = Budget::new(LIMIT);
    let mut run = Run::of(log.builder().budget(&budget));
    let (mut kept, mut seen) = (Vec::new(), 0);
    while seen < 32 * 20_000 {
        // A slow consumer, with more in hand than it should have.
        match run.stream.next().now_or_never() {
            Some(batch) => kept.push(batch.unwrap().unwrap()),
            None if kept.is_empty() => kept.push(next(&mut run.stream).await.unwrap()),
            None => {
                assert!(budget.in_flight_bytes() <= (LIMIT + (512 << 10)) as u64);
                seen += kept.drain(..).map(|batch| batch.len()).sum::<usize>();
            }
        }
    }
    assert_eq!(run.count(Count::Lines), 32 * 20_000);
}
