//! Roadstead auth.
