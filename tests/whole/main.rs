//! Whole-path tests.

mod batch;
mod faults;
mod long;
mod package;
mod reference;
mod rtl;
mod smollm2;
mod xclbin;
