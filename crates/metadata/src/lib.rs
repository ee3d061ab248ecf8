//! Roadstead metadata.
