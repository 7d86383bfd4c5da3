//! Images: what tags there are, which is the latest, and writing it into Git.

pub mod automation;
