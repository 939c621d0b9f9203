//! Whole-path tests.

mod batch;
mod families;
mod faults;
mod long;
mod package;
mod random;
mod reference;
mod rtl;
mod smollm2;
mod xclbin;
