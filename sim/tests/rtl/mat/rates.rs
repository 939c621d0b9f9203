//! Cycles: beats per cycle with an ideal memory, and simulation speed.
