//! Whole-path tests.

mod faults;
mod long;
mod package;
mod reference;
mod rtl;
mod xclbin;
