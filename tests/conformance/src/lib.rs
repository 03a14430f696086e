//! Golden captures and real clients against the programs.
