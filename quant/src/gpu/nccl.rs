//! NVIDIA's library of exchanges between cards, loaded when several of them train.

use super::group::{Exchange, Piece};
use accllm_llm::{Error, Result};
use libloading::Library;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;

/// Names of the library; its Python package has the first alone.
const NAMES: [&str; 2] = ["libnccl.so.2", "libnccl.so"];

// As in `nccl.h`.
type Communicator = *mut c_void;
type Stream = *mut c_void;
const SUCCESS: c_int = 0;
const IN_PROGRESS: c_int = 7;
const FLOAT32: c_int = 7;
const SUM: c_int = 0;

/// The functions that are used, as in `nccl.h`.
struct Api {
    init_all: unsafe extern "C" fn(*mut Communicator, c_int, *const c_int) -> c_int,
    all_reduce:
        unsafe extern "C" fn(*const c_void, *mut c_void, usize, c_int, c_int, Communicator, Stream) -> c_int,
    reduce: unsafe extern "C" fn(
        *const c_void,
        *mut c_void,
        usize,
        c_int,
        c_int,
        c_int,
        Communicator,
        Stream,
    ) -> c_int,
    broadcast:
        unsafe extern "C" fn(*const c_void, *mut c_void, usize, c_int, c_int, Communicator, Stream) -> c_int,
    group_start: unsafe extern "C" fn() -> c_int,
    group_end: unsafe extern "C" fn() -> c_int,
    async_error: unsafe extern "C" fn(Communicator, *mut c_int) -> c_int,
    abort: unsafe extern "C" fn(Communicator) -> c_int,
    error_string: unsafe extern "C" fn(c_int) -> *const c_char,
}

impl Api {
    fn load() -> Result<Self> {
        // SAFETY: loading NCCL runs nothing but its own initialization.
        let found = NAMES.iter().find_map(|name| unsafe { Library::new(*name) }.ok());
        let library = found.ok_or_else(|| {
            Error::Argument(
                "training on several cards needs NCCL (libnccl.so.2), which is not found: install it (`pip install \
                 nvidia-nccl-cu13`, or -cu12 beside CUDA 12), and LD_LIBRARY_PATH must name its folder (docs/gpu.md); or train \
                 on one card with --gpus 1"
                    .into(),
            )
        })?;
        macro_rules! function {
            ($name:literal) => {
                // SAFETY: the function has the signature of its field, which is that of `nccl.h`.
                *unsafe { library.get($name) }
                    .map_err(|e| Error::Argument(format!("NCCL is too old: {e}")))?
            };
        }
        let api = Self {
            init_all: function!(b"ncclCommInitAll"),
            all_reduce: function!(b"ncclAllReduce"),
            reduce: function!(b"ncclReduce"),
            broadcast: function!(b"ncclBroadcast"),
            group_start: function!(b"ncclGroupStart"),
            group_end: function!(b"ncclGroupEnd"),
            async_error: function!(b"ncclCommGetAsyncError"),
            abort: function!(b"ncclCommAbort"),
            error_string: function!(b"ncclGetErrorString"),
        };
        // Its threads run on after a failure: it is never unloaded, and the functions live as long as the process.
        std::mem::forget(library);
        Ok(api)
    }

    fn done(&self, what: &str, code: c_int) -> Result<()> {
        if code == SUCCESS {
            return Ok(());
        }
        // SAFETY: the library returns a string of its own for every number.
        let why = unsafe { CStr::from_ptr((self.error_string)(code)) };
        let why = why.to_string_lossy();
        Err(Error::Argument(format!("{what} by NCCL failed: {why} (NCCL_DEBUG=INFO says more)")))
    }
}

/// A card's end of the connection to the others.
pub(super) struct Nccl {
    api: Arc<Api>,
    /// Null once given up.
    communicator: Cell<Communicator>,
}

impl Nccl {
    /// Connects the first `count` cards.
    ///
    /// # Errors
    /// The library is not installed, or cannot connect them.
    pub fn connect(count: usize) -> Result<Vec<Self>> {
        let api = Arc::new(Api::load()?);
        let mut all: Vec<Communicator> = vec![std::ptr::null_mut(); count];
        let cards: Vec<c_int> = (0..count as c_int).collect();
        // SAFETY: there is room for `count` communicators, and as many cards.
        let code = unsafe { (api.init_all)(all.as_mut_ptr(), count as c_int, cards.as_ptr()) };
        api.done("connecting the cards", code)?;
        Ok(all.into_iter().map(|c| Self { api: api.clone(), communicator: Cell::new(c) }).collect())
    }

    fn communicator(&self) -> Result<Communicator> {
        let communicator = self.communicator.get();
        match communicator.is_null() {
            true => Err(Error::Argument("the connection to the other cards was given up".into())),
            false => Ok(communicator),
        }
    }

    /// Queues an exchange in a stream.
    pub fn exchange(&self, how: Exchange, pieces: &[Piece], stream: Stream) -> Result<()> {
        let (api, to) = (&self.api, self.communicator()?);
        // SAFETY: pieces lie in memory of the card that owns the stream; all cards ask for the same.
        let code = unsafe {
            let mut code = (api.group_start)();
            for piece in pieces {
                let (at, n, owner) = (piece.at.0 as *mut c_void, piece.count, piece.owner as c_int);
                let queued = match how {
                    Exchange::Sum => (api.all_reduce)(at, at, n, FLOAT32, SUM, to, stream),
                    Exchange::SumAtOwner => (api.reduce)(at, at, n, FLOAT32, SUM, owner, to, stream),
                    Exchange::Share => (api.broadcast)(at, at, n, FLOAT32, owner, to, stream),
                };
                code = if code == SUCCESS { queued } else { code };
            }
            let ended = (api.group_end)();
            if code == SUCCESS { ended } else { code }
        };
        api.done("an exchange between the cards", code)
    }

    /// Says what went wrong after it was queued.
    pub fn check(&self) -> Result<()> {
        let mut code = SUCCESS;
        // SAFETY: the communicator is alive.
        let asked = unsafe { (self.api.async_error)(self.communicator()?, &raw mut code) };
        self.api.done("an exchange between the cards", asked)?;
        if code == IN_PROGRESS { Ok(()) } else { self.api.done("an exchange between the cards", code) }
    }

    /// Gives the connection up; ends exchanges that wait for another card.
    pub fn abort(&self) {
        let communicator = self.communicator.replace(std::ptr::null_mut());
        if !communicator.is_null() {
            // SAFETY: it is alive, and nobody gets it from here any more. What it says is of no use: all ends anyway.
            unsafe { (self.api.abort)(communicator) };
        }
    }
}
