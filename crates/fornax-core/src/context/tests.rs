//! Contexts as people read them, and their cost.
