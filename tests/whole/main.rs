//! Whole-path tests.

mod batch;
mod faults;
mod long;
mod package;
mod random;
mod reference;
mod rtl;
mod smollm2;
mod xclbin;
