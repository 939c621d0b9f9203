//! A loaded design and its running instances.

use super::ffi::{self, Api, status};
use super::port::{Direction, Port, PortInfo};
use super::spec::VerilateSpec;
use super::{SimError, VerilateError, build};
use std::ffi::{CString, c_int};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers the instances, so that a port handle is only accepted by the model it came from.
static NEXT_SERIAL: AtomicU32 = AtomicU32::new(0);

/// A built and loaded design, from which any number of independent models can be made.
#[derive(Clone)]
pub struct Design {
    api: Arc<Api>,
    top: Arc<str>,
    clock: Arc<str>,
}

impl Design {
    /// Builds `spec`, or finds it in the cache, and loads the result.
    pub fn load(spec: &VerilateSpec) -> Result<Self, VerilateError> {
        let api = ffi::open(&build::library(spec)?)?;
        Ok(Self { api: Arc::new(api), top: spec.top.as_str().into(), clock: spec.clock.as_str().into() })
    }

    /// Makes a new instance with its own state and time.
    pub fn model(&self) -> Result<Model, VerilateError> {
        let api = Arc::clone(&self.api);
        // SAFETY: plain calls into the library; the strings are copied at once.
        let (handle, error) = unsafe { ((api.create)(), ffi::text((api.create_error)())) };
        if handle.is_null() {
            return Err(VerilateError::Spec {
                top: self.top.to_string(),
                why: format!("the model could not be created: {error}"),
            });
        }
        // SAFETY: the handle is live; the table has port_count entries and lives as long as it.
        let ports: Vec<PortInfo> = unsafe {
            let count = (api.port_count)(handle) as usize;
            let table = (api.ports)(handle);
            (0..count).map(|i| PortInfo::from_raw(&*table.add(i))).collect()
        };
        let clock = ports.iter().position(|p| p.name == *self.clock && p.bits == 1 && p.elements == 1);
        // SAFETY: the handle is live; the C++ side checks the index.
        let clocked = clock.is_some_and(|i| unsafe { (api.set_clock)(handle, i as u32) } == 0);
        let serial = NEXT_SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(Model { api, handle, ports, serial, clocked, top: self.top.clone(), clock: self.clock.clone() })
    }
}

/// One running instance of a design.
///
/// A clock cycle is `fall` (clock low, combinational logic settles on the inputs) followed by `rise`
/// (registers take their values). [`Model::cycle`] does both.
pub struct Model {
    api: Arc<Api>,
    handle: ffi::Handle,
    pub(super) ports: Vec<PortInfo>,
    pub(super) serial: u32,
    clocked: bool,
    pub(super) top: Arc<str>,
    clock: Arc<str>,
}

// SAFETY: all state belongs to the C++ handle, which is used by one thread at a time (`&mut self`);
// the C++ side sets its thread-local pointers anew on every call.
unsafe impl Send for Model {}

impl Model {
    /// Name of the top module.
    pub fn top(&self) -> &str {
        &self.top
    }

    /// Every port of the design.
    pub fn ports(&self) -> &[PortInfo] {
        &self.ports
    }

    /// Resolves a port by name; do this once, outside the simulation loop.
    pub fn port(&self, name: &str) -> Result<Port, SimError> {
        match self.ports.iter().position(|p| p.name == name) {
            Some(index) => Ok(Port { index: index as u32, serial: self.serial }),
            None => Err(SimError::NoPort {
                top: self.top.to_string(),
                name: name.to_owned(),
                known: self.ports.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// Resolves a port and checks its shape: `elements` is 1 for a port that is not an unpacked array.
    pub fn port_shaped(&self, name: &str, bits: u32, elements: u32) -> Result<Port, SimError> {
        let port = self.port(name)?;
        let info = &self.ports[port.index as usize];
        if (info.bits, info.elements) == (bits, elements) {
            return Ok(port);
        }
        Err(SimError::PortShape {
            top: self.top.to_string(),
            name: name.to_owned(),
            found_bits: info.bits,
            found_elements: info.elements,
            bits,
            elements,
        })
    }

    /// Evaluates the design with its inputs as they are; does not touch the clock.
    pub fn eval(&mut self) -> Result<(), SimError> {
        // SAFETY: the handle is live and exclusively borrowed.
        let code = unsafe { (self.api.eval)(self.handle) };
        self.check(code)
    }

    /// Clock low and evaluate: outputs now answer to the current inputs.
    pub fn fall(&mut self) -> Result<(), SimError> {
        self.half(0)
    }

    /// Clock high and evaluate: registers take their next values.
    pub fn rise(&mut self) -> Result<(), SimError> {
        self.half(1)
    }

    /// One full clock cycle: `fall`, then `rise`.
    pub fn cycle(&mut self) -> Result<(), SimError> {
        self.cycles(1)
    }

    /// `count` clock cycles with unchanged inputs; stops at the first failure or `$finish`.
    pub fn cycles(&mut self, count: u64) -> Result<(), SimError> {
        self.need_clock()?;
        // SAFETY: the handle is live and exclusively borrowed; its clock is set.
        let code = unsafe { (self.api.cycle)(self.handle, count) };
        self.check(code)
    }

    /// Rising edges so far.
    pub fn time(&self) -> u64 {
        // SAFETY: the handle is live.
        unsafe { (self.api.half_cycles)(self.handle) / 2 }
    }

    /// Whether the design called `$finish`.
    pub fn finished(&self) -> bool {
        // SAFETY: the handle is live.
        unsafe { (self.api.finished)(self.handle) != 0 }
    }

    /// Takes what the design printed (`$display`, `$warning`) since the last call; the newest
    /// mebibyte at most.
    pub fn take_output(&mut self) -> String {
        // SAFETY: the handle is live and exclusively borrowed; the text is copied before it is cleared.
        unsafe {
            let text = ffi::text((self.api.log)(self.handle));
            (self.api.clear_log)(self.handle);
            text
        }
    }

    /// Starts an FST wave dump; two time steps a clock cycle.
    pub fn trace_open(&mut self, path: &Path) -> Result<(), SimError> {
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| SimError::TracePath(path.display().to_string()))?;
        // SAFETY: the handle is live and exclusively borrowed; the string outlives the call.
        let code = unsafe { (self.api.trace_open)(self.handle, name.as_ptr()) };
        self.check(code)
    }

    /// Ends the wave dump and writes the file out.
    pub fn trace_close(&mut self) -> Result<(), SimError> {
        // SAFETY: the handle is live and exclusively borrowed.
        let code = unsafe { (self.api.trace_close)(self.handle) };
        self.check(code)
    }

    /// Runs the `final` blocks. Dropping a model does not run them.
    pub fn run_final(&mut self) -> Result<(), SimError> {
        // SAFETY: the handle is live and exclusively borrowed.
        let code = unsafe { (self.api.run_final)(self.handle) };
        self.check(code)
    }

    fn half(&mut self, level: u32) -> Result<(), SimError> {
        self.need_clock()?;
        // SAFETY: the handle is live and exclusively borrowed; its clock is set.
        let code = unsafe { (self.api.half)(self.handle, level) };
        self.check(code)
    }

    fn need_clock(&self) -> Result<(), SimError> {
        if self.clocked {
            return Ok(());
        }
        Err(SimError::NoClock { top: self.top.to_string(), clock: self.clock.to_string() })
    }

    fn check(&mut self, code: c_int) -> Result<(), SimError> {
        match code {
            status::FAILED | status::FATAL => Err(self.failure(code)),
            _ => Ok(()),
        }
    }

    #[cold]
    fn failure(&mut self, code: c_int) -> SimError {
        // The half cycle in which it happened has been counted already.
        // SAFETY: the handle is live and exclusively borrowed; the text is copied before it is cleared.
        let (half_cycles, text) = unsafe {
            let text = ffi::text((self.api.failure)(self.handle));
            if code == status::FAILED {
                (self.api.clear_failure)(self.handle);
            }
            ((self.api.half_cycles)(self.handle), text)
        };
        let (top, cycle) = (self.top.to_string(), half_cycles.saturating_sub(1) / 2);
        if code == status::FATAL {
            SimError::Fatal { top, cycle, text }
        } else {
            SimError::Failed { top, cycle, text }
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and nothing uses it afterwards.
        unsafe { (self.api.destroy)(self.handle) }
    }
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}, {} ports, cycle {})", self.top, self.ports.len(), self.time())
    }
}

impl std::fmt::Debug for Design {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Design({})", self.top)
    }
}

impl From<u32> for Direction {
    fn from(code: u32) -> Self {
        match code {
            0 => Direction::Input,
            1 => Direction::Output,
            2 => Direction::Inout,
            _ => Direction::Array,
        }
    }
}
