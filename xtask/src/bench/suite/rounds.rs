//! Contests are played in rounds, each begun by another contestant, so that what slows the machine down slows all of them.

use super::case::{Contest, Contestant, Reading};
use std::process::Command;

/// What one contestant did in all rounds, or why it did not.
pub(super) struct Played {
    pub(super) name: &'static str,
    pub(super) readings: Result<Vec<Reading>, String>,
}

/// Plays a round that does not count and then as many as asked for, or a single one if nothing is timed.
///
/// Whoever fails is out. Whoever was cut is not asked again: each time would take just as long.
pub(super) fn play(contest: &mut Contest<'_>, rounds: usize, say: &dyn Fn(&str)) -> Vec<Played> {
    let count = contest.contestants.len();
    let mut played: Vec<Played> = contest
        .contestants
        .iter()
        .map(|contestant| Played { name: contestant.name, readings: Ok(Vec::new()) })
        .collect();
    let (first, last) = if contest.once { (1, 1) } else { (0, rounds) };
    for round in first..=last {
        for at in 0..count {
            let at = (round + at) % count;
            say(&format!("round {round} of {last}: {}", played[at].name));
            run(&mut contest.contestants[at], &mut played[at], round);
        }
    }
    played
}

fn run(contestant: &mut Contestant<'_>, played: &mut Played, round: usize) {
    let Ok(readings) = &mut played.readings else { return };
    if let Some(cut) = readings.last().filter(|reading| reading.cut).cloned() {
        readings.push(cut);
        return;
    }
    settle();
    match (contestant.run)(round) {
        Ok(reading) if round > 0 || reading.cut => readings.push(reading),
        // The warm-up.
        Ok(_) => {}
        Err(error) => played.readings = Err(error.to_string()),
    }
}

/// Has what was written before go to the disk, so that nobody pays for the one before.
fn settle() {
    let _ = Command::new("sync").status();
}

#[cfg(test)]
mod tests {
    use super::play;
    use crate::bench::suite::case::{Contest, Contestant, Quantity, Reading};
    use std::cell::RefCell;

    #[test]
    fn rounds_begin_with_another_one_each_and_the_warm_up_does_not_count() {
        let order = RefCell::new(Vec::new());
        let contestant = |name: &'static str| {
            let order = &order;
            Contestant::new(name, move |round| {
                order.borrow_mut().push((round, name));
                Ok(Reading::default().with(Quantity::Seconds, round as f64))
            })
        };
        let mut contest =
            Contest { contestants: vec![contestant("a"), contestant("b")], rows: Vec::new(), once: false };
        let played = play(&mut contest, 2, &|_| {});
        assert_eq!(*order.borrow(), [(0, "a"), (0, "b"), (1, "b"), (1, "a"), (2, "a"), (2, "b")]);
        for one in played {
            let seconds: Vec<f64> =
                one.readings.unwrap().iter().map(|reading| reading.values[&Quantity::Seconds]).collect();
            assert_eq!(seconds, [1.0, 2.0], "{}", one.name);
        }
    }

    #[test]
    fn who_fails_is_out_and_who_was_cut_is_not_asked_again() {
        let (failed, cut) = (RefCell::new(0), RefCell::new(0));
        let fails = Contestant::new("fails", |_| {
            *failed.borrow_mut() += 1;
            Err("broken".into())
        });
        let slow = Contestant::new("slow", |_| {
            *cut.borrow_mut() += 1;
            Ok(Reading { cut: true, ..Reading::default() })
        });
        let mut contest = Contest { contestants: vec![fails, slow], rows: Vec::new(), once: false };
        let played = play(&mut contest, 3, &|_| {});
        assert_eq!(played[0].readings.as_ref().unwrap_err(), "broken");
        assert_eq!(played[1].readings.as_ref().unwrap().len(), 4);
        assert_eq!((*failed.borrow(), *cut.borrow()), (1, 1));
    }
}
