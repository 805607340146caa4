//! The search for a profile: every combination of a small grid, on the tuning seeds alone.

use crate::case::{TUNING, Who, archetypes, run_all};
use crate::compare::{Change, sum};
use crate::profile::{self, Knobs};

/// The grid.
const UP: [u64; 4] = [1000, 1100, 1150, 1250];
const DOWN: [u64; 4] = [600, 700, 800, 900];
const UP_WINDOW: [u64; 2] = [0, 15];
const DOWN_WINDOW: [u64; 3] = [180, 300, 600];

/// What is asked of a profile on the tuning seeds, with room for other seeds: cost, changes and
/// instability beside the baseline, in percent.
const ROOM: Change = Change { late: 0.0, pod_hours: 4.0, adaptations: -52.0, instability: 0.0 };

/// Of those that fit, and are within so many percent of the fewest late requests, the one wins whose
/// pod-hours and changes beside the baseline come to least together: late requests that are so close
/// are the same.
const CLOSE: f64 = 1.0;

/// Prints what each point of the grid comes to, the best first.
pub(crate) fn search() -> anyhow::Result<String> {
    let cases = archetypes(TUNING);
    let baseline = sum(&run_all(&cases, |case| Ok(Who::Hpa.run(case)?.score))?);
    let mut found = Vec::new();
    for knobs in grid() {
        let who = Who::Ours("tuning", Box::new(profile::with(knobs)), 15);
        let score = sum(&run_all(&cases, |case| Ok(who.run(case)?.score))?);
        found.push((knobs, Change::of(&score, &baseline)));
    }
    let fits = |change: &Change| {
        change.pod_hours <= ROOM.pod_hours
            && change.adaptations <= ROOM.adaptations
            && change.instability <= ROOM.instability
    };
    let fitting = found.iter().filter(|(_, change)| fits(change)).map(|(_, change)| change.late);
    let fewest = fitting.fold(f64::INFINITY, f64::min);
    let rank = |change: &Change| match fits(change) {
        true if change.late <= fewest + CLOSE => (0, change.pod_hours + change.adaptations),
        true => (1, change.late),
        false => (2, change.late),
    };
    found.sort_by(|(_, one), (_, other)| {
        let (one, other) = (rank(one), rank(other));
        one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    let line = |(knobs, change): &(Knobs, Change)| {
        let Change { late, pod_hours, adaptations, instability } = change;
        let fits = if fits(change) { "fits" } else { "    " };
        format!(
            "{fits} late {late:+.1} % pod-hours {pod_hours:+.1} % changes {adaptations:+.1} % \
             υ {instability:+.1} %  {knobs:?}\n"
        )
    };
    Ok(found.iter().map(line).collect())
}

fn grid() -> impl Iterator<Item = Knobs> {
    UP.into_iter().flat_map(|up| {
        DOWN.into_iter().flat_map(move |down| {
            UP_WINDOW.into_iter().flat_map(move |up_window| {
                DOWN_WINDOW.into_iter().map(move |down_window| Knobs {
                    up,
                    down,
                    up_window,
                    down_window,
                })
            })
        })
    })
}
