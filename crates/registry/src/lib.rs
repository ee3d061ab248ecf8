//! Roadstead registry.
