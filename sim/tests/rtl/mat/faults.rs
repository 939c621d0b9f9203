//! Faults of the matrix unit and its readers, and work after them.
