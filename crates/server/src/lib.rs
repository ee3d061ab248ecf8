//! Roadstead server.
