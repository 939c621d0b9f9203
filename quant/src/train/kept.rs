//! The state of a training of the whole model, kept on disk from time to time.
//!
//! The parts of a state are written to one of two places in turn, and a small file that says how many steps they have seen
//! and which place it is comes last: whenever the process ends, one place is whole.

use super::end_to_end::Student;
use super::layer::{get, save};
use super::{damaged, unwritten};
use candle_core::{Device, Error, Tensor, safetensors};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Training for each unit of time spent on keeping its state.
const SHARE: u32 = 50;
/// Names of the places.
const PLACES: [&str; 2] = ["end-a", "end-b"];

/// Where states are kept, if anywhere.
pub(super) struct Kept<'a> {
    file: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// Place of the next state.
    next: usize,
    /// When the last one was kept, and how long that took.
    last: (Instant, Duration),
}

impl<'a> Kept<'a> {
    /// `file` tells the path of a part.
    pub fn new(file: &'a dyn Fn(&str) -> Option<PathBuf>) -> Self {
        Self { file, next: 0, last: (Instant::now(), Duration::ZERO) }
    }

    fn part(&self, place: usize, i: usize) -> Option<PathBuf> {
        (self.file)(&format!("{}-{i}", PLACES[place]))
    }

    /// Puts the last state into `student`; returns how many steps it has seen, 0 where there is none.
    pub fn take(&mut self, student: &mut Student, device: &Device) -> accllm_llm::Result<usize> {
        let Some(path) = (self.file)("end-at").filter(|p| p.is_file()) else { return Ok(0) };
        let at = safetensors::load(&path, device)
            .and_then(|t| get(&t, "at")?.to_vec1::<u32>())
            .and_then(|at| <[u32; 2]>::try_from(at).map_err(|_| Error::Msg("`at` is not two numbers".into())))
            .and_then(|[steps, place]| match place {
                0 | 1 => Ok((steps as usize, place as usize)),
                _ => Err(Error::Msg(format!("there is no place {place}"))),
            });
        let (steps, place) = at.map_err(|e| damaged(&path, &e))?;
        for i in 0..student.parts() {
            let Some(path) = self.part(place, i) else { continue };
            let part = safetensors::load(&path, device).and_then(|t| student.take(i, &t, steps));
            part.map_err(|e| damaged(&path, &e))?;
        }
        self.next = 1 - place;
        Ok(steps)
    }

    /// Keeps the state after `steps` steps if it is the last or if it is time for it.
    pub fn after(&mut self, steps: usize, last: bool, student: &Student) -> accllm_llm::Result<()> {
        let Some(at) = (self.file)("end-at") else { return Ok(()) };
        let start = Instant::now();
        if !last && start - self.last.0 < self.last.1 * SHARE {
            return Ok(());
        }
        for i in 0..student.parts() {
            let Some(path) = self.part(self.next, i) else { continue };
            student.part(i).and_then(|t| save(t, &path)).map_err(|e| unwritten(&path, e))?;
        }
        let numbers = [u32::try_from(steps).unwrap_or(u32::MAX), self.next as u32];
        Tensor::new(&numbers, &Device::Cpu)
            .and_then(|t| save(HashMap::from([("at".into(), t)]), &at))
            .map_err(|e| unwritten(&at, e))?;
        self.next = 1 - self.next;
        self.last = (Instant::now(), start.elapsed());
        Ok(())
    }
}
