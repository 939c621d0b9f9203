//! Several devices that train one model: each takes a part of a step's rows on a thread of its own.
//!
//! All of them ask for the same exchanges in the same order. What fails on one ends the work of all.

use super::device::{Device, Ptr};
use super::train::Report;
use accllm_llm::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a device waits for the others, or for its own work, before it gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(1800);

/// What an exchange does with the same memory of all devices, of f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exchange {
    /// The sum of all devices', on all of them.
    Sum,
    /// The same on the owner alone; elsewhere the memory is as it was.
    SumAtOwner,
    /// What the owner has, on all of them.
    Share,
}

/// A device of a group, which one thread at a time uses.
pub(super) type Member<'a> = &'a mut (dyn Device + Send);

/// Memory of an exchange: so many f32, of which device `owner` takes care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub at: Ptr,
    pub count: usize,
    pub owner: usize,
}

/// A device's place in its group.
pub(super) struct Seat {
    pub rank: usize,
    /// Devices of the group.
    pub count: usize,
    table: Arc<Table>,
}

/// Where the devices of a group meet on the host.
#[derive(Default)]
struct Table {
    meeting: Mutex<Meeting>,
    changed: Condvar,
}

/// A meeting, and how many there have been.
#[derive(Default)]
struct Meeting {
    number: u64,
    /// What the devices bring that have come.
    brought: Vec<(usize, Vec<f64>)>,
    /// What the last meeting came to, by rank: the next one cannot end before all have left this one.
    last: Arc<Vec<Vec<f64>>>,
    /// The first device that failed.
    failed: Option<usize>,
}

impl Seat {
    /// The seats of a group.
    pub fn group(count: usize) -> Vec<Self> {
        let table: Arc<Table> = Arc::default();
        (0..count).map(|rank| Self { rank, count, table: table.clone() }).collect()
    }

    fn meeting(&self) -> MutexGuard<'_, Meeting> {
        // What is in there is whole at all times.
        self.table.meeting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers of all devices, by rank. Waits for all.
    ///
    /// # Errors
    /// One of them has failed, or does not come.
    pub fn gather(&self, mine: Vec<f64>) -> Result<Arc<Vec<Vec<f64>>>> {
        let mut m = self.meeting();
        m.brought.push((self.rank, mine));
        if m.brought.len() == self.count {
            let mut all = std::mem::take(&mut m.brought);
            all.sort_by_key(|(rank, _)| *rank);
            m.last = Arc::new(all.into_iter().map(|(_, numbers)| numbers).collect());
            m.number += 1;
            self.table.changed.notify_all();
        } else {
            let number = m.number;
            let waits = |m: &mut Meeting| m.number == number && m.failed.is_none();
            let wait = self.table.changed.wait_timeout_while(m, PATIENCE, waits);
            let (met, timeout) = wait.unwrap_or_else(PoisonError::into_inner);
            m = met;
            if timeout.timed_out() {
                return Err(Error::Argument(format!(
                    "another card has not come for {} s",
                    PATIENCE.as_secs()
                )));
            }
        }
        match m.failed {
            None => Ok(m.last.clone()),
            Some(rank) => Err(failed(rank)),
        }
    }

    /// Numbers of the first device.
    ///
    /// # Errors
    /// As for [`Seat::gather`].
    pub fn first<const N: usize>(&self, mine: [f64; N]) -> Result<[f64; N]> {
        let all = self.gather(mine.to_vec())?;
        Ok(all.first().and_then(|f| f.as_slice().try_into().ok()).unwrap_or(mine))
    }

    /// Refuses to go on where a device has failed.
    ///
    /// # Errors
    /// One has.
    pub fn check(&self) -> Result<()> {
        self.meeting().failed.map_or(Ok(()), |rank| Err(failed(rank)))
    }

    fn fail(&self) {
        self.meeting().failed.get_or_insert(self.rank);
        self.table.changed.notify_all();
    }

    fn failed(&self) -> Option<usize> {
        self.meeting().failed
    }
}

fn failed(rank: usize) -> Error {
    Error::Argument(format!("card {rank} has failed"))
}

/// Tells the others of a failure, also of a panic, when it goes out of scope.
struct Watch<'a>(&'a Seat, bool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fail();
        }
    }
}

/// Does `work` on all devices of a group together: on the first one here, on each other one on a thread of its own. Only the first
/// one's progress is told.
///
/// # Errors
/// That of the device that failed first.
pub(super) fn together<T: Send>(
    devices: &mut [Member<'_>],
    progress: &mut dyn FnMut(Report),
    work: impl Fn(&dyn Device, &mut dyn FnMut(Report)) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let alone = devices.len() == 1;
    let meet = |device: &dyn Device| if alone { Ok(()) } else { device.meet() };
    let run = |device: &Member<'_>, progress: &mut dyn FnMut(Report)| {
        let mut watch = Watch(device.seat(), false);
        let result = device.enter().and_then(|()| meet(&**device)).and_then(|()| work(&**device, progress));
        watch.1 = result.is_ok();
        result
    };
    let run = &run;
    let Some((first, others)) = devices.split_first_mut() else {
        return Err(Error::Argument("there is no card".into()));
    };
    let mut results = std::thread::scope(|scope| {
        let others: Vec<_> = others.iter_mut().map(|d| scope.spawn(move || run(d, &mut |_| {}))).collect();
        let mut results = vec![run(first, progress)];
        let joined = others.into_iter().map(std::thread::ScopedJoinHandle::join);
        results.extend(joined.map(|r| r.unwrap_or_else(|panic| std::panic::resume_unwind(panic))));
        results
    });
    match first.seat().failed() {
        Some(rank) if results.len() > 1 => results
            .swap_remove(rank)
            .and_then(|_| Err(failed(rank)))
            .map_err(|e| Error::Argument(format!("card {rank}: {e}"))),
        _ => results.into_iter().collect(),
    }
}

/// Waits until `done`, as long as no device of the group fails.
///
/// # Errors
/// One has failed, `done` says so, or it takes too long.
pub(super) fn wait_for(seat: &Seat, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !done()? {
        seat.check()?;
        if start.elapsed() > PATIENCE {
            return Err(Error::Argument(format!(
                "the card has not ended its work for {} s",
                PATIENCE.as_secs()
            )));
        }
        match start.elapsed() > Duration::from_millis(1) {
            true => std::thread::sleep(Duration::from_micros(20)),
            false => std::thread::yield_now(),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `work` at each of three seats.
    fn at_seats<T: Send>(work: impl Fn(&Seat) -> T + Sync) -> Vec<T> {
        let (seats, work) = (Seat::group(3), &work);
        std::thread::scope(|scope| {
            let all: Vec<_> = seats.into_iter().map(|seat| scope.spawn(move || work(&seat))).collect();
            all.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    #[test]
    fn all_get_the_numbers_of_all() {
        let right = at_seats(|seat| {
            (0..1000).all(|turn| {
                let all = seat.gather(vec![f64::from(turn); seat.rank]).unwrap();
                (0..3).all(|rank| all[rank] == vec![f64::from(turn); rank])
                    && seat.first([seat.rank as f64]).unwrap() == [0.0]
            })
        });
        assert_eq!(right, [true; 3]);
    }

    #[test]
    fn a_failure_ends_the_waiting_of_the_others() {
        let ends = at_seats(|seat| {
            let _watch = Watch(seat, seat.rank != 1);
            if seat.rank == 1 { None } else { seat.gather(vec![]).err().map(|e| e.to_string()) }
        });
        assert_eq!(ends, [Some("card 1 has failed".into()), None, Some("card 1 has failed".into())]);
    }
}
